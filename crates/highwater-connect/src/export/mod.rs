//! The records of a log in forms that other programs read: as the destinations of that form write them.

mod lines;
mod parquet;

use highwater::{LogReader, Sequence, StreamName};

use crate::batch::{Delivered, Part};
use crate::bookkeeping::Tracker;
use crate::failure::Result;
use crate::file_name;

pub use lines::json_lines;
pub use parquet::parquet_files;

/// What is exported.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The first checkpoint.
    pub from: Sequence,
    /// The last one.
    pub to: Sequence,
    /// Only this stream.
    pub stream: Option<StreamName>,
}

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Checkpoints that were read.
    pub checkpoints: u64,
    /// Records that were written.
    pub records: u64,
}

/// `NAMESPACE.NAME.extension`, in which other characters than letters, digits, `_` and `-` are `%` and the byte's two hex digits.
/// No two streams have the same.
pub fn file_name(stream: &StreamName, extension: &str) -> String {
    format!("{}.{extension}", file_name::of(stream))
}

/// Gives what the wanted checkpoints hold of the wanted streams, in the order of the log; how many checkpoints there were. Streams
/// that are the runtime's own are left out. Where a repair has left a gap `gap` is told, and it goes on behind it.
fn walk(
    log: &LogReader,
    wanted: &Wanted,
    gap: &mut dyn FnMut(&highwater::Error),
    give: &mut dyn FnMut(&Delivered<'_>, &Part<'_>) -> Result<()>,
) -> Result<u64> {
    let mut tracker = Tracker::new(log.clone());
    let mut reader = log.reader(wanted.from)?;
    let mut checkpoints = 0;
    while reader.next_sequence() <= wanted.to {
        let checkpoint = match reader.next() {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => break,
            Err(error) if reader.pass_gap().is_some() => {
                gap(&error);
                tracker.forget();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let definitions = tracker.at(&checkpoint)?;
        let delivered = Delivered::new(&checkpoint, log, &definitions);
        for part in delivered.parts() {
            if wanted.stream.as_ref().is_none_or(|stream| stream == part.name()) {
                give(&delivered, &part)?;
            }
        }
        checkpoints += 1;
    }
    Ok(checkpoints)
}
