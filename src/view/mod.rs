//! What a log holds, as of one place in it: its streams, where their states lie, its last checkpoint, what is retained.

mod chain;
mod history;
mod replay;

use std::collections::{BTreeMap, HashMap};

use crate::error::{Error, Result};
use crate::format::commit::{Commit, StateAt};
use crate::format::define::{Definition, StreamName};
use crate::format::frame::Kind;
use crate::format::index::{DefinedAt, Entry, Index};
use crate::format::note::Repaired;
use crate::format::snapshot::{LastCheckpoint, Retained, Snapshot, Totals};
use crate::position::{Address, StreamId};
use crate::segment::Files;

pub(crate) use chain::{IndexChain, NOTHING};
pub(crate) use history::{check_follows, check_mark, check_same, contradiction, last_of};
pub(crate) use replay::{Event, Replay, Stop, note_directory, read_start};

/// The view. It holds where texts lie, never the texts.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub last: LastCheckpoint,
    pub totals: Totals,
    pub next_stream: u32,
    pub retained: Retained,
    /// The lowest extent that a commit in the active segment names.
    pub segment_low: Address,
    pub chain: IndexChain,
    /// Stream 0 is the global state. A map: a number alone, which a file may claim, must not cost memory.
    entries: BTreeMap<StreamId, Entry>,
    by_name: HashMap<StreamName, StreamId>,
}

impl View {
    /// Of a new log.
    pub(crate) fn empty() -> Self {
        View {
            last: LastCheckpoint::NONE,
            totals: Totals::default(),
            next_stream: 1,
            retained: Retained::everything(),
            segment_low: Address::NONE,
            chain: IndexChain::default(),
            entries: BTreeMap::new(),
            by_name: HashMap::new(),
        }
    }

    /// The view at a snapshot. `retained` is the newest known: what a snapshot points to may have moved since.
    pub(crate) fn load(files: &Files, snapshot: &Snapshot, retained: &Retained) -> Result<Self> {
        let mut view = View {
            last: snapshot.last,
            totals: snapshot.totals,
            next_stream: snapshot.next_stream,
            retained: retained.clone(),
            segment_low: snapshot.segment_low,
            ..View::empty()
        };
        let mut indexes = Vec::new();
        let mut at = snapshot.index;
        while !at.is_none() {
            if !retained.holds(at) {
                // Everything below the first live segment is told by the base index.
                indexes.push((retained.base_index, read_index(files, retained.base_index)?));
                break;
            }
            let index = read_index(files, at)?;
            let previous = index.previous;
            if retained.holds(previous) && !previous.segment().is_base() && previous >= at {
                return Err(files.damaged(at, "an index points forward"));
            }
            indexes.push((at, index));
            if at == retained.base_index {
                break;
            }
            if at.segment().is_base() && !previous.is_none() {
                return Err(files.damaged(at, "the index of a base file is not a full one"));
            }
            at = previous;
        }
        for (at, index) in indexes.into_iter().rev() {
            view.chain.push(at, &index);
            for (stream, entry) in index.entries {
                view.put(stream, entry);
            }
        }
        view.relocate(files)?;
        Ok(view)
    }

    /// The view behind a snapshot and what was read after it.
    pub(crate) fn rebuild(files: &Files, snapshot: &Snapshot, events: &[Event]) -> Result<Self> {
        let pruned = events.iter().rev().find_map(|event| match event {
            Event::Pruned { retained } => Some(retained),
            _ => None,
        });
        // What a snapshot points to may have moved since: the last pruning counts from the start.
        let retained = pruned.unwrap_or(&snapshot.retained);
        let mut view = Self::load(files, snapshot, retained)?;
        for event in events.iter().filter(|event| !matches!(event, Event::Pruned { .. })) {
            view.apply(files, event)?;
        }
        view.relocate(files)?;
        Ok(view)
    }

    /// Points entries whose place is gone to where pruning copied them.
    pub(crate) fn relocate(&mut self, files: &Files) -> Result<()> {
        let retained = &self.retained;
        let gone = |entry: &Entry| {
            entry.state.is_some_and(|state| !retained.holds(state.frame))
                || entry.defined.as_ref().is_some_and(|defined| !retained.holds(defined.at))
        };
        if !self.entries.values().any(gone) {
            return Ok(());
        }
        let base: HashMap<StreamId, Entry> =
            read_index(files, retained.base_index)?.entries.into_iter().collect();
        let lost =
            |stream| files.damaged(retained.base_index, format!("the base index lacks stream {stream}"));
        for (&stream, entry) in &mut self.entries {
            if let Some(state) = &mut entry.state
                && !retained.holds(state.frame)
            {
                *state = base.get(&stream).and_then(|entry| entry.state).ok_or_else(|| lost(stream))?;
            }
            if let Some(defined) = &mut entry.defined
                && !retained.holds(defined.at)
            {
                defined.at =
                    base.get(&stream).and_then(|e| e.defined.as_ref()).ok_or_else(|| lost(stream))?.at;
            }
        }
        Ok(())
    }

    /// Where pruning copied a state that was in force when the live part of the log begins.
    pub(crate) fn base_state(&self, files: &Files, stream: StreamId) -> Result<Option<StateAt>> {
        let index = read_index(files, self.retained.base_index)?;
        Ok(index.entries.into_iter().find(|(found, _)| *found == stream).and_then(|(_, entry)| entry.state))
    }

    pub(crate) fn entry(&self, stream: StreamId) -> Option<&Entry> {
        self.entries.get(&stream)
    }

    pub(crate) fn state(&self, stream: StreamId) -> Option<StateAt> {
        self.entry(stream).and_then(|entry| entry.state)
    }

