//! `highwater consumer seek` and `drop`: what a consumer would miss, or get again, is told first.

use std::path::PathBuf;

use highwater::{By, ConsumerInfo, LogReader, Sequence, Tally};

use super::{Json, comes_next, gap, held};
use crate::by::MayBe;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::known;
use crate::place;
use crate::terminal;
use highwater_connect::quantity::{bytes, checkpoints, plural};
use highwater_connect::text::tame;

/// Move a consumer: forward, past what it then never gets, or back, to what it then gets again
#[derive(Debug, clap::Args)]
pub(crate) struct Seek {
    /// The log's directory, or the pipeline file: with that, a destination is asked what it holds
    pub(super) log: PathBuf,
    /// Its name
    pub(super) name: String,
    /// Where to: earliest, oldest, now, or behind a checkpoint: its number, its UUID, or a time (the last one committed by then)
    #[arg(long, value_name = "PLACE")]
    to: String,
    #[command(flatten)]
    by: MayBe,
    #[command(flatten)]
    doing: Doing,
}

/// Forget a consumer: nothing is kept for it any more
#[derive(Debug, clap::Args)]
pub(crate) struct Drop {
    /// The log's directory, or the pipeline file
    log: PathBuf,
    /// Its name
    name: String,
    #[command(flatten)]
    by: MayBe,
    #[command(flatten)]
    doing: Doing,
}

fn find(log: &LogReader, name: &str) -> Result<ConsumerInfo, Failure> {
    let consumers = log.consumers()?;
    let names = || consumers.iter().map(|consumer| tame(&consumer.name)).collect::<Vec<_>>().join(", ");
    let found = consumers.iter().find(|consumer| consumer.name == name).cloned();
    if found.as_ref().is_some_and(|found| found.damage.is_some()) {
        terminal::warning("where it stands can't be read");
    }
    found.ok_or_else(|| {
        let known =
            if consumers.is_empty() { "it has none".to_owned() } else { format!("it has {}", names()) };
        Failure::not_found(format!("the log has no consumer {}; {known}", tame(name)))
    })
}

/// Where a consumer stands; `None` if its file is damaged.
fn standing(found: &ConsumerInfo) -> Option<Sequence> {
    found.damage.is_none().then_some(found.acknowledged)
}

pub(super) fn seek(args: &Seek) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let found = find(&log, &args.name)?;
    let before = standing(&found);
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let start = place::start(&log, &args.to)?;
    // What would be refused is refused before anything is said, whether it is to be done or not.
    let to = log.plan_seek(&args.name, start).map_err(gap)?;
    let destination_decides = held::decides(args, &log, &found, to)?;
    let mut plan = Json { before, destination_decides, ..Json::of(&args.name) };
    if let Some(before) = before {
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
    let at = log.seek_consumer(&args.name, start, Some(By { who: &who, why: &why })).map_err(gap)?;
    plan.done = true;
    plan.acknowledged = Some(at);
    args.doing.print(&plan, Some(&comes_next(&args.name, at)))
}

/// As much of the range as is kept.
fn tally(log: &LogReader, after: Sequence, through: Sequence) -> Result<Vec<Tally>, Failure> {
    let after = after.max(log.first().previous());
    let mut tallies = if through <= after { Vec::new() } else { log.tally(after, through)? };
    tallies.retain(|tally| !tally.stream.is_of_runtime()); // no destination gets them
    Ok(tallies)
}

fn say(what: &str, after: Sequence, through: Sequence, tallies: &[Tally]) {
    if through <= after {
        return;
    }
    terminal::say(format!("{what} {}:", checkpoints(after.next().get(), through.get())));
    for tally in tallies {
        let (name, records) = (tame(&tally.stream.to_string()), plural(tally.records, "record"));
        terminal::say(format!("  {name}: {records} ({})", bytes(tally.bytes)));
    }
    if tallies.is_empty() {
        terminal::say("  no records that are kept");
    }
}

pub(super) fn drop_one(args: &Drop) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let mut plan = Json::of(&args.name);
    // One whose file is damaged can be dropped: that is what it takes to go on.
    if let Some(before) = standing(&find(&log, &args.name)?) {
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
