//! `highwater state`: the states that a source resumes from.

mod change;
mod copy;
mod diff;
mod edit;
mod history;
mod input;
mod set;
pub(crate) mod target;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use highwater::{LogReader, Sequence, StateText, StreamName};
use highwater_connect::airbyte::message::{self, StateKind};
use highwater_connect::bookkeeping;
use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) use change::{NewState, Plan, Writing};

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::state::target::Target;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater state get shop.hw > state.json && source-faker read --config c.json --catalog cat.json --state state.json
  highwater state get shop.hw --format json | jq '.streams[] | {name, since}'
  highwater state get shop.hw --at 41 --stream users
  highwater state get shop.hw --stream users --format text      its very text

What this prints, highwater state set takes back, in each format.";

/// Show the states that a source resumes from, their history, and change them
///
/// What changes a state makes a checkpoint of its own, which says who did it and why. Nothing is erased. While a process writes
/// the log it is refused, and says which.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Get(Get),
    Set(set::Set),
    Edit(edit::Edit),
    Merge(set::Merge),
    Copy(copy::Copy),
    Clear(set::Clear),
    History(history::History),
    Diff(diff::Diff),
}

/// Print the states at the last checkpoint, or at an earlier one
///
/// They are what recovery will accept, also after a crash and before the log is opened for writing again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The log's directory
    pub(crate) log: PathBuf,
    /// airbyte: what a source takes with --state, one GLOBAL or the STREAMs, never both; json: everything; text: one state,
    /// to the letter
    #[arg(long, value_enum, default_value_t = Format::Airbyte)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The states as of this checkpoint
    #[arg(long, value_name = "SEQ")]
    at: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Airbyte,
    Json,
    Text,
}

pub(crate) fn run(command: &Command) -> Result<Code, Failure> {
    match command {
        Command::Get(args) => get(args),
        Command::Set(args) => set::set(args),
        Command::Edit(args) => edit::edit(args),
        Command::Merge(args) => set::merge(args),
        Command::Copy(args) => copy::copy(args),
        Command::Clear(args) => set::clear(args),
        Command::History(args) => history::history(args),
        Command::Diff(args) => diff::diff(args),
    }
}

fn get(args: &Get) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    if args.format == Format::Text {
        return args.print_text(&log);
    }
    if args.target.global {
        return Err(Failure::usage("the global state alone: say --format text, too"));
    }
    let stream = args.target.wanted.find(&log)?.map(|info| info.name);
    let found = Found::read(&log, args.at.map(Sequence::new), stream.as_ref())?;
    if args.json || args.format == Format::Json {
        found.print_json(&log)?;
    } else {
        found.print_airbyte()?;
    }
    Ok(Code::Well)
}

impl Get {
    fn print_text(&self, log: &LogReader) -> Result<Code, Failure> {
        use std::io::Write;
        let name = self.target.one(log)?;
        let states = match self.at {
            Some(at) => log.state_at(Sequence::new(at))?,
            None => log.state()?,
        };
        let Some(text) = target::text(&states, &name)? else {
            return Err(Failure::not_found(format!("{} is not set", target::describe(&name))));
        };
        let mut out = output::buffered();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(Code::Well)
    }
}

/// Without what the runtime keeps there for itself.
fn of_sources(mut states: Vec<(StreamName, StateText)>) -> Vec<(StreamName, StateText)> {
    states.retain(|(name, _)| !bookkeeping::is_ours(name));
    states
}

/// The states at one checkpoint.
pub(crate) struct Found {
    sequence: Sequence,
    global: Option<StateText>,
    streams: Vec<(StreamName, StateText)>,
    is_global_newest: bool,
}

