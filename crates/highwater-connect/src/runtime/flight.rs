//! Batches that a destination has taken, and is not sure of yet.

use std::collections::VecDeque;
use std::time::Instant;

use highwater::{Position, Sequence};

use crate::destination::Counted;

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
    /// Whether those are all.
    pub(super) is_verified: bool,
    /// When it was given.
    pub(super) started: Instant,
}

/// Those batches, oldest first.
#[derive(Debug, Default)]
pub(super) struct Flight {
    sent: VecDeque<Sent>,
    /// What the destination has said of those that are confirmed in part.
    counted: Counted,
}

impl Flight {
    pub(super) fn add(&mut self, sent: Sent) {
        self.sent.push_back(sent);
    }

    /// The end of the newest.
    pub(super) fn last(&self) -> Option<Position> {
        self.sent.back().map(|sent| sent.end)
    }

    /// Its number; zero if nothing is on its way.
    pub(super) fn end(&self) -> Sequence {
        self.last().map_or(Sequence::NONE, |end| end.sequence)
    }

    /// Takes those that end at or before a checkpoint, with what the destination says of them: it is told with the last of them.
    pub(super) fn take(&mut self, confirmed: Sequence, counted: Counted) -> impl Iterator<Item = Sent> {
        self.counted.add(counted);
        let count = self.sent.iter().take_while(|sent| sent.end.sequence <= confirmed).count();
        if count > 0 {
            let Counted { refused, is_verified } = std::mem::take(&mut self.counted);
            self.sent.range_mut(..count).for_each(|sent| sent.is_verified = is_verified);
            self.sent[count - 1].rejected += refused;
        }
        self.sent.drain(..count)
    }
}
