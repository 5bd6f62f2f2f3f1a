//! Each attempt to read the source, on record in the log: when it began, how it ended, what it brought.
//!
//! They are records of the stream `runs` of our namespace: one when the attempt begins, and one when it ends. An attempt with
//! no end was killed, or is under way. Where the log is at its cap they go beyond it, a little, once nobody else writes.

mod order;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use highwater::{Commit, Config, ErrorKind, Log, LogReader, Op, Sequence, StreamSpec};
use serde::{Deserialize, Serialize};

pub use self::order::InOrder;
use crate::bookkeeping::{self, NAMESPACE};
use crate::failure::{Failure, Result};

/// An attempt, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which run: the same for all attempts of one process.
    pub run: String,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// When it began, in microseconds since 1970.
    pub started_us: i64,
    /// How it ended; `None` if it did not: it was killed, or is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When, in microseconds since 1970.
    pub ended_us: i64,
    /// `complete`, `stopped`, or the kind of the failure.
    pub outcome: String,
    /// Why it failed, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The sync it was part of; 0 if it failed before that was known.
    pub sync: u64,
    /// Records that it committed.
    pub records: u64,
    /// The first checkpoint that it can have made.
    pub first: Sequence,
    /// The last checkpoint that it can have made; below `first` if it made none.
    pub last: Sequence,
}

/// Puts the attempts of one process on record.
#[derive(Debug)]
pub(crate) struct Journal {
    run: String,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Journal { run: format!("{:x}-{:x}", now_us(), std::process::id()) }
    }

    /// An attempt begins; it is on record, durably, when this returns. A log that is full gets it with its end.
    pub(crate) fn begin(&self, log: &Log, attempt: u32) -> Result<Attempt> {
        let attempt = Attempt { run: self.run.clone(), attempt, started_us: now_us(), end: None };
        match write(log, &attempt) {
            Err(failure) if !is_full(&failure) => Err(failure),
            _ => Ok(attempt),
        }
    }

    /// It has ended. Returned is what a full log has no room for: see [`put_beyond_cap`].
    pub(crate) fn end(log: &Log, mut attempt: Attempt, end: End) -> Result<Option<Attempt>> {
        attempt.end = Some(end);
        match write(log, &attempt) {
            Err(failure) if is_full(&failure) => Ok(Some(attempt)),
            put => put.map(|()| None),
        }
    }
}

fn is_full(failure: &Failure) -> bool {
    failure.log_error().is_some_and(|error| *error.kind() == ErrorKind::Full)
}

/// What attempts may take beyond the cap, in bytes: as much as the reserve of a log, which no commit may take, since a pruning may
/// need it. Some sixteen attempts at the cap fit in, a segment each; then there are enough of them on record.
const BEYOND_CAP_BYTES: u64 = 1 << 20;

/// Puts attempts on record in a log that has no room for them under its cap. `config` is what the log was written with; it may not
/// be open. Where the disk itself is full it fails.
///
/// *Why open it again?* A cap is for all writers of an opening, and what is put beyond it must not give a source room.
pub(crate) fn put_beyond_cap(path: &Path, config: Config, attempts: &[Attempt]) -> Result<()> {
    let size_max = config.size_max.map(|cap| cap.saturating_add(BEYOND_CAP_BYTES));
    let (log, _) = Log::open(path, Config { size_max, segment_bytes: SEGMENT_BYTES, ..config })?;
    attempts.iter().try_for_each(|attempt| write(&log, attempt))?;
    Ok(log.close()?)
}

/// The smallest segment.
const SEGMENT_BYTES: u32 = 64 << 10;

/// The present, in microseconds since 1970.
pub fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

fn write(log: &Log, attempt: &Attempt) -> Result<()> {
    let stream = log.stream(StreamSpec::new(RUNS).namespace(NAMESPACE))?;
    // For this moment only: a state of all streams belongs to a writer that owns them all.
    let mut writer = log.writer(&[&stream])?;
    let row = serde_json::to_vec(attempt).map_err(|e| Failure::permanent("recording a run").because(e))?;
    writer.append(&stream, Op::Insert { key: b"", row: &row })?;
    writer.commit(Commit::new().records(&stream))?;
    Ok(())
}

const RUNS: &str = "runs";

/// The attempts whose records are still in the log, oldest first by where they are in it, at most `last` of them. Where a repair has left a gap `gap` is told, and
/// it goes on behind it: what was on record there is lost. Blocks for reading what there is.
pub fn attempts(
    log: &LogReader,
    last: usize,
    gap: &mut dyn FnMut(&highwater::Error),
) -> Result<Vec<Attempt>> {
    let Some(end) = log.end() else { return Ok(Vec::new()) };
    let mut found = InOrder::default();
    let mut reader = log.reader(log.first())?;
    while reader.next_sequence() <= end.sequence {
        let checkpoint = match reader.next() {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => break,
            Err(error) if reader.pass_gap().is_some() => {
                gap(&error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let ours = |name: &highwater::StreamName| bookkeeping::is_ours(name) && name.name == RUNS;
        let Some(counts) = checkpoint.streams().iter().find(|counts| ours(&counts.name)) else { continue };
        for record in checkpoint.records_of(counts.stream) {
            let attempt: Attempt = serde_json::from_slice(&record?.payload)
                .map_err(|e| Failure::permanent("a recorded run can't be read").because(e))?;
            found.add(checkpoint.sequence(), attempt);
            found.keep(last);
        }
    }
    Ok(found.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(log: &LogReader, last: usize) -> Result<Vec<Attempt>> {
        super::attempts(log, last, &mut |error| panic!("{error}"))
    }

    #[test]
    fn an_attempt_is_found_with_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        assert_eq!(attempts(&log, 9).unwrap(), []);
        let journal = Journal::new();
        let first = journal.begin(&log, 1).unwrap();
        let end = End {
            ended_us: now_us(),
            outcome: "transient".to_owned(),
            error: Some("no".to_owned()),
            sync: 1,
            records: 3,
            first: Sequence::new(2),
            last: Sequence::new(4),
        };
        assert_eq!(Journal::end(&log, first.clone(), end.clone()).unwrap(), None);
        let second = journal.begin(&log, 2).unwrap();
        let ended = Attempt { end: Some(end), ..first };
        assert_eq!(attempts(&log, 9).unwrap(), [ended, second.clone()]);
        assert_eq!(attempts(&log, 1).unwrap(), [second]);
    }
}