    /// Sets a state's place; returns what stood there.
    pub(crate) fn set_state(&mut self, stream: StreamId, state: Option<StateAt>) -> Option<StateAt> {
        self.chain.touch(stream);
        std::mem::replace(&mut self.slot(stream).state, state)
    }

    /// The streams that are defined and not dropped.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (StreamId, &DefinedAt)> {
        self.all()
            .filter_map(|(stream, entry)| Some((stream, entry.defined.as_ref()?)))
            .filter(|(_, d)| !d.dropped)
    }

    pub(crate) fn is_dropped(&self, stream: StreamId) -> bool {
        self.entry(stream).and_then(|entry| entry.defined.as_ref()).is_some_and(|defined| defined.dropped)
    }

    /// Every entry that says something.
    pub(crate) fn all(&self) -> impl Iterator<Item = (StreamId, &Entry)> {
        let entries = self.entries.iter().map(|(stream, entry)| (*stream, entry));
        entries.filter(|(_, e)| e.defined.is_some() || e.state.is_some())
    }

    pub(crate) fn find(&self, name: &StreamName) -> Option<StreamId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn name(&self, stream: StreamId) -> Option<&StreamName> {
        Some(&self.entry(stream)?.defined.as_ref()?.name)
    }

    pub(crate) fn define(&mut self, definition: &Definition, at: Address) {
        let stream = definition.stream;
        self.next_stream = self.next_stream.max(stream.get().saturating_add(1));
        self.chain.touch(stream);
        let defined = DefinedAt {
            at,
            name: definition.name.clone(),
            fingerprint: definition.fingerprint,
            dropped: definition.dropped,
        };
        let state = self.state(stream);
        self.put(stream, Entry { defined: Some(defined), state });
    }

    pub(crate) fn commit(&mut self, commit: &Commit, at: Address) {
        self.last = LastCheckpoint::of(&commit.head, at);
        for stream in &commit.streams {
            self.totals.records = self.totals.records.saturating_add(stream.records);
            self.totals.bytes = self.totals.bytes.saturating_add(stream.bytes);
        }
        if self.segment_low.is_none() || commit.head.low < self.segment_low {
            self.segment_low = commit.head.low;
        }
        for change in &commit.states {
            self.set_state(change.stream, change.to);
        }
    }

    /// The numbers of what damage took stay empty, if something behind it was kept.
    pub(crate) fn repaired(&mut self, note: &Repaired) {
        self.last = self.last.repaired(note);
    }

    /// Follows what was read in the log.
    pub(crate) fn apply(&mut self, files: &Files, event: &Event) -> Result<()> {
        match event {
            Event::Commit { commit, at } => {
                history::check_follows(files, &self.last, commit, *at)?;
                self.commit(commit, *at);
            }
            Event::Define { definition, at } => self.define(definition, *at),
            Event::Pruned { retained } => {
                self.retained = retained.clone();
                self.relocate(files)?;
            }
            Event::Repaired { note } => self.repaired(note),
            Event::Start => self.segment_low = Address::NONE,
            Event::Index { at, index } => self.chain.replace(*at, index),
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self, index: Address) -> Snapshot {
        Snapshot {
            last: self.last,
            totals: self.totals,
            next_stream: self.next_stream,
            index,
            segment_low: self.segment_low,
            retained: self.retained.clone(),
        }
    }

    fn slot(&mut self, stream: StreamId) -> &mut Entry {
        self.entries.entry(stream).or_default()
    }

    /// Replaces an entry and keeps the names in step.
    fn put(&mut self, stream: StreamId, entry: Entry) {
        let old = std::mem::replace(self.slot(stream), entry.clone());
        if let Some(old) = old.defined
            && self.by_name.get(&old.name) == Some(&stream)
        {
            self.by_name.remove(&old.name);
        }
        if let Some(new) = entry.defined
            && !new.dropped
        {
            self.by_name.insert(new.name, stream);
        }
    }
}

/// Stream numbers stay below: more than anybody has, and far from where they would run out.
pub(crate) const STREAMS_MAX: u32 = 16 << 20;

fn read_index(files: &Files, at: Address) -> Result<Index> {
    let body = files.body(at, Kind::Index)?;
    let index = Index::decode(&body).map_err(|e| files.damaged(at, e))?;
    match index.entries.iter().find(|(stream, _)| stream.get() >= STREAMS_MAX) {
        Some((stream, _)) => Err(files.damaged(at, format!("stream number {stream} is out of its range"))),
        None => Ok(index),
    }
}

/// Reads one version of a stream's definition.
pub(crate) fn read_definition(files: &Files, at: Address) -> Result<Definition> {
    let body = files.body(at, Kind::Define)?;
    Definition::decode(&body).map_err(|e| files.damaged(at, e))
}

/// Refuses a commit or definition that names streams out of range.
pub(crate) fn check_streams(
    files: &Files,
    at: Address,
    streams: impl IntoIterator<Item = StreamId>,
) -> Result<()> {
    match streams.into_iter().find(|stream| stream.get() >= STREAMS_MAX) {
        Some(stream) => Err(files.damaged(at, format!("stream number {stream} is out of its range"))),
        None => Ok(()),
    }
}

/// An error for a stream that nobody registered.
/// A runtime's own streams are nobody's to ask for.
pub(crate) fn unknown_stream(name: &StreamName, view: &View) -> Error {
    let names = view.streams().map(|(_, defined)| &defined.name).filter(|name| !name.is_of_runtime());
    let mut known: Vec<String> = names.take(8).map(ToString::to_string).collect();
    known.sort();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::not_found(format!("no stream {name} in this log; it holds: {known}"))
}
