//! `highwater schema`: what the source says of its streams against what the log knows, and taking it over.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use highwater::{Config, Log, LogReader};
use highwater_connect::Pipeline;
use highwater_connect::bookkeeping::Book;
use highwater_connect::event::Reporter;
use highwater_connect::quantity::plural;
use highwater_connect::runtime::{self, Difference, StreamDifference};
use highwater_connect::source::Offer;
use highwater_connect::text::tame;
use serde::Serialize;

use crate::by::By;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::run::{Watcher, listening};
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater schema diff pipeline.toml
  highwater schema accept pipeline.toml --reason 'the new address columns'";

/// Compare what the source says of its streams with what the log knows, and take it over
///
/// What becomes of a change by itself is said in the pipeline file: [schema] on_change = "propagate", "propagate_additions",
/// "ignore" or "pause". With pause, and after a change of a key or a cursor, a run ends with exit code 8 until it is accepted.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    Diff(Diff),
    Accept(Accept),
}

/// Show what differs
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The pipeline file
    pipeline: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Take over what the source says: schemas, keys and cursors; records and states stay
#[derive(Debug, clap::Args)]
pub(crate) struct Accept {
    /// The pipeline file
    pipeline: PathBuf,
    /// Of this stream only
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Serialize)]
struct Json<'a> {
    streams: &'a [StreamDifference],
}

pub(crate) fn run(command: &Command) -> Result<Code, Failure> {
    match command {
        Command::Diff(args) => diff(args),
        Command::Accept(args) => accept(args),
    }
}

/// What the source has, the log, if there is one yet, and how the two differ.
struct Compared {
    offers: Vec<Offer>,
    log: Option<LogReader>,
    streams: Vec<StreamDifference>,
}

fn compare(pipeline: &Pipeline) -> Result<Compared, Failure> {
    let reporter = Reporter::new(Arc::new(Watcher::start(false)), pipeline.secrets().clone());
    let stop = listening(pipeline, &reporter)?;
    let offers = runtime::offered(pipeline, &reporter, &stop)?;
    let log = match LogReader::open(&pipeline.log) {
        Ok(log) => Some(log),
        Err(error) if *error.kind() == highwater::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let book = log.as_ref().map_or_else(|| Ok(Book::default()), Book::newest)?;
    let streams = runtime::differences(&book, &offers);
    Ok(Compared { offers, log, streams })
}

fn diff(args: &Diff) -> Result<Code, Failure> {
    let pipeline = known::pipeline(&args.pipeline)?;
    let streams = compare(&pipeline)?.streams;
    if args.json {
        output::json(Json { streams: &streams })?;
        return Ok(Code::Well);
    }
    let mut out = output::buffered();
    for line in lines(&streams) {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(Code::Well)
}

/// What a person reads: a line for each stream that differs, and one below it for each change.
fn lines(streams: &[StreamDifference]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in streams {
        let name = tame(&one.stream.to_string());
        match one.what {
            Difference::New => lines.push(format!("{name}: new")),
            Difference::Gone => lines.push(format!("{name}: is not read any more")),
            Difference::Same if one.tells_schema => {
                lines.push(format!("{name}: tells its schema while it is read"));
            }
            Difference::Same if one.changes.is_empty() => continue,
            Difference::Same => lines.push(format!("{name}:")),
        }
        lines.extend(one.changes.iter().map(|change| format!("  {}", tame(&change.to_string()))));
    }
    if lines.is_empty() {
        lines.push(format!("{}: nothing differs", plural(streams.len() as u64, "stream")));
    }
    lines
}

fn accept(args: &Accept) -> Result<Code, Failure> {
    let pipeline = known::pipeline(&args.pipeline)?;
    let Compared { mut offers, log, mut streams } = compare(&pipeline)?;
    if let Some(wanted) = &args.stream {
        let is_wanted = |name: &highwater::StreamName| name.name == *wanted || name.to_string() == *wanted;
        offers.retain(|offer| is_wanted(&offer.definition.name));
        streams.retain(|one| is_wanted(&one.stream));
        if offers.is_empty() {
            return Err(Failure::not_found(format!("the source has no stream {}", tame(wanted)))
                .hint("highwater schema diff PIPELINE"));
        }
    }
    lines(&streams).iter().for_each(terminal::say);
    let told = Json { streams: &streams };
    if !args.doing.is_wanted_alone(log.as_ref(), "Take it over?")? {
        return args.doing.print_checkpoint(&told, None, "");
    }
    drop(log);
    let config = Config { create: false, ..pipeline.storage.config() };
    let (log, _) = Log::open(&pipeline.log, config)?;
    let made = runtime::accept(&log, &offers, &args.by.who(), &args.by.reason)?;
    log.close()?;
    args.doing.print_checkpoint(&told, Some(made.sequence()), "accepted")
}
