//! Where a log is delivered to.

pub mod airbyte;
pub mod jsonl;
pub mod parquet;
mod program;
pub mod singer;
pub mod sql;
mod typed;

use highwater::{Position, Sequence, StreamName};

use crate::batch::Batch;
use crate::failure::Result;

/// A place that takes whole checkpoints. The runtime calls it from one thread, and blocks meanwhile only what is
/// delivered there: the source and other destinations go on.
///
/// A delivery that was interrupted is repeated, perhaps in another grouping: a batch may begin before what was applied
/// last. A destination with transactions stores [`Batch::end`] together with the records, and returns it from
/// [`stored`](Destination::stored); the runtime then goes on exactly behind it, so nothing is applied twice.
pub trait Destination: Send {
    /// The position up to which everything is applied, as the destination itself has stored it; `None` if it has
    /// stored nothing, or can't store one: then the log's own record of what was acknowledged counts.
    ///
    /// Called before the first [`apply`](Destination::apply), and again after each failure. May connect, and block for that.
    fn stored(&mut self) -> Result<Option<Position>>;

    /// Applies a batch, all of it and for good: when this returns `Ok`, the records survive a crash of the destination,
    /// and the log may forget them. After an error, either all or nothing of it may be there, unless
    /// [`stored`](Destination::stored) returns `None` always; then a part may be, and the batch comes again.
    ///
    /// Single records that the destination refuses are returned, and everything else is applied.
    ///
    /// A destination that takes a batch before it is sure of it says so by [`confirmed`](Destination::confirmed).
    fn apply(&mut self, batch: &Batch) -> Result<Applied>;

    /// How much of what [`apply`](Destination::apply) took since [`stored`](Destination::stored) is there for good: all of it, which is the
    /// default, or what is behind it in a program that acknowledges when it likes. The log keeps what is not confirmed, and
    /// gives it again after a failure. Asked after each batch, a few times a second while none comes, and once after a
    /// failure of the others; does not block.
    fn confirmed(&mut self) -> Result<Confirmed> {
        Ok(Confirmed::All)
    }

    /// Nothing more comes for now: blocks until everything that was applied is confirmed, and fails if it can't be. The
    /// default does nothing.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether it could be delivered to, for a person who asks before anything is: as the default, what it holds.
    fn check(&mut self) -> Result<Option<Position>> {
        self.stored()
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

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Records that the destination refused. It holds everything else of the batch.
    pub rejected: Vec<Rejected>,
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
