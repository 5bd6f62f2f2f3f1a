//! What a destination is told of the streams: its catalog, and the messages of each.

use highwater::{Position, Record, StreamName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::{DELETED_AT, Mode, POSITION, Settings, push_meta, write_row};
use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};

/// Where the source gives no schema.
const ANY_OBJECT: &str = r#"{"type":"object","additionalProperties":true}"#;

/// A stream as one process knows it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) definition: StreamDefinition,
    /// Its generation has come to its end.
    pub(super) is_complete: bool,
    /// What the destination has of this generation begins here, in the log.
    pub(super) from: Position,
    /// Records since its last state.
    pub(super) since_state: u64,
    sent_name: StreamName,
    mode: SyncMode,
    /// What it has before a row takes the place of older generations.
    is_replacing: bool,
    /// `{"type":"RECORD","record":{"stream":...`, without its end.
    head: Vec<u8>,
}

/// How a destination is to take a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum SyncMode {
    Append,
    AppendDedup,
    Overwrite,
}

impl Told {
    /// Of a generation that is begun, from `begun` on, nothing may be wiped: an overwrite goes on as an append. Else it begins at `at`.
    pub(super) fn new(
        definition: &StreamDefinition,
        settings: &Settings,
        begun: Option<Position>,
        at: Position,
    ) -> Result<Self> {
        let generation = definition.generation;
        let is_replacing = settings.mode == Mode::Overwrite && generation.minimum > 0;
        let mode = match settings.mode {
            Mode::Overwrite if is_replacing && begun.is_none() => SyncMode::Overwrite,
            Mode::Overwrite if is_replacing => SyncMode::Append,
            Mode::Append => SyncMode::Append,
            _ if definition.key.is_empty() => SyncMode::Append,
            _ => SyncMode::AppendDedup,
        };
        let StreamName { namespace, name } = definition.name.clone();
        let sent_name = StreamName { namespace, name: format!("{}{name}", settings.prefix) };
        let name = text(&sent_name)?;
        let mut head = br#"{"type":"RECORD","record":{"#.to_vec();
        head.extend_from_slice(&name.as_bytes()[1..name.len() - 1]);
        Ok(Told {
            definition: definition.clone(),
            is_complete: generation.is_complete,
            from: begun.unwrap_or(at),
            since_state: 0,
            sent_name,
            mode,
            is_replacing,
            head,
        })
    }

    pub(super) fn sent_name(&self) -> &StreamName {
        &self.sent_name
    }

    /// What is read anew takes the place of what was there.
    pub(super) fn replaces(&self) -> bool {
        self.is_replacing
    }

    /// Whether the catalog is right for the stream as it is defined here.
    pub(super) fn fits(&self, definition: &StreamDefinition) -> bool {
        let known = &self.definition;
        let numbers = |one: &StreamDefinition| (one.generation.number, one.generation.minimum);
        known.name == definition.name
            && known.key == definition.key
            && known.schema == definition.schema
            && numbers(known) == numbers(definition)
    }

    /// The line of a record, or why there is none.
    pub(super) fn record(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(format!(",\"emitted_at\":{}", record.emitted_us.div_euclid(1000)).as_bytes());
        push_meta(&record.metadata, out);
        out.extend_from_slice(b",\"data\":");
        write_row(record, Some(&self.definition), DELETED_AT, out)?;
        out.extend_from_slice(b"}}\n");
        Ok(())
    }

    /// The line of a state that says how far the stream is written.
    pub(super) fn state(&mut self, position: Position) -> Result<Vec<u8>> {
        let count = std::mem::take(&mut self.since_state);
        line(&json!({"type": "STATE", "state": {
            "type": "STREAM",
            "stream": {"stream_descriptor": descriptor(&self.sent_name), "stream_state": {POSITION: position.to_string()}},
            "sourceStats": {"recordCount": count},
        }}))
    }

