//! A log that is there and can't be read: what is damaged, or of a newer version, or on a disk that gives errors. Prometheus has to be
//! told just then, and not left with an answer that is none.

use std::fs;
use std::path::Path;

use highwater::repair::{self, Mode};
use highwater::{Error, ErrorKind};

use super::text::Exposition;
use super::{log, measured};
use crate::measured::Measured;
use crate::subject::Subject;

/// Whether that is what the error says, and not that there is no log.
pub fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Unsupported)
}

/// That, and what the files and the process that writes the log tell. Blocks for listing the directory.
pub fn gather_unreadable(subject: &Subject, measured: Option<&Measured>) -> Exposition {
    let mut text = Exposition::new(subject.labels());
    log::tell_readable(&mut text, false);
    log::tell_size(&mut text, size_bytes(&subject.log));
    log::tell_disk(&mut text, &subject.log);
    if let Some(measured) = measured {
        // Whether it is at work, its file says by its age.
        measured::tell(&mut text, measured, measured.is_now(true));
    }
    text
}

/// How many places of such a log are damaged. Blocks for reading all of it.
pub fn damaged_places(log: &Path) -> usize {
    // At least the one that was met.
    repair::plan(log, Mode::SkipDamaged).map_or(1, |plan| plan.problems.len().max(1))
}

/// What can't be looked at counts for nothing.
fn size_bytes(log: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(log) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}
