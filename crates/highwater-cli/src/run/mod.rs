//! `highwater run`: a pipeline from its source to its destinations.

mod conclusion;
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
use highwater_connect::event::{PIPELINE, Reporter};
use highwater_connect::pipeline::Resume;
use highwater_connect::runtime;
use highwater_connect::{Failure as Why, Pipeline, Stop};

use crate::failure::{Code, Failure, quoted};
use crate::known;
pub(crate) use conclusion::{Conclusion, code_of};
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
    let ended = match outcome {
        Ok(outcome) => {
            let conclusion = Conclusion::of(outcome, &reporter);
            watcher.finish(&conclusion);
            conclusion.conclude(&args.pipeline, &pipeline)
        }
        Err(why) => {
            let failure = not_begun(&why, &args.pipeline, &pipeline, &reporter);
            watcher.conclude(&Conclusion::failed(PIPELINE, &why, failure.code(), &reporter));
            Err(failure)
        }
    };
    measuring.finish();
    ended
}

/// Where another run is at work, this one can wait for it.
fn not_begun(why: &Why, file: &Path, pipeline: &Pipeline, reporter: &Reporter) -> Failure {
    let failure = Failure::of_pipeline(why, reporter.shown(&why.to_string())).of(&pipeline.log);
    match failure.code() {
        Code::Locked => {
            failure.hint(format!("highwater run {} --wait 60    waits for its end", quoted(file)))
        }
        _ => failure,
    }
}

/// Nobody need be woken because another run is at work.
fn tell_no_beginning(failure: &Why, reporter: &Reporter) {
    let is_locked = failure.log_error().is_some_and(|error| *error.kind() == highwater::ErrorKind::Locked);
    if !is_locked {
        reporter.failed(PIPELINE, failure, 1, None);
    }
}

/// A stop that signals ask for.
pub(crate) fn listening(pipeline: &Pipeline, reporter: &Reporter) -> Result<Stop, Failure> {
    let stop = Stop::default();
    signals::listen(stop.clone(), reporter.clone(), &pipeline.work)
        .map_err(|e| Failure::io("listening to signals", &e))?;
    Ok(stop)
}

/// The file as a path that hints can show.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
