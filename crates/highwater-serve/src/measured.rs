//! What only the process that writes a log knows: how long its commits took, what failed. A run keeps it in a file beside the
//! log, so that others can show it, and so that it is there when the run is over.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use highwater::{Histogram, LogReader, Recovery};
use highwater_connect::files;
use highwater_connect::runs::now_us;
use serde::{Deserialize, Serialize};

/// Everything that one process has measured.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The process.
    pub pid: u32,
    /// When it began, in microseconds since 1970.
    pub started_us: i64,
    /// When this was written.
    pub at_us: i64,
    /// The process has ended its work: gauges are of its last moment.
    pub ended: bool,
    /// Of the log.
    pub writer: Option<Writer>,
    /// Of the pipeline's source.
    pub source: Part,
    /// Of its destinations.
    pub destinations: BTreeMap<String, Part>,
    /// What went wrong, oldest first: the newest of it.
    pub failures: Vec<Failed>,
}

/// Of the log, as its writer has it.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Writer {
    /// How long commits took.
    pub commit_duration: Histogram,
    /// How long flushes took.
    pub flush_duration: Histogram,
    /// Errors by their kind.
    pub errors: BTreeMap<String, u64>,
    /// Bytes of frames.
    pub appended_bytes: u64,
    /// Segments that were made out of nothing.
    pub segments_new: u64,
    /// Segments that were made out of pruned ones.
    pub segments_recycled: u64,
    /// Segments that an append had to wait for.
    pub segments_late: u64,
    /// Written, and named by no commit yet.
    pub uncommitted_bytes: u64,
    /// Written, and not flushed yet.
    pub unflushed_bytes: u64,
    /// The last segment that was to be made found no room.
    pub full: bool,
    /// A write or a flush failed: the log takes no more.
    pub failed: bool,
    /// What opening it found.
    pub opening: Option<Opening>,
}

/// What opening a log found and did.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// How long it took, in seconds.
    pub took_s: f64,
    /// Whole frames that no checkpoint took in.
    pub dropped_frames: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// The last write was torn.
    pub torn: bool,
    /// Why the log ended where it did, if anything was dropped.
    pub why: Option<String>,
    /// Bytes that were written again.
    pub rewritten_bytes: u64,
}

/// Of a source or a destination.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Times that it began: attempts of a source; of a destination its first batches after a failure.
    pub attempts: u64,
    /// Failures by their kind.
    pub failures: BTreeMap<String, u64>,
    /// Failures after which it was tried again.
    pub retries: u64,
    /// Tries that got on after a failure: a checkpoint, or a batch that was applied.
    pub restarts_succeeded: u64,
    /// Failures in a row, with nothing in between.
    pub failing: u32,
    /// Nobody tries it again.
    pub given_up: bool,
    /// A destination's breaker is open: it is left alone for a while.
    pub breaker_open: bool,
    /// Times that it opened.
    pub breaker_opened: u64,
    /// Records that a source sent, or that a destination took.
    pub records: u64,
    /// Records that a destination refused.
    pub rejected: u64,
    /// Batches, and how long each took.
    pub batches: Histogram,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// When, in microseconds since 1970.
    pub time_us: i64,
    /// `source`, or the destination's name.
    pub of: String,
    /// The kind of failure.
    pub kind: String,
    /// Why, without secrets.
    pub text: String,
}

impl Writer {
    /// As it is now; `None` where another process writes the log.
    pub fn of(log: &LogReader) -> highwater::Result<Option<Writer>> {
        let Some(metrics) = log.metrics() else { return Ok(None) };
        let status = log.status()?;
        Ok(Some(Writer {
            commit_duration: metrics.commit_duration,
            flush_duration: metrics.flush_duration,
            errors: metrics.errors.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
            appended_bytes: status.appended_bytes,
            segments_new: status.segments_made.saturating_sub(status.segments_recycled),
            segments_recycled: status.segments_recycled,
            segments_late: status.segments_late,
            uncommitted_bytes: status.uncommitted_bytes,
            unflushed_bytes: status.unflushed_bytes,
            full: status.full,
            failed: status.failed,
            opening: metrics.opening.map(Opening::of),
        }))
    }
}

impl Opening {
    fn of(recovery: Recovery) -> Opening {
        Opening {
            took_s: recovery.took.as_secs_f64(),
            dropped_frames: recovery.dropped_frames,
            dropped_bytes: recovery.dropped_bytes,
            torn: recovery.torn,
            why: recovery.why,
            rewritten_bytes: recovery.rewritten_bytes,
        }
    }
}

/// Who says nothing for so long is gone: several times as long as a run waits between two files.
const SILENCE_US: i64 = 30_000_000;
/// A run's file is not longer than this, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

impl Measured {
    /// Whether the process that has measured it still writes the log, which somebody does (`is_live`): then its gauges are
    /// worth something. One that was killed could not say so, but has written nothing for a while.
    pub(crate) fn is_now(&self, is_live: bool) -> bool {
        is_live && !self.ended && now_us() - self.at_us < SILENCE_US
    }

    /// Where a run keeps it, in the pipeline's work directory.
    pub fn path(work: &Path) -> PathBuf {
        work.join("measured.json")
    }

    /// What the last run, or the present one, has left; `None` if there is nothing, or nothing that can be read: it is
    /// worth no failure.
    pub fn read(work: &Path) -> Option<Measured> {
        let path = Self::path(work);
        if std::fs::metadata(&path).ok()?.len() > FILE_BYTES_MAX {
            return None;
        }
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }

    /// Leaves it there, whole or not at all.
    pub fn write(&self, work: &Path) -> io::Result<()> {
        files::make_private_directory(work)?;
        replace(&Self::path(work), serde_json::to_string(self)?.as_bytes(), 0o600)
    }
}

/// Puts a file in the place of another at once, without a flush: what is measured is not worth one.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    use std::io::Write;
    let temporary = path.with_added_extension("tmp");
    files::create(&temporary, mode)?.write_all(content)?;
    std::fs::rename(temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_leaves_is_read_again_and_junk_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("x.connect");
        assert_eq!(Measured::read(&work), None);
        let mut measured = Measured { pid: 7, writer: Some(Writer::default()), ..Measured::default() };
        measured.destinations.insert("lake".to_owned(), Part { records: 3, ..Part::default() });
        measured.write(&work).unwrap();
        assert_eq!(Measured::read(&work), Some(measured));
        std::fs::write(Measured::path(&work), "{\"pid\":").unwrap();
        assert_eq!(Measured::read(&work), None);
    }
}
