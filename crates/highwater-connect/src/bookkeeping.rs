//! What the runtime itself keeps in the log: states of two streams, in a namespace that is ours. They are committed with
//! the checkpoint from which on they hold, live on through every pruning, and can be asked for as of any checkpoint.
//!
//! - `definitions`: each stream's key and schema,
//! - `sync`: which sync it is, whether it came to its end, and each stream's generation.
//!
//! The engine keeps definitions, too, but only the newest can be asked for; a destination that lags needs those with which its
//! records were written.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater::{Checkpoint, ColumnPath, ErrorKind, LogReader, Sequence, States, StreamName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::definition::{Generation, StreamDefinition};
use crate::definitions::Definitions;
use crate::failure::{Failure, Result};

/// The namespace of the runtime's own streams. A source's stream may not have it.
pub const NAMESPACE: &str = StreamName::RUNTIME_NAMESPACE;

/// Whether the stream is the runtime's own and not the source's.
pub fn is_ours(name: &StreamName) -> bool {
    name.is_of_runtime()
}

/// The stream whose state has the definitions.
pub fn definitions_name() -> StreamName {
    ours("definitions")
}

/// The stream whose state has the sync and its generations.
pub fn sync_name() -> StreamName {
    ours("sync")
}

fn ours(name: &str) -> StreamName {
    StreamName { namespace: Some(NAMESPACE.to_owned()), name: name.to_owned() }
}

/// The definitions in force at one checkpoint, shared by the checkpoints between which nothing changed.
pub(crate) type Shared = Arc<Definitions>;

/// Everything that is in the two states.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// The streams of the source.
    pub streams: Definitions,
    /// The columns that tell what is new, of the streams that have one.
    pub cursors: BTreeMap<StreamName, ColumnPath>,
    /// Fingerprints of the configuration with which the source was read last, by its parts.
    pub source: BTreeMap<String, String>,
    /// Counts the syncs; 0 before the first.
    pub sync: u64,
    /// Whether that sync came to its end. The next one then counts on; before it, whoever starts goes on with this one.
    pub ended: bool,
}

#[derive(Serialize, Deserialize)]
struct DefinitionsText<'a> {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    source: BTreeMap<String, String>,
    #[serde(borrow)]
    streams: Vec<DefinitionText<'a>>,
}

#[derive(Serialize, Deserialize)]
struct DefinitionText<'a> {
    // Not flattened: a raw value can't be read inside a structure that flattens.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    key: Vec<ColumnPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<ColumnPath>,
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    schema: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
struct SyncText {
    version: u32,
    sync: u64,
    ended: bool,
    streams: Vec<GenerationText>,
}

#[derive(Serialize, Deserialize)]
struct GenerationText {
    #[serde(flatten)]
    name: StreamName,
    generation: u64,
    minimum: u64,
    complete: bool,
    sync: u64,
}

const VERSION: u32 = 1;

fn unreadable(what: &str, error: &serde_json::Error) -> Failure {
    Failure::permanent(format!("the log's {what} can't be read: {error}"))
}

fn check_version(version: u32) -> Result<()> {
    if version == VERSION {
        return Ok(());
    }
    Err(Failure::config(format!(
        "the log was written by a newer version (bookkeeping {version}, not {VERSION})"
    )))
}

impl Book {
    /// As the two states tell it; empty where there are none.
    pub fn parse(definitions: Option<&str>, sync: Option<&str>) -> Result<Book> {
        let mut book = Book::default();
        if let Some(text) = definitions {
            book.take_definitions(text)?;
        }
        if let Some(text) = sync {
            book.take_sync(text)?;
        }
        Ok(book)
    }

    /// At the end of the log.
    pub fn newest(log: &LogReader) -> Result<Book> {
        let states = log.state()?;
        let text = |name| text_of(&states, &name);
        Self::parse(text(definitions_name())?.as_deref(), text(sync_name())?.as_deref())
    }

