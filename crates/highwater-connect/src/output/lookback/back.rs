//! Which state each cursor goes back to.

use std::collections::BTreeMap;

use highwater::{LogReader, Sequence, StreamName};

use crate::failure::Result;
use crate::source::State;

/// Where a cursor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back<'a> {
    /// Where it is: nothing of it is younger than the window.
    Stays,
    /// From the state that it had before the window.
    Older(&'a str),
    /// From the state that somebody gave it by hand inside the window, in this checkpoint.
    ByHand(&'a str, Sequence),
    /// From the beginning: all that it has was read inside the window.
    Beginning,
}

/// The states before the window, and those that were set by hand inside it; `None` is the state of all streams.
///
/// A state that was imported, copied, edited or rewound to is a person's word on where to go on. Behind it there is nothing that this
/// source has read from there, so nobody goes back further.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) then: State,
    by_hand: BTreeMap<Option<StreamName>, (Sequence, String)>,
}

impl Before {
    /// The window takes in what is behind `start`. Blocks for reading the commits there, no record.
    pub(super) fn read(log: &LogReader, then: State, start: Sequence) -> Result<Self> {
        let mut before = Before { then, ..Before::default() };
        let from = start.next().max(log.first());
        let Some(end) = log.end().filter(|end| end.sequence >= from) else { return Ok(before) };
        let mut reader = log.reader(from)?;
        while reader.next_sequence() <= end.sequence {
            let Some(checkpoint) = reader.next()? else { break };
            // Another name is no other state.
            if checkpoint.operation().is_none_or(|operation| operation.verb() == "rename") {
                continue;
            }
            for (name, _) in checkpoint.states() {
                match checkpoint.state_text(name.as_ref())? {
                    Some(text) => drop(before.by_hand.insert(name, (checkpoint.sequence(), text))),
                    None => drop(before.by_hand.remove(&name)),
                }
            }
        }
        Ok(before)
    }

    /// Where a cursor goes on that has this state now.
    pub(super) fn of<'a>(&'a self, name: Option<&StreamName>, now: Option<&str>) -> Back<'a> {
        let then = match name {
            Some(name) => self.then.of(name),
            None => self.then.global.as_deref(),
        };
        match (self.by_hand.get(&name.cloned()), then, now) {
            (_, _, None) => Back::Stays,
            (Some((sequence, text)), _, _) => Back::ByHand(text, *sequence),
            (None, Some(text), Some(now)) if text == now => Back::Stays,
            (None, Some(text), _) => Back::Older(text),
            (None, None, _) => Back::Beginning,
        }
    }
}
