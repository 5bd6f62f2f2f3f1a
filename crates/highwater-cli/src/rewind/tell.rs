//! What a rewind or a reset means, in words.

use highwater::{LogReader, Repeats, Rewinding, Sequence, StreamInfo, StreamName, Tally};
use serde::Serialize;

use crate::failure::Failure;
use crate::terminal;
use highwater_connect::quantity::{bytes, plural};
use highwater_connect::text::tame;

/// So many lines of one kind are shown.
const LINES_MAX: usize = 20;

pub(crate) fn rewinding(plan: &Rewinding) {
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
    repeats(&plan.repeats);
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
    consumers: Vec<String>,
}

impl Resetting {
    pub(crate) fn gather(log: &LogReader, info: StreamInfo) -> Result<Self, Failure> {
        let since = log.state()?.get_text(&info.name)?.map(|state| state.since);
        let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
        let mut again = log.tally(log.first().previous(), end)?;
        again.retain(|tally| tally.stream == info.name);
        let consumers = log.consumers()?.into_iter().map(|consumer| consumer.name).collect();
        Ok(Resetting { stream: info.name, since, again, consumers })
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
        again(&self.again);
        if !self.consumers.is_empty() {
            let all = self.consumers.iter().map(|name| tame(name)).collect::<Vec<_>>().join(", ");
            terminal::say(format!("consumers that get its records again: {all}"));
        }
    }
}
