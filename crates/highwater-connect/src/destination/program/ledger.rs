//! What was written to a program, and how far it says that it has it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use highwater::{Position, Sequence};

/// What was written up to a position.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The last checkpoint in it.
    pub(crate) position: Position,
    /// Where a state is to come back: one lane for each stream, or one for all.
    pub(crate) lanes: Vec<usize>,
    /// The program does something at its end that belongs to this: it counts when it has ended well.
    pub(crate) waits_for_end: bool,
    /// What it weighs.
    pub(crate) bytes: u64,
    /// When it was written.
    pub(crate) at: Instant,
}

/// Everything that one process was sent and has not acknowledged, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: VecDeque<Sent>,
    /// By lane, the newest checkpoint that came back.
    echoed: Vec<Sequence>,
    /// The lane and the checkpoint of the state that was sent last.
    last: Option<(usize, Sequence)>,
    confirmed: Option<Position>,
    /// Lanes of which something is confirmed.
    lanes: BTreeSet<usize>,
}

impl Ledger {
    /// Enters what is about to be written: an acknowledgement may come at once.
    pub(crate) fn enter(&mut self, sent: Sent) {
        if let Some(&lane) = sent.lanes.last() {
            self.last = Some((lane, sent.position.sequence));
        }
        let lanes = sent.lanes.iter().map(|lane| lane + 1).max().unwrap_or(0);
        if lanes > self.echoed.len() {
            self.echoed.resize(lanes, Sequence::NONE);
        }
        self.sent.push_back(sent);
        self.advance();
    }

    /// A state came back; all that was sent before it on its lane is there. Whether it is one that was sent, now or before.
    pub(crate) fn echo(&mut self, lane: usize, position: Position) -> bool {
        if self.confirmed.is_some_and(|confirmed| position.sequence <= confirmed.sequence) {
            return true;
        }
        let is_sent = self.sent.iter().any(|sent| sent.position == position && sent.lanes.contains(&lane));
        if let Some(echoed) = self.echoed.get_mut(lane).filter(|_| is_sent) {
            // States come in any order, and again: a lane never goes back.
            *echoed = position.sequence.max(*echoed);
            self.advance();
        }
        is_sent
    }

    /// The program has read all and ended well. If the newest state came back, it has taken what was before it, too: some
    /// give back only the last.
    pub(crate) fn end_well(&mut self) {
        let is_last_back = |(lane, sequence): (usize, Sequence)| {
            self.echoed.get(lane).is_some_and(|echoed| *echoed >= sequence)
        };
        if let Some((_, sequence)) = self.last.filter(|last| is_last_back(*last)) {
            self.echoed.fill(sequence);
        }
        self.sent.iter_mut().for_each(|sent| sent.waits_for_end = false);
        self.advance();
    }

    /// A checkpoint is confirmed only with all before it.
    fn advance(&mut self) {
        while let Some(sent) = self.sent.pop_front_if(|sent| {
            let is_back =
                |lane: &usize| self.echoed.get(*lane).is_some_and(|echoed| *echoed >= sent.position.sequence);
            !sent.waits_for_end && sent.lanes.iter().all(is_back)
        }) {
            self.confirmed = Some(sent.position);
            self.lanes.extend(sent.lanes);
        }
    }

    /// Up to where everything came back.
    pub(crate) fn confirmed(&self) -> Option<Position> {
        self.confirmed
    }

    /// The lanes of which something is confirmed.
    pub(crate) fn lanes(&self) -> &BTreeSet<usize> {
        &self.lanes
    }

    /// Nothing is waited for.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// What is waited for, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.sent.iter().map(|sent| sent.bytes).sum()
    }

    /// Since when it is waited for what was sent first.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.sent.front().map(|sent| sent.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(sequence: u64) -> Position {
        let id = "0190a5c0-0000-7000-8000-000000000001";
        format!("{id}/{sequence}/{id}").parse().unwrap()
    }

    fn ledger(sent: &[(u64, &[usize], bool)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (sequence, lanes, waits_for_end) in sent {
            let (position, lanes) = (position(*sequence), lanes.to_vec());
            ledger.enter(Sent {
                position,
                lanes,
                waits_for_end: *waits_for_end,
                bytes: 1,
                at: Instant::now(),
            });
        }
        ledger
    }

    fn confirmed(ledger: &Ledger) -> u64 {
        ledger.confirmed().map_or(0, |position| position.sequence.get())
    }

    #[test]
    fn a_checkpoint_is_confirmed_with_all_of_its_streams_and_all_before_it() {
        let mut ledger = ledger(&[(3, &[0, 1], false), (5, &[1], false), (6, &[], false), (9, &[0], false)]);
        for (lane, echoed, expected) in [(1, 3, 0), (1, 5, 0), (1, 5, 0), (0, 3, 6), (0, 3, 6), (0, 9, 9)] {
            assert!(ledger.echo(lane, position(echoed)));
            assert_eq!(confirmed(&ledger), expected, "after {echoed} on lane {lane}");
        }
        assert!(ledger.is_empty() && ledger.bytes() == 0 && ledger.since().is_none());
    }

    #[test]
    fn a_newer_state_of_a_stream_speaks_for_the_older_ones() {
        let mut ledger = ledger(&[(1, &[0], false), (2, &[0], false), (3, &[0, 1], false)]);
        assert!(ledger.echo(0, position(3)));
        assert_eq!((confirmed(&ledger), ledger.bytes()), (2, 1));
    }

    #[test]
    fn what_was_not_sent_is_no_acknowledgement() {
        let mut ledger = ledger(&[(4, &[0], false)]);
        for (lane, sequence) in [(0, 3), (0, 5), (1, 4), (9, 4)] {
            assert!(!ledger.echo(lane, position(sequence)));
        }
        assert_eq!(confirmed(&ledger), 0);
    }

    #[test]
    fn the_last_state_and_a_good_end_stand_for_all() {
        let sent: &[(u64, &[usize], bool)] = &[(1, &[0], false), (2, &[0, 1], true)];
        let mut all = ledger(sent);
        all.echo(1, position(2));
        assert_eq!(confirmed(&all), 0);
        all.end_well();
        assert_eq!(confirmed(&all), 2);
        // Without the last one, what is missing is missing.
        let mut some = ledger(sent);
        some.echo(0, position(2));
        some.end_well();
        assert_eq!(confirmed(&some), 1);
    }

    #[test]
    fn what_waits_for_the_end_is_confirmed_by_it() {
        let mut ledger = ledger(&[(1, &[0], false), (2, &[0], true)]);
        ledger.echo(0, position(2));
        assert_eq!(confirmed(&ledger), 1);
        ledger.end_well();
        assert_eq!(confirmed(&ledger), 2);
        assert_eq!(ledger.lanes().iter().copied().collect::<Vec<_>>(), [0]);
    }
}
