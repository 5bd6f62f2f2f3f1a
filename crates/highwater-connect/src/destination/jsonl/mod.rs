//! JSON lines in files: a directory in which each file holds whole checkpoints and is named by their range.
//!
//! A file appears at once and complete. A small file beside them, [`MARKER`], tells up to where the log is delivered; a file
//! that is there although the marker does not tell of it yet (a crash came between the two) counts, since its name says the same.
//! So nothing is delivered twice, and files that are done with may be moved away. What of the last file's checkpoints was refused is in
//! a third file, [`REJECTED`], which is there before the file is.

pub(crate) mod line;
mod refusals;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use highwater::{Position, Sequence};
use serde::{Deserialize, Serialize};

use super::{Applied, Destination, Rejected, Stored};
use crate::batch::Batch;
use crate::failure::{Failure, Result};
use crate::files;
use crate::pipeline::Section;

/// The file that tells up to where the log is delivered.
pub const MARKER: &str = "_highwater.json";
/// The file that tells what was refused last.
pub const REJECTED: &str = "_highwater.rejected.json";
/// Files are for everybody whom the process's mask allows.
const MODE: u32 = 0o666;
const BUFFER_BYTES: usize = 1 << 20;

/// Delivers into a directory.
#[derive(Debug)]
pub struct JsonLines {
    directory: PathBuf,
    /// The marker is there.
    is_marked: bool,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    version: u32,
    log: String,
    /// `None` before the first file is there.
    position: Option<String>,
}

impl Marker {
    fn position(&self) -> Option<std::result::Result<Position, highwater::Error>> {
        self.position.as_deref().map(str::parse)
    }

    /// The end of a file's range, in this marker's log.
    fn at(&self, range: &Range) -> Option<Position> {
        format!("{}/{}/{}", self.log, range.last, range.checkpoint).parse().ok()
    }
}

impl JsonLines {
    /// Into this directory, which is made if it is not there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        JsonLines { directory: directory.into(), is_marked: false }
    }

    /// Takes its settings from a section, whose `type` is taken already.
    pub fn read(mut section: Section<'_>) -> Result<Self> {
        let path = section.needed_text("path")?;
        section.choice("mode", &[("append", ())])?;
        let directory = section.variables().base().join(path);
        section.finish()?;
        Ok(Self::new(directory))
    }

    fn failed(&self, doing: &str, error: std::io::Error) -> Failure {
        Failure::transient(format!("{doing} {}", self.directory.display())).because(error)
    }

    fn marker(&self) -> Result<Option<Marker>> {
        let path = self.directory.join(MARKER);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("reading", e)),
        };
        let bad = || Failure::diverged(format!("{} is not what was written there", path.display()));
        let marker: Marker = serde_json::from_str(&text).map_err(|_| bad())?;
        if marker.version != 1 {
            return Err(Failure::config(format!("{} was written by a newer version", path.display())));
        }
        if marker.position().is_some_and(|position| position.is_err()) {
            return Err(bad());
        }
        Ok(Some(marker))
    }

    fn set_marker(&self, log: String, position: Option<Position>) -> Result<()> {
        let marker = Marker { version: 1, log, position: position.map(|position| position.to_string()) };
        let text = serde_json::to_string(&marker)
            .map_err(|e| Failure::permanent("writing the marker").because(e))?;
        let written = files::write_whole(&self.directory.join(MARKER), text.as_bytes(), MODE);
        written.map_err(|e| self.failed("writing the marker in", e))
    }

    /// The names in the directory; what a crash left half-written goes.
    fn look(&self) -> std::io::Result<Vec<Range>> {
        let mut ranges = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.strip_suffix(".tmp").is_some_and(|name| name == MARKER || Range::parse(name).is_some()) {
                fs::remove_file(self.directory.join(name))?;
            }
            ranges.extend(Range::parse(name));
        }
        Ok(ranges)
    }

    fn write(&self, batch: &Batch, path: &Path) -> Result<Written> {
        let failed = |e| self.failed("writing into", e);
        let temporary = path.with_added_extension("tmp");
        let mut out =
            BufWriter::with_capacity(BUFFER_BYTES, files::create(&temporary, MODE).map_err(failed)?);
        let mut written = Written::default();
        let mut text = Vec::new();
        for checkpoint in batch.checkpoints() {
            for part in checkpoint.parts() {
                let head = line::Head::new(&checkpoint, &part)?;
                for (index, record) in (0..).zip(part.records()) {
                    match head.write(&record?, &mut text) {
                        Ok(()) => {
                            out.write_all(&text).map_err(failed)?;
                            written.lines += 1;
                        }
                        Err(reason) => written.rejected.push(Rejected::of(&checkpoint, &part, index, reason)),
                    }
                }
            }
        }
        if written.lines == 0 {
            drop(out);
            fs::remove_file(&temporary).map_err(failed)?;
            return self.note(written, batch);
        }
        let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
        let written = self.note(written, batch)?;
        files::publish(file, &temporary, path).map_err(failed)?;
        Ok(written)
    }
}

