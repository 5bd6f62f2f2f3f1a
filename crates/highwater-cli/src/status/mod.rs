//! `highwater status`: why is it stuck? The source, the log and each destination, on one screen.

mod facts;
mod next;
mod print;
mod record;
mod room;

use std::path::{Path, PathBuf};

use highwater::{ConsumerInfo, LogReader, Retention, Sequence, Status};
use highwater_connect::Pipeline;
use highwater_connect::bookkeeping::Book;
use highwater_connect::letters::{DeadLetters, LettersMax};
use highwater_connect::pipeline::work_directory;
use highwater_connect::rules::Rules;
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
    /// A person has worked on the log since.
    was_worked_on: bool,
    /// The first checkpoint that is kept.
    first: Sequence,
    status: Status,
    /// The cap, where the pipeline file has one; `status.size_bytes` is what it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size: Option<u64>,
    /// No further file fits under the cap.
    at_cap: bool,
    /// No further file fits on the disk.
    disk_is_full: bool,
    /// A pruning by the pipeline's rules would free something.
    is_prunable: bool,
    /// Who keeps the oldest checkpoint, in words.
    held_by: String,
    /// How much the log has grown by a second, over what is kept of it, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    growth_bytes: Option<f64>,
    consumers: Vec<Destination>,
    /// Destinations of the pipeline file that have not begun.
    not_begun: Vec<NotBegun>,
    #[serde(skip)]
    is_of_pipeline: bool,
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
    /// A person has seen to that since, or may have.
    was_worked_on: bool,
    /// The pipeline file has no destination of this name.
    is_stranger: bool,
    /// Of one that has diverged: up to where it has the same as the log, if that is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_common: Option<Sequence>,
    /// It stores a position of its own, which counts wherever its consumer stands.
    #[serde(skip)]
    stores_position: bool,
}

impl Destination {
    fn of(log: &LogReader, consumer: ConsumerInfo, pipeline: Option<&Pipeline>) -> Result<Self, Failure> {
        let work = work_directory(log.path());
        let letters = DeadLetters::new(&work, &consumer.name, LettersMax::default());
        let dead_letters = letters.list()?.len() as u64;
        let is_named = |pipeline: &Pipeline| pipeline.destination_names().any(|name| name == consumer.name);
        let (trouble, was_worked_on) = trouble(log, &consumer.name)?;
        let rules = Rules::beside(log.path()).ok().flatten();
        Ok(Destination {
            stores_position: rules.is_some_and(|rules| rules.store_position.contains(&consumer.name)),
            dead_letters,
            trouble,
            was_worked_on,
            is_stranger: !pipeline.is_none_or(is_named),
            last_common: if consumer.diverged { record::last_common(log, &consumer)? } else { None },
            consumer,
        })
    }
}

/// A destination of the pipeline file that has no consumer yet.
#[derive(Debug, Serialize)]
struct NotBegun {
    name: String,
    /// What keeps it from beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
    /// A person has seen to that since, or may have.
    was_worked_on: bool,
}

impl NotBegun {
    fn of(log: &LogReader, name: &str) -> Result<Self, Failure> {
        let (trouble, was_worked_on) = trouble(log, name)?;
        Ok(NotBegun { name: name.to_owned(), trouble, was_worked_on })
    }
}

/// What keeps a destination from going on, and whether a person has seen to that since.
fn trouble(log: &LogReader, name: &str) -> Result<(Option<Trouble>, bool), Failure> {
    let trouble = TroubleFile::new(&work_directory(log.path()), name).current().cloned();
    let was_worked_on = match &trouble {
        Some(trouble) => record::was_worked_on(log, trouble.last_us, Some(name))?,
        None => false,
    };
    Ok((trouble, was_worked_on))
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let report = if args.pipeline.is_dir() {
        Report::of(&known::open(&args.pipeline)?, &args.pipeline, None)?
    } else {
        let pipeline = known::pipeline(&args.pipeline)?;
        let log = known::open(&pipeline.log).map_err(|failure| no_log(failure, &args.pipeline, &pipeline))?;
        Report::of(&log, &args.pipeline, Some(&pipeline)).map_err(|failure| failure.of(&pipeline.log))?
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
    fn of(log: &LogReader, given: &Path, pipeline: Option<&Pipeline>) -> Result<Self, Failure> {
        let book = Book::newest(log)?;
        let status = log.status()?;
        let consumers = log.consumers()?.into_iter().map(|consumer| Destination::of(log, consumer, pipeline));
        let consumers = consumers.collect::<Result<Vec<_>, _>>()?;
        let has_begun = |name: &str| consumers.iter().any(|destination| destination.consumer.name == name);
        let names = pipeline.into_iter().flat_map(Pipeline::destination_names);
        let not_begun = names.filter(|name| !has_begun(name));
        let not_begun = not_begun.map(|name| NotBegun::of(log, name)).collect::<Result<Vec<_>, _>>()?;
        let retention = pipeline.map_or_else(Retention::default, |pipeline| pipeline.storage.retain);
        let pruning = log.plan_prune(&retention)?;
        let last_attempt = last_attempt(log)?;
        let mut report = Report {
            log: log.path().to_owned(),
            holder: log.is_live()?.then(|| log.holder()),
            sync: book.sync,
            sync_ended: book.ended,
            was_worked_on: match last_attempt.as_ref().and_then(|attempt| attempt.end.as_ref()) {
                Some(end) if end.error.is_some() => record::was_worked_on(log, end.ended_us, None)?,
                _ => false,
            },
            last_attempt,
            first: log.first(),
            max_size: pipeline.and_then(|pipeline| pipeline.storage.max_size),
            at_cap: pipeline.is_some_and(|pipeline| room::is_at_cap(&status, &pipeline.storage)),
            disk_is_full: pipeline
                .is_some_and(|pipeline| room::is_disk_full(log.path(), &status, &pipeline.storage)),
            is_prunable: pruning.segments > 0,
            held_by: pruning.held_by,
            growth_bytes: room::growth(log, &status)?,
            status,
            consumers,
            not_begun,
            is_of_pipeline: pipeline.is_some(),
            next: String::new(),
        };
        report.next = next::command(&report, given, pipeline);
        Ok(report)
    }
}

fn last_attempt(log: &LogReader) -> Result<Option<Attempt>, Failure> {
    // `runs` says what is lost; the last attempt is mostly behind it.
    Ok(runs::attempts(log, 1, &mut |_| {})?.pop())
}
