//! `highwater consumer`: who reads the log, and from where. What a consumer would miss is named before it does.

mod held;
mod moving;

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use highwater::{ConsumerInfo, Sequence, Tally};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::place;
use crate::terminal;
use highwater_connect::quantity::{bytes, count};
use highwater_connect::text::tame;

const EXAMPLES: &str = "\
Examples:
  highwater consumer list shop.hw
  highwater consumer add shop.hw lake --from oldest
  highwater consumer seek shop.hw lake --to 41 --dry-run      behind checkpoint 41: 42 comes next
  highwater consumer seek shop.hw lake --to 2026-11-20T08:00:00Z --reason 'restored'
  highwater consumer drop shop.hw lake --yes";

/// List, add, move and drop consumers
///
/// All of it works beside a living writer. A consumer that somebody uses is left alone.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    List(List),
    Add(Add),
    Seek(moving::Seek),
    Drop(moving::Drop),
}

/// List the consumers with their lag
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The log's directory, or the pipeline file
    log: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Register a consumer, so that nothing is pruned that it has not acknowledged
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// The log's directory, or the pipeline file
    log: PathBuf,
    /// Its name
    name: String,
    /// Where it begins: earliest (refused if that is pruned), oldest (of what is kept), now, or behind a checkpoint: its number, its UUID,
    /// or a time (the last one committed by then)
    #[arg(long, value_name = "PLACE", default_value = "earliest")]
    from: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<Code, Failure> {
    match command {
        Command::List(args) => list(args),
        Command::Add(args) => add(args),
        Command::Seek(args) => moving::seek(args),
        Command::Drop(args) => moving::drop_one(args),
    }
}

#[derive(Serialize)]
struct Listed {
    consumers: Vec<ConsumerInfo>,
}

fn list(args: &List) -> Result<Code, Failure> {
    let consumers = known::open(&args.log)?.consumers()?;
    if args.json {
        output::json(Listed { consumers })?;
        return Ok(Code::Well);
    }
    let mut table = output::table(["CONSUMER", "ACKNOWLEDGED", "LAG", "LAG BYTES"], &[1, 2, 3]);
    for consumer in &consumers {
        // How far another history is from this one is no number.
        let lag = match consumer.diverged {
            true => ["diverged".to_owned(), "-".to_owned()],
            false => [count(consumer.lag_checkpoints), bytes(consumer.lag_bytes)],
        };
        let [checkpoints, size] = lag;
        table.add_row([tame(&consumer.name), consumer.acknowledged.to_string(), checkpoints, size]);
        if consumer.damage.is_some() {
            terminal::warning(format!(
                "where consumer {0} stands can't be read: highwater consumer seek {1} {0} --to SEQ, or drop it",
                tame(&consumer.name),
                args.log.display()
            ));
        }
    }
    let mut out = output::buffered();
    writeln!(out, "{}", table.trim_fmt())?;
    out.flush()?;
    Ok(Code::Well)
}

/// What was done to a consumer, or would be.
#[derive(Serialize)]
struct Json<'a> {
    done: bool,
    consumer: &'a str,
    /// Where it stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Sequence>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Sequence>,
    /// What it has not acknowledged and never gets.
    missed: Vec<Tally>,
    /// What it gets again.
    again: Vec<Tally>,
    /// It is a destination that stores its own position, which decides instead.
    destination_decides: bool,
}

impl<'a> Json<'a> {
    fn of(consumer: &'a str) -> Self {
        Json {
            done: false,
            consumer,
            before: None,
            acknowledged: None,
            missed: Vec::new(),
            again: Vec::new(),
            destination_decides: false,
        }
    }
}

fn add(args: &Add) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    if log.consumers()?.iter().any(|consumer| consumer.name == args.name) {
        return Err(Failure::error(format!("there is a consumer {} already", tame(&args.name)))
            .hint("highwater consumer list LOG"));
    }
    let from = place::start(&log, &args.from)?;
    let consumer = log.consumer(&args.name, from).map_err(gap)?;
    let at = consumer.acknowledged();
    let made = Json { done: true, acknowledged: Some(at), ..Json::of(&args.name) };
    output::told(args.json, &made, Some(&comes_next(&args.name, at)))?;
    Ok(Code::Well)
}

fn comes_next(name: &str, acknowledged: Sequence) -> String {
    format!("consumer {}: checkpoint {} comes next", tame(name), acknowledged.next())
}

/// What is gone is named by the error; what to do about it, by this.
fn gap(error: highwater::Error) -> Failure {
    let is_gap = matches!(error.kind(), highwater::ErrorKind::Gap { .. });
    let failure = Failure::from(error);
    if is_gap {
        failure.hint("the same with oldest: it begins with what is kept, and never gets the rest")
    } else {
        failure
    }
}
