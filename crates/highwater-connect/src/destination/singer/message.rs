//! The messages of a stream.

use highwater::{Record, StreamName};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{DELETED_AT, Mode, Settings, time, write_row};
use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};

/// Where the source gives no schema.
const ANY_OBJECT: &str = r#"{"type":"object","properties":{}}"#;

/// A stream as one process knows it.
#[derive(Debug)]
pub(super) struct Told {
    definition: StreamDefinition,
    sent_name: String,
    key: Vec<String>,
    /// The generation's number, where it takes the place of older ones.
    version: Option<u64>,
    /// `{"type":"RECORD","stream":...`, without its end.
    head: Vec<u8>,
}

impl Told {
    pub(super) fn new(definition: &StreamDefinition, settings: &Settings) -> Result<Self> {
        let sent_name = name(&definition.name, &settings.prefix);
        let version = Some(definition.generation.number)
            .filter(|_| settings.mode == Mode::Overwrite && definition.generation.minimum > 0);
        let key = match settings.mode {
            Mode::Append => Vec::new(),
            Mode::Upsert | Mode::Overwrite => key(definition)?,
        };
        #[derive(Serialize)]
        struct Head<'a> {
            r#type: &'static str,
            stream: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            version: Option<u64>,
        }
        let head = Head { r#type: "RECORD", stream: &sent_name, version };
        let mut head = serde_json::to_vec(&head).map_err(unwritable)?;
        head.pop();
        Ok(Told { definition: definition.clone(), sent_name, key, version, head })
    }

    /// Whether the process knows all that this says.
    pub(super) fn fits(&self, definition: &StreamDefinition) -> bool {
        let known = &self.definition;
        let numbers = |one: &StreamDefinition| (one.generation.number, one.generation.minimum);
        known.key == definition.key
            && known.schema == definition.schema
            && numbers(known) == numbers(definition)
    }

    pub(super) fn is_called(&self, other: &Told) -> bool {
        self.sent_name == other.sent_name
    }

    pub(super) fn schema(&self) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Schema<'a> {
            r#type: &'static str,
            stream: &'a str,
            schema: &'a RawValue,
            key_properties: &'a [String],
            bookmark_properties: [&'static str; 0],
        }
        let schema = self.definition.schema.as_deref().unwrap_or(ANY_OBJECT);
        let schema = Schema {
            r#type: "SCHEMA",
            stream: &self.sent_name,
            schema: serde_json::from_str(schema)
                .map_err(|e| Failure::permanent("a stream's schema is not JSON").because(e))?,
            key_properties: &self.key,
            bookmark_properties: [],
        };
        let mut line = Vec::new();
        crate::json::push_line(&serde_json::to_string(&schema).map_err(unwritable)?, &mut line);
        line.push(b'\n');
        Ok(line)
    }

    /// The line of a record, or why there is none.
    pub(super) fn record(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(format!(",\"time_extracted\":\"{}\"", time(record.emitted_us)).as_bytes());
        out.extend_from_slice(b",\"record\":");
        write_row(record, Some(&self.definition), DELETED_AT, out)?;
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// Rows of other generations are to go.
    pub(super) fn activation(&self) -> Result<Vec<u8>> {
        line(&json!({"type": "ACTIVATE_VERSION", "stream": self.sent_name, "version": self.version}))
    }
}

fn unwritable(error: serde_json::Error) -> Failure {
    Failure::permanent("writing a message").because(error)
}

pub(super) fn line(message: &Value) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message).map_err(unwritable)?;
    line.push(b'\n');
    Ok(line)
}

/// Singer has no namespaces; taps write a table's schema before its name.
fn name(stream: &StreamName, prefix: &str) -> String {
    match stream.namespace.as_deref() {
        Some(namespace) if !namespace.is_empty() => format!("{prefix}{namespace}-{}", stream.name),
        _ => format!("{prefix}{}", stream.name),
    }
}

fn key(definition: &StreamDefinition) -> Result<Vec<String>> {
    let column = |path: &Vec<String>| match path.as_slice() {
        [column] => Ok(column.clone()),
        _ => Err(Failure::config(format!(
            "stream {}: its key is in a nested column, which a Singer target can't be told; use mode = \"append\"",
            definition.name
        ))),
    };
    definition.key.iter().map(column).collect()
}