    /// The line of a status.
    pub(super) fn status(&self, status: &str) -> Result<Vec<u8>> {
        line(&json!({"type": "TRACE", "trace": {
            "type": "STREAM_STATUS",
            "emitted_at": now_ms(),
            "stream_status": {"stream_descriptor": descriptor(&self.sent_name), "status": status},
        }}))
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn descriptor(name: &StreamName) -> serde_json::Value {
    match &name.namespace {
        Some(namespace) => json!({"name": name.name, "namespace": namespace}),
        None => json!({"name": name.name}),
    }
}

fn unwritable(error: serde_json::Error) -> Failure {
    Failure::permanent("writing a message").because(error)
}

fn line(message: &serde_json::Value) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message).map_err(unwritable)?;
    line.push(b'\n');
    Ok(line)
}

/// A record's name: as the descriptor's, but `stream` and not `name`.
fn text(name: &StreamName) -> Result<String> {
    #[derive(Serialize)]
    struct Name<'a> {
        stream: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
    }
    let name = Name { stream: &name.name, namespace: name.namespace.as_deref() };
    serde_json::to_string(&name).map_err(unwritable)
}

#[derive(Serialize)]
struct Catalog<'a> {
    streams: Vec<ConfiguredStream<'a>>,
}

#[derive(Serialize)]
struct ConfiguredStream<'a> {
    stream: Stream<'a>,
    sync_mode: &'static str,
    cursor_field: [&'static str; 0],
    primary_key: &'a [Vec<String>],
    destination_sync_mode: SyncMode,
    generation_id: u64,
    minimum_generation_id: u64,
    sync_id: u64,
}

#[derive(Serialize)]
struct Stream<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    json_schema: &'a RawValue,
    supported_sync_modes: [&'static str; 2],
    source_defined_cursor: bool,
    source_defined_primary_key: &'a [Vec<String>],
}

/// The text of a ConfiguredAirbyteCatalog.
pub(super) fn catalog_text(streams: &[Told]) -> Result<String> {
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = streams.iter().find(|told| !names.insert(&told.sent_name)) {
        return Err(Failure::config(format!("two streams would be called {}", twice.sent_name)));
    }
    let streams = streams.iter().map(configured).collect::<Result<_>>()?;
    serde_json::to_string(&Catalog { streams }).map_err(unwritable)
}

fn configured(told: &Told) -> Result<ConfiguredStream<'_>> {
    let StreamDefinition { key, schema, generation, .. } = &told.definition;
    let schema = schema.as_deref().unwrap_or(ANY_OBJECT);
    Ok(ConfiguredStream {
        stream: Stream {
            name: &told.sent_name.name,
            namespace: told.sent_name.namespace.as_deref(),
            json_schema: serde_json::from_str(schema)
                .map_err(|e| Failure::permanent("a stream's schema is not JSON").because(e))?,
            supported_sync_modes: ["full_refresh", "incremental"],
            source_defined_cursor: true,
            source_defined_primary_key: key,
        },
        sync_mode: if told.is_replacing { "full_refresh" } else { "incremental" },
        cursor_field: [],
        primary_key: key,
        destination_sync_mode: told.mode,
        generation_id: generation.number,
        minimum_generation_id: if told.is_replacing { generation.minimum } else { 0 },
        sync_id: generation.sync,
    })
}

/// Whether a destination's own description has the modes that are needed; one that says nothing of them may have them.
pub(super) fn check_modes(spec: &str, mode: Mode) -> Result<()> {
    #[derive(Deserialize)]
    struct Spec {
        supported_destination_sync_modes: Option<Vec<String>>,
    }
    let spec: Spec = serde_json::from_str(spec)
        .map_err(|e| Failure::permanent("its spec can't be understood").because(e))?;
    let needed = match mode {
        Mode::Append => "append",
        Mode::Upsert => "append_dedup",
        Mode::Overwrite => "overwrite",
    };
    match spec.supported_destination_sync_modes {
        Some(known) if !known.is_empty() && !known.iter().any(|mode| mode == needed) => {
            Err(Failure::config(format!("it has no mode {needed}, it says; it has {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}
