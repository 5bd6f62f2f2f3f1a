//! A sync begins and ends: generations, definitions, and what the source goes on from.

use highwater::{ErrorKind, Log, LogReader, Sequence, Stream, StreamName, StreamSpec, Writer};

use super::Output;
use super::entry::Entry;
use super::plan::Plan;
use super::refresh::Refreshing;
use crate::bookkeeping::{self, Book};
use crate::definition::StreamDefinition;
use crate::event::Event;
use crate::failure::{Failure, Result};
use crate::source::{Offer, Reading, State};

/// The runtime's own streams, whose states are the bookkeeping.
#[derive(Debug)]
pub(super) struct Ours {
    definitions: Stream,
    sync: Stream,
}

impl Ours {
    pub(super) fn register(log: &Log, writer: &mut Writer) -> Result<Self> {
        let register = |name: StreamName| log.stream(spec(&StreamDefinition::new(name)));
        let ours = Ours {
            definitions: register(bookkeeping::definitions_name())?,
            sync: register(bookkeeping::sync_name())?,
        };
        writer.add(&ours.definitions)?;
        writer.add(&ours.sync)?;
        Ok(ours)
    }

    /// What of the bookkeeping differs from what the log has.
    pub(super) fn plan(&self, before: &Book, now: &Book, plan: &mut Plan) -> Result<()> {
        let definitions = now.definitions_text()?;
        if definitions != before.definitions_text()? {
            plan.set(&self.definitions, definitions);
        }
        let sync = now.sync_text()?;
        if sync != before.sync_text()? {
            plan.set(&self.sync, sync);
        }
        Ok(())
    }
}

pub(crate) fn spec(definition: &StreamDefinition) -> StreamSpec {
    let mut spec = StreamSpec::new(&definition.name.name).key_paths(definition.key.clone());
    if let Some(namespace) = &definition.name.namespace {
        spec = spec.namespace(namespace);
    }
    match &definition.schema {
        Some(schema) => spec.schema(schema),
        None => spec,
    }
}

/// Whether the log never had a record of the stream, as far as that can be known.
fn has_no_record(log: &LogReader, stream: &StreamName) -> Result<bool> {
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    if log.first() > Sequence::FIRST {
        return Ok(false);
    }
    Ok(log.tally(Sequence::NONE, end)?.iter().all(|tally| tally.stream != *stream))
}

/// The states that sources gave, at the end of the log.
pub(crate) fn state(log: &LogReader) -> Result<State> {
    state_of(log, &log.state()?)
}

/// The states that sources gave, at some checkpoint.
pub(super) fn state_of(log: &LogReader, states: &highwater::States) -> Result<State> {
    let streams = states.all()?.into_iter().filter(|(name, _)| !bookkeeping::is_ours(name));
    let streams: Vec<_> = streams.collect();
    let global = states.global()?;
    Ok(State {
        is_global_newest: log.is_global_newest(states)?,
        global: global.map(|state| state.text),
        streams: streams.into_iter().map(|(name, state)| (name, state.text)).collect(),
    })
}