    /// As it was at a checkpoint that is kept.
    pub(crate) fn at(log: &LogReader, sequence: Sequence) -> Result<Book> {
        let states = log.state_at(sequence)?;
        let text = |name| text_of(&states, &name);
        Self::parse(text(definitions_name())?.as_deref(), text(sync_name())?.as_deref())
    }

    /// Takes what the next checkpoint changes; whether it did.
    pub(crate) fn follow(&mut self, checkpoint: &Checkpoint) -> Result<bool> {
        let ours: Vec<StreamName> = checkpoint
            .states()
            .into_iter()
            .filter_map(|(name, is_set)| name.filter(|name| is_set && is_ours(name)))
            .collect();
        // Definitions first: they say which streams there are.
        for name in [definitions_name(), sync_name()] {
            if !ours.contains(&name) {
                continue;
            }
            match checkpoint.state_text(Some(&name))? {
                Some(text) if name == sync_name() => self.take_sync(&text)?,
                Some(text) => self.take_definitions(&text)?,
                None => {}
            }
        }
        Ok(!ours.is_empty())
    }

    fn take_definitions(&mut self, text: &str) -> Result<()> {
        let found: DefinitionsText<'_> =
            serde_json::from_str(text).map_err(|e| unreadable("definitions", &e))?;
        check_version(found.version)?;
        let before = std::mem::take(&mut self.streams);
        self.cursors.clear();
        self.source = found.source;
        for stream in found.streams {
            let name = StreamName { namespace: stream.namespace, name: stream.name };
            let same = before.get(&name);
            if let Some(cursor) = stream.cursor {
                self.cursors.insert(name.clone(), cursor);
            }
            self.streams.put(StreamDefinition {
                generation: same.map(|known| known.generation).unwrap_or_default(),
                name,
                key: stream.key,
                schema: stream.schema.map(|schema| schema.get().to_owned()),
            });
        }
        Ok(())
    }

    fn take_sync(&mut self, text: &str) -> Result<()> {
        let found: SyncText = serde_json::from_str(text).map_err(|e| unreadable("sync", &e))?;
        check_version(found.version)?;
        (self.sync, self.ended) = (found.sync, found.ended);
        for stream in found.streams {
            let generation = Generation {
                number: stream.generation,
                minimum: stream.minimum,
                is_complete: stream.complete,
                sync: stream.sync,
            };
            self.streams.get_or_add(&stream.name).generation = generation;
        }
        Ok(())
    }

    /// The text of the state `definitions`.
    pub fn definitions_text(&self) -> Result<String> {
        let streams = self.streams.iter().map(|stream| {
            let schema = stream.schema.as_deref().map(serde_json::from_str).transpose();
            let schema = schema.map_err(|e| unreadable("schema of a stream", &e))?;
            let StreamName { namespace, name } = stream.name.clone();
            let cursor = self.cursors.get(&stream.name).cloned();
            Ok(DefinitionText { namespace, name, key: stream.key.clone(), cursor, schema })
        });
        let streams = streams.collect::<Result<_>>()?;
        let text = serde_json::to_string(&DefinitionsText {
            version: VERSION,
            source: self.source.clone(),
            streams,
        });
        text.map_err(|e| unreadable("definitions", &e))
    }

    /// The text of the state `sync`.
    pub fn sync_text(&self) -> Result<String> {
        let streams = self.streams.iter().map(|stream| GenerationText {
            name: stream.name.clone(),
            generation: stream.generation.number,
            minimum: stream.generation.minimum,
            complete: stream.generation.is_complete,
            sync: stream.generation.sync,
        });
        let text =
            SyncText { version: VERSION, sync: self.sync, ended: self.ended, streams: streams.collect() };
        serde_json::to_string(&text).map_err(|e| unreadable("sync", &e))
    }
}

/// Which generation of a stream it was at some checkpoint that is kept; 0 if the bookkeeping did not know it.
pub(crate) fn generation_at(log: &LogReader, at: Sequence, stream: &StreamName) -> Result<u64> {
    let book = generations_at(log, at)?;
    let known = book.streams.get(stream);
    Ok(known.map_or(0, |known| known.generation.number))
}

