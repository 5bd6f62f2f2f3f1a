//! `highwater rewind` and `highwater reset`: a source goes back. They say first what that means.

mod tell;

use std::io::Write;
use std::path::{Path, PathBuf};

use highwater::{Log, LogReader, Operation, Sequence};
use highwater_connect::text::tame;
use serde::Serialize;

use crate::ask;
use crate::by::By;
use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::place;
use crate::state;

const REWIND_EXAMPLES: &str = "\
Examples:
  highwater rewind shop.hw --to 41 --reason 'orders were read with the wrong filter' --dry-run
  highwater rewind shop.hw --to 2026-11-20T08:00:00Z --stream users --reason 'a bad deployment' --yes

The states of that checkpoint become a new one, and nothing is erased: a rewind can itself be rewound. The source reads again what
came behind it, so consumers get those records twice. Destinations that write by key hold them once, those that append twice.";

/// Bring the states of an earlier checkpoint back
///
/// Shows first which states change, what the source will read again, and which consumers have it already.
#[derive(Debug, clap::Args)]
#[command(after_help = REWIND_EXAMPLES)]
pub(crate) struct Rewind {
    /// The log's directory
    pub(crate) log: PathBuf,
    /// The checkpoint: its number, its UUID, or a time (the last one committed by then, in UTC unless it says otherwise)
    #[arg(long, value_name = "SEQ|ID|TIME")]
    to: String,
    #[command(flatten)]
    wanted: known::Wanted,
    #[command(flatten)]
    doing: Doing,
}

const RESET_EXAMPLES: &str = "\
Examples:
  highwater reset shop.hw --stream users --reason 'read it from the beginning' --dry-run
  highwater reset shop.hw --stream users --reason 'read it from the beginning' --yes";

/// Clear one stream's state, and only that one's: its source reads it from the beginning
///
/// The stream's records stay in the log, and consumers get them a second time as the source sends them again.
#[derive(Debug, clap::Args)]
#[command(after_help = RESET_EXAMPLES)]
pub(crate) struct Reset {
    /// The log's directory
    pub(crate) log: PathBuf,
    #[command(flatten)]
    wanted: known::Wanted,
    #[command(flatten)]
    doing: Doing,
}

/// Whether and how it is done.
#[derive(Debug, clap::Args)]
struct Doing {
    #[command(flatten)]
    by: By,
    /// Only say what it means
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json<'a, T> {
    /// Whether it happened, or only would.
    done: bool,
    /// The checkpoint that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    #[serde(flatten)]
    plan: &'a T,
}

pub(crate) fn rewind(args: &Rewind) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let to = place::find(&log, &args.to)?;
    let only = args.wanted.find(&log)?.map(|info| info.name);
    let plan = log.plan_rewind(to, only.as_ref())?;
    tell::rewinding(&plan);
    let doing = &args.doing;
    if plan.is_empty() || doing.dry_run {
        return doing.print(&plan, None, "");
    }
    doing.agree(&log, "Rewind?")?;
    let made = write(&args.log, |log| log.rewind(&plan, &doing.by.who(), &doing.by.reason))?;
    doing.print(&plan, Some(made), &format!("the states are those of checkpoint {to}"))
}

pub(crate) fn reset(args: &Reset) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let Some(info) = args.wanted.find(&log)? else {
        return Err(Failure::usage("say which stream: --stream NAME"));
    };
    let plan = tell::Resetting::gather(&log, info)?;
    plan.tell();
    let doing = &args.doing;
    if plan.since.is_none() || doing.dry_run {
        return doing.print(&plan, None, "");
    }
    doing.agree(&log, "Reset it?")?;
    let name = &plan.stream;
    let reset = Operation::new(format!("reset {name}"), doing.by.who(), &*doing.by.reason);
    let reset = reset.clear(name).expecting(log.end());
    let made = write(&args.log, |log| log.operate(reset))?;
    doing.print(&plan, Some(made), &format!("stream {} begins anew", tame(&name.to_string())))
}

impl Doing {
    fn agree(&self, log: &LogReader, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        state::refuse_beside_writer(log)?;
        ask::confirm(question)
    }

    fn print(&self, plan: &impl Serialize, made: Option<Sequence>, what: &str) -> Result<Code, Failure> {
        if self.json {
            output::json(Json { done: made.is_some(), sequence: made, plan })?;
        } else if let Some(made) = made {
            let mut out = output::buffered();
            writeln!(out, "checkpoint {made}: {what}")?;
            out.flush()?;
        }
        Ok(Code::Well)
    }
}

/// Opens the log for writing, which nobody else may do meanwhile; a mistyped path makes none.
fn write(
    path: &Path,
    act: impl FnOnce(&Log) -> highwater::Result<highwater::Committed>,
) -> Result<Sequence, Failure> {
    let log = state::open(path)?;
    let made = act(&log)?;
    log.close()?;
    Ok(made.sequence())
}
