//! What was, as far as the log still has it: attempts to read the source, and, for who runs no pipeline, bursts of checkpoints.

use std::time::Duration;

use highwater::LogReader;
use highwater_connect::runs::Attempt;

use crate::anomaly::{Burst, Habit};
use crate::index::{Follower, Index};

/// What a log tells of its past.
#[derive(Debug, Clone, Default)]
pub struct History {
    attempts: Vec<Attempt>,
    bursts: Vec<Burst>,
}

impl History {
    /// As far as it was read.
    pub(crate) fn of(index: &Index) -> Self {
        History { attempts: index.attempts(), bursts: index.bursts() }
    }

    /// Reads it. Blocks for reading every commit that the log has, and no record but those of runs.
    pub fn read(log: &LogReader) -> highwater::Result<History> {
        let (mut index, mut follower) = (Index::default(), Follower::new(log.clone()));
        while !follower.follow(&mut index, Duration::MAX)? {}
        Ok(History::of(&index))
    }

    /// The attempts to read the source, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// What is usual: by the runs on record, or by the checkpoints where there are none.
    pub fn habit(&self, now_us: i64) -> Habit {
        match self.attempts.as_slice() {
            [] => Habit::of_bursts(&self.bursts, now_us),
            attempts => Habit::of(attempts, now_us),
        }
    }
}
