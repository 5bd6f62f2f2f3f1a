//! `highwater status`: why is it stuck? The source, the log and each destination, on one screen.

mod next;
mod print;

use std::path::{Path, PathBuf};

use highwater::{ConsumerInfo, LogReader, Retention, Status};
use highwater_connect::Pipeline;
use highwater_connect::bookkeeping::Book;
use highwater_connect::letters::{DeadLetters, LettersMax};
use highwater_connect::pipeline::{Storage, work_directory};
use highwater_connect::runs::{self, Attempt};
use highwater_connect::runtime::{Trouble, TroubleFile};
use serde::Serialize;

use crate::failure::{Code, Failure, quoted};
use crate::known;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  highwater status pipeline.toml
  highwater status shop.hw --json | jq '.consumers[] | select(.lag_checkpoints > 0)'
  watch highwater status pipeline.toml";

/// Show in one screen where a pipeline stands: its source, its log, each destination with its lag, and what to do next
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file, or the log's directory
    pipeline: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    log: PathBuf,
    /// Who writes the log now.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    sync: u64,
    sync_ended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt: Option<Attempt>,
    status: Status,
    /// The cap, where the pipeline file has one; `status.size_bytes` is what it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size: Option<u64>,
    /// No further file fits under the cap.
    at_cap: bool,
    /// Who keeps the oldest checkpoint, in words.
    held_by: String,
    /// How much the log has grown by a second, over what is kept of it, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    growth_bytes: Option<f64>,
    consumers: Vec<Destination>,
    /// Destinations of the pipeline file that have not begun.
    not_begun: Vec<String>,
    /// The next command to run.
    next: String,
}

/// A consumer, and what else is known of the destination that it stands for.
#[derive(Debug, Serialize)]
struct Destination {
    #[serde(flatten)]
    consumer: ConsumerInfo,
    /// Records that it refused, and that nobody has decided about.
    dead_letters: u64,
    /// What keeps it from going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
}

impl Destination {
    fn of(work: &Path, consumer: ConsumerInfo) -> Result<Self, Failure> {
        let letters = DeadLetters::new(work, &consumer.name, LettersMax::default());
        let dead_letters = letters.list()?.len() as u64;
        let trouble = TroubleFile::new(work, &consumer.name).current().cloned();
        Ok(Destination { consumer, dead_letters, trouble })
    }
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let report = if args.pipeline.is_dir() {
        Report::of_log(&args.pipeline, &args.pipeline, None)?
    } else {
        let pipeline = known::pipeline(&args.pipeline)?;
        let report = Report::of_log(&pipeline.log, &args.pipeline, Some(&pipeline));
        report.map_err(|failure| no_log(failure, &args.pipeline, &pipeline))?
    };
    if args.json {
        output::json(report)?;
    } else {
        report.print()?;
    }
    Ok(Code::Well)
}

/// A pipeline's log is made by its first run.
fn no_log(failure: Failure, file: &Path, pipeline: &Pipeline) -> Failure {
    match failure.code() {
        Code::NotFound => failure.hint(format!("highwater run {}    makes it", quoted(file))),
        _ => failure.of(&pipeline.log),
    }
}

impl Report {
    fn of_log(path: &Path, given: &Path, pipeline: Option<&Pipeline>) -> Result<Self, Failure> {
        let log = known::open(path)?;
        let book = Book::newest(&log)?;
        let status = log.status()?;
        let work = work_directory(path);
        let consumers = log.consumers()?.into_iter().map(|consumer| Destination::of(&work, consumer));
        let consumers = consumers.collect::<Result<Vec<_>, _>>()?;
        let wanted = pipeline.map(|p| p.destination_names().map(str::to_owned).collect::<Vec<_>>());
        let mut not_begun = wanted.unwrap_or_default();
        not_begun.retain(|name| !consumers.iter().any(|destination| destination.consumer.name == *name));
        let retention = pipeline.map_or_else(Retention::default, |pipeline| pipeline.storage.retain);
        let mut report = Report {
            log: path.to_owned(),
            holder: log.is_live()?.then(|| log.holder()),
            sync: book.sync,
            sync_ended: book.ended,
            last_attempt: last_attempt(&log)?,
            max_size: pipeline.and_then(|pipeline| pipeline.storage.max_size),
            at_cap: pipeline.is_some_and(|pipeline| is_at_cap(&status, &pipeline.storage)),
            held_by: log.plan_prune(&retention)?.held_by,
            growth_bytes: growth(&log, &status)?,
            status,
            consumers,
            not_begun,
            next: String::new(),
        };
        report.next = next::command(&report, given, pipeline);
        Ok(report)
    }
}

/// Over the time between the first checkpoint that is kept and the last.
fn growth(log: &LogReader, status: &Status) -> Result<Option<f64>, Failure> {
    let Some(end) = log.end() else { return Ok(None) };
    let time_of = |sequence| -> Result<Option<i64>, Failure> {
        Ok(log.reader(sequence)?.next()?.map(|checkpoint| checkpoint.time_us()))
    };
    let (Some(first), Some(last)) = (time_of(log.first())?, time_of(end.sequence)?) else { return Ok(None) };
    let seconds = (last - first) as f64 / 1e6;
    // Of less than a minute nothing can be said.
    Ok((seconds >= 60.0).then(|| status.bytes as f64 / seconds))
}

/// Whether the next segment would be beyond the cap. A spare one is written over in its place.
fn is_at_cap(status: &Status, storage: &Storage) -> bool {
    let Some(max) = storage.max_size else { return false };
    let usual = u64::from(storage.config().segment_bytes);
    let next = status.segments.last().map_or(usual, |active| usual.min(active.bytes.saturating_mul(2)));
    status.spare_segments == 0 && status.size_bytes.saturating_add(next) > max
}

fn last_attempt(log: &LogReader) -> Result<Option<Attempt>, Failure> {
    Ok(runs::attempts(log, 1)?.pop())
}
