//! What a source writes to: the log, seen from the source.

mod entry;
mod lookback;
mod plan;
mod progress;
mod refresh;
mod room;
mod schemas;
mod surroundings;
mod sync;
mod version;
mod watch;

use std::collections::BTreeMap;
use std::time::Instant;

use highwater::{Committed, Log, Meta, Op, Stream, StreamName, Writer};

use crate::bookkeeping::Book;
use crate::definition::{Generation, StreamDefinition};
use crate::event::{Event, Reporter};
use crate::failure::{Failure, Result};
use crate::names::Names;
use crate::source::{Offer, State};
use crate::stop::Urgency;

use entry::{Entry, Pending};
use lookback::Seen;
use plan::Plan;
use watch::Watch;

pub use entry::Handle;
pub(crate) use schemas::identity_changes;
pub use surroundings::Surroundings;
pub(crate) use sync::{spec, state};

/// Takes a source's records and states into the log. What a state covers is committed with it, together.
///
/// States that come faster than the policy's least interval are merged, up to its size: a state is kept back while nothing follows it, and
/// the next one takes its place, with the records of both. A state is never committed with records that came after it.
#[derive(Debug)]
pub struct Output<'a> {
    log: &'a Log,
    writer: Writer,
    names: Names,
    entries: Vec<Entry>,
    global: Pending,
    around: &'a Surroundings,
    /// What the bookkeeping says after the next commit.
    book: Book,
    /// What it says in the log.
    written: Book,
    /// The two differ.
    is_book_changed: bool,
    ours: sync::Ours,
    /// Versions that their source has activated, in this sync or before it.
    activated: BTreeMap<StreamName, u64>,
    last_commit: Instant,
    watch: Watch,
    /// Records inside the window of the lookback, where there is one.
    seen: Option<Seen>,
}

impl<'a> Output<'a> {
    /// Registers the streams, owns them until it is dropped, and begins a sync or goes on with one that did not come to its end.
    /// Blocks for a flush. Fails with [`FailureKind::Config`](crate::FailureKind::Config) if a stream's key is not the one the log knows.
    pub fn begin(log: &'a Log, offers: &[Offer], around: &'a Surroundings) -> Result<Self> {
        let mut writer = log.writer(&[])?;
        let ours = sync::Ours::register(log, &mut writer)?;
        let book = Book::newest(log)?;
        let complete = book.streams.iter().filter(|known| known.generation.is_complete);
        let activated = complete.map(|known| (known.name.clone(), known.generation.number)).collect();
        let mut output = Output {
            log,
            writer,
            names: Names::default(),
            entries: Vec::new(),
            global: Pending::None,
            around,
            written: book.clone(),
            book,
            is_book_changed: false,
            ours,
            activated,
            last_commit: Instant::now(),
            watch: Watch::new(),
            seen: None,
        };
        output.begin_sync(offers)?;
        Ok(output)
    }

    /// What the source can go on from.
    pub fn resume_from(&self) -> Result<State> {
        sync::state(self.log)
    }

    /// The stream's handle; `None` if it was not announced.
    pub fn find(&mut self, namespace: Option<&str>, name: &str) -> Option<Handle> {
        self.names.find(namespace, name).map(Handle)
    }

    /// The stream's definition as it is now.
    pub fn definition(&self, stream: &StreamName) -> Option<&StreamDefinition> {
        self.book.streams.get(stream)
    }

    /// Which reading of the stream it is.
    pub fn generation(&self, stream: &StreamName) -> Generation {
        self.definition(stream).map(|known| known.generation).unwrap_or_default()
    }

    /// Which sync it is.
    pub fn sync(&self) -> u64 {
        self.book.sync
    }

    /// The stream as the engine knows it.
    pub fn stream(&self, handle: Handle) -> &Stream {
        &self.entries[handle.0].stream
    }

    /// Appends a record. Blocks while the log is at its cap; fails with [`FailureKind::Cancelled`](crate::FailureKind::Cancelled) if it has
    /// to stop meanwhile, and with [`FailureKind::Permanent`](crate::FailureKind::Permanent) if every column of its key is null.
    pub fn record(&mut self, handle: Handle, op: Op<'_>, meta: Meta<'_>) -> Result<()> {
        self.entries[handle.0].check_key(&op)?;
        // Also of a repeat: the source counts it.
        let bytes = self.entries[handle.0].came(&op);
        if self.seen.as_mut().is_some_and(|seen| seen.is_repeat(handle.0, &op)) {
            return Ok(());
        }
        if self.entries[handle.0].pending.is_clean() || self.global.is_clean() {
            self.leave_state(handle)?;
        }
        let entry = &mut self.entries[handle.0];
        let stream = &entry.stream;
        let (log, writer, around) = (self.log, &mut self.writer, self.around);
        match writer.append_with(stream, op, meta) {
            Ok(()) => {}
            Err(error) if *error.kind() == highwater::ErrorKind::Full => {
                room::wait(log, around, error, || writer.append_with(stream, op, meta))?;
            }
            Err(error) => return Err(error.into()),
        }
        entry.records += 1;
        self.watch.record(bytes);
        Ok(())
    }

    /// A record follows a state that was kept back: it is committed now if it is due, and otherwise merged into a later one.
    fn leave_state(&mut self, handle: Handle) -> Result<()> {
        if self.is_due() {
            self.commit_clean()?;
        }
        self.global.soil();
        self.entries[handle.0].pending.soil();
        Ok(())
    }

