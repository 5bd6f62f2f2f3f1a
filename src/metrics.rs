//! What the writing process has measured of its log: counters and histograms. What can be computed from the log itself is in
//! [`Status`](crate::Status), and is the same for everybody.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::histogram::Histogram;
use crate::journal::Journal;
use crate::recovery::Recovery;

/// What this process has measured since it opened the log for writing. Counters only go up; gauges are in
/// [`Status`](crate::Status), computed from what is there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// Commits that went well: from the call to its return, records that were still buffered and the flush included.
    pub commit_duration: Histogram,
    /// Flushes of a segment that went well, the wait for the disk alone.
    pub flush_duration: Histogram,
    /// Errors of appends, commits, flushes, prunings and compactions, by [`ErrorKind::name`](crate::ErrorKind::name); and
    /// `corrupt`: damage that a reader of this process met.
    pub errors: BTreeMap<&'static str, u64>,
    /// What opening the log found and did.
    pub opening: Option<Recovery>,
}

pub(crate) fn metrics(journal: &Journal) -> Metrics {
    let opening = journal.opening.get().cloned();
    let state = journal.state();
    Metrics {
        commit_duration: state.counters.commit_duration,
        flush_duration: state.counters.flush_duration,
        errors: state.errors.clone(),
        opening,
    }
}
