//! The canonical encoding of a key: the key columns as a JSON array without spaces, in which equal values have equal
//! bytes. `1`, `1.0` and `1e0` are one value; numbers keep all their digits; strings are escaped in one way only.
//!
//! ```
//! let key = highwater::key::encode(["1.0", "\"a\\u0062\""])?;
//! assert_eq!(key, br#"[1,"ab"]"#);
//! # Ok::<(), highwater::Error>(())
//! ```

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::format::define::ColumnPath;

/// Encodes key columns, each given as its JSON text.
pub fn encode<'a>(columns: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>> {
    let mut out = vec![b'['];
    for (i, column) in columns.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put_column(&mut out, column.trim())?;
    }
    out.push(b']');
    Ok(out)
}

/// Encodes the key of a record, given its payload as JSON text. A column that is absent counts as null.
pub fn of_payload(payload: &str, paths: &[ColumnPath]) -> Result<Vec<u8>> {
    let mut columns = Vec::with_capacity(paths.len());
    for path in paths {
        columns.push(find(payload, path)?.unwrap_or("null"));
    }
    encode(columns)
}

/// The JSON text at a path, borrowed from the payload.
fn find<'a>(payload: &'a str, path: &[String]) -> Result<Option<&'a str>> {
    let mut text = payload;
    for column in path {
        if text == "null" {
            return Ok(None);
        }
        match member(text, column)? {
            Some(found) => text = found,
            None => return Ok(None),
        }
    }
    Ok(Some(text))
}

/// The text of one member of an object; the last of that name counts, as for every JSON reader.
fn member<'a>(object: &'a str, name: &str) -> Result<Option<&'a str>> {
    struct Member<'n>(&'n str);

    impl<'de> serde::de::DeserializeSeed<'de> for Member<'_> {
        type Value = Option<&'de RawValue>;

        fn deserialize<D: serde::Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> std::result::Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }
    }

    impl<'de> serde::de::Visitor<'de> for Member<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> std::result::Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                if key == self.0 {
                    found = Some(map.next_value()?);
                } else {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(object);
    serde::de::DeserializeSeed::deserialize(Member(name), &mut deserializer)
        .map(|found| found.map(RawValue::get))
        .map_err(|e| Error::invalid(format!("no key column {name} in a record: {e}")))
}

fn put_column(out: &mut Vec<u8>, text: &str) -> Result<()> {
    let bad = |e: serde_json::Error| Error::invalid(format!("a key column is not JSON: {e}"));
    match text.as_bytes().first() {
        Some(b'"') => {
            let value = String::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(bad)?;
            serde_json::to_writer(&mut *out, &value).map_err(bad)
        }
        Some(b'-' | b'0'..=b'9') => {
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(bad)?;
            put_number(out, text);
            Ok(())
        }
        _ => {
            // null, true, false; an object or an array as a key column is unusual, and gets RFC 8785.
            let value: serde_json::Value = serde_json::from_str(text).map_err(bad)?;
            let canonical = serde_json_canonicalizer::to_vec(&value).map_err(bad)?;
            out.extend_from_slice(&canonical);
            Ok(())
        }
    }
}

/// With its point further from its first digit a number is written with an exponent.
const PLAIN_DIGITS_MAX: i64 = 64;

/// Exactly, whatever its digits: as a plain number without needless zeros, or, where that is long, as `DIGITSeEXPONENT`. A float would make
/// one key of two decimals that are near each other.
fn put_number(out: &mut Vec<u8>, text: &str) {
    let Some(Decimal { is_negative, digits, exponent }) = Decimal::parse(text) else {
        // An exponent beyond 64 bits.
        return out.extend_from_slice(text.as_bytes());
    };
    if digits.is_empty() {
        return out.push(b'0');
    }
    if is_negative {
        out.push(b'-');
    }
    let count = digits.len() as i64;
    let point = count + exponent; // so many digits are in front of it
    if point.abs() > PLAIN_DIGITS_MAX {
        out.extend_from_slice(&digits);
        if exponent != 0 {
            out.extend_from_slice(format!("e{exponent}").as_bytes());
        }
    } else if exponent >= 0 {
        out.extend_from_slice(&digits);
        out.resize(out.len() + exponent as usize, b'0');
    } else if point > 0 {
        let (whole, fraction) = digits.split_at(point as usize);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + point.unsigned_abs() as usize, b'0');
        out.extend_from_slice(&digits);
    }
}

