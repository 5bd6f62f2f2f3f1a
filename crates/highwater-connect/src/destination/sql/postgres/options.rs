//! The options of a connection string that say how the connection is encrypted: the client library knows not all of them, so they
//! are taken out before it reads the rest.

use std::path::Path;

use percent_encoding::percent_decode_str;

use super::tls::{Checks, Roots};
use crate::failure::{Failure, Result};

/// Whose they are: ours, and not the library's.
const OURS: &str = "ssl";
/// But this one the library knows.
const THEIRS: &str = "sslnegotiation";

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    No,
    /// If the server can.
    IfPossible,
    Yes,
}

/// What the options of a connection string ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) encryption: Encryption,
    pub(super) checks: Checks,
    pub(super) roots: Roots,
}

impl Options {
    /// The options, and the connection string without them. A path starts from `base`.
    pub(super) fn take(text: &str, base: &Path) -> Result<(Options, String)> {
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let (ours, rest) = if is_url { of_url(text) } else { of_pairs(text) };
        Ok((Options::of(&ours, base)?, rest))
    }

    fn of(ours: &[(String, String)], base: &Path) -> Result<Options> {
        let (mut mode, mut roots) = ("prefer", Roots::System);
        for (key, value) in ours {
            match (key.as_str(), value.as_str()) {
                ("sslmode", value) => mode = value,
                ("sslrootcert", "system") => roots = Roots::System,
                ("sslrootcert", path) => roots = Roots::File(base.join(path)),
                (other, _) => {
                    let known = "there are sslmode, sslrootcert and sslnegotiation";
                    return Err(Failure::config(format!("the URL's {other} is not supported; {known}")));
                }
            }
        }
        // Whoever names a root wants to be sure, as with PostgreSQL's own clients.
        let at_least = if matches!(roots, Roots::File(_)) { Checks::Chain } else { Checks::Nothing };
        let (encryption, checks) = match mode {
            "disable" => (Encryption::No, Checks::Nothing),
            "prefer" => (Encryption::IfPossible, Checks::Nothing),
            "require" => (Encryption::Yes, at_least),
            "verify-ca" => (Encryption::Yes, Checks::Chain),
            "verify-full" => (Encryption::Yes, Checks::ChainAndName),
            _ => {
                let known = "disable, prefer, require, verify-ca, verify-full";
                return Err(Failure::config(format!("the URL's sslmode is none of {known}")));
            }
        };
        Ok(Options { encryption, checks, roots })
    }
}

fn is_ours(key: &str) -> bool {
    key.starts_with(OURS) && key != THEIRS
}

/// `postgresql://user:password@host/database?key=value&...`
fn of_url(text: &str) -> (Vec<(String, String)>, String) {
    // Before the `@` is a password, in which a `?` means nothing.
    let from = text.find('@').unwrap_or(0);
    let Some(query) = text[from..].find('?').map(|at| from + at) else {
        return (Vec::new(), text.to_owned());
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (mut ours, mut rest) = (Vec::new(), Vec::new());
    for pair in text[query + 1..].split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decoded(key);
        if is_ours(&key) { ours.push((key, decoded(value))) } else { rest.push(pair) }
    }
    let mark = if rest.is_empty() { "" } else { "?" };
    (ours, format!("{}{mark}{}", &text[..query], rest.join("&")))
}

/// `host=db.internal dbname = 'the shop'`
fn of_pairs(text: &str) -> (Vec<(String, String)>, String) {
    let (mut ours, mut others, mut rest) = (Vec::new(), String::new(), text);
    while let Some((key, value, end)) = first_pair(rest) {
        if is_ours(key) {
            ours.push((key.to_owned(), value));
        } else {
            others.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    // What is no pair is the library's to complain of.
    (ours, others + rest)
}

/// The first pair, and where it ends.
fn first_pair(text: &str) -> Option<(&str, String, usize)> {
    let (key, rest) = text.split_once('=')?;
    let key = key.trim();
    let value = rest.trim_start();
    let mut letters = value.char_indices();
    let is_quoted = value.starts_with('\'');
    if is_quoted {
        letters.next();
    }
    let mut unescaped = String::new();
    let mut end = value.len();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => unescaped.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if is_quoted => {
                end = at + 1;
                break;
            }
            space if !is_quoted && space.is_whitespace() => {
                end = at;
                break;
            }
            other => unescaped.push(other),
        }
    }
    Some((key, unescaped, text.len() - value.len() + end))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn take(text: &str) -> Result<(Options, String), String> {
        Options::take(text, Path::new("/base")).map_err(|failure| failure.to_string())
    }

    #[test]
    fn options_are_taken_out_of_a_url() {
        let (options, rest) =
            take("postgresql://u:a?sslmode=b@h:1/d?sslmode=verify-full&port=2&sslrootcert=a%20b.pem&sslnegotiation=direct")
                .unwrap();
        assert_eq!(rest, "postgresql://u:a?sslmode=b@h:1/d?port=2&sslnegotiation=direct");
        assert_eq!((options.encryption, options.checks), (Encryption::Yes, Checks::ChainAndName));
        assert_eq!(options.roots, Roots::File(PathBuf::from("/base/a b.pem")));
        let (options, rest) = take("postgres://h/d?sslmode=require").unwrap();
        assert_eq!((options.checks, rest.as_str()), (Checks::Nothing, "postgres://h/d"));
    }

    #[test]
    fn options_are_taken_out_of_pairs() {
        let (options, rest) =
            take(r"host=h sslmode = 'verify-ca' password='it\'s sslmode=x' sslrootcert=/a\ b user=u")
                .unwrap();
        assert_eq!(rest, r"host=h password='it\'s sslmode=x' user=u");
        assert_eq!((options.encryption, options.checks), (Encryption::Yes, Checks::Chain));
        assert_eq!(options.roots, Roots::File(PathBuf::from("/a b")));
        assert_eq!(take("host=h nonsense").unwrap().1, "host=h nonsense");
        assert_eq!(take("").unwrap().1, "");
    }

    #[test]
    fn a_root_makes_require_look_at_the_certificate() {
        let checks = |text: &str| take(&format!("postgresql://h/d?{text}")).unwrap().0.checks;
        assert_eq!(checks("sslmode=require&sslrootcert=ca.pem"), Checks::Chain);
        assert_eq!(checks("sslrootcert=ca.pem&sslmode=prefer"), Checks::Nothing);
        assert_eq!(take("postgresql://h/d").unwrap().0.encryption, Encryption::IfPossible);
    }

    #[test]
    fn what_is_not_supported_is_named_and_no_value_told() {
        assert!(take("postgresql://h/d?sslmode=allow").unwrap_err().contains("verify-full"));
        let told = take("postgresql://h/d?sslpassword=hunter2").unwrap_err();
        assert!(told.contains("sslpassword") && !told.contains("hunter2"), "{told}");
    }
}
