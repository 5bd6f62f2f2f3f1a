//! Files in a directory, JSON lines, CSV or Parquet, read in the order of their names. The cursor is the file and the byte in it, so a
//! file may grow, or the row of a Parquet file, which does not; a file whose name comes before the cursor's is not looked at again, but
//! told once if something is new in it.

mod check;
mod csv;
mod cursor;
mod jsonl;
mod listing;
mod parquet;

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::{ColumnPath, ErrorKind, Meta, Op, StreamName, key};

use crate::columns::check_paths;
use crate::definition::{Generation, StreamDefinition};
use crate::event::Event;
use crate::failure::{Failure, FailureKind, Result};
use crate::output::{Handle, Output};
use crate::pipeline::Section;
use crate::quantity::plural;
use crate::source::{Offer, Source, State};
use crate::stop::Urgency;

use cursor::{Cursor, Unit};
use listing::Listed;

/// How often the directory is looked at again, where files are waited for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a wait looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// So many late files are told by their names; after a directory was copied, all may look late.
const LATE_TOLD_MAX: u64 = 20;

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

    fn list(&self) -> Result<Vec<Listed>> {
        listing::list(&self.directory, self.format.extension())
    }

    /// All names, sorted.
    fn names(&self) -> Result<Vec<String>> {
        Ok(self.list()?.into_iter().map(|file| file.name).collect())
    }

    /// Reads what there is now behind the cursor; whether the cursor is another, although no row may have come.
    fn once(&self, cursor: &mut Cursor, handle: Handle, out: &mut Output<'_>) -> Result<bool> {
        let listed = self.list()?;
        let is_told = self.tell_late(&listed, cursor, out);
        let names: Vec<&str> = listed.iter().map(|file| file.name.as_str()).collect();
        let names = &names[names.partition_point(|name| *name < cursor.file.as_str())..];
        for (n, name) in names.iter().enumerate() {
            if *name != cursor.file {
                self.leave(cursor);
                cursor.begin(name);
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
        Ok(is_told)
    }

    /// Nobody reads them: with the next state it is known that this was told.
    fn tell_late(&self, listed: &[Listed], cursor: &mut Cursor, out: &Output<'_>) -> bool {
        let mut told = 0;
        // The first listing has nothing to be compared with.
        let seen_us = cursor.seen_us.unwrap_or(i64::MAX);
        for file in listing::late(listed, &cursor.file, seen_us) {
            told += 1;
            if told <= LATE_TOLD_MAX {
                let (stream, file, behind) = (self.name.clone(), file.to_owned(), cursor.file.clone());
                out.reporter().tell(Event::FileSkipped { stream, file, behind });
            }
        }
        if told > LATE_TOLD_MAX {
            out.reporter().warning(format!(
                "stream {}: {} before {} came or changed late, and are not read",
                self.name,
                plural(told - LATE_TOLD_MAX, "more file"),
                cursor.file
            ));
        }
        listing::newest_us(listed).into_iter().for_each(|newest| cursor.saw(newest));
        told > 0
    }

    /// What was appended to it while it was read is no news, if that was read, too.
    fn leave(&self, cursor: &mut Cursor) {
        if cursor.file.is_empty() {
            return;
        }
        match std::fs::metadata(self.directory.join(&cursor.file)) {
            Ok(found) if self.format.unit() == Unit::Row || found.len() <= cursor.position => {
                cursor.saw(listing::changed_us(&found));
            }
            // It was removed, or there is more in it, which the next listing tells.
            _ => {}
        }
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
    /// Takes the row at `at`; the next begins at `next`. Whether to go on.
    fn row(&mut self, row: &str, at: u64, next: u64) -> Result<bool> {
        self.record(row).map_err(|failure| match is_of_row(&failure) {
            true => failure.while_doing(self.place(at)),
            false => failure,
        })?;
        self.cursor.position = next;
        if self.out.wants_state(self.handle) {
            self.state()?;
        }
        Ok(self.out.urgency() == Urgency::None)
    }

    fn record(&mut self, row: &str) -> Result<()> {
        let key = match self.files.key.as_slice() {
            [] => Vec::new(),
            columns => key::of_payload(row, columns)?,
        };
        let row = row.as_bytes();
        let op = if key.is_empty() { Op::Insert { key: &key, row } } else { Op::Upsert { key: &key, row } };
        self.out.record(self.handle, op, Meta::default())
    }

    fn state(&mut self) -> Result<()> {
        self.out.tick();
        self.out.state(self.handle, &self.cursor.text(self.path, self.files.format.unit())?)
    }

    /// What follows `position` is a row that is still being written, or was left so.
    fn tell_unended(&self, position: u64) {
        if !self.files.follows {
            self.out.reporter().note(format!(
                "{}, byte {position}: the last row has no end yet; it is read once it has a line break, or a later file follows",
                self.path.display()
            ));
        }
    }

    fn wrong(&self, position: u64, what: impl std::fmt::Display) -> Failure {
        Failure::permanent(format!("{}: {what}", self.place(position)))
    }

    fn place(&self, position: u64) -> String {
        let unit = if self.files.format.unit() == Unit::Byte { "byte" } else { "row" };
        format!("{}, {unit} {position}", self.path.display())
    }

    fn io(&self, error: std::io::Error) -> Failure {
        Failure::transient(format!("reading {}", self.path.display())).because(error)
    }
}

/// Whether the row is at fault, and not the log.
fn is_of_row(failure: &Failure) -> bool {
    match failure.log_error().map(highwater::Error::kind) {
        None => failure.kind() == FailureKind::Permanent,
        Some(kind) => matches!(kind, ErrorKind::Invalid | ErrorKind::TooLarge { .. }),
    }
}

impl Source for Files {
    fn check(&mut self) -> Result<Vec<String>> {
        self.look()
    }

    fn streams(&mut self) -> Result<Vec<Offer>> {
        let schema = match self.format {
            Format::JsonLines => None,
            Format::Csv => Some(csv::schema(&self.directory, &self.names()?)?),
            Format::Parquet => Some(parquet::schema(&self.directory, &self.names()?)?),
        };
        if let Some(schema) = schema.as_deref().and_then(|schema| serde_json::from_str(schema).ok()) {
            let checked = check_paths("primary_key", &self.key, &schema);
            checked.map_err(|failure| failure.while_doing(format!("stream {}", self.name)))?;
        }
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
            let is_told = self.once(&mut cursor, handle, out)?;
            let path = self.directory.join(&cursor.file);
            if out.since_state(handle) > 0 || (is_told && path.exists()) {
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
