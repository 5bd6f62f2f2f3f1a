//! `highwater state set`, `merge` and `clear`.

use std::path::PathBuf;

use highwater::{LogReader, States};
use highwater_connect::json_text as json;

use super::Format;
use super::change::{NewState, Plan, Writing};
use super::input;
use super::target::{self, Name, Target};
use crate::failure::{Code, Failure};
use crate::known;
use crate::terminal;
use highwater_connect::airbyte::message::StateKind;

const SET_EXAMPLES: &str = "\
Examples:
  highwater state get shop.hw > state.json && highwater state set shop.hw --reason 'as it was on Monday' --yes < state.json
  highwater state set shop.hw '{\"cursor\": 40}' --stream users --format text --reason 'page 41 was empty'
  highwater state set shop.hw --file state.json --dry-run --reason test";

/// Set states to what `state get` has printed, or to a text
///
/// States that are not in it stay as they are. The new states are a checkpoint of their own: the old ones stay in the history.
#[derive(Debug, clap::Args)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct Set {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The states. Default: standard input
    #[arg(value_name = "STATE")]
    state: Option<String>,
    /// A file that holds them
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    file: Option<PathBuf>,
    /// airbyte and json: as state get prints them; text: one state, to the letter. Default: whichever of airbyte and json it is
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    writing: Writing,
}

pub(crate) fn set(args: &Set) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let states = log.state()?;
    let target = args.target.find(&log)?;
    let current = target::text(&states, target.as_ref().unwrap_or(&None))?;
    let text = input::read(args.state.as_ref(), args.file.as_ref())?;
    let format = args.format.unwrap_or_else(|| input::recognise(&text));
    let given = input::parse(&text, format, target.as_ref(), current.as_deref())?;
    say_change_of_kind(&log, &given)?;
    let states = given.into_iter().map(|(name, new)| with_old(&log, &states, name, new, format));
    let states = states.collect::<Result<Vec<_>, _>>()?;
    args.writing.write(Plan::on(&args.log, &log, "set", states))
}

fn with_old(
    log: &LogReader,
    states: &States,
    name: Name,
    new: String,
    format: Format,
) -> Result<NewState, Failure> {
    if let Some(stream) = &name {
        log.find_stream(stream).map_err(|error| Failure::from(error).hint("highwater info LOG"))?;
    }
    let old = target::text(states, &name)?;
    // Around a state in a list nobody can tell whose white space it is.
    let is_old = |old: &String| format != Format::Text && old.trim() == new;
    let new = old.as_ref().filter(|old| is_old(old)).cloned().unwrap_or(new);
    Ok(NewState { name, old, new: Some(new) })
}

/// The newer kind of state is what the source gets.
fn say_change_of_kind(log: &LogReader, given: &[(Name, String)]) -> Result<(), Failure> {
    let now = super::Found::read(log, None, None)?.kind();
    let has = |global: bool| given.iter().any(|(name, _)| name.is_none() == global);
    match now {
        Some(StateKind::Global | StateKind::Legacy) if has(false) && !has(true) => terminal::warning(
            "the source's newest state was one for all streams; from now on the states per stream are newer and count",
        ),
        Some(StateKind::Stream) if has(true) => terminal::warning(
            "the source's newest states were one per stream; from now on the one for all is newer and counts",
        ),
        _ => {}
    }
    Ok(())
}

const MERGE_EXAMPLES: &str = "\
Examples:
  highwater state merge shop.hw '{\"stream\":{\"stream_state\":{\"cursor\":40}}}' --stream users --reason 'page 41 was empty'
  highwater state merge shop.hw --global --reason 'read orders again' --yes < patch.json

The patch is a merge patch by RFC 7396: null removes a key. What it does not name stays to the letter.";

/// Change a part of a state
#[derive(Debug, clap::Args)]
#[command(after_help = MERGE_EXAMPLES)]
pub(crate) struct Merge {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The patch. Default: standard input
    #[arg(value_name = "PATCH")]
    patch: Option<String>,
    /// A file that holds it
    #[arg(long, value_name = "FILE", conflicts_with = "patch")]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    writing: Writing,
}

pub(crate) fn merge(args: &Merge) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let name = args.target.one(&log)?;
    let old = target::text(&log.state()?, &name)?;
    let patch = input::read(args.patch.as_ref(), args.file.as_ref())?;
    json::check(&patch).map_err(|e| Failure::error(format!("the patch is not JSON: {e}")))?;
    let new = json::merge(old.as_deref().unwrap_or("{}"), &patch).map_err(Failure::error)?;
    let states = vec![NewState { name, old, new: Some(new) }];
    args.writing.write(Plan::on(&args.log, &log, "merge", states))
}

const CLEAR_EXAMPLES: &str = "\
Examples:
  highwater state clear shop.hw --stream users --reason 'read it again' --dry-run
  highwater state clear shop.hw --global --reason 'the source has a state per stream now' --yes

For a stream, highwater reset tells what will be read again.";

/// Remove one state: its source begins anew
#[derive(Debug, clap::Args)]
#[command(after_help = CLEAR_EXAMPLES)]
pub(crate) struct Clear {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    writing: Writing,
}

pub(crate) fn clear(args: &Clear) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let name = args.target.one(&log)?;
    let old = target::text(&log.state()?, &name)?;
    let states = vec![NewState { name, old, new: None }];
    args.writing.write(Plan::on(&args.log, &log, "clear", states))
}
