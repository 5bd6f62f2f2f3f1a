//! What a rewind or a reset means, in words.

use std::path::Path;

use highwater::{LogReader, Repeats, Rewinding, Sequence, StreamInfo, StreamName, Tally};
use serde::Serialize;

use crate::failure::Failure;
use crate::terminal;
use crate::twice::{self, Twice};
use highwater_connect::quantity::{bytes, plural};
use highwater_connect::text::tame;

/// So many lines of one kind are shown.
const LINES_MAX: usize = 20;

/// What a rewind does.
#[derive(Debug, Serialize)]
pub(super) struct Rewound {
    #[serde(flatten)]
    pub(super) plan: Rewinding,
    /// What destinations make of what is read again.
    pub(super) twice: Vec<Twice>,
}

impl Rewound {
    pub(super) fn tell(&self) {
        rewinding(&self.plan);
        if !self.plan.is_empty() && !self.plan.again.is_empty() {
            repeats(&self.plan.repeats);
            twice::tell(&self.twice);
        }
    }
}

fn rewinding(plan: &Rewinding) {
    if plan.is_empty() {
        terminal::note(format!(
            "the states are as they were at checkpoint {}: nothing to do",
            plan.to.sequence
        ));
        return;
    }
    terminal::say(format!(
        "{} of checkpoint {} instead of those of {}:",
        plural(plan.states.len() as u64, "state"),
        plan.to.sequence,
        plan.end.sequence
    ));
    list(&plan.states, |state| {
        let name =
            state.stream.as_ref().map_or("the global state".to_owned(), |name| tame(&name.to_string()));
        match state.then {
            Some(then) => format!("{name}: as checkpoint {then} has set it"),
            None => format!("{name}: cleared, it was not set then"),
        }
    });
    again(&plan.again);
}

fn again(again: &[Tally]) {
    if again.is_empty() {
        terminal::say("no record came behind it that would be read again");
        return;
    }
    terminal::say("the source reads again:");
    list(again, |tally| {
        let (name, records) = (tame(&tally.stream.to_string()), plural(tally.records, "record"));
        let checkpoints = plural(tally.checkpoints, "checkpoint");
        format!("{name}: {records} ({}) in {checkpoints}", bytes(tally.bytes))
    });
}

fn repeats(repeats: &[Repeats]) {
    for repeat in repeats {
        let name = tame(&repeat.consumer);
        terminal::say(match repeat.records {
            0 => format!("consumer {name} has none of that yet, and will get it twice"),
            n => format!(
                "consumer {name} has {} of that already, and will get them again",
                plural(n, "record")
            ),
        });
    }
}

fn list<T>(lines: &[T], line: impl Fn(&T) -> String) {
    for entry in lines.iter().take(LINES_MAX) {
        terminal::say(format!("  {}", line(entry)));
    }
    if lines.len() > LINES_MAX {
        terminal::say(format!("  and {} more", lines.len() - LINES_MAX));
    }
}

/// What a reset does.
#[derive(Debug, Serialize)]
pub(crate) struct Resetting {
    pub(crate) stream: StreamName,
    /// The checkpoint that set the state; without one there is nothing to clear.
    pub(crate) since: Option<Sequence>,
    /// Of what the log keeps: the records that the source will send again.
    again: Vec<Tally>,
    /// What destinations make of them.
    twice: Vec<Twice>,
}

impl Resetting {
    pub(crate) fn gather(typed: &Path, log: &LogReader, info: StreamInfo) -> Result<Self, Failure> {
        let since = log.state()?.get_text(&info.name)?.map(|state| state.since);
        let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
        let mut again = log.tally(log.first().previous(), end)?;
        again.retain(|tally| tally.stream == info.name);
        // Of what is not kept any more, too.
        let twice = twice::gather(typed, log, std::slice::from_ref(&info.name))?;
        Ok(Resetting { stream: info.name, since, again, twice })
    }

    pub(crate) fn tell(&self) {
        let name = tame(&self.stream.to_string());
        let Some(since) = self.since else {
            terminal::note(format!("stream {name} has no state: nothing to do"));
            return;
        };
        terminal::say(format!(
            "stream {name}: the state that checkpoint {since} has set is cleared, no other"
        ));
        terminal::say("its source reads it from the beginning, also what the log does not keep any more");
        match self.again.as_slice() {
            [] => terminal::say("how much that is nobody knows here: the log keeps none of its records"),
            kept => again(kept),
        }
        twice::tell(&self.twice);
    }
}
