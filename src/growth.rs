//! How fast a log grows: by the places and the times of the checkpoints that are kept.

use serde::Serialize;

use crate::origin::Horizon;
use crate::position::{Address, Sequence};
use crate::pruning;
use crate::reader::Checkpoint;
use crate::segment::Files;

/// Over a shorter time nothing can be said.
const SECONDS_MIN: u64 = 60;
const DAY_S: u64 = 86_400;

/// How much a log has grown, from one checkpoint to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Growth {
    /// The oldest checkpoint that is kept as it was committed.
    pub from: Sequence,
    /// The newest.
    pub to: Sequence,
    /// The time between their commits, in seconds: a minute at least.
    pub seconds: u64,
    /// What was written between them, in bytes: records, whoever named them, and bookkeeping.
    pub bytes: u64,
    /// So many bytes a day is that.
    pub bytes_per_day: u64,
}

impl Growth {
    /// How long it takes to grow by so many bytes, in seconds; `None`: it does not grow.
    pub fn seconds_until(&self, bytes: u64) -> Option<u64> {
        let seconds = u128::from(bytes) * u128::from(self.seconds) / u128::from(self.bytes.max(1));
        (self.bytes > 0).then(|| u64::try_from(seconds).unwrap_or(u64::MAX))
    }
}

/// Where and when a checkpoint was committed.
#[derive(Debug, Clone, Copy)]
struct Place {
    sequence: Sequence,
    at: Address,
    time_us: i64,
}

/// Follows the checkpoints that are kept, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    first: Option<Place>,
    last: Option<Place>,
}

impl Growing {
    /// A base checkpoint has the place of none.
    pub(crate) fn take(&mut self, checkpoint: &Checkpoint) {
        if checkpoint.is_compacted() {
            return;
        }
        let (sequence, at, time_us) = (checkpoint.sequence(), checkpoint.at(), checkpoint.time_us());
        let place = Place { sequence, at, time_us };
        self.first.get_or_insert(place);
        self.last = Some(place);
    }

    pub(crate) fn growth(&self, files: &Files, horizon: &Horizon) -> Option<Growth> {
        let (first, last) = self.first.zip(self.last)?;
        let seconds = last.time_us.saturating_sub(first.time_us).max(0).unsigned_abs() / 1_000_000;
        if seconds < SECONDS_MIN {
            return None;
        }
        let bytes = pruning::bytes_between(files, &horizon.retained, first.at, last.at);
        let bytes_per_day = u128::from(bytes) * u128::from(DAY_S) / u128::from(seconds);
        let bytes_per_day = u64::try_from(bytes_per_day).unwrap_or(u64::MAX);
        Some(Growth { from: first.sequence, to: last.sequence, seconds, bytes, bytes_per_day })
    }
}
