//! `highwater restore`: a log out of a backup, as it was at its last checkpoint or at an earlier one.

use std::io::Write;
use std::path::PathBuf;

use highwater::backup::{self, Restored};
use highwater::{By as Signed, ErrorKind};
use highwater_connect::beside::{self, Beside};
use highwater_connect::quantity::{bytes, plural};
use highwater_connect::text::tame;
use serde::Serialize;

use crate::backup::write_beside;
use crate::by::By;
use crate::failure::{Code, Failure};
use crate::given;
use crate::output;
use crate::place;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater restore /backup/shop.hw shop.hw --reason 'the disk broke'
  highwater restore /backup/shop.hw then.hw --to 2026-11-20T08:00:00Z --reason 'to look at it as it was'

The log keeps its id, so destinations go on where they are. One that stores its position and has more than the restored log is diverged, and
nothing is delivered to it before a person has decided: run says so, with exit code 8. One that stores none, as a Singer target, gets what was
delivered to it since the backup once more; so it is with what the source sends again.

What a backup holds of a pipeline beside its log (DIR.connect) is brought back to LOG.connect; what is there already stays as it is. Dead letters come
back all of them, whatever --to says: no destination has these records.";

/// Make a log out of a backup, or out of the directory of any log that nobody writes
///
/// A restore writes over nothing. It is on record in the log that it makes, as a checkpoint of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The backup's directory
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// The new log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The checkpoint: its number, its UUID, or a time (the last one committed by then). Default: the last one
    #[arg(long, value_name = "SEQ|ID|TIME")]
    to: Option<String>,
    #[command(flatten)]
    by: By,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    restored: &'a Restored,
    beside: &'a Beside,
}

impl Args {
    fn restore(&self) -> Result<(Restored, Beside), Failure> {
        let log = given::directory(&self.log)?;
        let of_backup = |failure: Failure| failure.of_log(&self.from);
        let from = backup::open(&self.from).map_err(|error| of_backup(no_backup(error)))?;
        let at = self.to.as_deref().map(|to| place::find(&from, to)).transpose().map_err(of_backup)?;
        drop(from);
        let who = self.by.who();
        let by = Signed { who: &who, why: &self.by.reason };
        let restored = beside::restore(&self.from, &log, at, by);
        restored.map_err(|failure| of_backup(failure.into()).into_directory(&log))
    }
}

/// Mostly the path is wrong.
fn no_backup(error: highwater::Error) -> Failure {
    let is_missing = *error.kind() == ErrorKind::NotFound;
    let failure = Failure::from(error);
    if is_missing { failure.hint("check the path; a backup is made by: highwater backup") } else { failure }
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let (restored, beside) = args.restore()?;
    for ahead in &restored.ahead {
        terminal::warning(format!(
            "consumer {} has acknowledged checkpoint {}, which is not in this log: what it delivers to is likely ahead; decide, then: \
             highwater consumer seek, or drop",
            tame(&ahead.consumer),
            ahead.acknowledged
        ));
    }
    if args.json {
        output::json(Json { restored: &restored, beside: &beside })?;
        return Ok(Code::Well);
    }
    let mut out = output::buffered();
    let to = restored
        .to
        .map_or_else(|| "an empty log".to_owned(), |to| format!("as of checkpoint {}", to.sequence));
    let files = plural(restored.files, "file");
    write!(out, "restored {to}: {files} ({})", bytes(restored.bytes))?;
    if restored.left_out > 0 {
        write!(out, "; {} of the backup were left out", plural(restored.left_out, "later checkpoint"))?;
    }
    writeln!(out)?;
    write_beside(&mut out, &beside)?;
    out.flush()?;
    Ok(Code::Well)
}
