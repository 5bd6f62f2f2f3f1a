//! `highwater status`: why is it stuck? The source, the log and each destination, on one screen.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::{ConsumerInfo, LogReader, Status};
use highwater_connect::Pipeline;
use highwater_connect::bookkeeping::Book;
use highwater_connect::letters::{DeadLetters, LettersMax};
use highwater_connect::pipeline::work_directory;
use highwater_connect::quantity::{bytes, count, plural, time, timestamp};
use highwater_connect::runs::{self, Attempt};
use highwater_connect::runtime::{Trouble, TroubleFile};
use highwater_connect::text::tame;
use serde::Serialize;

use crate::failure::{Code, Failure};
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
    /// The cap, where the pipeline file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size: Option<u64>,
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

    fn is_late(&self) -> bool {
        self.consumer.lag_checkpoints > 0
    }
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let report = if args.pipeline.is_dir() {
        Report::of_log(&args.pipeline, &args.pipeline, None)?
    } else {
        let pipeline = known::pipeline(&args.pipeline)?;
        Report::of_log(&pipeline.log, &args.pipeline, Some(&pipeline))?
    };
    if args.json {
        output::json(report)?;
    } else {
        report.print()?;
    }
    Ok(Code::Well)
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
        let mut report = Report {
            log: path.to_owned(),
            holder: log.is_live()?.then(|| log.holder()),
            sync: book.sync,
            sync_ended: book.ended,
            last_attempt: last_attempt(&log)?,
            max_size: pipeline.and_then(|pipeline| pipeline.storage.max_size),
            growth_bytes: growth(&log, &status)?,
            status,
            consumers,
            not_begun,
            next: String::new(),
        };
        report.next = report.next_command(given, pipeline.is_some());
        Ok(report)
    }

    fn is_late(&self) -> bool {
        !self.not_begun.is_empty() || self.consumers.iter().any(Destination::is_late)
    }

    fn next_command(&self, given: &Path, is_pipeline: bool) -> String {
        let given = given.display();
        let error = self.last_attempt.as_ref().and_then(|attempt| attempt.end.as_ref()?.error.as_ref());
        let outcome =
            self.last_attempt.as_ref().and_then(|attempt| Some(attempt.end.as_ref()?.outcome.as_str()));
        let is_paused = outcome == Some("paused");
        let has_trouble = self.consumers.iter().any(|destination| destination.trouble.is_some());
        let has_letters = self.consumers.iter().any(|destination| destination.dead_letters > 0);
        match (&self.holder, is_pipeline) {
            (Some(_), _) => "nothing: it is at work".to_owned(),
            (None, false) => format!("highwater info {given}"),
            (None, true) if is_paused => format!("highwater schema diff {given}"),
            (None, true) if error.is_some() => format!("highwater check {given}"),
            (None, true) if has_trouble => format!("highwater check {given}, then highwater run {given}"),
            (None, true) if !self.sync_ended || self.is_late() => format!("highwater run {given}"),
            (None, true) if has_letters => format!("highwater dead-letters list {given}"),
            (None, true) => {
                format!("nothing: all is read and delivered; highwater run {given} looks for more")
            }
        }
    }

    fn print(&self) -> Result<(), Failure> {
        let mut out = output::buffered();
        self.print_source(&mut out)?;
        self.print_log(&mut out)?;
        self.print_destinations(&mut out)?;
        writeln!(out, "next         {}", self.next)?;
        Ok(out.flush()?)
    }

    fn print_source(&self, out: &mut impl Write) -> std::io::Result<()> {
        let sync = match (self.sync, self.sync_ended) {
            (0, _) => "has not been read".to_owned(),
            (sync, true) => format!("sync {sync} has come to its end"),
            (sync, false) => format!("sync {sync} is not at its end"),
        };
        writeln!(out, "source       {sync}")?;
        let Some(attempt) = &self.last_attempt else { return Ok(()) };
        let how = match &attempt.end {
            None if self.holder.is_some() => "is under way".to_owned(),
            None => "was killed".to_owned(),
            Some(end) => format!(
                "ended {}: {}, {}",
                timestamp(end.ended_us),
                tame(&end.outcome),
                plural(end.records, "record")
            ),
        };
        writeln!(out, "             the last attempt began {} and {how}", timestamp(attempt.started_us))?;
        match attempt.end.as_ref().and_then(|end| end.error.as_ref()) {
            Some(error) => writeln!(out, "             {}", tame(error)),
            None => Ok(()),
        }
    }

    fn print_log(&self, out: &mut impl Write) -> std::io::Result<()> {
        let status = &self.status;
        let last = status.end.map_or(0, |end| end.sequence.get());
        let age = status.last_checkpoint_age.map_or(String::new(), |age| format!(", {} ago", time(age)));
        writeln!(out, "log          {}: checkpoint {}{age}", self.log.display(), count(last))?;
        let cap = match self.max_size {
            Some(max) => format!(" of {} ({} %)", bytes(max), status.disk_bytes * 100 / max.max(1)),
            None => String::new(),
        };
        writeln!(out, "             {}{cap} on disk", bytes(status.disk_bytes))?;
        if let (Some(max), Some(growth)) = (self.max_size, self.growth_bytes) {
            let left = max.saturating_sub(status.disk_bytes) as f64 / growth.max(f64::MIN_POSITIVE);
            if let Ok(left) = Duration::try_from_secs_f64(left) {
                writeln!(
                    out,
                    "             full in {} as it grew so far, if nothing more is delivered",
                    time(left)
                )?;
            }
        }
        let writer = self.holder.as_deref().map_or("nobody writes it now".to_owned(), tame);
        writeln!(out, "             {writer}")
    }

    fn print_destinations(&self, out: &mut impl Write) -> std::io::Result<()> {
        for destination in &self.consumers {
            let consumer = &destination.consumer;
            let lag = match consumer.lag_checkpoints {
                0 => "has everything".to_owned(),
                lag => format!("lacks {}, about {}", plural(lag, "checkpoint"), bytes(consumer.lag_bytes)),
            };
            writeln!(
                out,
                "destination  {}: up to checkpoint {}, {lag}",
                tame(&consumer.name),
                consumer.acknowledged
            )?;
            destination.print_more(out)?;
        }
        for name in &self.not_begun {
            writeln!(out, "destination  {}: has not begun", tame(name))?;
        }
        Ok(())
    }
}

impl Destination {
    fn print_more(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.dead_letters > 0 {
            writeln!(out, "             {}", plural(self.dead_letters, "dead letter"))?;
        }
        let Some(trouble) = &self.trouble else { return Ok(()) };
        let then = match trouble.next_us {
            Some(at) => format!("tried again {}", timestamp(at)),
            None => "given up".to_owned(),
        };
        let attempts = plural(trouble.attempts.into(), "attempt");
        writeln!(
            out,
            "             {attempts} failed since {}, the last {}: {}; {then}",
            timestamp(trouble.since_us),
            timestamp(trouble.last_us),
            tame(&trouble.text)
        )
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

fn last_attempt(log: &LogReader) -> Result<Option<Attempt>, Failure> {
    Ok(runs::attempts(log, 1)?.pop())
}
