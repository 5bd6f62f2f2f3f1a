//! Columns that are left out or hashed before anything reaches the disk.
//!
//! Only the top level is looked at; what stays keeps its text to the byte, and its order. Names are looked up in the stream's
//! schema first, and no record goes through before they were: a name that is misspelt would be no protection.

mod declared;

pub(crate) use declared::{check_choice, check_paths};

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::failure::{Failure, Result};
use crate::pipeline::Columns;

/// Applies a choice of columns to records and schemas.
#[derive(Clone)]
pub struct ColumnFilter {
    columns: Columns,
    key: [u8; 32],
    /// Each name was found in a schema, or is to be believed. Clones share it.
    is_checked: Arc<AtomicBool>,
}

impl std::fmt::Debug for ColumnFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ColumnFilter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Says what the key is for, so that the same secret used elsewhere gives other hashes.
const CONTEXT: &str = "Highwater 2026-11 hashed column";

impl ColumnFilter {
    /// With the key of the hashes; `None` if nothing is to be done.
    pub fn new(columns: &Columns, hash_key: Option<&str>) -> Option<Self> {
        if columns.are_all() {
            return None;
        }
        let key = blake3::derive_key(CONTEXT, hash_key.unwrap_or_default().as_bytes());
        let is_checked = Arc::new(AtomicBool::new(columns.allow_undeclared));
        Some(ColumnFilter { columns: columns.clone(), key, is_checked })
    }

    /// Fails with [`FailureKind::Config`](crate::FailureKind::Config) unless the names were found in a schema, or are to be
    /// believed (`allow_undeclared`).
    pub fn check(&self) -> Result<()> {
        if self.is_checked.load(Ordering::Relaxed) { Ok(()) } else { Err(declared::unknown()) }
    }

