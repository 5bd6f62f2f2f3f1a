//! `highwater export`: a log's records in a form that other programs read.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use highwater::{LogReader, Sequence, StreamName};
use highwater_connect::export::{self, Exported, Wanted};
use highwater_connect::quantity::plural;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::place;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater export shop.hw --stream users | jq .data
  highwater export shop.hw --from 100 --to 2026-11-20T08:00:00Z > some.jsonl
  highwater export shop.hw --out export/        a file for each stream
  highwater export shop.hw --format parquet --out lake/    for DuckDB, pandas, Spark

A line is what the destination jsonl writes: {\"namespace\", \"stream\", \"checkpoint\", \"committed_us\", \"generation\", \"op\", \"emitted_us\",
\"key\", \"meta\", \"data\"}. A Parquet file has the columns that the destination parquet writes: those of the stream's schema at the last checkpoint that
is exported, and _highwater_extra with what has no column there. Bytes that are not JSON come as \"data_base64\".";

/// Write a log's records, with their operations and keys, for other programs
///
/// It works beside a process that writes the log. What the runtime keeps in the log for itself is left out.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// jsonl: a JSON object a line; parquet: typed columns, a file for each stream, with --out
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    #[command(flatten)]
    wanted: known::Wanted,
    /// The first checkpoint: its number, its UUID, or a time (what was committed after that). Default: the oldest that is kept
    #[arg(long, value_name = "SEQ|ID|TIME")]
    from: Option<String>,
    /// The last checkpoint, named in the same way. Default: the last that there is now
    #[arg(long, value_name = "SEQ|ID|TIME")]
    to: Option<String>,
    /// A directory for a file per stream, which must not be there yet. Default: standard output, all streams together
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON that says what was written; with --out
    #[arg(long, requires = "out")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Parquet,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let wanted = Wanted {
        from: args.from.as_deref().map_or(Ok(log.first()), |from| place::first(&log, from))?,
        to: args.to.as_deref().map_or(Ok(end), |to| place::find(&log, to))?,
        stream: args.wanted.find(&log)?.map(|info| info.name),
    };
    check_range(args, &wanted)?;
    match (&args.out, args.format) {
        (None, Format::Jsonl) => to_stdout(&log, &wanted),
        (None, Format::Parquet) => Err(Failure::usage("Parquet is files: name a new directory with --out")),
        (Some(dir), format) => to_files(args, &log, &wanted, dir, format),
    }
}

/// Nothing came in some time is an answer; a range that ends before it begins is a mistake.
fn check_range(args: &Args, wanted: &Wanted) -> Result<(), Failure> {
    let (from, to) = (wanted.from, wanted.to);
    if from <= to {
        return Ok(());
    }
    if args.from.is_some() && args.to.is_some() && from > to.next() {
        let text = format!(
            "checkpoint {from} comes behind checkpoint {to}: there is nothing from the one to the other"
        );
        return Err(Failure::usage(text).hint("highwater checkpoints LOG    lists what is there"));
    }
    terminal::note("no checkpoint lies in that range");
    Ok(())
}

fn say_gap(error: &highwater::Error) {
    terminal::say(format!("highwater: {error}"));
}

fn to_stdout(log: &LogReader, wanted: &Wanted) -> Result<Code, Failure> {
    let mut out = output::buffered();
    // Whoever closes the pipe has seen enough; that is told apart from an error of the log.
    let mut closed = None;
    let mut write = |_: &StreamName, line: &[u8]| {
        out.write_all(line).inspect_err(|e| closed = Some(io::Error::from(e.kind())))
    };
    let exported = export::json_lines(log, wanted, &mut write, &mut say_gap);
    if let Some(error) = closed {
        return Err(error.into());
    }
    exported?;
    out.flush()?;
    Ok(Code::Well)
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    exported: Exported,
    from: Sequence,
    to: Sequence,
    files: &'a [String],
}

fn to_files(
    args: &Args,
    log: &LogReader,
    wanted: &Wanted,
    dir: &Path,
    format: Format,
) -> Result<Code, Failure> {
    fs::create_dir(dir).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::error(format!("{} is there already; name a new directory", dir.display()))
        }
        _ => Failure::io(format!("making {}", dir.display()), &e),
    })?;
    let (exported, files) = match format {
        Format::Jsonl => lines_to_files(log, wanted, dir)?,
        Format::Parquet => export::parquet_files(log, wanted, dir, &mut say_gap)?,
    };
    if args.json {
        output::json(Json { exported, from: wanted.from, to: wanted.to, files: &files })?;
        return Ok(Code::Well);
    }
    let mut out = output::buffered();
    let (records, checkpoints) =
        (plural(exported.records, "record"), plural(exported.checkpoints, "checkpoint"));
    writeln!(out, "{records} of {checkpoints} in {}", plural(files.len() as u64, "file"))?;
    out.flush()?;
    Ok(Code::Well)
}

fn lines_to_files(log: &LogReader, wanted: &Wanted, dir: &Path) -> Result<(Exported, Vec<String>), Failure> {
    let mut files = Files { dir, open: HashMap::new(), names: Vec::new() };
    let mut write = |stream: &StreamName, line: &[u8]| files.write(stream, line);
    let exported = export::json_lines(log, wanted, &mut write, &mut say_gap)?;
    files.close().map_err(|e| Failure::io(format!("writing into {}", dir.display()), &e))?;
    Ok((exported, files.names))
}

/// A file for each stream, of which so many are open at once.
const OPEN_MAX: usize = 200;

struct Files<'a> {
    dir: &'a Path,
    open: HashMap<StreamName, BufWriter<File>>,
    names: Vec<String>,
}

impl Files<'_> {
    fn write(&mut self, stream: &StreamName, line: &[u8]) -> io::Result<()> {
        if let Some(file) = self.open.get_mut(stream) {
            return file.write_all(line);
        }
        if self.open.len() >= OPEN_MAX {
            self.close()?;
        }
        let name = export::file_name(stream, "jsonl");
        let path = self.dir.join(&name);
        let mut file = BufWriter::new(OpenOptions::new().append(true).create(true).open(path)?);
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        file.write_all(line)?;
        self.open.insert(stream.clone(), file);
        Ok(())
    }

    /// Writes out what is buffered, durably.
    fn close(&mut self) -> io::Result<()> {
        for (_, file) in self.open.drain() {
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        Ok(())
    }
}
