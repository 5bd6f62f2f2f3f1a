//! `highwater deliver`: one destination of a pipeline, in a process of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater::ErrorKind;
use highwater_connect::Failure as Why;
use highwater_connect::alerts::Alerts;
use highwater_connect::event::Reporter;
use highwater_connect::runtime::{self, Outcome};

use crate::failure::{Code, Failure, quoted};
use crate::known;
use crate::run::{Conclusion, Watcher, code_of, listening};

const EXAMPLES: &str = "\
Examples:
  highwater deliver pipeline.toml --only warehouse
  highwater deliver pipeline.toml --only warehouse --until-end     what is in the log now, and then end";

/// Deliver a pipeline's log to one of its destinations, beside a run or without one
///
/// It needs neither the source nor its secrets. A run leaves the destination alone while this goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// The destination's name
    #[arg(long, value_name = "NAME")]
    only: String,
    /// End when it has what is in the log now
    #[arg(long)]
    until_end: bool,
    /// Write events to standard output, a JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let pipeline = known::pipeline(&args.pipeline)?;
    pipeline.destination(&args.only).map_err(|why| {
        Failure::usage(why.to_string()).hint(format!("highwater status {}", quoted(&args.pipeline)))
    })?;
    known::open(&args.pipeline)?; // says what is wrong with it in the usual words
    let watcher = Arc::new(Watcher::start(args.json));
    let alerts = Arc::new(Alerts::start(&pipeline, watcher.clone())?);
    let reporter = Reporter::new(alerts.clone(), pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    let delivered = runtime::deliver_only(&pipeline, &args.only, args.until_end, &reporter, &stop);
    alerts.finish(alerts.timeout());
    let Err(why) = delivered else {
        let is_stopped = args.until_end && stop.is_asked();
        watcher.finish(&Conclusion::of(Outcome { is_stopped, ..Outcome::default() }, &reporter));
        return match is_stopped {
            true => Err(Failure::with_code(Code::TryAgain, "stopped on request; start it again to go on")),
            false => Ok(Code::Well),
        };
    };
    let failure = failed(&args.only, &why, &reporter);
    watcher.finish(&Conclusion::failed(&args.only, &why, failure.code(), &reporter));
    let next = next(failure.code(), &args.pipeline);
    Err(failure.hint(next).of(&pipeline.log))
}

fn failed(name: &str, why: &Why, reporter: &Reporter) -> Failure {
    let text = format!("destination {name}: {}", reporter.shown(&why.to_string()));
    let code = match why.log_error().map(highwater::Error::kind) {
        Some(ErrorKind::ConsumerBusy) => Code::Locked,
        Some(ErrorKind::NotFound | ErrorKind::Gap { .. }) => Code::NotFound,
        _ => code_of(why, Code::DestinationFailed),
    };
    Failure::with_code(code, text)
}

/// The next command.
fn next(code: Code, file: &Path) -> String {
    let file = quoted(file);
    match code {
        Code::Locked => "end the process that has it, or leave the destination to it".to_owned(),
        Code::Damage => "cp -a LOG LOG.copy && highwater verify LOG".to_owned(),
        Code::NotFound => "highwater consumer list LOG".to_owned(),
        Code::DestinationFailed => format!("highwater check {file}"),
        _ => format!("highwater status {file}"),
    }
}
