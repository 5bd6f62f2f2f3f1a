//! `highwater state`: the states that a source resumes from.

mod change;
mod copy;
mod diff;
mod edit;
mod found;
mod get;
mod history;
mod input;
mod set;
pub(crate) mod target;

use clap::{Subcommand, ValueEnum};
use highwater::{StateText, StreamName};
use highwater_connect::bookkeeping;

pub(crate) use change::{NewState, Plan, Writing};
pub(crate) use copy::{Copy, copy};
pub(crate) use found::Found;

use crate::failure::{Code, Failure};

/// Show the states that a source resumes from, their history, and change them
///
/// What changes a state makes a checkpoint of its own, which says who did it and why. Nothing is erased. While a process writes
/// the log it is refused, and says which.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Get(get::Get),
    Set(set::Set),
    Edit(edit::Edit),
    Merge(set::Merge),
    Copy(copy::Copy),
    Clear(set::Clear),
    History(history::History),
    Diff(diff::Diff),
}

/// How states are written, and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As a source takes them with --state
    Airbyte,
    /// All of them, each with its name
    Json,
    /// One, to the letter
    Text,
}

pub(crate) fn run(command: &Command) -> Result<Code, Failure> {
    match command {
        Command::Get(args) => get::get(args),
        Command::Set(args) => set::set(args),
        Command::Edit(args) => edit::edit(args),
        Command::Merge(args) => set::merge(args),
        Command::Copy(args) => copy::copy(args),
        Command::Clear(args) => set::clear(args),
        Command::History(args) => history::history(args),
        Command::Diff(args) => diff::diff(args),
    }
}

/// Without what the runtime keeps there for itself.
fn of_sources(mut states: Vec<(StreamName, StateText)>) -> Vec<(StreamName, StateText)> {
    states.retain(|(name, _)| !bookkeeping::is_ours(name));
    states
}
