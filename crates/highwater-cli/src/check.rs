//! `highwater check`: whether a pipeline file makes sense, and its parts answer.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_connect::event::Reporter;
use highwater_connect::runtime;

use crate::failure::{Code, Failure};
use crate::known;
use crate::run::{Watcher, listening, shown};
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater check pipeline.toml
  highwater check pipeline.toml --offline        the file and its variables only";

/// Check a pipeline file, its variables, its source and its destinations
///
/// The source is asked whether it can work with its configuration; a destination is asked what it holds, for which it may make
/// its directory or its own tables.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// Ask neither the source nor the destinations
    #[arg(long)]
    offline: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let pipeline = known::pipeline(&args.pipeline)?;
    let watcher = Arc::new(Watcher::start(false));
    let reporter = Reporter::new(watcher, pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    pipeline.streams()?;
    pipeline.hash_key()?;
    pipeline.metrics()?;
    pipeline.alerts()?;
    let connector = runtime::source_connector(&pipeline, &reporter, &stop)?;
    let mut destinations = Vec::new();
    for name in pipeline.destination_names() {
        let (_, section) = pipeline.destination(name)?;
        destinations.push((name, runtime::destination(&pipeline, name, section, &reporter, &stop)?));
    }
    terminal::say(format!("{}: well-formed, and every variable has a value", shown(&args.pipeline)));
    if args.offline {
        return Ok(Code::Well);
    }
    if let Some(connector) = connector {
        let asked = connector.check();
        asked.map_err(|failure| failed(Code::SourceFailed, "source", &failure, &reporter))?;
        terminal::say("source: works with its configuration");
    }
    for (name, mut destination) in destinations {
        let of = format!("destination {name}");
        let stored = destination.check();
        let stored = stored.map_err(|failure| failed(Code::DestinationFailed, &of, &failure, &reporter))?;
        terminal::say(match stored {
            Some(position) => format!("{of}: holds the log up to checkpoint {}", position.sequence),
            None => format!("{of}: well as far as it can be asked, and tells of no position"),
        });
    }
    Ok(Code::Well)
}

fn failed(code: Code, of: &str, failure: &highwater_connect::Failure, reporter: &Reporter) -> Failure {
    Failure::with_code(code, format!("{of}: {}", reporter.shown(&failure.to_string())))
}
