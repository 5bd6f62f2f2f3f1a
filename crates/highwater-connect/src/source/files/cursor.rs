//! How far the files are read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// So much of a file's beginning tells whether it is still the same, in bytes.
const HEAD_BYTES: u64 = 4096;

/// The file and the byte in it at which the next row begins: the stream's state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Empty before the first file.
    pub(super) file: String,
    pub(super) position: u64,
    /// A hash of what was read of the file, or of its beginning.
    #[serde(default)]
    head: String,
}

impl Cursor {
    pub(super) fn start_of(file: &str) -> Self {
        Cursor { file: file.to_owned(), ..Cursor::default() }
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Failure::config("the log's state of the stream is not that of a file source").because(e)
        })
    }

    /// The state's text.
    pub(super) fn text(&mut self, path: &Path) -> Result<String> {
        self.head = self.hash(path)?;
        serde_json::to_string(self).map_err(|e| Failure::permanent("writing a cursor").because(e))
    }

    fn hash(&self, path: &Path) -> Result<String> {
        let cant = |e: std::io::Error| Failure::transient(format!("reading {}", path.display())).because(e);
        let mut head = Vec::new();
        let file = File::open(path).map_err(cant)?;
        file.take(self.position.min(HEAD_BYTES)).read_to_end(&mut head).map_err(cant)?;
        Ok(blake3::hash(&head).to_hex().to_string())
    }

    /// A file that was cut short or replaced is not the one that was read: going on in it would send rubbish.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        if self.position == 0 {
            return Ok(());
        }
        let length = std::fs::metadata(path)
            .map_err(|e| Failure::transient(format!("looking at {}", path.display())).because(e))?
            .len();
        if length < self.position || self.hash(path)? != self.head {
            return Err(Failure::diverged(format!(
                "{} is not the file that was read up to byte {}: give what replaces it another, later name",
                path.display(),
                self.position
            )));
        }
        Ok(())
    }
}
