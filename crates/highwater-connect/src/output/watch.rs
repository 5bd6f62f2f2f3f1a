//! Notices that no checkpoint comes.

use std::time::{Duration, Instant};

use crate::event::Event;
use crate::pipeline::CheckpointPolicy;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Counts what is not committed.
#[derive(Debug)]
pub(super) struct Watch {
    records: u64,
    bytes: u64,
    /// When the first record came that is not committed.
    since: Option<Instant>,
    warned: bool,
    told: Instant,
    /// Bytes since the last state that was offered, and when that was.
    offered_bytes: u64,
    offered: Instant,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch {
            records: 0,
            bytes: 0,
            since: None,
            warned: false,
            told: Instant::now(),
            offered_bytes: 0,
            offered: Instant::now(),
        }
    }

    pub(super) fn record(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
        self.offered_bytes += bytes;
    }

    /// The source has offered a state.
    pub(super) fn state(&mut self) {
        (self.offered_bytes, self.offered) = (0, Instant::now());
    }

    /// Whether a source that leaves it to us should offer a state, `records` after its last.
    pub(super) fn wants_state(&self, records: u64, policy: &CheckpointPolicy) -> bool {
        records >= policy.every_records
            || self.offered_bytes >= policy.every_bytes
            // The clock is looked at now and then only.
            || records.is_multiple_of(64) && self.offered.elapsed() >= policy.every_time
    }

    /// A checkpoint was made; if it took in everything, or any part of what is counted, the count begins anew.
    pub(super) fn committed(&mut self) {
        (self.records, self.bytes, self.since, self.warned) = (0, 0, None, false);
    }

    /// Bytes that came since the last checkpoint.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_time_to_tell(&mut self) -> bool {
        let is_time = self.told.elapsed() >= TELL_EVERY;
        if is_time {
            self.told = Instant::now();
        }
        is_time
    }

    /// Tells of a checkpoint that does not come, once for each.
    pub(super) fn overdue(&mut self, policy: &CheckpointPolicy) -> Option<Event> {
        if self.records == 0 {
            return None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let is_late = self.records >= policy.warn_after_records
            || self.bytes >= policy.warn_after_bytes
            || since.elapsed() >= policy.warn_after_time;
        if !is_late || std::mem::replace(&mut self.warned, true) {
            return None;
        }
        Some(Event::CheckpointLate {
            records: self.records,
            bytes: self.bytes,
            waiting_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_once_until_a_checkpoint_comes() {
        let policy = CheckpointPolicy { warn_after_records: 3, ..CheckpointPolicy::default() };
        let mut watch = Watch::new();
        watch.record(1);
        assert!(watch.overdue(&policy).is_none());
        watch.record(1);
        watch.record(1);
        let late = watch.overdue(&policy);
        assert!(matches!(late, Some(Event::CheckpointLate { records: 3, bytes: 3, .. })), "{late:?}");
        assert!(watch.overdue(&policy).is_none());
        watch.committed();
        assert!(watch.overdue(&policy).is_none());
    }
}
