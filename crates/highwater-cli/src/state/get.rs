//! `highwater state get`.

use std::path::PathBuf;

use highwater::{LogReader, Sequence, StateText, StreamName};
use highwater_connect::airbyte::message::{self, StateKind};
use highwater_connect::quantity::plural;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Format;
use super::found::Found;
use super::target::{self, Target};
use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::place;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater state get shop.hw > state.json && source-faker read --config c.json --catalog cat.json --state state.json
  highwater state get shop.hw --format json | jq '.streams[] | {name, since}'
  highwater state get shop.hw --at 41 --stream users
  highwater state get shop.hw --stream users --format text      its very text

What this prints, highwater state set takes back, whatever the source and in each format.";

/// Print the states at the last checkpoint, or at an earlier one
///
/// They are what recovery will accept, also after a crash and before the log is opened for writing again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The log's directory, or the pipeline file
    pub(super) log: PathBuf,
    /// airbyte: what a source takes with --state, one GLOBAL or the STREAMs, never both; json: everything; text: one state,
    /// to the letter. Default: airbyte where the states are Airbyte's, json where they are others
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The states as of this checkpoint: its number, its UUID, or a time (the last one committed by then)
    #[arg(long, value_name = "SEQ|ID|TIME")]
    at: Option<String>,
    #[command(flatten)]
    target: Target,
}

pub(super) fn get(args: &Get) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    let at = args.at.as_deref().map(|at| place::find(&log, at)).transpose()?;
    if args.format == Some(Format::Text) {
        return args.print_text(&log, at);
    }
    if args.target.global {
        return Err(Failure::usage("the global state alone: say --format text, too"));
    }
    let stream = args.target.wanted.find(&log)?.map(|info| info.name);
    let found = Found::read(&log, at, stream.as_ref())?;
    match args.format(&found) {
        Format::Json => found.print_json(&log)?,
        _ => found.print_airbyte()?,
    }
    Ok(Code::Well)
}

impl Get {
    /// What was asked for, or else what `state set` takes back.
    fn format(&self, found: &Found) -> Format {
        let foreign = found.foreign() as u64;
        let format = match self.format {
            _ if self.json => Format::Json,
            Some(format) => format,
            None if foreign > 0 => Format::Json,
            None => Format::Airbyte,
        };
        if format == Format::Airbyte && foreign > 0 {
            let (states, are) = (plural(foreign, "state"), if foreign == 1 { "is" } else { "are" });
            terminal::warning(format!(
                "{states} {are} not Airbyte's, so a source won't take this, nor will state set; --format json shows all"
            ));
        }
        format
    }

    fn print_text(&self, log: &LogReader, at: Option<Sequence>) -> Result<Code, Failure> {
        use std::io::Write;
        let name = self.target.one(log)?;
        let states = at.map_or_else(|| log.state(), |at| log.state_at(at))?;
        let Some(text) = target::text(&states, &name)? else {
            return Err(Failure::not_found(format!("{} is not set", target::describe(&name))));
        };
        let mut out = output::buffered();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(Code::Well)
    }
}

impl Found {
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
                let texts: Vec<&str> = self.streams.iter().map(|(_, state)| state.text.as_str()).collect();
                writeln!(out, "[{}]", texts.join(","))?;
            }
        }
        Ok(out.flush()?)
    }

    fn say_unused_streams(&self, global: &StateText) {
        if !self.streams.is_empty() {
            terminal::note(format!(
                "the source changed to one state for all streams in checkpoint {}; the older states of {} are left out",
                global.since,
                plural(self.streams.len() as u64, "stream"),
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
