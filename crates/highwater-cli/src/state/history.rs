//! `highwater state history`: which checkpoints changed a state.

use std::io::Write;
use std::path::PathBuf;

use highwater::{Checkpoint, LogReader, OperationRecord, Sequence};
use highwater_connect::bookkeeping;
use serde::Serialize;
use serde_json::value::RawValue;

use super::target::{self, Name, Target};
use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::terminal;
use highwater_connect::quantity::timestamp;
use highwater_connect::text::tame;

const EXAMPLES: &str = "\
Examples:
  highwater state history shop.hw --stream users --last 10
  highwater state history shop.hw --json | jq '.changes[] | select(.operation)'     what people did";

/// List the checkpoints that changed a state, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct History {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// Only the newest N
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    #[command(flatten)]
    target: Target,
    /// Print JSON, with the states
    #[arg(long)]
    json: bool,
}

/// A checkpoint, and which states it changed: set or cleared.
struct Entry {
    checkpoint: Checkpoint,
    states: Vec<(Name, bool)>,
}

pub(crate) fn history(args: &History) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    let only = args.target.find(&log)?;
    let mut entries = read(&log, only.as_ref())?;
    entries.reverse();
    entries.truncate(args.last.unwrap_or(usize::MAX));
    if log.first() > Sequence::FIRST {
        terminal::note(format!(
            "checkpoints before {} are pruned, and what they changed with them",
            log.first()
        ));
    }
    if args.json {
        print_json(&entries)?;
    } else {
        print_table(&entries)?;
    }
    Ok(Code::Well)
}

/// In the order in which they were committed.
fn read(log: &LogReader, only: Option<&Name>) -> Result<Vec<Entry>, Failure> {
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let mut reader = log.reader(log.first())?;
    let mut entries = Vec::new();
    while reader.next_sequence() <= end {
        let Some(checkpoint) = known::next(&mut reader)? else { break };
        let mut states = checkpoint.states();
        let is_sources = |name: &Name| name.as_ref().is_none_or(|name| !bookkeeping::is_ours(name));
        states.retain(|(name, _)| only.map_or_else(|| is_sources(name), |only| only == name));
        if !states.is_empty() {
            entries.push(Entry { checkpoint, states });
        }
    }
    Ok(entries)
}

/// So many states fit on a line, and so much of a text.
const STATES_MAX: usize = 3;
const TEXT_MAX: usize = 60;

fn print_table(entries: &[Entry]) -> Result<(), Failure> {
    let mut table = output::table(["SEQUENCE", "TIME", "BY", "STATE"], &[0]);
    for entry in entries {
        table.add_row([
            entry.checkpoint.sequence().to_string(),
            timestamp(entry.checkpoint.time_us()),
            by(entry.checkpoint.operation().as_ref()),
            entry.shown()?,
        ]);
    }
    let mut out = output::buffered();
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(out.flush()?)
}

fn by(operation: Option<&OperationRecord>) -> String {
    let Some(operation) = operation else { return "pipeline".to_owned() };
    let told = [Some(operation.what.as_str()), operation.who.as_deref(), operation.why.as_deref()];
    tame(&told.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

impl Entry {
    fn shown(&self) -> Result<String, Failure> {
        let mut shown = Vec::new();
        for (name, _) in self.states.iter().take(STATES_MAX) {
            let text = self.checkpoint.state_text(name.as_ref())?.map_or("cleared".to_owned(), |text| {
                let short: String = text.chars().take(TEXT_MAX).collect();
                if short.len() < text.len() { format!("{} ...", tame(&short)) } else { tame(&short) }
            });
            shown.push(format!("{} {text}", target::describe(name)));
        }
        if self.states.len() > STATES_MAX {
            shown.push(format!("and {} more", self.states.len() - STATES_MAX));
        }
        Ok(shown.join(", "))
    }
}

#[derive(Serialize)]
struct Json {
    sequence: Sequence,
    id: String,
    time: String,
    /// Of a pipeline's checkpoint: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<OperationRecord>,
    states: Vec<StateJson>,
}

#[derive(Serialize)]
struct StateJson {
    /// `null`: the global state.
    stream: Name,
    cleared: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Box<RawValue>>,
}

/// One document, written piece by piece: the texts may be large.
fn print_json(entries: &[Entry]) -> Result<(), Failure> {
    let mut out = output::buffered();
    out.write_all(br#"{"version":1,"changes":["#)?;
    let mut separator = "";
    for entry in entries {
        out.write_all(separator.as_bytes())?;
        separator = ",\n";
        serde_json::to_writer(&mut out, &entry.json()?).map_err(std::io::Error::from)?;
    }
    out.write_all(b"]}\n")?;
    Ok(out.flush()?)
}

impl Entry {
    fn json(&self) -> Result<Json, Failure> {
        let state = |(name, is_set): &(Name, bool)| -> Result<StateJson, Failure> {
            let text = self.checkpoint.state_text(name.as_ref())?;
            let raw = text.map(RawValue::from_string).transpose();
            let state = raw.map_err(|e| Failure::error(format!("a stored state is not JSON: {e}")))?;
            Ok(StateJson { stream: name.clone(), cleared: !is_set, state })
        };
        Ok(Json {
            sequence: self.checkpoint.sequence(),
            id: self.checkpoint.position().checkpoint.to_string(),
            time: timestamp(self.checkpoint.time_us()),
            operation: self.checkpoint.operation(),
            states: self.states.iter().map(state).collect::<Result<_, _>>()?,
        })
    }
}
