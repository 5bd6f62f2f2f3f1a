//! What differs between two JSON texts: a JSON Patch (RFC 6902) that also knows what was there before.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;

use super::{DEPTH_MAX, elements, members, string};
use crate::text::tame;

/// One step of a patch. Printed it is a line for people, serialised an operation of RFC 6902.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// A JSON pointer.
    pub path: String,
    /// What was there; `None`: it is added.
    pub old: Option<String>,
    /// What is there now; `None`: it is removed.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "(all)".to_owned() } else { tame(&self.path) };
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "~ {path}: {} -> {}", tame(old), tame(new)),
            (None, Some(new)) => write!(f, "+ {path}: {}", tame(new)),
            (Some(old), None) => write!(f, "- {path}: {}", tame(old)),
            (None, None) => Ok(()),
        }
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let op = match (&self.old, &self.new) {
            (Some(_), Some(_)) => "replace",
            (None, _) => "add",
            (Some(_), None) => "remove",
        };
        let mut step = serializer.serialize_struct("Change", 3)?;
        step.serialize_field("op", op)?;
        step.serialize_field("path", &self.path)?;
        match &self.new {
            Some(new) => {
                let value: &RawValue = serde_json::from_str(new).map_err(serde::ser::Error::custom)?;
                step.serialize_field("value", value)?;
            }
            None => step.skip_field("value")?,
        }
        step.end()
    }
}

/// What makes `new` out of `old`; where one is absent, all of the other. White space and the order of keys are no difference;
/// `1.0` and `1` are one.
pub fn diff(old: Option<&str>, new: Option<&str>) -> Vec<Change> {
    let mut changes = Vec::new();
    match (old, new) {
        (Some(old), Some(new)) => compare(String::new(), old.trim(), new.trim(), DEPTH_MAX, &mut changes),
        _ => note(String::new(), old, new, &mut changes),
    }
    changes
}

fn note(path: String, old: Option<&str>, new: Option<&str>, changes: &mut Vec<Change>) {
    if old.is_some() || new.is_some() {
        changes.push(Change { path, old: old.map(str::to_owned), new: new.map(str::to_owned) });
    }
}

fn compare(path: String, old: &str, new: &str, depth: usize, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    if depth > 0 {
        if let (Some(old), Some(new)) = (members(old), members(new)) {
            return compare_members(&path, old, new, depth, changes);
        }
        if let (Some(old), Some(new)) = (elements(old), elements(new)) {
            return compare_elements(&path, &old, &new, depth, changes);
        }
        if let (Some(old), Some(new)) = (string(old), string(new))
            && old == new
        {
            return;
        }
    }
    note(path, Some(old), Some(new), changes);
}

fn compare_members(
    path: &str,
    old: Vec<(String, &str)>,
    new: Vec<(String, &str)>,
    depth: usize,
    changes: &mut Vec<Change>,
) {
    // Of one name the last counts, as for every reader.
    let before: HashMap<&str, &str> = old.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let after: HashMap<&str, &str> = new.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let mut seen = HashSet::new();
    for (key, _) in old.iter().chain(&new) {
        if !seen.insert(key.as_str()) {
            continue;
        }
        let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        match (before.get(key.as_str()), after.get(key.as_str())) {
            (Some(old), Some(new)) => compare(path, old, new, depth - 1, changes),
            (old, new) => note(path, old.copied(), new.copied(), changes),
        }
    }
}

fn is_same(old: &str, new: &str, depth: usize) -> bool {
    let mut changes = Vec::new();
    compare(String::new(), old, new, depth, &mut changes);
    changes.is_empty()
}

/// What is the same at both ends stays; of the rest each is compared with its counterpart, and what is over goes or comes.
fn compare_elements(path: &str, old: &[&str], new: &[&str], depth: usize, changes: &mut Vec<Change>) {
    let same = |(a, b): &(&&str, &&str)| is_same(a, b, depth - 1);
    let head = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let both = old.len().min(new.len());
    let at = |n: usize| format!("{path}/{}", head + n);
    for n in 0..both {
        compare(at(n), old[n], new[n], depth - 1, changes);
    }
    for (n, new) in new.iter().enumerate().skip(both) {
        note(at(n), None, Some(new), changes);
    }
    // From behind, so that each place is still right when its turn comes.
    for n in (both..old.len()).rev() {
        note(at(n), Some(old[n]), None, changes);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const TEXTS: &[&str] = &[
        "1",
        "null",
        "[]",
        "{}",
        r#"{"a":1,"b":[1,2,3],"c/d":{"~":0}}"#,
        r#"{"b":[1,3],"a":1,"c/d":{"~":1,"":2}}"#,
        r#"{"b":[0,1,2,3,4],"a":"1"}"#,
        r#"[1,2,3,4]"#,
        r#"[1,9,4]"#,
        r#"[[1],{"x":[2]}]"#,
        r#"[[1,1],{"x":[]},null]"#,
    ];

    #[test]
    fn each_difference_is_a_patch_that_leads_there() {
        for old in TEXTS {
            for new in TEXTS {
                let changes = diff(Some(old), Some(new));
                assert_eq!(changes.is_empty(), old == new, "{old} {new}");
                let patch: json_patch::Patch =
                    serde_json::from_str(&serde_json::to_string(&changes).unwrap()).unwrap();
                let mut value: Value = serde_json::from_str(old).unwrap();
                json_patch::patch(&mut value, &patch).unwrap();
                assert_eq!(value, serde_json::from_str::<Value>(new).unwrap(), "{old} {new} {changes:?}");
            }
        }
    }

    #[test]
    fn numbers_are_compared_as_they_are_written() {
        let lines = |old, new| diff(Some(old), Some(new)).iter().map(ToString::to_string).collect::<Vec<_>>();
        let (old, new) = (r#"{"lsn":12345678901234567890123}"#, r#"{ "lsn": 12345678901234567890124 }"#);
        assert_eq!(lines(old, new), ["~ /lsn: 12345678901234567890123 -> 12345678901234567890124"]);
        assert_eq!(lines("1.0", "1"), ["~ (all): 1.0 -> 1"]);
        assert_eq!(lines(r#"{"a":"\u0041","b":2}"#, r#"{ "b":2, "a":"A"}"#), [""; 0]);
        assert_eq!(diff(None, Some("1"))[0].to_string(), "+ (all): 1");
    }
}
