//! What all commands that write states have in common: they say what changes, and make one checkpoint of it.

use std::path::Path;

use clap::Args;
use highwater::{Config, Log, LogReader, Operation, Position, Sequence, StreamSpec};
use highwater_connect::json_text::{self as json, Change};
use serde::Serialize;

use super::target::{self, Name};
use crate::by::By;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::terminal;
use highwater_connect::quantity::plural;

/// How a command writes.
#[derive(Debug, Args)]
pub(crate) struct Writing {
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    doing: Doing,
}

/// A state before and after.
#[derive(Debug)]
pub(crate) struct NewState {
    pub(crate) name: Name,
    pub(crate) old: Option<String>,
    pub(crate) new: Option<String>,
}

impl NewState {
    fn changes(&self) -> Vec<Change> {
        json::diff(self.old.as_deref(), self.new.as_deref())
    }

    /// White space is no reason for a checkpoint, unless it is all that changes.
    fn is_change(&self) -> bool {
        self.old != self.new
    }
}

/// What a command is about to do.
pub(crate) struct Plan<'a> {
    pub(crate) path: &'a Path,
    /// What was decided was decided by looking here; `None`: there is no log yet, and one is made.
    pub(crate) log: Option<&'a LogReader>,
    /// Streams that the log does not know.
    pub(crate) register: Vec<StreamSpec>,
    pub(crate) verb: &'static str,
    pub(crate) states: Vec<NewState>,
    /// Where the states come from, if not from this log's end.
    pub(crate) from: Option<Position>,
    /// Whether to ask, where nobody said --yes.
    pub(crate) asks: bool,
}

impl Writing {
    /// Says what changes, asks, and does it.
    pub(crate) fn write(&self, mut plan: Plan<'_>) -> Result<Code, Failure> {
        plan.states.iter().filter_map(|state| state.name.as_ref()).try_for_each(known::refuse_ours)?;
        plan.states.retain(NewState::is_change);
        plan.say();
        if plan.states.is_empty() {
            terminal::note("nothing changes, so nothing was written");
            return self.print(&plan, None);
        }
        let is_wanted =
            if plan.asks { self.doing.is_wanted_alone(plan.log, "Write it?")? } else { !self.doing.is_dry() };
        if !is_wanted {
            return self.print(&plan, None);
        }
        let made = plan.operate(&self.by)?;
        self.print(&plan, Some(made))
    }

    fn print(&self, plan: &Plan<'_>, made: Option<Sequence>) -> Result<Code, Failure> {
        let json = Json { states: plan.states.iter().map(StateJson::new).collect() };
        self.doing.print_checkpoint(&json, made, &plan.what())
    }
}

impl<'a> Plan<'a> {
    /// Of a log, whose streams it knows.
    pub(crate) fn on(path: &'a Path, log: &'a LogReader, verb: &'static str, states: Vec<NewState>) -> Self {
        Plan { path, log: Some(log), register: Vec::new(), verb, states, from: None, asks: true }
    }

    /// Opens the log for writing, which nobody else may do meanwhile, and makes the checkpoint.
    fn operate(&self, by: &By) -> Result<Sequence, Failure> {
        let log = match self.log {
            Some(_) => known::open_to_write(self.path)?,
            None => Log::open(given::directory(self.path)?, Config::default())?.0,
        };
        for stream in &self.register {
            log.stream(stream.clone())?;
        }
        let made = log.operate(self.operation(by))?;
        log.close()?;
        Ok(made.sequence())
    }

    fn what(&self) -> String {
        match self.states.as_slice() {
            [one] => format!("{} {}", self.verb, target::describe(&one.name)),
            several => format!("{} {}", self.verb, plural(several.len() as u64, "state")),
        }
    }

    fn say(&self) {
        for state in &self.states {
            terminal::say(target::describe(&state.name));
            say_changes(&state.changes());
        }
    }

    fn operation(&self, by: &By) -> Operation {
        let end = self.log.and_then(|log| log.end());
        let mut operation = Operation::new(self.what(), by.who(), &*by.reason).expecting(end);
        if let Some(from) = self.from {
            operation = operation.from(from);
        }
        for NewState { name, new, .. } in &self.states {
            operation = match (name, new) {
                (None, Some(text)) => operation.set_global(&**text),
                (None, None) => operation.clear_global(),
                (Some(stream), Some(text)) => operation.set(stream, &**text),
                (Some(stream), None) => operation.clear(stream),
            };
        }
        operation
    }
}

/// So many lines of a difference are shown.
const LINES_MAX: usize = 50;

fn say_changes(changes: &[Change]) {
    for change in changes.iter().take(LINES_MAX) {
        terminal::say(format!("  {change}"));
    }
    if changes.len() > LINES_MAX {
        terminal::say(format!("  and {} more", plural((changes.len() - LINES_MAX) as u64, "difference")));
    }
    if changes.is_empty() {
        terminal::say("  only white space, the order of keys or the spelling of a text");
    }
}

#[derive(Serialize)]
struct Json<'a> {
    states: Vec<StateJson<'a>>,
}

#[derive(Serialize)]
struct StateJson<'a> {
    /// `null`: the global state.
    stream: &'a Name,
    patch: Vec<Change>,
}

impl<'a> StateJson<'a> {
    fn new(state: &'a NewState) -> Self {
        StateJson { stream: &state.name, patch: state.changes() }
    }
}
