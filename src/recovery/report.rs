//! What an opening found and did, for people.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::position::{LogId, Position, Sequence};

/// What opening a log found and did. It is returned, not logged: the caller decides who has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Recovery {
    /// The log.
    pub log: LogId,
    /// The log was made by this opening.
    pub created: bool,
    /// The last checkpoint, if there is one: work goes on behind it.
    pub last: Option<Position>,
    /// Whole frames behind it that no checkpoint takes in; dropped.
    pub dropped_frames: u64,
    /// Their bytes. What a torn write left behind them can't be counted.
    pub dropped_bytes: u64,
    /// The last write was torn by the crash; what it left was dropped.
    pub torn: bool,
    /// Why the log ends where it does, if anything was dropped.
    pub why: Option<String>,
    /// Accepted bytes that were not on the device (or not known to be) and were written again.
    pub rewritten_bytes: u64,
    /// The mark file was there and unreadable; the end was found without it.
    pub mark_lost: bool,
    /// How long opening took.
    pub took: Duration,
}

impl Recovery {
    /// The last checkpoint's number; 0 for an empty log.
    pub fn sequence(&self) -> Sequence {
        self.last.map_or(Sequence::NONE, |position| position.sequence)
    }

    /// Whether the log was found as a clean close leaves it: nothing dropped, nothing rewritten.
    pub fn is_clean(&self) -> bool {
        !self.torn && self.dropped_bytes == 0 && self.rewritten_bytes == 0 && !self.mark_lost
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.created {
            write!(f, "created log {}", self.log)?;
        } else {
            write!(f, "opened log {} at checkpoint {}", self.log, self.sequence())?;
        }
        if self.dropped_bytes > 0 {
            write!(f, ", dropped {} uncommitted frames ({} bytes)", self.dropped_frames, self.dropped_bytes)?;
        }
        if self.torn {
            write!(f, ", dropped a torn write")?;
        }
        if let Some(why) = &self.why {
            write!(f, " ({why})")?;
        }
        if self.rewritten_bytes > 0 {
            write!(f, ", wrote {} unflushed bytes again", self.rewritten_bytes)?;
        }
        if self.mark_lost {
            write!(f, ", the mark file was unreadable")?;
        }
        if self.is_clean() && !self.created {
            write!(f, ", clean")?;
        }
        write!(f, ", in {:.1} ms", self.took.as_secs_f64() * 1000.0)
    }
}
