//! `highwater metrics`: what Prometheus would be told, once.

use std::io::Write;
use std::path::PathBuf;

use highwater::LogReader;
use highwater_connect::files;
use highwater_connect::runs::now_us;
use highwater_serve::{
    Exposition, History, Measured, Subject, damaged_places, gather, gather_unreadable, is_unreadable,
    tell_verified,
};

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
///
/// Of a log that is too damaged to be read it tells that, and what its files and its writer tell; the exit code is 3 then.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file, or the log's directory
    pub(crate) pipeline: PathBuf,
    /// Read everything and count what is damaged
    #[arg(long)]
    verify: bool,
    /// Write them to this file, whole or not at all, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
}

/// The collector runs as somebody else.
const MODE: u32 = 0o644;

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let subject = known::subject(&args.pipeline)?;
    let measured = subject.pipeline.as_ref().and_then(|known| Measured::read(&known.work));
    let error = match told(args, &subject, measured.as_ref()) {
        Ok((text, code)) => return write(args, &text).map(|()| code),
        Err(error) => error,
    };
    // Whoever watches has to be told just then.
    if is_unreadable(&error) {
        let mut text = gather_unreadable(&subject, measured.as_ref());
        if args.verify {
            tell_verified(&mut text, damaged_places(&subject.log), now_us());
        }
        write(args, &text)?;
    }
    Err(known::no_log(error))
}

fn told(
    args: &Args,
    subject: &Subject,
    measured: Option<&Measured>,
) -> highwater::Result<(Exposition, Code)> {
    let log = LogReader::open(&subject.log)?;
    let mut text = gather(subject, &log, measured, &History::read(&log)?)?;
    if !args.verify {
        return Ok((text, Code::Well));
    }
    let found = log.verify(&mut |_| {})?;
    tell_verified(&mut text, found.problems.len(), now_us());
    Ok((text, if found.is_sound() { Code::Well } else { Code::Damage }))
}

fn write(args: &Args, text: &Exposition) -> Result<(), Failure> {
    let Some(path) = &args.textfile else {
        let mut out = output::buffered();
        write!(out, "{text}")?;
        return Ok(out.flush()?);
    };
    files::write_whole(path, text.to_string().as_bytes(), MODE)
        .map_err(|e| Failure::io(format_args!("writing {}", path.display()), &e))
}
