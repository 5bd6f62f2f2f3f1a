//! `highwater metrics`: what Prometheus would be told, once.

use std::io::Write;
use std::path::PathBuf;

use highwater_connect::files;
use highwater_connect::runs::{self, now_us};
use highwater_serve::{Measured, Subject, gather, tell_verified};

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  highwater metrics shop.hw
  highwater metrics pipeline.toml --textfile /var/lib/node_exporter/shop.prom     from a timer
  highwater metrics shop.hw --verify | grep damaged

highwater serve tells the same at /metrics, and so does a run whose pipeline file says [metrics] listen.";

/// Print a log's metrics in Prometheus' text format
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) pipeline: PathBuf,
    /// Read everything and count what is damaged
    #[arg(long)]
    verify: bool,
    /// Write them to this file, whole or not at all, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
}

/// So many attempts are looked back for what is usual.
const ATTEMPTS: usize = 2000;
/// The collector runs as somebody else.
const MODE: u32 = 0o644;

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let subject = Subject::open(&args.pipeline)?;
    let log = known::open(&subject.log)?;
    let measured = subject.pipeline.as_ref().and_then(|known| Measured::read(&known.work));
    let attempts = runs::attempts(&log, ATTEMPTS)?;
    let mut text = gather(&subject, &log, measured.as_ref(), &attempts)?;
    let mut code = Code::Well;
    if args.verify {
        let found = log.verify(&mut |_| {})?;
        tell_verified(&mut text, &found, now_us());
        code = if found.is_sound() { Code::Well } else { Code::Damage };
    }
    match &args.textfile {
        Some(path) => files::write_whole(path, text.to_string().as_bytes(), MODE)
            .map_err(|e| Failure::io(format_args!("writing {}", path.display()), &e))?,
        None => {
            let mut out = output::buffered();
            write!(out, "{text}")?;
            out.flush()?;
        }
    }
    Ok(code)
}
