//! `highwater deliver`: one destination of a pipeline, in a process of its own.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_connect::alerts::Alerts;
use highwater_connect::event::Reporter;
use highwater_connect::runtime;

use crate::failure::{Code, Failure};
use crate::known;
use crate::run::{Watcher, listening};

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
    let watcher = Arc::new(Watcher::start(args.json));
    let alerts = Arc::new(Alerts::start(&pipeline, watcher.clone())?);
    let reporter = Reporter::new(alerts.clone(), pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    let delivered = runtime::deliver_only(&pipeline, &args.only, args.until_end, &reporter, &stop);
    alerts.finish(alerts.timeout());
    watcher.finish();
    match delivered {
        Ok(()) if args.until_end && stop.is_asked() => {
            Err(Failure::with_code(Code::TryAgain, "stopped on request; start it again to go on"))
        }
        Ok(()) => Ok(Code::Well),
        Err(failure) => Err(delivery_failed(&args.only, &failure, &reporter)),
    }
}

fn delivery_failed(name: &str, failure: &highwater_connect::Failure, reporter: &Reporter) -> Failure {
    use highwater_connect::FailureKind;
    let text = format!("destination {name}: {}", reporter.shown(&failure.to_string()));
    let code = match (failure.log_error().map(highwater::Error::kind), failure.kind()) {
        (Some(highwater::ErrorKind::ConsumerBusy), _) => Code::Locked,
        (Some(highwater::ErrorKind::Corrupt), _) => Code::Damage,
        (Some(highwater::ErrorKind::NotFound | highwater::ErrorKind::Gap { .. }), _) => Code::NotFound,
        (_, FailureKind::Diverged | FailureKind::Paused) => Code::Paused,
        (_, kind) if kind.is_worth_a_retry() => Code::TryAgain,
        _ => Code::DestinationFailed,
    };
    Failure::with_code(code, text)
}
