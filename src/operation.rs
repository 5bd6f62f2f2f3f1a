//! Changing states by hand: a checkpoint of its own, without records, that says who, when, why and from where.

use std::sync::Arc;

use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::format::define::StreamName;
use crate::journal::{Committed, Journal};
use crate::lock;
use crate::notes::{self, Note, What};
use crate::position::{Position, Sequence};
use crate::reader::{FROM, WHAT, WHO, WHY};
use crate::streams::{self, Stream};
use crate::writer::Writer;

/// What somebody does to the states of a log by hand: sets some, clears some. Nothing is erased: it is a new checkpoint, and
/// [`Checkpoint::operation`](crate::Checkpoint::operation) tells it apart from those of pipelines.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use highwater::{Commit, Config, Log, Operation, Sequence, StreamSpec};
/// let (log, _) = Log::open(dir.path(), Config::default())?;
/// let orders = log.stream(StreamSpec::new("orders"))?;
/// log.writer(&[&orders])?.commit(Commit::new().stream(&orders, &41))?;
///
/// let edit = Operation::new("edit orders", "ops", "page 41 was empty").set(orders.name(), "40");
/// let made = log.operate(edit)?;
/// assert_eq!(log.state()?.get::<u32>(&orders)?, Some(40));
/// let checkpoint = log.reader(made.sequence())?.next()?.unwrap();
/// assert_eq!(checkpoint.operation().unwrap().why.as_deref(), Some("page 41 was empty"));
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "an operation does nothing until Log::operate takes it"]
pub struct Operation {
    what: String,
    who: String,
    why: String,
    from: Option<Position>,
    /// `None`: the global state; a text, or cleared.
    states: Vec<(Option<StreamName>, Option<String>)>,
    expected: Option<Option<Position>>,
}

impl Operation {
    /// What is done, beginning with a verb (`edit orders`), who does it, and why. None of them may be empty.
    pub fn new(what: impl Into<String>, who: impl Into<String>, why: impl Into<String>) -> Self {
        Operation {
            what: what.into(),
            who: who.into(),
            why: why.into(),
            from: None,
            states: Vec::new(),
            expected: None,
        }
    }

    /// Sets a stream's state to exactly this JSON text.
    pub fn set(self, stream: &StreamName, text: impl Into<String>) -> Self {
        self.change(Some(stream.clone()), Some(text.into()))
    }

    /// Removes a stream's state.
    pub fn clear(self, stream: &StreamName) -> Self {
        self.change(Some(stream.clone()), None)
    }

    /// Sets the global state to exactly this JSON text.
    pub fn set_global(self, text: impl Into<String>) -> Self {
        self.change(None, Some(text.into()))
    }

    /// Removes the global state.
    pub fn clear_global(self) -> Self {
        self.change(None, None)
    }

    /// Which checkpoint the new states come from, in this log or in another. Without it: the log's last one.
    pub fn from(mut self, position: Position) -> Self {
        self.from = Some(position);
        self
    }

    /// Refuses with [`ErrorKind::Outdated`] if `end` is not the log's last checkpoint any more: what was decided by looking
    /// at it may be wrong by now.
    pub fn expecting(mut self, end: Option<Position>) -> Self {
        self.expected = Some(end);
        self
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The last word on a state counts, as in a commit.
    fn change(mut self, stream: Option<StreamName>, text: Option<String>) -> Self {
        self.states.push((stream, text));
        self
    }

    fn check(&self) -> Result<()> {
        self.check_told()?;
        if self.states.is_empty() {
            return Err(Error::invalid(format!("\"{}\" changes no state", self.what)));
        }
        Ok(())
    }

    fn check_told(&self) -> Result<()> {
        let told = [("what is done", &self.what), ("who does it", &self.who), ("why", &self.why)];
        if let Some((what, _)) = told.iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(Error::invalid(format!("an operation has to say {what}")));
        }
        Ok(())
    }

    /// What goes on record, in its checkpoint's labels and in the notes.
    fn note(&self, journal: &Journal, made: Position, last: Option<Position>) -> Note {
        Note {
            time_us: journal.config.environment.now_us(),
            after: made.sequence.previous(),
            what: What::Operation { operation: self.what.clone(), position: made, from: self.from.or(last) },
            who: Some(self.who.clone()),
            why: Some(self.why.clone()),
        }
    }

    fn into_commit(self, streams: &[Stream], last: Option<Position>) -> Commit {
        let mut commit = Commit::new().administrative();
        let mut streams = streams.iter();
        for (name, text) in self.states {
            commit = match (name.and_then(|_| streams.next()), text) {
                (Some(stream), Some(text)) => commit.stream_text(stream, text),
                (Some(stream), None) => commit.clear(stream),
                (None, Some(text)) => commit.global_text(text),
                (None, None) => commit.clear_global(),
            };
        }
        commit = commit.label(WHAT, self.what).label(WHO, self.who).label(WHY, self.why);
        match self.from.or(last) {
            Some(from) => commit.label(FROM, from.to_string()),
            None => commit,
        }
    }
}

/// Does it. The streams are owned meanwhile, so nobody writes to them.
pub(crate) fn operate(journal: &Arc<Journal>, operation: Operation) -> Result<Committed> {
    operation.check()?;
    let named = operation.states.iter().filter_map(|(name, _)| name.as_ref());
    let streams = named.map(|name| streams::find(journal, name)).collect::<Result<Vec<Stream>>>()?;
    let mut writer = Writer::new(journal.clone(), &streams.iter().collect::<Vec<_>>())?;
    // What is buffered counts: whoever decided by looking has not seen it.
    journal.flush_all()?;
    let last = last(journal);
    if let Some(expected) = operation.expected.filter(|expected| *expected != last) {
        let number = |position: Option<Position>| position.map_or(Sequence::NONE, |at| at.sequence);
        return Err(Error::new(
            ErrorKind::Outdated,
            format!(
                "checkpoint {} was the last when \"{}\" was decided, and it is {} now; look again",
                number(expected),
                operation.what,
                number(last)
            ),
        ));
    }
    commit(journal, &mut writer, operation, &streams, last)
}

/// Makes its checkpoint, and notes it: the checkpoint goes with its segment one day, and what people did stays on record. The note is
/// no part of what is done, so whatever goes wrong with it is no failure.
fn commit(
    journal: &Journal,
    writer: &mut Writer,
    operation: Operation,
    streams: &[Stream],
    last: Option<Position>,
) -> Result<Committed> {
    let committed = writer.commit(operation.clone().into_commit(streams, last))?;
    let note = operation.note(journal, committed.position, last);
    let storage = journal.storage();
    let added = lock::turn_to_hold(storage).and_then(|turn| notes::add(storage, &note, &*turn));
    if let Err(error) = added {
        tracing::warn!(%error, what = operation.what, "what was done by hand is on record in its checkpoint alone");
    }
    Ok(committed)
}

/// Puts on record what was done to the log that changes no state: a checkpoint of its own.
pub(crate) fn note(
    journal: &Arc<Journal>,
    what: String,
    who: &str,
    why: &str,
    from: Position,
) -> Result<Committed> {
    let note = Operation::new(what, who, why).from(from);
    note.check_told()?;
    commit(journal, &mut Writer::new(journal.clone(), &[])?, note, &[], None)
}

fn last(journal: &Journal) -> Option<Position> {
    let last = journal.state().high_water;
    (last.sequence > Sequence::NONE).then(|| Position {
        log: journal.log(),
        sequence: last.sequence,
        checkpoint: last.id,
    })
}
