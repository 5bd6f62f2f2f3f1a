//! The body of a define frame: one version of one stream's definition.

use serde::{Deserialize, Serialize};

use crate::format::wire::{Decoded, Malformed, Take, put_bytes, put_varint};
use crate::position::{Address, Sequence, StreamId};

/// A path into a record's payload: `["id"]`, or `["customer", "id"]` for a nested column.
pub type ColumnPath = Vec<String>;

const HAS_NAMESPACE: u8 = 1;
const HAS_SCHEMA: u8 = 2;
const DROPPED: u8 = 4;

/// A name with its namespace; an absent namespace is not the empty one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamName {
    /// The namespace: a schema or a database, if the source has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl StreamName {
    /// Streams of this namespace are a runtime's own: their states tell of its definitions and generations, which only ever go
    /// on, and are no cursors of a source.
    pub const RUNTIME_NAMESPACE: &str = "_highwater";

    /// Whether the stream is a runtime's own and no source's.
    pub fn is_of_runtime(&self) -> bool {
        self.namespace.as_deref() == Some(Self::RUNTIME_NAMESPACE)
    }
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// One version of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub stream: StreamId,
    /// From 1; a changed schema, key or name makes the next.
    pub version: u32,
    /// Where the version before this one lies.
    pub previous: Address,
    /// The checkpoint from which it holds.
    pub since: Sequence,
    pub name: StreamName,
    pub key: Vec<ColumnPath>,
    pub schema: Option<String>,
    /// Of the schema; 0 without one.
    pub fingerprint: u64,
    /// The stream was dropped: its name is free again, its number is not.
    pub dropped: bool,
}

impl Definition {
    /// Of a stream of which no more is known than its name.
    pub(crate) fn named(stream: StreamId, name: StreamName) -> Self {
        Definition {
            stream,
            version: 1,
            previous: Address::NONE,
            since: Sequence::NONE,
            name,
            key: Vec::new(),
            schema: None,
            fingerprint: 0,
            dropped: false,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.stream.get().into());
        put_varint(out, self.version.into());
        out.extend_from_slice(&self.previous.0.to_le_bytes());
        put_varint(out, self.since.get());
        out.extend_from_slice(&self.fingerprint.to_le_bytes());
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        out.push(
            flag(self.name.namespace.is_some(), HAS_NAMESPACE)
                | flag(self.schema.is_some(), HAS_SCHEMA)
                | flag(self.dropped, DROPPED),
        );
        put_bytes(out, self.name.name.as_bytes());
        if let Some(namespace) = &self.name.namespace {
            put_bytes(out, namespace.as_bytes());
        }
        put_varint(out, self.key.len() as u64);
        for path in &self.key {
            put_varint(out, path.len() as u64);
            for column in path {
                put_bytes(out, column.as_bytes());
            }
        }
        if let Some(schema) = &self.schema {
            put_bytes(out, schema.as_bytes());
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Decoded<Definition> {
        let mut take = Take::new(bytes);
        let stream = StreamId::new(take.varint_u32()?);
        let version = take.varint_u32()?;
        let previous = Address(take.u64()?);
        let since = Sequence::new(take.varint()?);
        let fingerprint = take.u64()?;
        let flags = take.u8()?;
        if flags & !(HAS_NAMESPACE | HAS_SCHEMA | DROPPED) != 0 {
            return Err(Malformed("a definition has unknown flags"));
        }
        let name = take.text()?.to_owned();
        let namespace = if flags & HAS_NAMESPACE != 0 { Some(take.text()?.to_owned()) } else { None };
        let mut key = Vec::with_capacity(take.count(1)?);
        for _ in 0..key.capacity() {
            let mut path = Vec::with_capacity(take.count(1)?);
            for _ in 0..path.capacity() {
                path.push(take.text()?.to_owned());
            }
            key.push(path);
        }
        let schema = if flags & HAS_SCHEMA != 0 { Some(take.text()?.to_owned()) } else { None };
        take.finish()?;
        Ok(Definition {
            stream,
            version,
            previous,
            since,
            name: StreamName { namespace, name },
            key,
            schema,
            fingerprint,
            dropped: flags & DROPPED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_round_trip() {
        let full = Definition {
            stream: StreamId::new(3),
            version: 2,
            previous: Address(77),
            since: Sequence::new(9),
            name: StreamName { namespace: Some(String::new()), name: "orders".into() },
            key: vec![vec!["id".into()], vec!["customer".into(), "no".into()]],
            schema: Some("{}".into()),
            fingerprint: 0xFEED,
            dropped: true,
        };
        let bare = Definition {
            name: StreamName { namespace: None, name: "x".into() },
            key: vec![],
            schema: None,
            dropped: false,
            ..full.clone()
        };
        for definition in [full, bare] {
            let mut bytes = Vec::new();
            definition.encode(&mut bytes);
            assert_eq!(Definition::decode(&bytes).unwrap(), definition);
            for cut in 0..bytes.len() {
                assert!(Definition::decode(&bytes[..cut]).is_err());
            }
        }
    }
}
