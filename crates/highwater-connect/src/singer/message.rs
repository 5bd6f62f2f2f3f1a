//! Singer's messages, borrowed from their lines.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::airbyte::message::Text;
use crate::reject::{Reject, trimmed};

/// The column in which a tap tells that a row was deleted.
const DELETED_AT: &str = "_sdc_deleted_at";

/// A message, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) stream: Option<Text<'a>>,
    /// Of a RECORD.
    #[serde(borrow)]
    pub(super) record: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) time_extracted: Option<Text<'a>>,
    /// Of a SCHEMA.
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) key_properties: Option<Vec<String>>,
    /// Of a RECORD and an ACTIVATE_VERSION.
    pub(super) version: Option<u64>,
    /// Of a STATE.
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
}

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Result<Message<'_>, Reject> {
    let text = trimmed(std::str::from_utf8(line).map_err(|e| Reject::of(line, &e))?);
    // Serde would take an array for a struct.
    if !text.starts_with('{') {
        return Err(Reject::of(line, &"it is no object"));
    }
    serde_json::from_str(text).map_err(|e| Reject::of(line, &e))
}

/// Whether the row was deleted at its source.
pub(super) fn is_deleted(record: &str) -> bool {
    if memchr::memmem::find(record.as_bytes(), DELETED_AT.as_bytes()).is_none() {
        return false;
    }
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(record).unwrap_or_default();
    members.get(DELETED_AT).is_some_and(|value| value.get() != "null")
}

/// A state that says nothing: no news, never a wipe.
pub(super) fn is_empty_state(value: &str) -> bool {
    matches!(serde_json::from_str::<serde_json::Value>(value), Ok(serde_json::Value::Object(map)) if map.is_empty())
        || value == "null"
}

/// When the row was extracted, in microseconds since 1970.
pub(super) fn extracted_us(message: &Message<'_>) -> Option<i64> {
    let text: &str = message.time_extracted.as_deref()?;
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_text() {
        let line = br#"{"type":"RECORD","stream":"s","record":{"a": 1.0},"time_extracted":"2024-01-01T00:00:00.5Z"}"#;
        let message = parse(line).unwrap();
        assert_eq!(message.record.unwrap().get(), r#"{"a": 1.0}"#);
        assert_eq!(extracted_us(&message), Some(1_704_067_200_500_000));
        for noise in [&b"Traceback"[..], b"{\"type\":", b"[1]"] {
            assert_eq!(parse(noise).unwrap_err(), Reject::Noise);
        }
        let version = br#"{"type":"RECORD","stream":"s","record":{},"version":-1}"#;
        assert!(matches!(parse(version), Err(Reject::Broken(_))), "it is no noise");
    }

    #[test]
    fn deletions_and_empty_states_are_seen() {
        assert!(is_deleted(r#"{"id":1,"_sdc_deleted_at":"2024"}"#));
        assert!(!is_deleted(r#"{"id":1,"_sdc_deleted_at":null,"x":{"_sdc_deleted_at":1}}"#));
        assert!(is_empty_state("{ }") && is_empty_state("null") && !is_empty_state(r#"{"a":{}}"#));
    }
}
