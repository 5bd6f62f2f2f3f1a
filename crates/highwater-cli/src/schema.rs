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

use crate::ask;
use crate::by::By;
use crate::failure::{Code, Failure};
use crate::output;
use crate::run::{Watcher, listening};
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater schema diff pipeline.toml
  highwater schema accept pipeline.toml --reason 'the new address columns'";

/// Compare what the source says of its streams with what the log knows, and take it over
///
/// What becomes of a change by itself is said in the pipeline file: [schema] on_change = \"propagate\", \"propagate_additions\",
/// \"ignore\" or \"pause\". With pause, and after a change of a key or a cursor, a run ends with exit code 8 until it is accepted.
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
    /// Only say what it means
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<u64>,
    streams: &'a [StreamDifference],
}

pub(crate) fn run(command: &Command) -> Result<Code, Failure> {
    match command {
        Command::Diff(args) => diff(args),
        Command::Accept(args) => accept(args),
    }
}

/// What the source has, and how that differs from the log.
fn compare(pipeline: &Pipeline) -> Result<(Vec<Offer>, Vec<StreamDifference>), Failure> {
    let reporter = Reporter::new(Arc::new(Watcher::start(false)), pipeline.secrets().clone());
    let stop = listening(pipeline, &reporter)?;
    let offers = runtime::offered(pipeline, &reporter, &stop)?;
    let book = match LogReader::open(&pipeline.log) {
        Ok(log) => Book::newest(&log)?,
        Err(error) if *error.kind() == highwater::ErrorKind::NotFound => Book::default(),
        Err(error) => return Err(error.into()),
    };
    let differences = runtime::differences(&book, &offers);
    Ok((offers, differences))
}

fn diff(args: &Diff) -> Result<Code, Failure> {
    let pipeline = Pipeline::open(&args.pipeline)?;
    let (_, streams) = compare(&pipeline)?;
    if args.json {
        output::json(Json { accepted: None, streams: &streams })?;
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
    let pipeline = Pipeline::open(&args.pipeline)?;
    let (mut offers, mut streams) = compare(&pipeline)?;
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
    if args.dry_run {
        return told(args, None, &streams);
    }
    if !args.yes {
        ask::confirm("Take it over?")?;
    }
    let config = Config { create: false, ..pipeline.storage.config() };
    let (log, _) = Log::open(&pipeline.log, config)?;
    let made = runtime::accept(&log, &offers, &args.by.who(), &args.by.reason)?;
    log.close()?;
    told(args, Some(made.sequence().get()), &streams)
}

fn told(args: &Accept, accepted: Option<u64>, streams: &[StreamDifference]) -> Result<Code, Failure> {
    if args.json {
        output::json(Json { accepted, streams })?;
    } else if let Some(sequence) = accepted {
        let mut out = output::buffered();
        writeln!(out, "accepted, in checkpoint {sequence}")?;
        out.flush()?;
    }
    Ok(Code::Well)
}