/// What was said of generations by some checkpoint that is kept, or before it.
pub(crate) fn generations_at(log: &LogReader, at: Sequence) -> Result<Book> {
    let text = text_of(&log.state_at(at)?, &sync_name())?;
    Book::parse(None, text.as_deref())
}

/// What a checkpoint says of generations, if it says something.
pub(crate) fn said_by(checkpoint: &Checkpoint) -> Result<Option<Book>> {
    let sync = sync_name();
    if !checkpoint.states().iter().any(|(name, is_set)| *is_set && name.as_ref() == Some(&sync)) {
        return Ok(None);
    }
    let text = checkpoint.state_text(Some(&sync))?;
    text.map(|text| Book::parse(None, Some(&text))).transpose()
}

/// A state's text; `None` also where the stream is not known.
fn text_of(states: &States, name: &StreamName) -> Result<Option<String>> {
    match states.get_text(name) {
        Ok(found) => Ok(found.map(|state| state.text)),
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Follows the definitions from checkpoint to checkpoint.
#[derive(Debug)]
pub(crate) struct Tracker {
    log: LogReader,
    book: Option<Book>,
    shared: Shared,
}

impl Tracker {
    pub(crate) fn new(log: LogReader) -> Self {
        Tracker { log, book: None, shared: Shared::default() }
    }

    /// The log that it follows.
    pub(crate) fn log(&self) -> &LogReader {
        &self.log
    }

    /// The next checkpoint may be another than the following one.
    pub(crate) fn forget(&mut self) {
        self.book = None;
    }

    /// The definitions at this checkpoint, which follows the one before unless that was forgotten.
    pub(crate) fn at(&mut self, checkpoint: &Checkpoint) -> Result<Shared> {
        let changed = match &mut self.book {
            None => {
                self.book = Some(Book::at(&self.log, checkpoint.sequence())?);
                true
            }
            Some(book) => book.follow(checkpoint)?,
        };
        if changed || self.lacks(checkpoint) {
            self.share()?;
        }
        Ok(self.shared.clone())
    }

    fn lacks(&self, checkpoint: &Checkpoint) -> bool {
        let mut streams = checkpoint.streams().iter();
        streams.any(|counts| !is_ours(&counts.name) && self.shared.get(&counts.name).is_none())
    }

    /// What others than the runtime have written is as the engine knows it now.
    fn share(&mut self) -> Result<()> {
        let mut streams = self.book.as_ref().map(|book| book.streams.clone()).unwrap_or_default();
        for info in self.log.streams()? {
            if is_ours(&info.name) || streams.get(&info.name).is_some() {
                continue;
            }
            let generation = Generation::default();
            streams.put(StreamDefinition { name: info.name, key: info.key, schema: info.schema, generation });
        }
        self.shared = Arc::new(streams);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_comes_back_from_its_two_states() {
        let name = |namespace: Option<&str>| StreamName {
            namespace: namespace.map(str::to_owned),
            name: "s".to_owned(),
        };
        let mut keyed = StreamDefinition::new(name(Some("")));
        keyed.key = vec![vec!["id".to_owned()]];
        keyed.schema = Some(r#"{"big":12345678901234567890123}"#.to_owned());
        keyed.generation = Generation { number: 3, minimum: 3, is_complete: true, sync: 7 };
        let book = Book {
            streams: [StreamDefinition::new(name(None)), keyed].into_iter().collect(),
            cursors: BTreeMap::from([(name(Some("")), vec!["at".to_owned()])]),
            source: BTreeMap::from([("host".to_owned(), "1f".to_owned())]),
            sync: 7,
            ended: false,
        };
        let (definitions, sync) = (book.definitions_text().unwrap(), book.sync_text().unwrap());
        assert_eq!(Book::parse(Some(&definitions), Some(&sync)).unwrap(), book);
        assert!(Book::parse(Some(&definitions.replace("\"version\":1", "\"version\":2")), None).is_err());
    }
}
