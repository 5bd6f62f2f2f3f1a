//! Names of tables and columns: any name of a source becomes one that the destination takes, and no two become one.

use std::collections::BTreeSet;

/// The prefix of everything that is ours, so no source's table or column may begin with it.
pub(crate) const OURS: &str = "_highwater";

/// Hexadecimal digits of a hash behind a name that could not stay as it is.
const HASH_DIGITS: usize = 12;

/// The only place where a name becomes SQL text.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names that are in use. Two that differ only by case count as one, whatever the destination thinks of that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken(BTreeSet<String>);

impl Taken {
    pub(crate) fn insert(&mut self, name: &str) {
        self.0.insert(name.to_lowercase());
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains(&name.to_lowercase())
    }
}

impl<S: AsRef<str>> FromIterator<S> for Taken {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut taken = Taken::default();
        names.into_iter().for_each(|name| taken.insert(name.as_ref()));
        taken
    }
}

/// What a destination allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameRules {
    /// The longest name, in bytes.
    pub(crate) bytes_max: usize,
    /// Names that it refuses even in quotes.
    pub(crate) reserved: &'static [&'static str],
    /// Prefixes that it keeps for itself.
    pub(crate) prefixes: &'static [&'static str],
}

impl NameRules {
    /// A name for `identity`, as near to `wanted` as it can be, and put among those taken. A name that fits stays as it
    /// is; another gets a hash of the identity, so the same source gives the same name wherever it comes from.
    pub(crate) fn choose(&self, wanted: &str, identity: &str, taken: &mut Taken) -> String {
        let name = self.first_free(wanted, identity, taken);
        taken.insert(&name);
        name
    }

    fn first_free(&self, wanted: &str, identity: &str, taken: &Taken) -> String {
        let clean = clean(wanted);
        if clean == wanted && self.allows(wanted) && !taken.contains(wanted) {
            return clean;
        }
        let stem = cut(&clean, self.bytes_max.saturating_sub(HASH_DIGITS + 1));
        let stem = if self.keeps(stem) { "x" } else { stem };
        let hashed = (0_u64..).map(|salt| format!("{stem}_{}", hash(identity, salt)));
        // One of any number of hashes is free: there are fewer names than hashes.
        hashed.into_iter().find(|name| !taken.contains(name)).unwrap_or_default()
    }

    fn allows(&self, name: &str) -> bool {
        let is_reserved = self.reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        !name.is_empty() && name.len() <= self.bytes_max && !is_reserved && !self.keeps(name)
    }

    fn keeps(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        lower.starts_with(OURS) || self.prefixes.iter().any(|prefix| lower.starts_with(prefix))
    }
}

/// Control characters print badly everywhere, and no destination takes all of them.
fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

fn cut(name: &str, bytes_max: usize) -> &str {
    let mut end = name.len().min(bytes_max);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Short, and the same for ever.
pub(crate) fn hash(identity: &str, salt: u64) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&salt.to_le_bytes()).update(identity.as_bytes());
    hasher.finalize().to_hex()[..HASH_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: NameRules = NameRules { bytes_max: 63, reserved: &["xmin"], prefixes: &["sqlite_"] };

    fn all(names: &[&str]) -> Vec<String> {
        let mut taken = Taken::default();
        names.iter().map(|name| RULES.choose(name, name, &mut taken)).collect()
    }

    #[test]
    fn a_name_that_fits_stays_and_another_is_changed_as_little_as_possible() {
        assert_eq!(all(&["select", "größe", "createdAt", "a\"b"]), ["select", "größe", "createdAt", "a\"b"]);
        let long = "x".repeat(64);
        let odd = all(&["id", "ID", &long, "xmin", "XMIN", "_highwater_key", "sqlite_master", "", "a\0b"]);
        assert!(odd[1].starts_with("ID_") && odd[2].len() == 63 && odd[8].starts_with("a_b_"), "{odd:?}");
        for name in &odd[3..] {
            assert!(RULES.allows(name), "{name}");
        }
    }

    #[test]
    fn quoting_ends_only_where_we_end_it() {
        assert_eq!(quote(r#"a"; DROP TABLE x; --"#), r#""a""; DROP TABLE x; --""#);
    }

    /// Names that meet: by case, by length, by what is put in for odd characters, by looking like a hash.
    fn awkward() -> impl Strategy<Value = String> {
        prop_oneof![
            "[aAäÄ_\\x00ß]{0,3}",
            "[xX]{60,70}",
            "(ID|id|Id)_[0-9a-f]{12}",
            Just(format!("ID_{}", hash("ID", 0))),
            Just(format!("id_{}", hash("id", 0))),
            "\\PC{0,40}",
            Just("xmin".to_owned()),
            "_highwater[a-z_]{0,5}",
        ]
    }

    proptest! {
        #[test]
        fn names_are_bounded_allowed_and_never_meet(names in prop::collection::btree_set(awkward(), 0..40)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let chosen = all(&names);
            prop_assert_eq!(&chosen, &all(&names));
            let folded: BTreeSet<String> = chosen.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(folded.len(), names.len());
            for name in &chosen {
                prop_assert!(RULES.allows(name), "{}", name);
            }
        }

        #[test]
        fn what_is_named_already_keeps_its_name(names in prop::collection::btree_set(awkward(), 1..20), new in awkward()) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            prop_assume!(!names.contains(&new.as_str()));
            let chosen = all(&names);
            let mut taken: Taken = chosen.iter().collect();
            let added = RULES.choose(&new, &new, &mut taken);
            prop_assert!(!chosen.iter().any(|name| name.to_lowercase() == added.to_lowercase()));
        }
    }
}