impl Output<'_> {
    /// Registers what is offered. A new sync counts on and raises the generation of what is read anew.
    pub(super) fn begin_sync(&mut self, offers: &[Offer]) -> Result<()> {
        let is_new = self.book.sync == 0 || self.book.ended;
        if is_new {
            self.book.sync += 1;
            self.book.ended = false;
        }
        let states = state(self.log)?;
        self.check_offers(offers)?;
        self.tell_gone(offers, &states, is_new);
        self.book.source.clone_from(&self.around.source);
        let mut plan = Plan::default();
        let mut refreshing = Refreshing::begin(self.log, self.book.sync)?;
        for offer in offers {
            let is_by_hand = !is_new && self.is_replaced_by_hand(&offer.definition.name)?;
            let is_anew = self.define(offer, is_new || is_by_hand)?;
            let stream = self.register(&offer.definition.name)?;
            let is_refreshed = is_anew | refreshing.obey(&mut self.book, stream.name(), is_by_hand);
            if is_refreshed && states.of(stream.name()).is_some() {
                plan.clear(&stream);
            }
        }
        if is_new {
            self.plan_lookback(offers, &states, &mut plan)?;
        }
        self.learn_seen(offers)?;
        refreshing.plan(self.log, &mut self.writer, &states, &mut plan)?;
        self.is_book_changed = self.book != self.written;
        if plan.is_empty() && !self.is_book_changed { Ok(()) } else { self.commit(plan) }
    }

    /// Whether a person has changed the state of a stream while its rows were being replaced. It leads past some of them, and the new
    /// generation, if it went on from there, would not be whole: then the old rows must not go.
    fn is_replaced_by_hand(&self, stream: &StreamName) -> Result<bool> {
        let generation = self.generation(stream);
        if generation.is_complete || generation.minimum == 0 {
            return Ok(false);
        }
        let states = self.log.state()?;
        let state =
            if self.log.is_global_newest(&states)? { states.global() } else { states.get_text(stream) };
        let state = match state {
            Ok(Some(state)) => state,
            Ok(None) => return Ok(false),
            Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let by_hand = match self.log.reader(state.since).and_then(|mut reader| reader.next()) {
            Ok(checkpoint) => checkpoint.is_some_and(|checkpoint| checkpoint.operation().is_some()),
            // Let go long ago: it was there when the generation began.
            Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if by_hand {
            self.around.reporter.warning(format!(
                "the state of stream {stream} was changed by hand while its rows were being replaced: they are read from the beginning \
                 again, and what was there stays until that is whole"
            ));
        }
        Ok(by_hand)
    }

    fn register(&mut self, name: &StreamName) -> Result<Stream> {
        let definition = self.book.streams.get_or_add(name);
        if bookkeeping::is_ours(name) {
            return Err(Failure::config(format!("the source has a stream {name}; its namespace is taken")));
        }
        // Of a stream that we know, the key was compared; where a person has accepted another, the engine need not object.
        let is_agreed = self.written.streams.get(name).is_some();
        let wanted = || if is_agreed { spec(definition).allow_key_change() } else { spec(definition) };
        let stream = match self.log.stream(wanted()) {
            // A state that was imported came before anybody knew the key.
            Err(error) if *error.kind() == ErrorKind::StreamChanged && has_no_record(self.log, name)? => {
                self.log.stream(spec(definition).allow_key_change())?
            }
            other => other?,
        };
        self.writer.add(&stream)?;
        let index = self.names.find_or_add(name.namespace.as_deref(), &name.name);
        if index != self.entries.len() {
            return Err(Failure::permanent(format!("the source has two streams {name}")));
        }
        self.entries.push(Entry::new(stream.clone()));
        Ok(stream)
    }

    /// Takes the definition into the book; whether the stream's generation was raised.
    fn define(&mut self, offer: &Offer, is_new: bool) -> Result<bool> {
        let sync = self.book.sync;
        let offered = &offer.definition;
        if bookkeeping::is_ours(&offered.name) {
            let name = &offered.name;
            return Err(Failure::config(format!("the source has a stream {name}; its namespace is taken")));
        }
        let known = self.book.streams.get_or_add(&offered.name).clone();
        let schema = match offer.tells_schema {
            true => known.schema,
            false => self.decide_schema(&known, offered.schema.as_deref())?,
        };
        match &offer.cursor {
            Some(cursor) => drop(self.book.cursors.insert(offered.name.clone(), cursor.clone())),
            None => drop(self.book.cursors.remove(&offered.name)),
        }
        let known = self.book.streams.get_or_add(&offered.name);
        (known.key, known.schema) = (offered.key.clone(), schema);
        let generation = &mut known.generation;
        let is_first = is_new || generation.sync != sync;
        (generation.is_complete, generation.sync) = (false, sync);
        match offer.reading {
            Reading::Onward => {
                generation.minimum = 0;
                Ok(false)
            }
            Reading::Anew { is_resumable, replaces } => {
                let is_raised = is_first || !is_resumable;
                generation.number += u64::from(is_raised);
                generation.minimum = if replaces { generation.number } else { 0 };
                Ok(is_raised)
            }
        }
    }

    /// The source has sent everything: what is left is committed, all streams are complete, the sync has ended.
    /// Blocks for a flush.
    pub fn finish(&mut self) -> Result<()> {
        let mut plan = Plan::with_global(self.global.take());
        for entry in &mut self.entries {
            match entry.pending.take() {
                Some(text) => plan.set(&entry.stream, text),
                None => plan.keep(&entry.stream),
            }
            let name = entry.stream.name();
            if let Some(known) = self.book.streams.get_mut(name) {
                known.generation.is_complete = !entry.has_open_version;
            }
        }
        self.tell_repeats();
        self.book.ended = true;
        self.is_book_changed = true;
        self.commit(plan)?;
        let records = self.committed();
        self.around.reporter.tell(Event::Progress { streams: self.progress() });
        self.around.reporter.tell(Event::SyncEnded { sync: self.book.sync, records });
        Ok(())
    }

    /// The source has stopped before its end: states that nothing follows are committed, the rest is dropped.
    /// Blocks for a flush.
    pub fn settle(&mut self) -> Result<()> {
        self.tell_repeats();
        self.commit_clean()
    }
}
