//! `highwater state diff`: what changed between two checkpoints.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use highwater::{LogReader, Sequence, States};
use highwater_connect::json_text::{self as json, Change};
use serde::Serialize;

use super::target::{self, Name, Target};
use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::place;

const EXAMPLES: &str = "\
Examples:
  highwater state diff shop.hw                          what the last checkpoint changed
  highwater state diff shop.hw --from 41 --stream users
  highwater state diff shop.hw --from 41 --to 44 --json | jq '.states[].patch'    as JSON Patch (RFC 6902)";

/// Show how states differ between two checkpoints
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Diff {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The earlier checkpoint: its number, its UUID, or a time (the last one committed by then). Default: the one before the later
    #[arg(long, value_name = "SEQ|ID|TIME")]
    from: Option<String>,
    /// The later one, named in the same way. Default: the last
    #[arg(long, value_name = "SEQ|ID|TIME")]
    to: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Print JSON: a JSON Patch for each state
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json {
    from: Sequence,
    to: Sequence,
    states: Vec<Differs>,
}

#[derive(Serialize)]
struct Differs {
    /// `null`: the global state.
    stream: Name,
    patch: Vec<Change>,
}

pub(crate) fn diff(args: &Diff) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let to = args.to.as_deref().map_or(Ok(end), |to| place::find(&log, to))?;
    let from = args.from.as_deref().map_or_else(|| Ok(to.previous()), |from| place::behind(&log, from))?;
    let only = args.target.find(&log)?;
    let (old, new) = (texts(&log, from)?, texts(&log, to)?);
    let mut states = Vec::new();
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(name))) {
        let is_wanted = only.as_ref().is_none_or(|only| only.as_ref().map(key) == *name);
        if !is_wanted || old.get(name) == new.get(name) {
            continue;
        }
        let text = |of: &Texts| of.get(name).map(|(_, text)| text.clone());
        let stream = old.get(name).or(new.get(name)).and_then(|(stream, _)| stream.clone());
        states.push(Differs { stream, patch: json::diff(text(&old).as_deref(), text(&new).as_deref()) });
    }
    if args.json {
        output::json(Json { from, to, states })?;
    } else {
        print(&states)?;
    }
    Ok(Code::Well)
}

/// A name that sorts; the global state comes first.
type Key = Option<(Option<String>, String)>;
type Texts = BTreeMap<Key, (Name, String)>;

fn key(name: &highwater::StreamName) -> (Option<String>, String) {
    (name.namespace.clone(), name.name.clone())
}

/// Before the first checkpoint nothing is set.
fn texts(log: &LogReader, at: Sequence) -> Result<Texts, Failure> {
    if at == Sequence::NONE {
        return Ok(Texts::new());
    }
    let states: States = log.state_at(at)?;
    let global = states.global()?.map(|state| (None, (None, state.text)));
    let streams = super::of_sources(states.all()?)
        .into_iter()
        .map(|(name, state)| (Some(key(&name)), (Some(name), state.text)));
    Ok(global.into_iter().chain(streams).collect())
}

fn print(states: &[Differs]) -> Result<(), Failure> {
    let mut out = output::buffered();
    for state in states {
        writeln!(out, "{}", target::describe(&state.stream))?;
        for change in &state.patch {
            writeln!(out, "  {change}")?;
        }
    }
    Ok(out.flush()?)
}
