//! Streams: registered once, numbered, with a history of definitions.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::config::Compression;
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::ADMINISTRATIVE;
use crate::format::define::{ColumnPath, Definition, StreamName};
use crate::journal::{CommitRequest, Committed, Journal, NewStateText, State, Unit};
use crate::position::{Address, LogId, Sequence, StreamId};
use crate::view::{STREAMS_MAX, read_definition, unknown_stream};

/// The longest name or namespace, in bytes.
const NAME_BYTES_MAX: usize = 64 << 10;
/// The largest schema, in bytes.
const SCHEMA_BYTES_MAX: usize = 16 << 20;

/// The first 64 bits of the BLAKE3 hash of a schema's canonical JSON (RFC 8785): equal for schemas that say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(crate) u64);

impl Fingerprint {
    /// There is no schema.
    pub const NONE: Fingerprint = Fingerprint(0);

    fn of(schema: &str) -> Result<Fingerprint> {
        let bad = |e: &dyn fmt::Display| Error::invalid(format!("the schema is not JSON: {e}"));
        let value: serde_json::Value = serde_json::from_str(schema).map_err(|e| bad(&e))?;
        let canonical = serde_json_canonicalizer::to_vec(&value).map_err(|e| bad(&e))?;
        let hash = blake3::hash(&canonical);
        let (first, _) = hash.as_bytes().split_first_chunk().ok_or_else(|| bad(&"no hash"))?;
        Ok(Fingerprint(u64::from_be_bytes(*first)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a stream is to be registered.
///
/// ```
/// use highwater::StreamSpec;
/// let orders = StreamSpec::new("orders").namespace("shop").key(["id"]).schema(r#"{"type":"object"}"#);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a spec does nothing until Log::stream takes it"]
pub struct StreamSpec {
    name: StreamName,
    key: Vec<ColumnPath>,
    schema: Option<String>,
    key_change: bool,
    compression: Option<Compression>,
}

impl StreamSpec {
    /// A stream without a namespace, a key or a schema.
    pub fn new(name: impl Into<String>) -> Self {
        StreamSpec {
            name: StreamName { namespace: None, name: name.into() },
            key: Vec::new(),
            schema: None,
            key_change: false,
            compression: None,
        }
    }

    /// With a namespace; an empty one is another than none.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.name.namespace = Some(namespace.into());
        self
    }

    /// With key columns at the top of the record.
    pub fn key<C: Into<String>>(self, columns: impl IntoIterator<Item = C>) -> Self {
        self.key_paths(columns.into_iter().map(|column| vec![column.into()]).collect())
    }

    /// With key columns anywhere in the record.
    pub fn key_paths(mut self, key: Vec<ColumnPath>) -> Self {
        self.key = key;
        self
    }

    /// With a JSON schema. It is kept as it is; its fingerprint goes into every checkpoint.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Another key than the one registered is meant, and not a mistake.
    pub fn allow_key_change(mut self) -> Self {
        self.key_change = true;
        self
    }

    /// Writers that get this handle compress the stream's records so, whatever [`Config::compression`](crate::Config)
    /// says. The log does not remember it.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    fn check(&self) -> Result<()> {
        self.compression.map_or(Ok(()), Compression::check)?;
        let longest = self.name.name.len().max(self.name.namespace.as_ref().map_or(0, String::len));
        if longest > NAME_BYTES_MAX {
            return Err(Error::too_large("a stream's name", NAME_BYTES_MAX as u64, longest as u64));
        }
        let schema = self.schema.as_ref().map_or(0, String::len);
        if schema > SCHEMA_BYTES_MAX {
            return Err(Error::too_large("a stream's schema", SCHEMA_BYTES_MAX as u64, schema as u64));
        }
        Ok(())
    }
}

/// A registered stream: a cheap handle.
#[derive(Debug, Clone)]
pub struct Stream(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    log: LogId,
    id: StreamId,
    name: StreamName,
    key: Vec<ColumnPath>,
    /// `None`: as the log's configuration says.
    compression: Option<Compression>,
}

impl Stream {
    /// Its number in this log.
    pub fn id(&self) -> StreamId {
        self.0.id
    }

    /// Its name when it was registered.
    pub fn name(&self) -> &StreamName {
        &self.0.name
    }

    /// Its key columns.
    pub fn key(&self) -> &[ColumnPath] {
        &self.0.key
    }

    pub(crate) fn compression(&self) -> Option<Compression> {
        self.0.compression
    }

    pub(crate) fn log(&self) -> LogId {
        self.0.log
    }

    /// A handle of another log is a mistake that would write into the wrong stream.
    #[inline]
    pub(crate) fn check_log(&self, log: LogId) -> Result<()> {
        if self.0.log == log { Ok(()) } else { Err(self.is_of_another(log)) }
    }

    #[cold]
    fn is_of_another(&self, log: LogId) -> Error {
        Error::invalid(format!("stream {} belongs to log {}, this is log {log}", self.name(), self.0.log))
    }
}

/// A stream as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Its number.
    pub id: StreamId,
    /// Its name.
    #[serde(flatten)]
    pub name: StreamName,
    /// Its key columns.
    pub key: Vec<ColumnPath>,
    /// Its schema, as it was given.
    pub schema: Option<String>,
    /// Of the schema.
    pub fingerprint: Fingerprint,
    /// Counts its definitions, from 1.
    pub version: u32,
    /// The checkpoint with which this definition came.
    pub since: Sequence,
}

impl StreamInfo {
    pub(crate) fn new(definition: Definition) -> Self {
        StreamInfo {
            id: definition.stream,
            name: definition.name,
            key: definition.key,
            schema: definition.schema,
            fingerprint: Fingerprint(definition.fingerprint),
            version: definition.version,
            since: definition.since,
        }
    }
}

/// Registers a stream, or finds it. What is new about it is written with its next commit.
pub(crate) fn register(journal: &Journal, spec: StreamSpec) -> Result<Stream> {
    spec.check()?;
    let fingerprint = spec.schema.as_deref().map_or(Ok(Fingerprint::NONE), Fingerprint::of)?;
    let known = {
        let mut state = journal.state();
        let id = state.registered.get(&spec.name).copied().or_else(|| state.view.find(&spec.name));
        match id {
            None => {
                let stream = new_stream(&mut state, &spec, fingerprint)?;
                return Ok(handle(journal.log(), &stream, spec.compression));
            }
            Some(id) => state.unwritten.get(&id).cloned().ok_or_else(|| defined_at(&state, id)),
        }
    };
    // Reading the definition is I/O: not under the lock. Nobody else changes what is written.
    let (current, written_at) = match known {
        Ok(unwritten) => (unwritten, None),
        Err(at) => (read_written(journal, at)?, Some(at)),
    };
    let mut changed = update(current.clone(), &spec, fingerprint)?;
    if changed != current {
        if let Some(at) = written_at {
            changed.version += 1;
            changed.previous = at;
        }
        let mut state = journal.state();
        state.unwritten.insert(changed.stream, changed.clone());
    }
    Ok(handle(journal.log(), &changed, spec.compression))
}

/// A registered stream by its name, written or not.
pub(crate) fn find(journal: &Journal, name: &StreamName) -> Result<Stream> {
    let at = {
        let state = journal.state();
        let unwritten = state.registered.get(name).and_then(|id| state.unwritten.get(id));
        if let Some(unwritten) = unwritten {
            return Ok(handle(journal.log(), unwritten, None));
        }
        match state.view.find(name) {
            Some(id) => defined_at(&state, id),
            None => return Err(unknown_stream(name, &state.view)),
        }
    };
    Ok(handle(journal.log(), &read_written(journal, at)?, None))
}

fn defined_at(state: &State, id: StreamId) -> Address {
    state.view.entry(id).and_then(|e| e.defined.as_ref()).map_or(Address::NONE, |defined| defined.at)
}

/// Reads a definition, which may still be on its way to the kernel.
pub(crate) fn read_written(journal: &Journal, at: Address) -> Result<Definition> {
    if at >= journal.state().written {
        journal.write_all()?;
    }
    read_definition(&journal.files, at)
}

fn new_stream(state: &mut State, spec: &StreamSpec, fingerprint: Fingerprint) -> Result<Definition> {
    let stream = StreamId::new(state.view.next_stream);
    if stream.get() >= STREAMS_MAX {
        return Err(Error::too_large(
            "the streams of a log (a count)",
            STREAMS_MAX.into(),
            stream.get().into(),
        ));
    }
    state.view.next_stream += 1;
    let definition = Definition {
        stream,
        version: 1,
        previous: Address::NONE,
        since: Sequence::NONE,
        name: spec.name.clone(),
        key: spec.key.clone(),
        schema: spec.schema.clone(),
        fingerprint: fingerprint.0,
        dropped: false,
    };
    state.registered.insert(spec.name.clone(), stream);
    state.unwritten.insert(stream, definition.clone());
    Ok(definition)
}

/// The next version, where the spec says something else. A spec without a schema leaves the schema as it is.
fn update(mut current: Definition, spec: &StreamSpec, fingerprint: Fingerprint) -> Result<Definition> {
    if current.key != spec.key {
        if !spec.key_change {
            return Err(Error::new(
                ErrorKind::StreamChanged,
                format!(
                    "stream {} has the key {:?}, not {:?}; its records are keyed by the old one: use another stream, or allow_key_change",
                    spec.name, current.key, spec.key
                ),
            ));
        }
        current.key.clone_from(&spec.key);
    }
    if spec.schema.is_some() && current.fingerprint != fingerprint.0 {
        current.schema.clone_from(&spec.schema);
        current.fingerprint = fingerprint.0;
    }
    Ok(current)
}

/// A stream that a living writer owns is not for others to change.
pub(crate) fn check_free(journal: &Journal, stream: &Stream) -> Result<()> {
    stream.check_log(journal.log())?;
    if journal.state().owners.contains_key(&stream.id()) {
        return Err(Error::new(
            ErrorKind::StreamBusy,
            format!("stream {} is owned by a writer; drop that first", stream.name()),
        ));
    }
    Ok(())
}

/// The definition in force, written or not.
fn current(journal: &Journal, stream: StreamId) -> Result<Definition> {
    let at = {
        let state = journal.state();
        if let Some(unwritten) = state.unwritten.get(&stream) {
            return Ok(unwritten.clone());
        }
        defined_at(&state, stream)
    };
    let mut definition = read_written(journal, at)?;
    definition.previous = at;
    definition.version += 1;
    Ok(definition)
}

/// Renames a stream in a checkpoint of its own.
pub(crate) fn rename(journal: &Journal, stream: &Stream, to: StreamSpec) -> Result<Stream> {
    check_free(journal, stream)?;
    to.check()?;
    let mut definition = current(journal, stream.id())?;
    let old = std::mem::replace(&mut definition.name, to.name.clone());
    {
        let state = journal.state();
        if state.registered.contains_key(&to.name) || state.view.find(&to.name).is_some() {
            return Err(Error::invalid(format!("there is a stream {} already", to.name)));
        }
    }
    redefine(journal, &old, &definition, format!("rename {old} to {}", to.name), Vec::new())?;
    Ok(handle(journal.log(), &definition, to.compression.or(stream.compression())))
}

/// Drops a stream in a checkpoint of its own.
pub(crate) fn drop_stream(journal: &Journal, stream: &Stream) -> Result<Committed> {
    check_free(journal, stream)?;
    let mut definition = current(journal, stream.id())?;
    definition.dropped = true;
    let name = definition.name.clone();
    redefine(journal, &name, &definition, format!("drop {name}"), vec![(stream.id(), None)])
}

/// Commits a changed definition. If that fails before it was written, nothing has changed.
fn redefine(
    journal: &Journal,
    old: &StreamName,
    definition: &Definition,
    what: String,
    states: Vec<(StreamId, NewStateText)>,
) -> Result<Committed> {
    let stream = definition.stream;
    let (unwritten, registered) = {
        let mut state = journal.state();
        let registered = state.registered.remove(old);
        if !definition.dropped {
            state.registered.insert(definition.name.clone(), stream);
        }
        (state.unwritten.insert(stream, definition.clone()), registered)
    };
    let result = administer(journal, stream, what, states);
    let mut state = journal.state();
    if result.is_err() && state.unwritten.get(&stream) == Some(definition) {
        state.unwritten.remove(&stream);
        state.unwritten.extend(unwritten.map(|before| (stream, before)));
        state.registered.remove(&definition.name);
        state.registered.extend(registered.map(|stream| (old.clone(), stream)));
    }
    drop(state);
    result
}

/// Clears a stream's state in a checkpoint of its own.
pub(crate) fn reset(journal: &Journal, stream: &Stream) -> Result<Committed> {
    check_free(journal, stream)?;
    administer(journal, stream.id(), format!("reset {}", stream.name()), vec![(stream.id(), None)])
}

fn administer(
    journal: &Journal,
    stream: StreamId,
    what: String,
    states: Vec<(StreamId, NewStateText)>,
) -> Result<Committed> {
    let request = CommitRequest {
        states,
        defines: vec![stream],
        labels: vec![("highwater".to_owned(), what)],
        flags: ADMINISTRATIVE,
        ..CommitRequest::default()
    };
    journal.commit(&Unit::default(), &request)
}

fn handle(log: LogId, definition: &Definition, compression: Option<Compression>) -> Stream {
    Stream(Arc::new(Registered {
        log,
        id: definition.stream,
        name: definition.name.clone(),
        key: definition.key.clone(),
        compression,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_ignores_order_and_spaces_and_nothing_else() {
        let of = |text| Fingerprint::of(text).unwrap();
        assert_eq!(of(r#"{"a":1,"b":[2]}"#), of("{ \"b\": [2], \"a\": 1.0 }"));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        assert!(Fingerprint::of("{").is_err());
    }
}
