//! The canonical encoding of a key: the key columns as a JSON array without spaces, in which equal values have equal
//! bytes. `1`, `1.0` and `1e0` are one value; integers keep all their digits; strings are escaped in one way only.
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

/// An integer keeps its digits, however many; another number is written as the shortest that reads back the same.
fn put_number(out: &mut Vec<u8>, text: &str) {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        out.extend_from_slice(if digits == "0" { b"0" } else { text.as_bytes() });
        return;
    }
    /// Beyond this, neighbouring integers are one `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() <= EXACT => {
            out.extend_from_slice((value as i64).to_string().as_bytes());
        }
        Ok(value) if value.is_finite() => out.extend_from_slice(format!("{value:?}").as_bytes()),
        _ => out.extend_from_slice(text.as_bytes()),
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
