//! `highwater backup`: a log, as it is being written, copied into another directory.

use std::io::Write;
use std::path::PathBuf;

use highwater::ErrorKind;
use highwater::backup::Backup;
use highwater_connect::beside::{self, Beside};
use highwater_connect::quantity::{bytes, checkpoints, plural};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater backup shop.hw /backup/shop.hw
  highwater backup shop.hw /backup/shop.hw && highwater verify /backup/shop.hw
  highwater restore /backup/shop.hw new.hw --to 2026-11-20T08:00:00Z --reason 'the disk broke'

The second backup into a directory copies what is new, and lets go what the log has pruned: the directory is as the log is, and goes
back no further. To keep more, keep several directories, or let the log keep it (`storage.retain`). The directory is a log itself: verify, cat, state get and the rest read it.
A log that is opened there for writing goes its own way, and the next backup into it is refused. What was repaired or restored since
needs a new directory, too; the old one then still holds what was lost.

Of a pipeline's log, what lies beside it and can't be had again comes with it, into DIR.connect: dead letters, the secret of the configuration's
fingerprints, configurations that connectors have sent. That directory holds secrets; only its owner may enter it.";

/// Copy a log, or what is new of it, into another directory, while it is being written
///
/// Every byte is checked on the way. A pin keeps what is being copied; it goes at the end, or with the next backup into the
/// same directory, or after an hour. An interrupted backup leaves the one before it as it was, for restore and for the next backup.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The backup's directory: a new one, or that of the last backup
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    made: &'a Backup,
    beside: &'a Beside,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let path = log.path().to_owned();
    let template = "{wide_bar} {binary_bytes} copied, {binary_bytes_per_sec}";
    let bar = terminal::bar(log.status().map_or(0, |status| status.disk_bytes), template);
    drop(log);
    let made = beside::back_up(&path, &args.to, &mut |copied| bar.set_position(copied));
    bar.finish_and_clear();
    let (made, beside) = made.map_err(|failure| {
        let kind = failure.log_error().map(|error| error.kind().clone());
        let failure = Failure::from(failure).into_directory(&args.to);
        // The log was opened already: it is the other directory that is none.
        match kind {
            Some(ErrorKind::NotALog) => failure.of_log(&args.to),
            Some(ErrorKind::Diverged) => failure.of_log(&args.to).hint("highwater info LOG"),
            _ => failure,
        }
    })?;
    if args.json {
        output::json(Json { made: &made, beside: &beside })?;
        return Ok(Code::Well);
    }
    let mut out = output::buffered();
    let end = made
        .end
        .map_or_else(|| "no checkpoint".to_owned(), |end| checkpoints(made.first.get(), end.sequence.get()));
    writeln!(
        out,
        "{end}: {} copied ({}), {} there already",
        plural(made.copied_files, "file"),
        bytes(made.copied_bytes),
        plural(made.kept_files, "file"),
    )?;
    write_beside(&mut out, &beside)?;
    out.flush()?;
    if let Some(before) = made.first_before {
        let gone = checkpoints(before.get(), made.first.get() - 1);
        terminal::warning(format!(
            "{gone}, which the log has let go since the last backup, are no longer in this one: back up into another directory to keep them"
        ));
    }
    Ok(Code::Well)
}

/// What lies beside a log, if anything does: a line.
pub(crate) fn write_beside(out: &mut impl Write, beside: &Beside) -> std::io::Result<()> {
    let letters = beside.dead_letters.iter().map(|name| format!("dead letters of {name}"));
    let copied: Vec<String> = letters.chain(beside.files.iter().cloned()).collect();
    if !copied.is_empty() {
        writeln!(out, "in {}: {}", beside.directory.display(), copied.join(", "))?;
    }
    if !beside.kept.is_empty() {
        writeln!(out, "there already, and kept: {}", beside.kept.join(", "))?;
    }
    Ok(())
}