    fn is_due(&self) -> bool {
        let policy = &self.around.policy;
        self.last_commit.elapsed() >= policy.min_interval
            || self.watch.bytes() >= policy.merge_max
            || self.around.stop.is_asked()
    }

    /// The source can go on from here with this stream. Blocks for a flush, unless it is merged with a later state.
    pub fn state(&mut self, handle: Handle, text: &str) -> Result<()> {
        self.entries[handle.0].pending = Pending::clean(text);
        self.entries[handle.0].since_state = 0;
        self.watch.state();
        if self.is_due() { self.commit_clean() } else { Ok(()) }
    }

    /// The source can go on from here with all streams. Blocks for a flush, unless it is merged with a later state.
    pub fn global_state(&mut self, text: &str) -> Result<()> {
        self.global = Pending::clean(text);
        self.entries.iter_mut().for_each(|entry| entry.since_state = 0);
        if self.is_due() { self.commit_clean() } else { Ok(()) }
    }

    /// The stream has another schema from the next checkpoint on, as far as the policy takes it. A schema that is no JSON is left
    /// out. Fails with [`FailureKind::Paused`](crate::FailureKind::Paused) where a person has to accept it.
    pub fn set_schema(&mut self, handle: Handle, schema: &str) -> Result<()> {
        let name = self.entries[handle.0].stream.name();
        let Some(known) = self.book.streams.get(name) else { return Ok(()) };
        if serde_json::from_str::<serde::de::IgnoredAny>(schema).is_err() {
            return Ok(());
        }
        let decided = self.decide_schema(known, Some(schema))?;
        if known.schema != decided
            && let Some(known) = self.book.streams.get_mut(name)
        {
            known.schema = decided;
            self.is_book_changed = true;
        }
        Ok(())
    }

    /// For sources that can give a state after any record: whether one is due, by the policy's records, bytes and time, or
    /// because the source is to stop.
    pub fn wants_state(&self, handle: Handle) -> bool {
        let records = self.entries[handle.0].since_state;
        records > 0 && (self.around.stop.is_asked() || self.watch.wants_state(records, &self.around.policy))
    }

    /// Records of this stream since its last state: what the source's own count is compared with.
    pub fn since_state(&self, handle: Handle) -> u64 {
        self.entries[handle.0].since_state
    }

    /// Records of all streams since the last state of all.
    pub fn since_global_state(&self) -> u64 {
        self.entries.iter().map(|entry| entry.since_state).sum()
    }

    /// Drops what came of the stream since its last commit, as after an error in the middle of a page.
    pub fn discard(&mut self, handle: Handle) -> Result<()> {
        if let Some(seen) = &mut self.seen {
            seen.forget(handle.0);
        }
        let entry = &mut self.entries[handle.0];
        entry.pending = Pending::None;
        entry.since_state = 0;
        entry.records = entry.committed;
        Ok(self.writer.discard(&entry.stream)?)
    }

    /// Called while nothing comes: what was kept back is committed when it is due.
    pub fn idle(&mut self) -> Result<()> {
        self.tick();
        if self.is_due() { self.commit_clean() } else { Ok(()) }
    }

    /// Called now and then: tells how far it is, and warns where no checkpoint comes.
    pub fn tick(&mut self) {
        if self.watch.is_time_to_tell() {
            self.tell_progress();
        }
        if let Some(late) = self.watch.overdue(&self.around.policy) {
            self.around.reporter.tell(late);
        }
    }

    /// Whether the source should return: at its next state, or at once.
    pub fn urgency(&self) -> Urgency {
        self.around.stop.urgency()
    }

    /// Who is told.
    pub fn reporter(&self) -> &'a Reporter {
        &self.around.reporter
    }

    /// Commits every state that nothing follows, with the records that it covers.
    fn commit_clean(&mut self) -> Result<()> {
        let mut plan = Plan::with_global(self.global.take_clean());
        for entry in &mut self.entries {
            if let Some(text) = entry.pending.take_clean() {
                plan.set(&entry.stream, text);
            }
        }
        if plan.is_empty() { Ok(()) } else { self.commit(plan) }
    }

    /// Commits, with what has changed in the bookkeeping.
    fn commit(&mut self, mut plan: Plan) -> Result<()> {
        if self.is_book_changed {
            self.ours.plan(&self.written, &self.book, &mut plan)?;
        }
        let labels = &self.around.labels;
        let committed = match self.writer.commit(plan.commit(labels)) {
            Err(error) if *error.kind() == highwater::ErrorKind::Full => {
                let writer = &mut self.writer;
                room::wait(self.log, self.around, error, || writer.commit(plan.commit(labels)))?
            }
            other => other?,
        };
        if std::mem::take(&mut self.is_book_changed) {
            self.written = self.book.clone();
        }
        self.committed_now(&committed)
    }

    fn committed_now(&mut self, committed: &Committed) -> Result<()> {
        if !committed.durable {
            return Err(Failure::transient("the log made a checkpoint that is not durable"));
        }
        for entry in &mut self.entries {
            entry.committed = entry.records - self.writer.uncommitted(&entry.stream);
        }
        self.last_commit = Instant::now();
        self.watch.committed();
        let sequence = committed.position.sequence;
        self.around.reporter.tell(Event::Committed { sequence, records: committed.records });
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
