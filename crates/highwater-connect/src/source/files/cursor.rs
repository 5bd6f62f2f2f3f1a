//! How far the files are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// So much of a file's beginning tells whether it is still the same, in bytes.
const HEAD_BYTES: u64 = 4096;
/// So much of the end of a file that does not grow, in bytes.
const TAIL_BYTES: u64 = 64 << 10;

/// What a position counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes of a file that may grow.
    Byte,
    /// Rows of a file that is there whole.
    Row,
}

/// The file and the byte or the row in it with which it goes on: the stream's state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Empty before the first file.
    pub(super) file: String,
    pub(super) position: u64,
    /// A hash of what was read of the file, or of its beginning; of a file that does not grow, of its end.
    #[serde(default)]
    head: String,
    /// The newest change of any file that was seen, in microseconds since 1970: see [`listing`](super::listing).
    #[serde(default)]
    pub(super) seen_us: Option<i64>,
}

impl Cursor {
    /// At the beginning of this file, whatever it was at before.
    pub(super) fn begin(&mut self, file: &str) {
        *self = Cursor { file: file.to_owned(), seen_us: self.seen_us, ..Cursor::default() };
    }

    /// A change that is no news any more.
    pub(super) fn saw(&mut self, changed_us: i64) {
        self.seen_us = self.seen_us.max(Some(changed_us));
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Failure::config("the log's state of the stream is not that of a file source").because(e)
        })
    }

    /// The state's text.
    pub(super) fn text(&mut self, path: &Path, unit: Unit) -> Result<String> {
        self.head = self.hash(path, unit)?;
        serde_json::to_string(self).map_err(|e| Failure::permanent("writing a cursor").because(e))
    }

    fn hash(&self, path: &Path, unit: Unit) -> Result<String> {
        let mut part = Vec::new();
        let read = File::open(path).and_then(|mut file| match unit {
            Unit::Byte => file.take(self.position.min(HEAD_BYTES)).read_to_end(&mut part),
            Unit::Row => {
                let length = file.metadata()?.len();
                file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
                part.extend_from_slice(&length.to_le_bytes());
                file.take(TAIL_BYTES).read_to_end(&mut part)
            }
        });
        read.map_err(|e| Failure::transient(format!("reading {}", path.display())).because(e))?;
        Ok(blake3::hash(&part).to_hex().to_string())
    }

    /// A file that was cut short or replaced is not the one that was read: going on in it would send rubbish.
    pub(super) fn check(&self, path: &Path, unit: Unit) -> Result<()> {
        if self.position == 0 {
            return Ok(());
        }
        let length = std::fs::metadata(path)
            .map_err(|e| Failure::transient(format!("looking at {}", path.display())).because(e))?
            .len();
        let is_cut = unit == Unit::Byte && length < self.position;
        if is_cut || self.hash(path, unit)? != self.head {
            let unit = if unit == Unit::Byte { "byte" } else { "row" };
            return Err(Failure::diverged(format!(
                "{} is not the file that was read up to {unit} {}: give what replaces it another, later name",
                path.display(),
                self.position
            )));
        }
        Ok(())
    }
}
