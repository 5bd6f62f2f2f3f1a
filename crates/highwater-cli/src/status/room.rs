//! How much room the log has, and for how long.

use std::path::Path;

use highwater::{LogReader, Status};
use highwater_connect::pipeline::Storage;

use crate::failure::Failure;

/// Over the time between the first checkpoint that is kept and the last.
pub(super) fn growth(log: &LogReader, status: &Status) -> Result<Option<f64>, Failure> {
    let Some(end) = log.end() else { return Ok(None) };
    let time_of = |sequence| -> Result<Option<i64>, Failure> {
        let mut reader = log.reader(sequence)?;
        let found = match reader.next() {
            Err(error) => reader.pass_gap().ok_or(error).and_then(|_| reader.next())?,
            Ok(found) => found,
        };
        Ok(found.map(|checkpoint| checkpoint.time_us()))
    };
    let (Some(first), Some(last)) = (time_of(log.first())?, time_of(end.sequence)?) else { return Ok(None) };
    let seconds = (last - first) as f64 / 1e6;
    // Of less than a minute nothing can be said.
    Ok((seconds >= 60.0).then(|| status.bytes as f64 / seconds))
}

/// Whether the next segment would be beyond the cap.
pub(super) fn is_at_cap(status: &Status, storage: &Storage) -> bool {
    let next = next_segment(status, storage);
    next.zip(storage.max_size).is_some_and(|(next, max)| status.size_bytes.saturating_add(next) > max)
}

/// Whether there is no room for the next segment on the file system. Where nobody can be asked there is.
pub(super) fn is_disk_full(log: &Path, status: &Status, storage: &Storage) -> bool {
    let next = next_segment(status, storage);
    next.zip(highwater_serve::disk(log)).is_some_and(|(next, (free, _))| free < next)
}

/// What the next segment takes, in bytes; `None` if a spare one is written over in its place.
fn next_segment(status: &Status, storage: &Storage) -> Option<u64> {
    let usual = u64::from(storage.config().segment_bytes);
    let next = status.segments.last().map_or(usual, |active| usual.min(active.bytes.saturating_mul(2)));
    (status.spare_segments == 0).then_some(next)
}
