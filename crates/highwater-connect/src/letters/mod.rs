//! Dead letters: the records that a destination refused, with the reason, until a person has decided what becomes of them.
//!
//! Each destination has a log of its own for them, in the pipeline's own directory, made when the first record is refused. So all
//! that a log promises holds for them, too: what was put there is durable and checked. The pipeline's log can't take them: it
//! has one writer, and a destination may be delivered from another process. The lock of this log is held for a moment only, by who
//! writes, so a person can drop letters beside a delivery.
//!
//! A letter is put before its batch is acknowledged, and a record that is put again (who delivers was killed in between) is
//! found by its checkpoint and place, and is there once.

mod letter;
mod read;
mod write;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater::{Config, LogReader, Position, Retention, StreamName};

use crate::failure::Result;

pub use letter::Letter;
pub use write::Writing;

/// The folder in the pipeline's own directory.
const FOLDER: &str = "dead-letters";
/// So long somebody else may be writing.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How much may be kept of one destination. A destination that refuses more is broken, and its delivery stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LettersMax {
    /// Letters. Default: 100,000.
    pub count: u64,
    /// Bytes on disk. Default: 1 GiB.
    pub bytes: u64,
}

impl Default for LettersMax {
    fn default() -> Self {
        LettersMax { count: 100_000, bytes: 1 << 30 }
    }
}

/// The dead letters of one destination. Nothing is open while nothing is done.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    path: PathBuf,
    max: LettersMax,
    /// What was there when we wrote last, so that not all is read for each batch. Clones share it.
    remembered: Arc<Mutex<Option<Remembered>>>,
}

/// Which letters there were at the end of their log.
#[derive(Debug)]
struct Remembered {
    end: Option<Position>,
    known: HashSet<letter::Identity>,
}

impl DeadLetters {
    /// Of the destination of this name; `work` is the pipeline's own directory.
    pub fn new(work: &Path, destination: &str, max: LettersMax) -> Self {
        DeadLetters { path: work.join(FOLDER).join(destination), max, remembered: Arc::default() }
    }

    /// The destinations that have ever had dead letters, in the order of the alphabet.
    pub fn destinations(work: &Path) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(work.join(FOLDER)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(crate::Failure::transient("listing dead letters").because(e)),
        };
        let named = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = named.collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The directory of their log, whether it is there or not.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open_to_read(&self) -> Result<Option<LogReader>> {
        match LogReader::open(&self.path) {
            Ok(log) => Ok(Some(log)),
            Err(error) if *error.kind() == highwater::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(crate::Failure::from(error).while_doing("the dead letters")),
        }
    }

    fn config(&self) -> Config {
        Config {
            size_max: Some(self.max.bytes),
            // At the cap nothing is pruned to make room: no consumer holds a letter, and each is somebody's to decide.
            retention: Retention { min_count: u64::MAX, ..Retention::default() },
            lock_wait: LOCK_WAIT,
            spare_segments: 0,
            ..Config::default()
        }
    }
}

/// The stream that they are kept in.
fn stream_name() -> StreamName {
    StreamName { namespace: Some(crate::bookkeeping::NAMESPACE.to_owned()), name: "letters".to_owned() }
}

#[cfg(test)]
mod tests;
