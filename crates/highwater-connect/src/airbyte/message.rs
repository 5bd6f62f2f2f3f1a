//! Airbyte messages, borrowed from their lines. What the log keeps stays the exact text that came in: parsing and
//! writing again loses big numbers, the order of keys, and `1.0` against `1`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

pub use crate::reject::Reject;
use crate::reject::trimmed;

/// A string that is borrowed unless it has escapes in it.
#[derive(Debug, Clone, PartialEq, Eq, DeriveDeserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A message, as far as it matters here.
#[derive(Debug, DeriveDeserialize)]
pub struct Message<'a> {
    /// RECORD, STATE, and so on.
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    /// Of a RECORD.
    #[serde(borrow)]
    pub record: Option<Record<'a>>,
    /// Of a STATE: see [`State::parse`].
    #[serde(borrow)]
    pub state: Option<&'a RawValue>,
    /// Of a TRACE: see [`Trace::parse`](super::trace::Trace::parse).
    #[serde(borrow)]
    pub trace: Option<&'a RawValue>,
    /// Of a LOG: see [`log_text`](super::trace::log_text).
    #[serde(borrow)]
    pub log: Option<&'a RawValue>,
    /// Of a CONTROL, a replacement configuration, which holds secrets.
    #[serde(borrow)]
    pub control: Option<&'a RawValue>,
    /// Of a CATALOG.
    #[serde(borrow)]
    pub catalog: Option<&'a RawValue>,
    /// Of a SPEC.
    #[serde(borrow)]
    pub spec: Option<&'a RawValue>,
    /// Of a CONNECTION_STATUS.
    #[serde(rename = "connectionStatus", borrow)]
    pub connection_status: Option<&'a RawValue>,
}

/// The content of a RECORD message.
#[derive(Debug, DeriveDeserialize)]
pub struct Record<'a> {
    /// The stream's name.
    #[serde(borrow)]
    pub stream: Text<'a>,
    /// Its namespace; an empty one is another than none.
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    /// The row, an object.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// When it was emitted.
    pub emitted_at: Option<Milliseconds>,
    /// What was changed on the way.
    #[serde(borrow)]
    pub meta: Option<&'a RawValue>,
}

/// A time since 1970 as sources write it: an integer, by some as `1.7e12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milliseconds(i64);

impl Milliseconds {
    /// In microseconds.
    pub fn as_us(self) -> i64 {
        self.0.saturating_mul(1000)
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Milliseconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of milliseconds")
            }

            fn visit_i64<E: Error>(self, ms: i64) -> Result<Milliseconds, E> {
                Ok(Milliseconds(ms))
            }

