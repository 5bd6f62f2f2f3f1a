//! Parquet files: a directory for each stream, in it files that hold whole checkpoints and are named by their range.
//!
//! A file appears at once and complete. A small file beside the directories, [`MARKER`], tells up to where the log is delivered; a file
//! of checkpoints behind it is of a delivery that did not come to its end, and goes before the next one writes them again. So
//! nothing is there twice, and files that are done with may be moved away.
//!
//! The columns are the members that the stream's JSON schema declares: booleans, integers of 64 bits, floats, days, times, moments
//! in microseconds, and text; what is nested is JSON text. A value that does not fit its column, or would lose something in it (a
//! number with more digits than a float has), stays with the members that have no column, in `_highwater_extra`: nothing is refused. A file's
//! columns are those of its checkpoints: where the schema changes, a new file begins.

mod columns;
mod compression;
pub(crate) mod file;
mod moment;
mod place;

use std::fs::File;
use std::path::Path;

use highwater::{Position, Sequence, StreamName};
use parquet::basic::Compression;

use super::{Applied, Destination, Stored};
use crate::batch::{Batch, Delivered};
use crate::failure::{Failure, Result};
use crate::pipeline::Section;

use file::{Head, Writing};
use place::{Place, Range};

pub use place::MARKER;

/// Delivers into a directory.
#[derive(Debug)]
pub struct Parquet {
    place: Place,
    compression: Compression,
}

impl Parquet {
    /// Into this directory, which is made if it is not there. Pages are compressed with Snappy.
    pub fn new(directory: impl Into<std::path::PathBuf>) -> Self {
        Parquet { place: Place::new(directory.into()), compression: Compression::SNAPPY }
    }

    /// With another codec, as it stands in a pipeline file: `none`, `snappy`, `zstd`, `zstd:1` to `zstd:22`, `gzip`, `gzip:1` to
    /// `gzip:9`. Fails with [`FailureKind::Config`](crate::FailureKind::Config) if it is none of them.
    pub fn compression(self, codec: &str) -> Result<Self> {
        let compression = compression::parse(codec);
        let compression = compression.map_err(|what| Failure::config(format!("compression: {what}")))?;
        Ok(Parquet { compression, ..self })
    }

    /// Takes its settings from a section, whose `type` is taken already.
    pub fn read(mut section: Section<'_>) -> Result<Self> {
        let path = section.needed_text("path")?;
        section.choice("mode", &[("append", ())])?;
        let mut parquet = Self::new(section.variables().base().join(path));
        if let Some(codec) = section.text("compression")? {
            parquet.compression = compression::parse(&codec).map_err(|e| section.wrong("compression", e))?;
        }
        section.finish()?;
        Ok(parquet)
    }

    fn write(&self, run: &[Delivered<'_>], stream: &StreamName, end: Position) -> Result<()> {
        let range = Range::of(run, end);
        let (temporary, path) = self.place.begin(stream, &range)?;
        let is_written = self.write_file(run, stream, &temporary, end);
        let file = is_written.map_err(|failure| failure.while_doing(path.display()))?;
        self.place.publish(file, &temporary, &path)
    }

    fn write_file(
        &self,
        run: &[Delivered<'_>],
        stream: &StreamName,
        path: &Path,
        end: Position,
    ) -> Result<File> {
        let parts =
            || run.iter().flat_map(|checkpoint| checkpoint.parts().map(move |part| (checkpoint, part)));
        let of_stream = || parts().filter(|(_, part)| part.name() == stream);
        let schema =
            of_stream().find_map(|(_, part)| part.definition().and_then(|known| known.schema.clone()));
        let head = Head { stream, schema: schema.as_deref(), end: Some(end), compression: self.compression };
        let mut writing = Writing::begin(place::create(path)?, &head)?;
        for (checkpoint, part) in of_stream() {
            writing.take(checkpoint, &part)?;
        }
        writing.finish()
    }
}

impl Destination for Parquet {
    fn stored(&mut self) -> Result<Stored> {
        Ok(self.place.stored()?.into())
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        let end = batch.end();
        self.place.mark_as_ours(end.log)?;
        let checkpoints: Vec<Delivered<'_>> = batch.checkpoints().collect();
        for run in checkpoints.chunk_by(|one, next| std::sync::Arc::ptr_eq(one.shared(), next.shared())) {
            for stream in streams(run) {
                self.write(run, &stream, end)?;
            }
        }
        self.place.set_marker(end)?;
        Ok(Applied::default())
    }
}

/// The streams of which these checkpoints hold records.
fn streams(run: &[Delivered<'_>]) -> Vec<StreamName> {
    let mut streams: Vec<StreamName> = Vec::new();
    for part in run.iter().flat_map(Delivered::parts) {
        if !streams.contains(part.name()) {
            streams.push(part.name().clone());
        }
    }
    streams
}

/// The first and the last checkpoint of these.
fn ends(run: &[Delivered<'_>]) -> (Sequence, Sequence) {
    let of = |one: Option<&Delivered<'_>>| one.map_or(Sequence::NONE, Delivered::sequence);
    (of(run.first()), of(run.last()))
}

#[cfg(test)]
mod tests;
