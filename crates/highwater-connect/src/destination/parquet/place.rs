//! The directory: names of files, and the marker.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use highwater::{LogId, Position, Sequence, StreamName};
use serde::{Deserialize, Serialize};

use super::ends;
use crate::batch::Delivered;
use crate::failure::{Failure, Result};
use crate::{file_name, files};

/// The file that tells up to where the log is delivered.
pub const MARKER: &str = "_highwater.json";
const EXTENSION: &str = "parquet";
/// Files are for everybody whom the process's mask allows.
const MODE: u32 = 0o666;

#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    /// The marker is there.
    is_marked: bool,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    version: u32,
    log: String,
    /// `None` before the first batch is there.
    position: Option<Position>,
}

impl Place {
    pub(super) fn new(directory: PathBuf) -> Self {
        Place { directory, is_marked: false }
    }

    fn failed(&self, doing: &str, error: std::io::Error) -> Failure {
        Failure::transient(format!("{doing} {}", self.directory.display())).because(error)
    }

    /// Up to where it is delivered; what a delivery left that did not come to its end is removed.
    pub(super) fn stored(&mut self) -> Result<Option<Position>> {
        fs::create_dir_all(&self.directory).map_err(|e| self.failed("making", e))?;
        let found = self.look().map_err(|e| self.failed("listing", e))?;
        let Some(marker) = self.marker()? else {
            return match found.iter().find(|(_, range)| range.is_some()) {
                None => Ok(None),
                Some((path, _)) => Err(Failure::diverged(format!(
                    "{} is there, and no {MARKER} tells of it: move it away, or bring that back",
                    path.display()
                ))),
            };
        };
        let delivered = marker.position.map_or(Sequence::NONE, |position| position.sequence);
        for (path, range) in &found {
            if range.as_ref().is_none_or(|range| range.last > delivered) {
                self.remove(path).map_err(|e| self.failed("removing what was left in", e))?;
            }
        }
        Ok(marker.position)
    }

    /// Its removal is durable: it would be there twice otherwise, when the checkpoints come in other groups.
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        fs::remove_file(path)?;
        files::sync_directory(path.parent().unwrap_or(&self.directory))
    }

    /// Our files with their ranges; without one, what is half-written.
    fn look(&self) -> std::io::Result<Vec<(PathBuf, Option<Range>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(entry.path())? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                match name.strip_suffix(".tmp") {
                    Some(whole) if Range::parse(whole).is_some() => found.push((path, None)),
                    Some(_) => {}
                    None => {
                        if let Some(range) = Range::parse(name) {
                            found.push((path, Some(range)));
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    fn marker(&self) -> Result<Option<Marker>> {
        let path = self.directory.join(MARKER);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("reading the marker in", e)),
        };
        let marker: Marker = serde_json::from_str(&text)
            .map_err(|_| Failure::diverged(format!("{} is not what was written there", path.display())))?;
        if marker.version != 1 {
            return Err(Failure::config(format!("{} was written by a newer version", path.display())));
        }
        Ok(Some(marker))
    }

    fn write_marker(&self, log: LogId, position: Option<Position>) -> Result<()> {
        let marker = Marker { version: 1, log: log.to_string(), position };
        let text =
            serde_json::to_vec(&marker).map_err(|e| Failure::permanent("writing the marker").because(e))?;
        let written = files::write_whole(&self.directory.join(MARKER), &text, MODE);
        written.map_err(|e| self.failed("writing the marker in", e))
    }

    /// The first file may not be there without the marker, or nobody could tell whose it is.
    pub(super) fn mark_as_ours(&mut self, log: LogId) -> Result<()> {
        if !self.is_marked && self.marker()?.is_none() {
            self.write_marker(log, None)?;
        }
        self.is_marked = true;
        Ok(())
    }

    /// Everything up to here is delivered. Blocks for two flushes.
    pub(super) fn set_marker(&self, position: Position) -> Result<()> {
        self.write_marker(position.log, Some(position))
    }

    /// Where a file is written, and where it will be.
    pub(super) fn begin(&self, stream: &StreamName, range: &Range) -> Result<(PathBuf, PathBuf)> {
        let folder = self.directory.join(file_name::of(stream));
        if !folder.is_dir() {
            fs::create_dir_all(&folder).map_err(|e| self.failed("making a directory in", e))?;
            files::sync_directory(&self.directory).map_err(|e| self.failed("flushing", e))?;
        }
        let path = folder.join(range.name());
        Ok((path.with_added_extension("tmp"), path))
    }

    /// Makes a file durable under its final name, at once. Blocks for two flushes.
    pub(super) fn publish(&self, file: File, temporary: &Path, path: &Path) -> Result<()> {
        files::publish(file, temporary, path).map_err(|e| self.failed("writing into", e))
    }
}

/// A new file that is written.
pub(super) fn create(path: &Path) -> Result<File> {
    files::create(path, MODE).map_err(|e| Failure::transient(format!("making {}", path.display())).because(e))
}

/// What a file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// Of the batch's end: another delivery of the same numbers has another.
    checkpoint: String,
}

impl Range {
    pub(super) fn of(run: &[Delivered<'_>], end: Position) -> Range {
        let (first, last) = ends(run);
        Range { first, last, checkpoint: end.checkpoint.to_string() }
    }

    fn name(&self) -> String {
        format!("{:012}-{:012}.{}.{EXTENSION}", self.first.get(), self.last.get(), self.checkpoint)
    }

    fn parse(name: &str) -> Option<Range> {
        let (range, checkpoint) = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('.')?;
        let (first, last) = range.split_once('-')?;
        let sequence = |text: &str| text.parse().ok().map(Sequence::new);
        let is_id = checkpoint.len() == 36 && checkpoint.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        is_id.then_some(())?;
        Some(Range { first: sequence(first)?, last: sequence(last)?, checkpoint: checkpoint.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_range() {
        let id = "0190a5c0-0000-7000-8000-000000000001";
        let range = Range { first: Sequence::new(3), last: Sequence::new(17), checkpoint: id.to_owned() };
        assert_eq!(Range::parse(&range.name()), Some(range));
        for other in ["", "a.parquet", "1-2.parquet", "1-2.x.parquet", &format!("1-2.{id}.jsonl")] {
            assert_eq!(Range::parse(other), None, "{other}");
        }
    }
}
