//! Files in a directory, JSON lines, CSV or Parquet, read in the order of their names. The cursor is the file and the byte in it, so a
//! file may grow, or the row of a Parquet file, which does not; a file whose name comes before the cursor's is not looked at again.

mod csv;
mod cursor;
mod jsonl;
mod parquet;

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::{ColumnPath, Meta, Op, StreamName, key};

use crate::definition::{Generation, StreamDefinition};
use crate::failure::{Failure, Result};
use crate::output::{Handle, Output};
use crate::pipeline::Section;
use crate::source::{Offer, Source, State};
use crate::stop::Urgency;

use cursor::{Cursor, Unit};

/// How often the directory is looked at again, where files are waited for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a wait looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An object a line.
    JsonLines,
    /// Rows with a header; every value is a text.
    Csv,
    /// Typed columns.
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::JsonLines => "jsonl",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }

    fn unit(self) -> Unit {
        match self {
            Format::JsonLines | Format::Csv => Unit::Byte,
            Format::Parquet => Unit::Row,
        }
    }
}

/// Reads one stream from the files of a directory.
#[derive(Debug, Clone)]
pub struct Files {
    directory: PathBuf,
    format: Format,
    name: StreamName,
    key: Vec<ColumnPath>,
    follows: bool,
}

impl Files {
    /// The files in `directory` whose names end with the format's extension are stream `name`.
    pub fn new(directory: impl Into<PathBuf>, format: Format, name: StreamName) -> Self {
        Files { directory: directory.into(), format, name, key: Vec::new(), follows: false }
    }

    /// With key columns.
    #[must_use]
    pub fn key(mut self, key: Vec<ColumnPath>) -> Self {
        self.key = key;
        self
    }

    /// It waits for more at the end, for ever.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Takes its settings from a section, whose `type` is taken already.
    pub fn read_settings(mut section: Section<'_>) -> Result<Self> {
        let directory = section.variables().base().join(section.needed_text("path")?);
        let formats = [("jsonl", Format::JsonLines), ("csv", Format::Csv), ("parquet", Format::Parquet)];
        let format = section.choice("format", &formats)?.unwrap_or(Format::JsonLines);
        let name = StreamName { name: section.needed_text("stream")?, namespace: section.text("namespace")? };
        let mut files =
            Files::new(directory, format, name).key(section.paths("primary_key")?.unwrap_or_default());
        files.follows = section.flag("follow")?.unwrap_or(false);
        section.finish()?;
        Ok(files)
    }

    /// The names of the files, sorted, from `from` on.
    fn names(&self, from: &str) -> Result<Vec<String>> {
        let cant = |e: std::io::Error| {
            let text = format!("listing {}", self.directory.display());
            match e.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Failure::config(text),
                _ => Failure::transient(text),
            }
            .because(e)
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(cant)? {
            let entry = entry.map_err(cant)?;
            let name = entry.file_name();
            // A name that is not UTF-8 can't be in the cursor.
            let Some(name) = name.to_str() else { continue };
            let is_wanted = Path::new(name).extension().is_some_and(|e| e == self.format.extension());
            if is_wanted && !name.starts_with('.') && name >= from {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn once(&self, cursor: &mut Cursor, handle: Handle, out: &mut Output<'_>) -> Result<()> {
        let names = self.names(&cursor.file)?;
        for (n, name) in names.iter().enumerate() {
            if *name != cursor.file {
                *cursor = Cursor::start_of(name);
            }
            let path = self.directory.join(name);
            cursor.check(&path, self.format.unit())?;
            let mut sink =
                Sink { files: self, path: &path, cursor, handle, out, is_last: n + 1 == names.len() };
            match self.format {
                Format::JsonLines => jsonl::read(&mut sink)?,
                Format::Csv => csv::read(&mut sink)?,
                Format::Parquet => parquet::read(&mut sink)?,
            }
            if out.urgency() > Urgency::None {
                break;
            }
        }
        Ok(())
    }
}

/// Where the rows of one file go.
struct Sink<'a, 'o> {
    files: &'a Files,
    path: &'a Path,
    cursor: &'a mut Cursor,
    handle: Handle,
    out: &'a mut Output<'o>,
    /// No file follows it: it may still grow.
    is_last: bool,
}

impl Sink<'_, '_> {
    /// Takes a row; the next begins at `next`. Whether to go on.
    fn row(&mut self, row: &str, next: u64) -> Result<bool> {
        let key = match self.files.key.as_slice() {
            [] => Vec::new(),
            columns => key::of_payload(row, columns)?,
        };
        let row = row.as_bytes();
        let op = if key.is_empty() { Op::Insert { key: &key, row } } else { Op::Upsert { key: &key, row } };
        self.out.record(self.handle, op, Meta::default())?;
        self.cursor.position = next;
        if self.out.wants_state(self.handle) {
            self.state()?;
        }
        Ok(self.out.urgency() == Urgency::None)
    }

    fn state(&mut self) -> Result<()> {
        self.out.tick();
        self.out.state(self.handle, &self.cursor.text(self.path, self.files.format.unit())?)
    }

    fn wrong(&self, position: u64, what: impl std::fmt::Display) -> Failure {
        let unit = if self.files.format.unit() == Unit::Byte { "byte" } else { "row" };
        Failure::permanent(format!("{}, {unit} {position}: {what}", self.path.display()))
    }

    fn io(&self, error: std::io::Error) -> Failure {
        Failure::transient(format!("reading {}", self.path.display())).because(error)
    }
}

impl Source for Files {
    fn streams(&mut self) -> Result<Vec<Offer>> {
        let schema = match self.format {
            Format::JsonLines => None,
            Format::Csv => Some(csv::schema(&self.directory, &self.names("")?)?),
            Format::Parquet => Some(parquet::schema(&self.directory, &self.names("")?)?),
        };
        Ok(vec![Offer::onward(StreamDefinition {
            name: self.name.clone(),
            key: self.key.clone(),
            schema,
            generation: Generation::default(),
        })])
    }

    fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()> {
        let mut cursor = from.of(&self.name).map_or(Ok(Cursor::default()), Cursor::parse)?;
        let handle = out
            .find(self.name.namespace.as_deref(), &self.name.name)
            .ok_or_else(|| Failure::permanent(format!("stream {} was not announced", self.name)))?;
        loop {
            self.once(&mut cursor, handle, out)?;
            if out.since_state(handle) > 0 {
                let path = self.directory.join(&cursor.file);
                out.state(handle, &cursor.text(&path, self.format.unit())?)?;
            }
            if !self.follows || out.urgency() > Urgency::None {
                return Ok(());
            }
            let rounds = LOOK_EVERY.as_millis() / PATIENCE.as_millis();
            for _ in 0..rounds {
                std::thread::sleep(PATIENCE);
                out.idle()?;
                if out.urgency() > Urgency::None {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
