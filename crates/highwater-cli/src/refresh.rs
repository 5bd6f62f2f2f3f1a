//! `highwater refresh`: a stream is read again from its beginning, without losing what is there until it is whole.

use std::path::PathBuf;

use highwater::{LogReader, StreamName};
use highwater_connect::bookkeeping::Book;
use highwater_connect::refresh;
use highwater_connect::rules::OnRepeat;
use highwater_connect::text::tame;
use serde::Serialize;

use crate::by::By;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::terminal;
use crate::twice::{self, Twice};

const EXAMPLES: &str = "\
Examples:
  highwater refresh shop.hw --stream users --reason 'rows were deleted that the source did not tell of' --truncate --dry-run
  highwater refresh shop.hw --stream users --reason 'a new column' --yes && highwater run pipeline.toml
  highwater refresh shop.hw --stream users --cancel --reason 'the rows are there after all' --yes

The next run of the pipeline reads the stream from its beginning, as a new generation; a run that is killed in it goes on with it.
With --truncate destinations that write by key or keep history drop the rows of older generations once the new one is whole, and not
before; those that append keep them, and each is named. Without it those that write by key hold each row once, and those that append
hold both.";

/// Ask for a stream to be read again from its beginning by the next run
///
/// Unlike reset, it counts as a new generation of the stream, and with --truncate what the source does not send any more goes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    wanted: known::Wanted,
    /// Rows of older generations go once the new one is whole
    #[arg(long)]
    truncate: bool,
    /// Take back what was asked for, before a run has begun with it
    #[arg(long, conflicts_with = "truncate")]
    cancel: bool,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Serialize)]
struct Plan<'a> {
    stream: &'a StreamName,
    truncate: bool,
    /// That of the rows that are there.
    before: u64,
    /// That of the rows that the next run reads.
    generation: u64,
    /// It was asked for before, and no run has begun with it yet.
    was_asked: bool,
    /// What destinations make of rows that they have already; with `truncate` those that keep them.
    twice: Vec<Twice>,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let Some(stream) = args.wanted.find(&log)?.map(|info| info.name) else {
        return Err(Failure::usage("say which stream: --stream NAME"));
    };
    if args.cancel {
        return cancel(args, log, &stream);
    }
    refresh::check(&log, &stream)?;
    let before = generation(&log, &stream)?;
    let mut twice = twice::gather(&args.log, &log, std::slice::from_ref(&stream))?;
    if args.truncate {
        // What others replace is there once.
        twice.retain(|twice| twice.on_repeat == Some(OnRepeat::Appends));
    }
    let plan = Plan {
        stream: &stream,
        truncate: args.truncate,
        before,
        generation: before.saturating_add(1),
        was_asked: refresh::Requests::newest(&log)?.of(&stream).is_some_and(|known| known.sync.is_none()),
        twice,
    };
    if given::rules(&args.log).is_ok_and(|rules| rules.is_none()) {
        terminal::warning(
            "no run of a pipeline is known here, and nothing else than highwater run obeys this",
        );
    }
    say(&plan);
    if !args.doing.is_wanted_alone(Some(&log), "Ask for it?")? {
        return args.doing.print_checkpoint(&plan, None, "");
    }
    drop(log);
    let log = known::open_to_write(&args.log)?;
    let made = refresh::request(&log, &stream, args.truncate, &args.by.who(), &args.by.reason)?;
    log.close()?;
    let what = format!("{} is read again by the next run", tame(&stream.to_string()));
    args.doing.print_checkpoint(&plan, Some(made.sequence()), &what)
}

#[derive(Serialize)]
struct Cancelled<'a> {
    stream: &'a StreamName,
}

fn cancel(args: &Args, log: LogReader, stream: &StreamName) -> Result<Code, Failure> {
    refresh::check_cancel(&refresh::Requests::newest(&log)?, stream)?;
    let plan = Cancelled { stream };
    let name = tame(&stream.to_string());
    terminal::say(format!(
        "the next run goes on with {name} where it is, and does not read it from its beginning"
    ));
    if !args.doing.is_wanted_alone(Some(&log), "Take the request back?")? {
        return args.doing.print_checkpoint(&plan, None, "");
    }
    drop(log);
    let log = known::open_to_write(&args.log)?;
    let made = refresh::cancel(&log, stream, &args.by.who(), &args.by.reason)?;
    log.close()?;
    args.doing.print_checkpoint(&plan, Some(made.sequence()), &format!("{name} is not read again"))
}

fn generation(log: &LogReader, stream: &StreamName) -> Result<u64, Failure> {
    let book = Book::newest(log)?;
    let known = book.streams.get(stream);
    Ok(known.map_or(0, |known| known.generation.number))
}

fn say(plan: &Plan<'_>) {
    let stream = tame(&plan.stream.to_string());
    terminal::say(format!(
        "the next run reads {stream} from its beginning, as generation {}",
        plan.generation
    ));
    if plan.was_asked {
        terminal::note(
            "that was asked for before, and no run has begun with it yet: this takes the place of it",
        );
    }
    if plan.truncate {
        terminal::say(
            "destinations that replace rows drop those of older generations once it is whole, and not before",
        );
        for twice in &plan.twice {
            terminal::warning(format!(
                "destination {} appends: rows of older generations stay there beside the new ones, unless it is a program that drops them",
                tame(&twice.consumer)
            ));
        }
        return;
    }
    twice::tell(&plan.twice);
}