impl JsonLines {
    /// What was refused is on record before anything is published; or nothing is, if nothing may be refused.
    fn note(&self, mut written: Written, batch: &Batch) -> Result<Written> {
        let rejected = std::mem::take(&mut written.rejected);
        written.rejected = Applied { rejected }.allowed(batch)?.rejected;
        if !written.rejected.is_empty() {
            let text = refusals::to_text(batch.end().log, &written.rejected)?;
            files::write_whole(&self.directory.join(REJECTED), text.as_bytes(), MODE)
                .map_err(|e| self.failed("writing what was refused into", e))?;
        }
        Ok(written)
    }
}

#[derive(Default)]
struct Written {
    lines: u64,
    rejected: Vec<Rejected>,
}

impl Destination for JsonLines {
    fn stored(&mut self) -> Result<Stored> {
        fs::create_dir_all(&self.directory).map_err(|e| self.failed("making", e))?;
        let ranges = self.look().map_err(|e| self.failed("listing", e))?;
        let foreign = |what: &str| {
            Failure::diverged(format!(
                "{} has files that {what}: move them away, or bring {MARKER} back",
                self.directory.display()
            ))
        };
        let Some(marker) = self.marker()? else {
            return if ranges.is_empty() { Ok(Stored::Nothing) } else { Err(foreign("no marker tells of")) };
        };
        let position = marker.position().transpose().map_err(|_| foreign("do not fit the marker"))?;
        // What was published, when a crash came before the marker was written.
        let ahead = match position {
            Some(position) => ranges.iter().find(|range| range.first == position.sequence.next()),
            None if ranges.len() > 1 => return Err(foreign("do not fit the marker")),
            None => ranges.first(),
        };
        let Some(ahead) = ahead else { return Ok(position.into()) };
        let position = marker.at(ahead).ok_or_else(|| foreign("do not fit the marker"))?;
        self.set_marker(marker.log, Some(position))?;
        Ok(Stored::UpTo(position))
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        let log = batch.end().log.to_string();
        if !self.is_marked {
            // The first file may not be there without it, or nobody could tell whose it is.
            if self.marker()?.is_none() {
                self.set_marker(log.clone(), None)?;
            }
            self.is_marked = true;
        }
        let range = Range::of(batch);
        let written = self.write(batch, &self.directory.join(range.name()))?;
        self.set_marker(log, Some(batch.end()))?;
        Ok(Applied { rejected: written.rejected })
    }

    fn rejected_after(&mut self, sequence: Sequence) -> Result<Vec<Rejected>> {
        let path = self.directory.join(REJECTED);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed("reading", e)),
        };
        let (log, mut rejected) =
            refusals::from_text(&text).map_err(|failure| failure.while_doing(path.display()))?;
        // What an older log left says nothing about this one.
        let is_same = self.marker()?.is_some_and(|marker| marker.log == log);
        rejected.retain(|one| is_same && one.sequence > sequence);
        Ok(rejected)
    }
}

/// What a file's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: Sequence,
    last: Sequence,
    checkpoint: highwater::CheckpointId,
}

impl Range {
    fn of(batch: &Batch) -> Range {
        let end = batch.end();
        Range { first: batch.first(), last: end.sequence, checkpoint: end.checkpoint }
    }

    fn name(&self) -> String {
        format!("{:012}-{:012}.{}.jsonl", self.first.get(), self.last.get(), self.checkpoint)
    }

    fn parse(name: &str) -> Option<Range> {
        let (range, checkpoint) = name.strip_suffix(".jsonl")?.split_once('.')?;
        let (first, last) = range.split_once('-')?;
        let sequence = |text: &str| text.parse().ok().map(Sequence::new);
        // A position's text is the only way to a checkpoint's id from outside the engine; the log's own id is not used.
        let position: Position =
            format!("{checkpoint}/{}/{checkpoint}", last.parse::<u64>().ok()?).parse().ok()?;
        Some(Range { first: sequence(first)?, last: sequence(last)?, checkpoint: position.checkpoint })
    }
}

#[cfg(test)]
mod tests;
