//! Lines of a source that can't be taken as they are. Most are noise; one that was meant to be a record must not be passed over: the
//! next state would say that it is there.

use std::fmt;

use memchr::memmem;

/// What Python's `json` writes and JSON does not know.
const NOT_JSON: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Messages that would be missed: a TRACE may say that the source has failed.
const MISSED: [&str; 3] = ["RECORD", "STATE", "TRACE"];

/// What is said of it.
pub(crate) const NAN_TOLD: &str = "the source writes NaN or Infinity, which are no JSON and which nothing can be told from afterwards: null is kept for them";

/// Why a line is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Reject {
    /// It is not a message: what a dying worker prints, a word for people.
    Noise,
    /// It is a message, but for NaN or Infinity, which Python's `json` writes and JSON does not know. Here is its text with `null` in
    /// their place, to be read instead.
    NotANumber(String),
    /// It was meant to be a message that would be missed, and is no JSON. At the end of the output, without a line break, it was torn when its
    /// writer ended; elsewhere going past it would lose it.
    Broken(String),
    /// It is a RECORD or a STATE that can't be stored as one. Going past it would lose it.
    Malformed(String),
}

impl Reject {
    /// A line that could not be read, for some reason.
    pub(crate) fn of(line: &[u8], error: &dyn fmt::Display) -> Reject {
        let Some((kind, before)) = meant(line) else { return Reject::Noise };
        if before > 0 {
            return Reject::Malformed(format!(
                "a {kind} message begins at byte {} of its line: have the source write nothing before it, as a progress bar does",
                before + 1
            ));
        }
        match std::str::from_utf8(line) {
            Err(error) if error.error_len().is_some() => Reject::Malformed(format!(
                "a {kind} message is not UTF-8 (byte {}): have the source write UTF-8; one in Python does with PYTHONUTF8=1",
                error.valid_up_to() + 1
            )),
            Ok(text) if let Some(text) = without_nan(text) => Reject::NotANumber(text),
            _ => Reject::Broken(format!("a {kind} message is broken JSON: {error}")),
        }
    }
}

/// The mark that some writers put before their first line.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A line without what may stand before a message.
pub(crate) fn trimmed(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_start()
}

/// The message that it was meant to be, if it would be missed, and how many bytes of something else are before it.
fn meant(line: &[u8]) -> Option<(&'static str, usize)> {
    let line = line.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(line).trim_ascii_start();
    let begins = memchr::memchr(b'{', line)?;
    let kind_at = |at: usize| {
        let rest = line[at..].strip_prefix(b"\"type\"")?.trim_ascii_start();
        let value = rest.strip_prefix(b":")?.trim_ascii_start();
        MISSED.into_iter().find(|kind| {
            value.strip_prefix(b"\"").is_some_and(|value| value.starts_with(format!("{kind}\"").as_bytes()))
        })
    };
    memmem::find_iter(line, b"\"type\"").find_map(kind_at).map(|kind| (kind, begins))
}

/// The text with `null` for each that is no JSON number; `None` if it has none.
fn without_nan(text: &str) -> Option<String> {
    let mut mended = String::with_capacity(text.len());
    let (mut rest, mut in_string, mut found) = (text, false, false);
    while let Some(next) = rest.chars().next() {
        let word = NOT_JSON.iter().find(|word| !in_string && rest.starts_with(**word));
        let length = match (word, next) {
            (Some(word), _) => {
                found = true;
                mended.push_str("null");
                rest = &rest[word.len()..];
                continue;
            }
            // What is escaped ends no string.
            (None, '\\') if in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                in_string = !in_string;
                1
            }
            (None, other) => other.len_utf8(),
        };
        mended.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    found.then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[u8]) -> Reject {
        Reject::of(line, &"why")
    }

    #[test]
    fn only_what_was_meant_to_be_a_record_or_a_state_would_be_missed() {
        let noise: [&[u8]; 6] = [
            br#"saw {'type': 'RECORD'}"#,
            b"",
            b"Traceback",
            b"{",
            br#"{"type":"LOG","log":{"message":"\"type\":\"RECORD\" \xff"#,
            br#"{"type":"RECORDS","#,
        ];
        for line in noise {
            assert_eq!(of(line), Reject::Noise, "{}", String::from_utf8_lossy(line));
        }
        let broken: [&[u8]; 4] = [
            br#"{"type":"RECORD","record":{"#,
            br#" {"state":{, "type" : "STATE"}"#,
            br#"{"type":"TRACE","trace":{"type":"ERROR","error":{"message":1e}}}"#,
            b"{\"type\":\"RECORD\",\"\xc3",
        ];
        for line in broken {
            assert!(matches!(of(line), Reject::Broken(why) if why.ends_with("why")));
        }
    }

    #[test]
    fn what_stands_before_a_message_on_its_line_is_told() {
        for (line, byte) in [(r#"10%|##{"type":"RECORD"}"#, 7), ("\u{1b}[0m{\"type\":\"STATE\"}", 5)] {
            let Reject::Malformed(why) = of(line.as_bytes()) else { panic!("{line}") };
            assert!(why.contains(&format!("begins at byte {byte} of its line")), "{why}");
        }
        assert_eq!(trimmed("\u{feff} {}"), "{}");
        assert!(matches!(of("\u{feff}{\"type\":\"STATE\"".as_bytes()), Reject::Broken(_)));
    }

    #[test]
    fn another_encoding_is_named_with_its_byte() {
        let Reject::Malformed(why) = of(b"{\"type\":\"RECORD\",\"a\":\"\xe9\"}") else { panic!() };
        assert!(why.starts_with("a RECORD message is not UTF-8 (byte 23)"), "{why}");
    }

    #[test]
    fn what_is_no_number_becomes_null_outside_of_strings() {
        let line = r#"{"type":"RECORD","a":NaN,"b":[-Infinity,Infinity,1],"NaN":"\"NaN\\","c":"é\\\"NaN"}"#;
        let mended = r#"{"type":"RECORD","a":null,"b":[null,null,1],"NaN":"\"NaN\\","c":"é\\\"NaN"}"#;
        assert_eq!(of(line.as_bytes()), Reject::NotANumber(mended.to_owned()));
        assert_eq!(without_nan(r#"{"a":"NaN"}"#), None);
        assert_eq!(without_nan("\"\\"), None);
    }
}
