//! `highwater run`: a pipeline from its source to its destinations.

mod events;
mod measuring;
mod signals;
mod tally;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use highwater_connect::alerts::Alerts;
use highwater_connect::event::Reporter;
use highwater_connect::pipeline::Resume;
use highwater_connect::runtime::{self, Outcome};
use highwater_connect::{FailureKind, Pipeline, Stop};

use crate::failure::{Code, Failure};
use crate::known;
use crate::terminal;
use measuring::Measuring;
pub(crate) use watcher::Watcher;

const EXAMPLES: &str = "\
Examples:
  highwater run pipeline.toml
  highwater run pipeline.toml --json | jq 'select(.event == \"delivered\")'
  highwater run pipeline.toml --wait 60          wait for another run to end
  highwater run pipeline.toml --resume hard      verify the log and the destinations first

SIGTERM or SIGINT stops it at a checkpoint; a second one stops it at once. Neither loses anything.";

/// Read a pipeline's source into its log, and deliver the log to its destinations
///
/// It ends when the source has sent everything and all of it is delivered. Started again after any crash, it goes on exactly
/// where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// Write events to standard output, a JSON object a line
    #[arg(long)]
    json: bool,
    /// Wait so many seconds for another run to end
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// hard: first read every checkpoint that is kept and compare it with its counts and digests, and what each destination holds
    /// with the log; nothing is read or delivered if one does not fit. Default: what the pipeline file says, or soft
    #[arg(long, value_enum)]
    resume: Option<HowToResume>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HowToResume {
    Soft,
    Hard,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let mut pipeline = known::pipeline(&args.pipeline)?;
    if let Some(seconds) = args.wait {
        pipeline.storage.lock_wait = Duration::from_secs(seconds);
    }
    if let Some(resume) = args.resume {
        pipeline.resume = if resume == HowToResume::Hard { Resume::Hard } else { Resume::Soft };
    }
    let watcher = Arc::new(Watcher::start(args.json));
    let alerts = Arc::new(Alerts::start(&pipeline, watcher.clone())?);
    let measuring = Measuring::start(&args.pipeline, &pipeline, alerts.clone())?;
    let reporter = Reporter::new(measuring.observer(), pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    let outcome = runtime::run(&pipeline, &reporter, &stop);
    if let Err(failure) = &outcome {
        tell_no_beginning(failure, &reporter);
    }
    alerts.finish(alerts.timeout());
    watcher.finish();
    measuring.finish();
    conclude(outcome?, &reporter)
}

/// Nobody need be woken because another run is at work.
fn tell_no_beginning(failure: &highwater_connect::Failure, reporter: &Reporter) {
    let is_locked = failure.log_error().is_some_and(|error| *error.kind() == highwater::ErrorKind::Locked);
    if !is_locked {
        reporter.failed("pipeline", failure, 1, None);
    }
}

/// A stop that signals ask for.
pub(crate) fn listening(pipeline: &Pipeline, reporter: &Reporter) -> Result<Stop, Failure> {
    let stop = Stop::default();
    signals::listen(stop.clone(), reporter.clone(), &pipeline.work)
        .map_err(|e| Failure::io("listening to signals", &e))?;
    Ok(stop)
}

/// The exit code: the source's failure first, since nothing new comes without it.
fn conclude(outcome: Outcome, reporter: &Reporter) -> Result<Code, Failure> {
    for (name, failure) in &outcome.destinations {
        terminal::error(format!("destination {name}: {}", reporter.shown(&failure.to_string())));
    }
    if let Some(failure) = outcome.source {
        let text = format!("source: {}", reporter.shown(&failure.to_string()));
        return Err(Failure::with_code(code_of(&failure, Code::SourceFailed), text));
    }
    if let Some((name, failure)) = outcome.destinations.first() {
        let text = format!("destination {name} was given up; what it lacks is in the log");
        return Err(Failure::with_code(code_of(failure, Code::DestinationFailed), text));
    }
    if outcome.is_stopped {
        let text = "stopped on request; run it again to go on";
        return Err(Failure::with_code(Code::TryAgain, text));
    }
    Ok(Code::Well)
}

fn code_of(failure: &highwater_connect::Failure, otherwise: Code) -> Code {
    match failure.kind() {
        FailureKind::Diverged | FailureKind::Paused => Code::Paused,
        FailureKind::Transient | FailureKind::RateLimit { .. } => Code::TryAgain,
        _ => otherwise,
    }
}

/// The file as a path that hints can show.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
