//! `highwater audit`: what happened to a log beside the work of pipelines.

use std::io::Write;
use std::path::PathBuf;

use highwater::{AuditEvent, LogReader, OperationRecord, Sequence};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::terminal;
use highwater_connect::quantity::{bytes, plural, timestamp};
use highwater_connect::record::{Activation, Entry, record};
use highwater_connect::text::tame;

const EXAMPLES: &str = "\
Examples:
  highwater audit shop.hw
  highwater audit shop.hw --all                    each opening for itself
  highwater audit shop.hw --json | jq '.entries[] | select(.event == \"operation\")'     what people did, and why";

/// Show what happened to a log: openings, recoveries, prunings, repairs, what people did by hand
///
/// It is read from the log itself and reaches back as far as segments are kept. The oldest comes first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// Show each opening, where several follow one another
    #[arg(long)]
    all: bool,
    /// Print JSON: everything
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    if log.first() > Sequence::FIRST {
        terminal::note(format!(
            "what is before checkpoint {} is pruned: of what happened then only what people did is still on record",
            log.first()
        ));
    }
    if args.json {
        print_json(&log)?;
    } else {
        print_table(&log, args.all)?;
    }
    Ok(Code::Well)
}

/// With the time as people read it, too.
#[derive(Serialize)]
struct Json {
    time: String,
    #[serde(flatten)]
    entry: Entry,
}

fn gather(log: &LogReader) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    record(log, &mut |entry| entries.push(entry))?;
    Ok(entries)
}

#[derive(Serialize)]
struct Document {
    entries: Vec<Json>,
}

fn print_json(log: &LogReader) -> Result<(), Failure> {
    let entries = gather(log)?.into_iter().map(|entry| Json { time: timestamp(entry.time_us()), entry });
    Ok(output::json(Document { entries: entries.collect() })?)
}

fn print_table(log: &LogReader, all: bool) -> Result<(), Failure> {
    let mut table = output::table(["TIME", "AFTER", "WHAT"], &[1]);
    let entries = gather(log)?;
    for run in entries.chunk_by(|one, next| !all && is_opening(one) && is_opening(next)) {
        let [.., last] = run else { continue };
        let what = match (run.len(), last) {
            (openings @ 2.., _) => format!("{openings} times, the last time {}", told(last)),
            _ => told(last),
        };
        table.add_row([timestamp(last.time_us()), last.after().to_string(), tame(&what)]);
    }
    let mut out = output::buffered();
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(out.flush()?)
}

fn is_opening(entry: &Entry) -> bool {
    matches!(entry, Entry::Log(entry) if matches!(entry.event, AuditEvent::Opening { .. }))
}

fn told(entry: &Entry) -> String {
    match entry {
        Entry::Log(entry) => sentence(&entry.event),
        Entry::Activation(Activation { stream, generation, replaces, .. }) => {
            let others = if *replaces { "in the place of what was there" } else { "beside what was there" };
            format!("generation {generation} of {stream} is whole, {others}")
        }
        _ => "something that this version does not know".to_owned(),
    }
}

fn sentence(event: &AuditEvent) -> String {
    match event {
        AuditEvent::Opening { who } => format!("opened by {who}"),
        AuditEvent::Recovery { dropped_frames, dropped_bytes, rewritten_bytes, why, who } => {
            let dropped = plural(*dropped_frames, "frame");
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            let rewritten = match rewritten_bytes {
                0 => String::new(),
                n => format!(", {} written again", bytes(*n)),
            };
            let dropped = format!("{dropped} dropped, {}{rewritten}{why}", bytes(*dropped_bytes));
            format!("opened by {who}; recovery: {dropped}")
        }
        AuditEvent::Pruning { first, detached } if detached.is_empty() => {
            format!("pruning: checkpoint {first} is the oldest that was kept")
        }
        AuditEvent::Pruning { first, detached } => {
            let who = detached.iter().map(|(name, at)| format!("{name} (at {at})"));
            let who = who.collect::<Vec<_>>().join(", ");
            format!("pruning: checkpoint {first} is the oldest that was kept; left behind: {who}")
        }
        AuditEvent::Compaction { first } => format!("compaction: everything up to checkpoint {first} is one"),
        AuditEvent::Repair { repair, first, last, why, .. } => {
            let lost = match first.zip(*last) {
                Some((first, last)) if first == last => format!("checkpoint {first} was given up"),
                Some((first, last)) => format!("checkpoints {first} to {last} were given up"),
                None => "no checkpoint was given up".to_owned(),
            };
            format!("repair {repair}: {lost} ({why}); what it changed was set aside as damaged-{repair}.*")
        }
        AuditEvent::Consumer { consumer, from, to, who, why } => {
            let from = from.map_or(String::new(), |from| format!(" from {from}"));
            let what = match to {
                Some(to) => format!("consumer {consumer} was moved{from} to {to}"),
                None => format!("consumer {consumer} was dropped{}", from.replace("from", "at")),
            };
            format!("{what}{}", signed(who.as_ref(), why.as_ref()))
        }
        AuditEvent::Work { work, who, why } => format!("{work}{}", signed(who.as_ref(), why.as_ref())),
        AuditEvent::Operation { position, record } => {
            format!("checkpoint {}: {}", position.sequence, operation(record))
        }
        _ => "something that this version does not know".to_owned(),
    }
}

fn operation(record: &OperationRecord) -> String {
    format!("{}{}", record.what, signed(record.who.as_ref(), record.why.as_ref()))
}

fn signed(who: Option<&String>, why: Option<&String>) -> String {
    let who = who.map_or(String::new(), |who| format!(", by {who}"));
    let why = why.map_or(String::new(), |why| format!(": {why}"));
    format!("{who}{why}")
}