/// `digits * 10^exponent`; neither the first digit nor the last is a zero.
struct Decimal {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Of a JSON number; `None` if its exponent is too large to be reckoned with.
    fn parse(text: &str) -> Option<Decimal> {
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let magnitude = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        let mut digits: Vec<u8> = all().skip_while(|digit| *digit == b'0').collect();
        let written = digits.len();
        let significant = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        digits.truncate(significant);
        let exponent = match digits.is_empty() {
            true => 0,
            false => {
                let zeros = (written - significant) as i64;
                power.parse::<i64>().ok()?.checked_sub(fraction.len() as i64)?.checked_add(zeros)?
            }
        };
        // Only such that its place can be reckoned with.
        let is_near = exponent.checked_add(digits.len() as i64).is_some();
        is_near.then_some(Decimal { is_negative: mantissa.starts_with('-'), digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(columns: &[&str]) -> String {
        String::from_utf8(encode(columns.iter().copied()).unwrap()).unwrap()
    }

    #[test]
    fn equal_values_have_equal_bytes_and_others_do_not() {
        for same in ["1", "1.0", "1e0", "10e-1", " 1 "] {
            assert_eq!(encoded(&[same]), "[1]");
        }
        assert_eq!(encoded(&["0"]), encoded(&["-0.0"]));
        assert_eq!(encoded(&["18446744073709551615"]), "[18446744073709551615]");
        assert_ne!(encoded(&["18446744073709551615"]), encoded(&["18446744073709551614"]));
        assert_ne!(encoded(&["1"]), encoded(&["\"1\""]));
        assert_ne!(encoded(&["null"]), encoded(&["\"null\""]));
        assert_eq!(encoded(&["\"\\u00e9\""]), encoded(&["\"é\""]));
        assert_eq!(encoded(&["1", "true", "null"]), "[1,true,null]");
        assert!(encode(["{"]).is_err() && encode(["1x"]).is_err());
    }

    #[test]
    fn a_number_keeps_all_its_digits_and_has_one_form() {
        for (given, expected) in [
            ("-1.50", "-1.5"),
            ("0.1", "0.1"),
            ("0.10000000000000000001", "0.10000000000000000001"),
            ("123456789012345678901234567890.50", "123456789012345678901234567890.5"),
            ("1E+20", "100000000000000000000"),
            ("100000000000000000000", "100000000000000000000"),
            ("1.5e-7", "0.00000015"),
            ("-0e7", "0"),
            ("1e400", "1e400"),
            ("0.1e401", "1e400"),
            ("1e-400", "1e-400"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert_eq!(encoded(&[given]), format!("[{expected}]"), "{given}");
        }
        let long = "9".repeat(80);
        assert_eq!(encoded(&[&long]), format!("[{long}]"));
        assert_eq!(encoded(&[&format!("{long}.0")]), format!("[{long}]"));
        assert_eq!(encoded(&[&format!("{long}000")]), format!("[{long}e3]"));
    }

    #[test]
    fn a_payloads_key_is_found_wherever_it_is() {
        let paths = [vec!["id".to_owned()], vec!["customer".to_owned(), "no".to_owned()]];
        let payload = r#"{"x":[1,{"id":9}],"customer":{"no":"a"},"id":2}"#;
        assert_eq!(of_payload(payload, &paths).unwrap(), br#"[2,"a"]"#);
        for absent in ["{}", r#"{"customer":{}}"#, r#"{"customer":null}"#] {
            assert_eq!(of_payload(absent, &paths).unwrap(), b"[null,null]", "{absent}");
        }
        assert!(of_payload("[]", &paths).is_err() && of_payload(r#"{"customer":1}"#, &paths).is_err());
    }
}
