//! `highwater status`: why is it stuck? The source, the log and each destination, on one screen.

use std::io::Write;
use std::path::{Path, PathBuf};

use highwater::{ConsumerInfo, LogReader, Status};
use highwater_connect::Pipeline;
use highwater_connect::bookkeeping::Book;
use highwater_connect::quantity::{bytes, count, plural, time, timestamp};
use highwater_connect::runs::{self, Attempt};
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
    consumers: Vec<ConsumerInfo>,
    /// Destinations of the pipeline file that have not begun.
    not_begun: Vec<String>,
    /// The next command to run.
    next: String,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let report = if args.pipeline.is_dir() {
        Report::of_log(&args.pipeline, &args.pipeline, None)?
    } else {
        let pipeline = Pipeline::open(&args.pipeline)?;
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
        let consumers = log.consumers()?;
        let wanted = pipeline.map(|p| p.destination_names().map(str::to_owned).collect::<Vec<_>>());
        let mut not_begun = wanted.unwrap_or_default();
        not_begun.retain(|name| !consumers.iter().any(|consumer| consumer.name == *name));
        let mut report = Report {
            log: path.to_owned(),
            holder: log.is_live()?.then(|| log.holder()),
            sync: book.sync,
            sync_ended: book.ended,
            last_attempt: last_attempt(&log)?,
            max_size: pipeline.and_then(|pipeline| pipeline.storage.max_size),
            status,
            consumers,
            not_begun,
            next: String::new(),
        };
        report.next = report.next_command(given, pipeline.is_some());
        Ok(report)
    }

    fn is_late(&self) -> bool {
        !self.not_begun.is_empty() || self.consumers.iter().any(|consumer| consumer.lag_checkpoints > 0)
    }

    fn next_command(&self, given: &Path, is_pipeline: bool) -> String {
        let given = given.display();
        let error = self.last_attempt.as_ref().and_then(|attempt| attempt.end.as_ref()?.error.as_ref());
        match (&self.holder, is_pipeline) {
            (Some(_), _) => "nothing: it is at work".to_owned(),
            (None, false) => format!("highwater info {given}"),
            (None, true) if error.is_some() => format!("highwater check {given}"),
            (None, true) if !self.sync_ended || self.is_late() => format!("highwater run {given}"),
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
        let writer = self.holder.as_deref().map_or("nobody writes it now".to_owned(), tame);
        writeln!(out, "             {writer}")
    }

    fn print_destinations(&self, out: &mut impl Write) -> std::io::Result<()> {
        for consumer in &self.consumers {
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
        }
        for name in &self.not_begun {
            writeln!(out, "destination  {}: has not begun", tame(name))?;
        }
        Ok(())
    }
}

fn last_attempt(log: &LogReader) -> Result<Option<Attempt>, Failure> {
    Ok(runs::attempts(log, 1)?.pop())
}
