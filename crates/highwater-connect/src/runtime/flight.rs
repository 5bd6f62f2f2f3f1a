//! Batches that a destination has taken, and is not sure of yet.

use std::collections::VecDeque;
use std::time::Instant;

use highwater::{Position, Sequence};

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sent {
    /// Its first checkpoint.
    pub(super) first: Sequence,
    /// Its end.
    pub(super) end: Position,
    /// Records in it.
    pub(super) records: u64,
    /// Records of it that were refused.
    pub(super) rejected: u64,
    /// When it was given.
    pub(super) started: Instant,
}

/// Those batches, oldest first.
#[derive(Debug, Default)]
pub(super) struct Flight(VecDeque<Sent>);

impl Flight {
    pub(super) fn add(&mut self, sent: Sent) {
        self.0.push_back(sent);
    }

    /// The end of the newest.
    pub(super) fn last(&self) -> Option<Position> {
        self.0.back().map(|sent| sent.end)
    }

    /// Its number; zero if nothing is on its way.
    pub(super) fn end(&self) -> Sequence {
        self.last().map_or(Sequence::NONE, |end| end.sequence)
    }

    /// Takes those that end at or before a checkpoint.
    pub(super) fn take(&mut self, confirmed: Sequence) -> impl Iterator<Item = Sent> {
        let count = self.0.iter().take_while(|sent| sent.end.sequence <= confirmed).count();
        self.0.drain(..count)
    }
}
