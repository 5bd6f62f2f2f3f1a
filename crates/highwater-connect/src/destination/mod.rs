//! Where a log is delivered to.

pub mod airbyte;
pub mod jsonl;
pub mod parquet;
pub(crate) mod program;
pub mod singer;
pub mod sql;
mod stored;
mod typed;

pub use stored::Stored;

use highwater::{Position, Record, Sequence, StreamName};

use crate::batch::{Batch, Delivered, Part};
use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};
use crate::pipeline::OnReject;

/// A place that takes whole checkpoints. The runtime calls it from one thread, and blocks meanwhile only what is
/// delivered there: the source and other destinations go on.
///
/// A delivery that was interrupted is repeated, perhaps in another grouping: a batch may begin before what was applied
/// last. A destination with transactions stores [`Batch::end`] together with the records, and returns it from
/// [`stored`](Destination::stored); the runtime then goes on exactly behind it, so nothing is applied twice.
pub trait Destination: Send {
    /// The position up to which everything is applied, as the destination itself has stored it. That it stores none
    /// ([`Stored::NoPositions`]) and that it has none yet, or any more ([`Stored::Nothing`]), are two answers: a destination that
    /// gives the first for the second goes on behind what it has lost.
    ///
    /// Called before the first [`apply`](Destination::apply), and again after each failure. May connect, and block for that.
    fn stored(&mut self) -> Result<Stored>;

    /// Applies a batch, all of it and for good: when this returns `Ok`, the records survive a crash of the destination,
    /// and the log may forget them. After an error, either all or nothing of it may be there, unless
    /// [`stored`](Destination::stored) returns [`Stored::NoPositions`]; then a part may be, and the batch comes again.
    ///
    /// Single records that the destination refuses are returned, and everything else is applied; or, where the batch says so
    /// ([`Batch::on_reject`]), nothing is, and the refusal is the failure ([`Applied::allowed`]).
    ///
    /// A destination that takes a batch before it is sure of it says so by [`confirmed`](Destination::confirmed).
    fn apply(&mut self, batch: &Batch) -> Result<Applied>;

    /// How much of what [`apply`](Destination::apply) took since [`stored`](Destination::stored) is there for good: all of it, which is the
    /// default, or what is behind it in a program that acknowledges when it likes. The log keeps what is not confirmed, and
    /// gives it again after a failure. Asked after each batch, a few times a second while none comes, and once after a
    /// failure; blocks for no longer than it takes to close what is not confirmed for too long.
    fn confirmed(&mut self) -> Result<Confirmed> {
        Ok(Confirmed::All)
    }

    /// What it says of the records that were confirmed since this was asked last, asked after each
    /// [`confirmed`](Destination::confirmed). The default is right for a destination that tells what it refuses by [`Applied`].
    fn counted(&mut self) -> Counted {
        Counted::default()
    }

    /// Nothing more comes for now: blocks until everything that was applied is confirmed, and fails if it can't be. The
    /// default does nothing.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether it could be delivered to, for a person who asks before anything is: as the default, what it holds.
    fn check(&mut self) -> Result<Stored> {
        self.stored()
    }

    /// What it refused of the checkpoints behind this one, as it has kept it together with its position. Who was killed before
    /// it heard what [`apply`](Destination::apply) returned asks here, before it goes on behind [`stored`](Destination::stored).
    ///
    /// The default knows of nothing, which is right for a destination that stores no position: it gets its batch again, and
    /// refuses again.
    fn rejected_after(&mut self, sequence: Sequence) -> Result<Vec<Rejected>> {
        let _ = sequence;
        Ok(Vec::new())
    }

    /// Takes records that it refused before, now that something has changed; for each, what became of it. What it took once it
    /// does not take twice, also when it is killed on the way. Not called while a delivery goes on.
    ///
    /// The default can't, and says so.
    fn retry(&mut self, letters: &[Again<'_>]) -> Result<Vec<Retried>> {
        let _ = letters;
        Err(Failure::config("a destination of this type can't take single records again"))
    }

    /// Nothing comes any more; a chance to close connections and report an error. The default does nothing.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// How much of what a destination took is there for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Everything.
    All,
    /// What is at or before this position; `None`: nothing yet.
    UpTo(Option<Position>),
}

/// What a destination says of how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Records that it refused without saying which, so that they can't be among the dead letters.
    pub refused: u64,
    /// It knows. A program that acknowledges without counting may have refused all of it.
    pub is_verified: bool,
}

impl Default for Counted {
    /// It holds everything that it did not name.
    fn default() -> Self {
        Counted { refused: 0, is_verified: true }
    }
}

impl Counted {
    /// Both together.
    pub(crate) fn add(&mut self, other: Counted) {
        self.refused = self.refused.saturating_add(other.refused);
        self.is_verified &= other.is_verified;
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Records that the destination refused. It holds everything else of the batch.
    pub rejected: Vec<Rejected>,
}

impl Applied {
    /// As it is; or its first refusal as a failure, where the batch is not to be applied without it. A destination calls it
    /// before it makes anything durable.
    pub fn allowed(self, batch: &Batch) -> Result<Applied> {
        match (batch.on_reject(), self.rejected.first()) {
            (OnReject::Fail, Some(first)) => Err(first.failure()),
            _ => Ok(self),
        }
    }
}

/// A record that a destination refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its stream.
    pub stream: StreamName,
    /// Its checkpoint.
    pub sequence: Sequence,
    /// Its place among that checkpoint's records of that stream, from 0.
    pub index: u64,
    /// Why, on one line, for people.
    pub reason: String,
}

impl Rejected {
    /// The record at `index` of a checkpoint's part.
    pub(crate) fn of(checkpoint: &Delivered<'_>, part: &Part<'_>, index: u64, reason: String) -> Rejected {
        Rejected { stream: part.name().clone(), sequence: checkpoint.sequence(), index, reason }
    }

    /// As a failure: the same record would be refused again.
    pub fn failure(&self) -> Failure {
        let Rejected { stream, sequence, index, reason } = self;
        Failure::permanent(format!(
            "record {index} of stream {stream} in checkpoint {sequence} is refused: {reason}"
        ))
    }
}

/// A record that a destination refused, to be taken after all.
#[derive(Debug, Clone, Copy)]
pub struct Again<'a> {
    /// The stream as it is defined now; its generation, too.
    pub definition: &'a StreamDefinition,
    /// The record's checkpoint.
    pub sequence: Sequence,
    /// Its place among that checkpoint's records of that stream, from 0.
    pub index: u64,
    /// The generation that it belongs to.
    pub generation: u64,
    /// When its checkpoint was committed, in microseconds since 1970-01-01 UTC.
    pub committed_us: i64,
    /// The record. The number of its stream means nothing here.
    pub record: &'a Record,
}

/// What became of such a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// It is applied, now or by an attempt before.
    Taken,
    /// What the destination holds is newer than it.
    Superseded,
    /// It is refused again, and why.
    Refused(String),
}
