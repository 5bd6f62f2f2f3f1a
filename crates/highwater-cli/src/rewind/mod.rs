//! `highwater rewind` and `highwater reset`: a source goes back. They say first what that means.

mod tell;

use std::path::{Path, PathBuf};

use highwater::{Log, LogReader, Operation, Sequence, StreamName};
use highwater_connect::text::tame;

use crate::by::By;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::known;
use crate::place;
use crate::twice;

const REWIND_EXAMPLES: &str = "\
Examples:
  highwater rewind shop.hw --to 41 --reason 'orders were read with the wrong filter' --dry-run
  highwater rewind shop.hw --to 2026-11-20T08:00:00Z --stream users --reason 'a bad deployment' --yes

The states of that checkpoint become a new one, and nothing is erased: a rewind can itself be rewound. The source reads again what
came behind it, so consumers get those records twice. Destinations that write by key hold them once, those that append twice, and so does
every one of streams without a key. Which does which is known from the pipeline file, or from what its last run has written down.";

/// Bring the states of an earlier checkpoint back
///
/// Shows first which states change, what the source will read again, which consumers have it already, and which destinations will hold it
/// twice.
#[derive(Debug, clap::Args)]
#[command(after_help = REWIND_EXAMPLES)]
pub(crate) struct Rewind {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The checkpoint: its number, its UUID, or a time (the last one committed by then, in UTC unless it says otherwise)
    #[arg(long, value_name = "SEQ|ID|TIME")]
    to: String,
    #[command(flatten)]
    wanted: known::Wanted,
    #[command(flatten)]
    by: By,
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
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    wanted: known::Wanted,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    doing: Doing,
}

pub(crate) fn rewind(args: &Rewind) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let to = place::find(&log, &args.to)?;
    let only = args.wanted.find(&log)?.map(|info| info.name);
    only.as_ref().map_or(Ok(()), known::refuse_ours)?;
    only.as_ref().map_or(Ok(()), |stream| refuse_part_of_global(&log, stream))?;
    let plan = log.plan_rewind(to, only.as_ref())?;
    let again: Vec<_> = plan.again.iter().map(|tally| tally.stream.clone()).collect();
    let told = tell::Rewound { twice: twice::gather(&args.log, &log, &again)?, plan };
    told.tell();
    let plan = &told.plan;
    if plan.is_empty() || !args.doing.is_wanted_alone(Some(&log), "Rewind?")? {
        return args.doing.print_checkpoint(&told, None, "");
    }
    let made = write(&args.log, |log| log.rewind(plan, &args.by.who(), &args.by.reason))?;
    args.doing.print_checkpoint(&told, Some(made), &format!("the states are those of checkpoint {to}"))
}

pub(crate) fn reset(args: &Reset) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let Some(info) = args.wanted.find(&log)? else {
        return Err(Failure::usage("say which stream: --stream NAME"));
    };
    known::refuse_ours(&info.name)?;
    refuse_part_of_global(&log, &info.name)?;
    let plan = tell::Resetting::gather(&args.log, &log, info)?;
    plan.tell();
    if plan.since.is_none() || !args.doing.is_wanted_alone(Some(&log), "Reset it?")? {
        return args.doing.print_checkpoint(&plan, None, "");
    }
    let name = &plan.stream;
    let reset = Operation::new(format!("reset {name}"), args.by.who(), &*args.by.reason);
    let reset = reset.clear(name).expecting(log.end());
    let made = write(&args.log, |log| log.operate(reset))?;
    args.doing.print_checkpoint(&plan, Some(made), &format!("stream {} begins anew", tame(&name.to_string())))
}

/// Where the source has one state for all streams, a stream's own is nothing that it goes on from.
fn refuse_part_of_global(log: &LogReader, stream: &StreamName) -> Result<(), Failure> {
    let states = log.state()?;
    if states.global()?.is_none() || !log.is_global_newest(&states)? {
        return Ok(());
    }
    let name = tame(&stream.to_string());
    let text = format!("the source has one state for all streams, and {name} has none of its own to go back");
    Err(Failure::usage(text).hint(format!(
        "highwater refresh LOG --stream {name}, which reads it anew where its part of that state is known; or, for all streams, \
         highwater rewind LOG --to SEQ"
    )))
}

/// Opens the log for writing, which nobody else may do meanwhile; a mistyped path makes none.
fn write(
    path: &Path,
    act: impl FnOnce(&Log) -> highwater::Result<highwater::Committed>,
) -> Result<Sequence, Failure> {
    let log = known::open_to_write(path)?;
    let made = act(&log)?;
    log.close()?;
    Ok(made.sequence())
}