            fn visit_u64<E: Error>(self, ms: u64) -> Result<Milliseconds, E> {
                Ok(Milliseconds(i64::try_from(ms).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: Error>(self, ms: f64) -> Result<Milliseconds, E> {
                Ok(Milliseconds(ms as i64))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Reads a line.
pub fn parse(line: &[u8]) -> Result<Message<'_>, Reject> {
    let text = trimmed(std::str::from_utf8(line).map_err(|e| Reject::of(line, &e))?);
    // Serde would take an array for a struct.
    if !text.starts_with('{') {
        return Err(Reject::of(line, &"it is no object"));
    }
    let message: Message<'_> = serde_json::from_str(text).map_err(|e| reject(text, &e))?;
    let lacks = match &*message.kind {
        "RECORD" => match &message.record {
            None => Some("it has no \"record\""),
            Some(record) if !record.data.get().starts_with('{') => Some("its \"data\" is not an object"),
            Some(_) => None,
        },
        "STATE" if message.state.is_none() => Some("it has no \"state\""),
        _ => None,
    };
    match lacks {
        Some(what) => Err(Reject::Malformed(format!("a {} message can't be stored: {what}", &*message.kind))),
        None => Ok(message),
    }
}

fn reject(text: &str, error: &serde_json::Error) -> Reject {
    #[derive(DeriveDeserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
    }
    match serde_json::from_str::<Kind<'_>>(text) {
        Ok(Kind { kind }) if matches!(&*kind, "RECORD" | "STATE") => {
            Reject::Malformed(format!("a {} message can't be stored: {error}", &*kind))
        }
        Ok(_) => Reject::Noise,
        Err(_) => Reject::of(text.as_bytes(), error),
    }
}

/// Whether the record's data says that the row was deleted at its source. Most have no such column, so the text is
/// searched before it is parsed.
#[derive(Debug)]
pub struct Deletions(memchr::memmem::Finder<'static>);

impl Default for Deletions {
    fn default() -> Self {
        Self::new()
    }
}

impl Deletions {
    const COLUMN: &'static str = "_ab_cdc_deleted_at";

    /// Prepares the search.
    pub fn new() -> Self {
        Deletions(memchr::memmem::Finder::new(Self::COLUMN))
    }

    /// Whether the column is there and not null.
    pub fn is_deleted(&self, data: &str) -> bool {
        #[derive(DeriveDeserialize)]
        struct Row<'a> {
            #[serde(rename = "_ab_cdc_deleted_at", borrow)]
            deleted_at: Option<&'a RawValue>,
        }
        self.0.find(data.as_bytes()).is_some()
            && serde_json::from_str::<Row<'_>>(data).is_ok_and(|row| row.deleted_at.is_some())
    }
}

/// What a STATE message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// One stream.
    Stream,
    /// All streams.
    Global,
    /// All streams, in the form of older connectors.
    Legacy,
}

impl StateKind {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            StateKind::Stream => "STREAM",
            StateKind::Global => "GLOBAL",
            StateKind::Legacy => "LEGACY",
        }
    }
}

/// The content of a STATE message.
#[derive(Debug)]
pub struct State<'a> {
    /// What it is about.
    pub kind: StateKind,
    /// Of a STREAM state.
    pub stream: Option<Descriptor<'a>>,
    /// How many records the source says it sent since the state before.
    pub record_count: Option<f64>,
}

/// A stream's name in a message.
#[derive(Debug, DeriveDeserialize)]
pub struct Descriptor<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Its namespace; an empty one is another than none.
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
}

#[derive(DeriveDeserialize)]
struct StateBody<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    stream: Option<StreamBody<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "sourceStats")]
    source_stats: Option<SourceStats>,
}

#[derive(DeriveDeserialize)]
struct StreamBody<'a> {
    #[serde(borrow)]
    stream_descriptor: Descriptor<'a>,
}

#[derive(DeriveDeserialize)]
struct SourceStats {
    #[serde(rename = "recordCount")]
    record_count: Option<f64>,
}

impl<'a> State<'a> {
    /// Reads the text of a "state" object.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let cant = |why: &dyn fmt::Display| format!("a STATE message can't be stored: {why}");
        if !text.starts_with('{') {
            return Err(cant(&"it is not an object"));
        }
        let body: StateBody<'_> = serde_json::from_str(text).map_err(|e| cant(&e))?;
        let kind = match body.kind.as_deref() {
            Some("STREAM") if body.stream.is_none() => return Err(cant(&"it has no \"stream\"")),
            Some("STREAM") => StateKind::Stream,
            Some("GLOBAL") => StateKind::Global,
            Some("LEGACY") | None if body.data.is_none() => {
                return Err(cant(&"it has neither a type nor \"data\""));
            }
            Some("LEGACY") | None => StateKind::Legacy,
            Some(other) => return Err(cant(&format!("its type {other:?} is unknown"))),
        };
        Ok(State {
            kind,
            stream: body.stream.map(|stream| stream.stream_descriptor),
            record_count: body.source_stats.and_then(|stats| stats.record_count),
        })
    }
}

/// The kind of a stored state that is of no stream.
pub fn global_kind(text: &str) -> StateKind {
    match State::parse(text) {
        Ok(state) if state.kind == StateKind::Legacy => StateKind::Legacy,
        _ => StateKind::Global,
    }
}

/// The state itself in a stored LEGACY message.
pub fn legacy_data(text: &str) -> &str {
    let body = serde_json::from_str::<StateBody<'_>>(text).ok();
    body.and_then(|body| body.data).map_or(text, RawValue::get)
}

#[cfg(test)]
mod tests;
