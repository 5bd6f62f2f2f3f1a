//! `highwater consumer`: who reads the log, and from where. What a consumer would miss is named before it does.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use highwater::{By, ConsumerInfo, LogReader, Sequence, Start, Tally};
use serde::Serialize;

use crate::by::MayBe;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::terminal;
use highwater_connect::quantity::{bytes, count, plural};
use highwater_connect::text::tame;

const EXAMPLES: &str = "\
Examples:
  highwater consumer list shop.hw
  highwater consumer add shop.hw lake --from oldest
  highwater consumer seek shop.hw lake --to 41 --dry-run      behind checkpoint 41: 42 comes next
  highwater consumer drop shop.hw lake --yes";

/// List, add, move and drop consumers
///
/// All of it works beside a living writer. A consumer that somebody uses is left alone.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    List(List),
    Add(Add),
    Seek(Seek),
    Drop(Drop),
}

/// List the consumers with their lag
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The log's directory
    log: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Register a consumer, so that nothing is pruned that it has not acknowledged
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// The log's directory
    log: PathBuf,
    /// Its name
    name: String,
    /// Where it begins: earliest (refused if that is pruned), oldest (of what is kept), now, or behind checkpoint SEQ
    #[arg(long, value_name = "PLACE", value_parser = place, default_value = "earliest")]
    from: Start,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Move a consumer: forward, past what it then never gets, or back, to what it then gets again
#[derive(Debug, clap::Args)]
pub(crate) struct Seek {
    /// The log's directory
    log: PathBuf,
    /// Its name
    name: String,
    /// Where to: earliest, oldest, now, or behind checkpoint SEQ
    #[arg(long, value_name = "PLACE", value_parser = place)]
    to: Start,
    #[command(flatten)]
    by: MayBe,
    #[command(flatten)]
    doing: Doing,
}

/// Forget a consumer: nothing is kept for it any more
#[derive(Debug, clap::Args)]
pub(crate) struct Drop {
    /// The log's directory
    log: PathBuf,
    /// Its name
    name: String,
    #[command(flatten)]
    by: MayBe,
    #[command(flatten)]
    doing: Doing,
}

fn place(text: &str) -> Result<Start, String> {
    match text {
        "earliest" => Ok(Start::Earliest),
        "oldest" => Ok(Start::Oldest),
        "now" => Ok(Start::Now),
        number => number
            .parse()
            .map(|number| Start::After(Sequence::new(number)))
            .map_err(|_| "expected earliest, oldest, now, or a checkpoint's number".to_owned()),
    }
}

impl Command {
    /// The log it works on.
    pub(crate) fn log(&self) -> &Path {
        match self {
            Command::List(args) => &args.log,
            Command::Add(args) => &args.log,
            Command::Seek(args) => &args.log,
            Command::Drop(args) => &args.log,
        }
    }
}

pub(crate) fn run(command: &Command) -> Result<Code, Failure> {
    match command {
        Command::List(args) => list(args),
        Command::Add(args) => add(args),
        Command::Seek(args) => seek(args),
        Command::Drop(args) => drop_one(args),
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
        table.add_row([
            tame(&consumer.name),
            consumer.acknowledged.to_string(),
            count(consumer.lag_checkpoints),
            bytes(consumer.lag_bytes),
        ]);
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
        }
    }
}

fn add(args: &Add) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    if log.consumers()?.iter().any(|consumer| consumer.name == args.name) {
        return Err(Failure::error(format!("there is a consumer {} already", tame(&args.name)))
            .hint("highwater consumer list LOG"));
    }
    let consumer = log.consumer(&args.name, args.from).map_err(gap)?;
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

/// Where a consumer stands; `None` if its file is damaged.
fn standing(log: &LogReader, name: &str) -> Result<Option<Sequence>, Failure> {
    let consumers = log.consumers()?;
    let names = || consumers.iter().map(|consumer| tame(&consumer.name)).collect::<Vec<_>>().join(", ");
    let found = consumers.iter().find(|consumer| consumer.name == name);
    if found.is_some_and(|found| found.damage.is_some()) {
        terminal::warning("where it stands can't be read");
    }
    let at = found.map(|found| found.damage.is_none().then_some(found.acknowledged));
    at.ok_or_else(|| {
        let known =
            if consumers.is_empty() { "it has none".to_owned() } else { format!("it has {}", names()) };
        Failure::not_found(format!("the log has no consumer {}; {known}", tame(name)))
    })
}

fn seek(args: &Seek) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let before = standing(&log, &args.name)?;
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let kept = log.first().previous();
    let to = match args.to {
        Start::Earliest | Start::Oldest => kept,
        Start::Now => end,
        Start::After(to) => to.min(end),
    };
    let mut plan = Json { before, ..Json::of(&args.name) };
    if let Some(before) = before {
        // What is pruned nobody can count; the engine says what is gone.
        plan.missed = tally(&log, before, to)?;
        plan.again = tally(&log, to, before.min(end))?;
        say(&format!("consumer {} never gets", tame(&args.name)), before, to, &plan.missed);
        say(&format!("consumer {} gets again", tame(&args.name)), to, before.min(end), &plan.again);
    }
    // Where nothing moves there is nothing to ask.
    let is_wanted =
        if Some(to) == before { !args.doing.is_dry() } else { args.doing.is_wanted("Move it?")? };
    if !is_wanted {
        return args.doing.print(&plan, None);
    }
    let (who, why) = args.by.told();
    let at = log.seek_consumer(&args.name, args.to, Some(By { who: &who, why: &why })).map_err(gap)?;
    plan.done = true;
    plan.acknowledged = Some(at);
    args.doing.print(&plan, Some(&comes_next(&args.name, at)))
}

/// As much of the range as is kept.
fn tally(log: &LogReader, after: Sequence, through: Sequence) -> Result<Vec<Tally>, Failure> {
    let after = after.max(log.first().previous());
    if through <= after { Ok(Vec::new()) } else { Ok(log.tally(after, through)?) }
}

fn say(what: &str, after: Sequence, through: Sequence, tallies: &[Tally]) {
    if through <= after {
        return;
    }
    terminal::say(format!("{what} checkpoints {} to {through}:", after.next()));
    for tally in tallies {
        let (name, records) = (tame(&tally.stream.to_string()), plural(tally.records, "record"));
        terminal::say(format!("  {name}: {records} ({})", bytes(tally.bytes)));
    }
    if tallies.is_empty() {
        terminal::say("  no records that are kept");
    }
}

fn drop_one(args: &Drop) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let mut plan = Json::of(&args.name);
    // One whose file is damaged can be dropped: that is what it takes to go on.
    if let Some(before) = standing(&log, &args.name)? {
        let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
        plan.before = Some(before);
        plan.missed = tally(&log, before, end)?;
        say(&format!("consumer {} has not acknowledged", tame(&args.name)), before, end, &plan.missed);
    }
    if !args.doing.is_wanted("Drop it?")? {
        return args.doing.print(&plan, None);
    }
    let (who, why) = args.by.told();
    log.drop_consumer(&args.name, Some(By { who: &who, why: &why }))?;
    plan.done = true;
    args.doing.print(&plan, Some(&format!("consumer {} is dropped", tame(&args.name))))
}