    /// Writes the record's columns that stay into `out`. Fails as [`check`](Self::check) does, before anything of it goes through.
    pub fn record(&self, data: &str, out: &mut String) -> Result<()> {
        self.check()?;
        let members: Members<'_> = serde_json::from_str(data)
            .map_err(|e| Failure::permanent("a record is not an object").because(e))?;
        out.clear();
        out.push('{');
        for (name, value) in &members.0 {
            if !self.columns.keeps(name) {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            push_text(name, out);
            out.push(':');
            if self.columns.hash.iter().any(|hashed| hashed == name) {
                self.push_hash(value, out);
            } else {
                out.push_str(value.get());
            }
        }
        out.push('}');
        Ok(())
    }

    /// A keyed hash in hexadecimal; null stays null, so that it is still seen whether there is a value.
    fn push_hash(&self, value: &RawValue, out: &mut String) {
        if value.get() == "null" {
            return out.push_str("null");
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        match serde_json::from_str::<Cow<'_, str>>(value.get()) {
            // However it was escaped.
            Ok(text) => hasher.update(b"s").update(text.as_bytes()),
            Err(_) => hasher.update(b"v").update(value.get().as_bytes()),
        };
        out.push('"');
        out.push_str(&hasher.finalize().to_hex());
        out.push('"');
    }

    /// The schema without the columns that go; hashed ones become texts. The first that lists columns is the one in which the names
    /// are looked up: fails with [`FailureKind::Config`](crate::FailureKind::Config) if it lacks one.
    pub fn schema(&self, schema: &str) -> Result<String> {
        let mut value: serde_json::Value = serde_json::from_str(schema)
            .map_err(|e| Failure::permanent("a stream's schema is not JSON").because(e))?;
        self.look_up(&value)?;
        if let Some(properties) = value.get_mut("properties").and_then(|p| p.as_object_mut()) {
            properties.retain(|name, _| self.columns.keeps(name));
            for (name, property) in properties.iter_mut() {
                if self.columns.hash.contains(name) {
                    *property = serde_json::json!({"type": ["null", "string"]});
                }
            }
        }
        if let Some(required) = value.get_mut("required").and_then(|r| r.as_array_mut()) {
            required.retain(|name| name.as_str().is_none_or(|name| self.columns.keeps(name)));
        }
        serde_json::to_string(&value).map_err(|e| Failure::permanent("writing a schema").because(e))
    }

    /// Whether a schema allows columns that it does not list says nothing here: most do, and a name is no less misspelt for it.
    fn look_up(&self, schema: &serde_json::Value) -> Result<()> {
        let properties = schema.get("properties").and_then(|properties| properties.as_object());
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else { return Ok(()) };
        if self.check().is_err() {
            declared::check(&self.columns, properties)?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

pub(crate) fn push_text(text: &str, out: &mut String) {
    // A text can always be written as JSON.
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// The members of an object, as they stand. Of a name that comes twice both are there.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Any)
    }
}

/// Borrowed unless it has escapes in it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(columns: &Columns, data: &str) -> String {
        let mut out = String::new();
        let columns = Columns { allow_undeclared: true, ..columns.clone() };
        ColumnFilter::new(&columns, Some("pepper")).unwrap().record(data, &mut out).unwrap();
        out
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_stays_keeps_its_text() {
        let columns = Columns { exclude: list(&["card", "é"]), ..Columns::default() };
        let data = r#"{"a": 1.0, "card":"4111", "b":12345678901234567890123,"\u00e9":1,"c":{"card": 2}}"#;
        assert_eq!(filtered(&columns, data), r#"{"a":1.0,"b":12345678901234567890123,"c":{"card": 2}}"#);
        let columns = Columns { select: list(&["b"]), ..Columns::default() };
        assert_eq!(filtered(&columns, data), r#"{"b":12345678901234567890123}"#);
        assert!(ColumnFilter::new(&Columns::default(), None).is_none());
    }

    #[test]
    fn equal_values_have_equal_hashes_however_they_are_written() {
        let columns = Columns { hash: list(&["email"]), allow_undeclared: true, ..Columns::default() };
        let hash = |data: &str| filtered(&columns, data);
        assert_eq!(hash(r#"{"email":"a@b"}"#), hash(r#"{"email":"a\u0040b"}"#));
        assert_ne!(hash(r#"{"email":"a@b"}"#), hash(r#"{"email":"b@b"}"#));
        assert!(!hash(r#"{"email":"a@b"}"#).contains("a@b"));
        assert_eq!(hash(r#"{"email":null}"#), r#"{"email":null}"#);
        let other = ColumnFilter::new(&columns, Some("salt")).unwrap();
        let mut out = String::new();
        other.record(r#"{"email":"a@b"}"#, &mut out).unwrap();
        assert_ne!(out, hash(r#"{"email":"a@b"}"#));
    }

    #[test]
    fn the_schema_follows() {
        let columns = Columns { exclude: list(&["card"]), hash: list(&["n"]), ..Columns::default() };
        let filter = ColumnFilter::new(&columns, None).unwrap();
        let schema = filter.schema(
            r#"{"properties":{"card":{"type":"string"},"n":{"type":"integer"}},"required":["card","n"]}"#,
        );
        assert_eq!(schema.unwrap(), r#"{"properties":{"n":{"type":["null","string"]}},"required":["n"]}"#);
    }

    #[test]
    fn no_record_goes_through_before_the_names_were_looked_up() {
        let columns = Columns { exclude: list(&["card"]), ..Columns::default() };
        let filter = ColumnFilter::new(&columns, None).unwrap();
        let filters = [filter.clone(), filter];
        let mut out = String::new();
        for schema in [None, Some("{}"), Some(r#"{"properties":{},"additionalProperties":true}"#)] {
            schema.map(|schema| filters[0].schema(schema).unwrap());
            let error = filters[1].record(r#"{"card":1}"#, &mut out).unwrap_err();
            assert!(error.to_string().contains("lists no columns") && out.is_empty(), "{error}");
        }
        let open = r#"{"properties":{"crad":{}},"additionalProperties":true}"#;
        assert!(filters[0].schema(open).unwrap_err().to_string().contains("did you mean crad?"));
        assert!(filters[1].record(r#"{"card":1}"#, &mut out).is_err());
        filters[0].schema(r#"{"properties":{"card":{}}}"#).unwrap();
        filters[1].record(r#"{"card":1}"#, &mut out).unwrap();
        assert_eq!(out, "{}");
        // What was there once may go: a source that sends it no more does no harm.
        filters[0].schema(open).unwrap();
    }
}