impl Found {
    /// Of one stream only, or of all; at the last checkpoint unless another is named.
    pub(crate) fn read(
        log: &LogReader,
        at: Option<Sequence>,
        only: Option<&StreamName>,
    ) -> Result<Self, Failure> {
        let states = match at {
            Some(sequence) => log.state_at(sequence)?,
            None => log.state()?,
        };
        let sequence = states.position().map_or(Sequence::NONE, |position| position.sequence);
        let (global, streams) = match only {
            Some(name) => {
                (None, states.get_text(name)?.map(|text| (name.clone(), text)).into_iter().collect())
            }
            None => (states.global()?, of_sources(states.all()?)),
        };
        let is_global_newest = log.is_global_newest(&states)?;
        Ok(Found { sequence, global, streams, is_global_newest })
    }

    /// Which kind the source sent last, and so understands.
    pub(crate) fn kind(&self) -> Option<StateKind> {
        match &self.global {
            Some(global) if self.is_global_newest => Some(message::global_kind(&global.text)),
            _ if self.streams.is_empty() => None,
            _ => Some(StateKind::Stream),
        }
    }

    fn print_airbyte(&self) -> Result<(), Failure> {
        use std::io::Write;
        let mut out = output::buffered();
        match (self.kind(), &self.global) {
            (Some(StateKind::Legacy), Some(global)) => {
                self.say_unused_streams(global);
                writeln!(out, "{}", message::legacy_data(&global.text))?;
            }
            (Some(StateKind::Global), Some(global)) => {
                self.say_unused_streams(global);
                writeln!(out, "[{}]", global.text)?;
            }
            (_, global) => {
                self.say_unused_global(global.as_ref());
                self.say_foreign();
                let texts: Vec<&str> = self.streams.iter().map(|(_, state)| state.text.as_str()).collect();
                writeln!(out, "[{}]", texts.join(","))?;
            }
        }
        Ok(out.flush()?)
    }

    fn say_unused_streams(&self, global: &StateText) {
        if !self.streams.is_empty() {
            terminal::note(format!(
                "the source changed to one state for all streams in checkpoint {}; the older states of {} streams are left out",
                global.since,
                self.streams.len(),
            ));
        }
    }

    fn say_unused_global(&self, global: Option<&StateText>) {
        if let Some(global) = global {
            terminal::note(format!(
                "the source changed to a state per stream; the older state for all streams, of checkpoint {}, is left out",
                global.since
            ));
        }
    }

    /// A state that came from elsewhere than `ingest --format airbyte` is shown, but no source will take it.
    fn say_foreign(&self) {
        let is_foreign =
            |text: &str| !matches!(message::State::parse(text), Ok(state) if state.kind == StateKind::Stream);
        let foreign = self.streams.iter().filter(|(_, state)| is_foreign(&state.text)).count();
        if foreign > 0 {
            terminal::warning(format!(
                "the states of {foreign} streams are not Airbyte's, so a source won't take this; --format json shows them all"
            ));
        }
    }

    fn print_json(&self, log: &LogReader) -> Result<(), Failure> {
        let streams: Result<Vec<_>, Failure> =
            self.streams.iter().map(|(name, state)| StreamJson::new(name, state)).collect();
        let global = self.global.as_ref();
        Ok(output::json(Json {
            log: log.id().to_string(),
            sequence: self.sequence,
            global_since: global.map(|global| global.since),
            global: global.map(|global| raw(&global.text)).transpose()?,
            streams: streams?,
        })?)
    }
}

#[derive(Serialize)]
struct Json<'a> {
    log: String,
    sequence: Sequence,
    global: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_since: Option<Sequence>,
    streams: Vec<StreamJson<'a>>,
}

#[derive(Serialize)]
struct StreamJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    since: Sequence,
    state: &'a RawValue,
}

impl<'a> StreamJson<'a> {
    fn new(name: &'a StreamName, state: &'a StateText) -> Result<Self, Failure> {
        Ok(StreamJson {
            namespace: name.namespace.as_deref(),
            name: &name.name,
            since: state.since,
            state: raw(&state.text)?,
        })
    }
}

/// The engine has validated it, so it is JSON.
fn raw(text: &str) -> Result<&RawValue, Failure> {
    serde_json::from_str(text).map_err(|e| Failure::error(format!("a stored state is not JSON: {e}")))
}
