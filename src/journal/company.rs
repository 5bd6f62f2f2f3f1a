//! Waiting a moment for company. Threads whose commits a flush has released come back with their next ones almost at once;
//! who leads without them makes two camps that take turns, and each flush serves one half of the threads.

use std::time::Duration;

use super::{Journal, State};
use crate::sync::MutexGuard;

/// A leader waits for this part of a flush at most: it gains as much as it risks.
const PART_OF_A_FLUSH: u32 = 2;
/// After a wait in vain so many flushes at most go without one.
const PAUSE_MAX: u32 = 64;

/// Who commits at once, as far as the last flush told.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Commits that wait for the next flush.
    pub joined: u32,
    /// Commits that the flush under way takes.
    taken: u32,
    /// As many had come when the last flush ended, with those whom it released.
    expected: u32,
    /// A leader waits for the others.
    pub gathering: bool,
    /// Flushes that go without a wait.
    pause: u32,
    next_pause: u32,
    flush_time: Duration,
}

impl Company {
    pub(super) fn flush_begins(&mut self) {
        self.taken = std::mem::take(&mut self.joined);
    }

    pub(super) fn flush_ends(&mut self, took: Duration) {
        self.expected = self.taken + self.joined;
        self.flush_time = took;
    }

    /// Whether somebody is about to come who makes a wait worth it.
    fn is_awaited(&mut self) -> bool {
        // Under the schedule explorer time does not pass.
        if cfg!(highwater_schedules) || self.joined == 0 || self.joined >= self.expected {
            return false;
        }
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due
    }

    /// Who did not come in time does something else between its commits.
    fn note(&mut self) {
        let came = self.joined >= self.expected;
        (self.pause, self.next_pause) =
            if came { (0, 1) } else { (self.next_pause, (self.next_pause * 2).clamp(1, PAUSE_MAX)) };
    }
}

impl Journal {
    /// A commit waits for the next flush.
    pub(super) fn join(&self, state: &mut State) {
        state.company.joined += 1;
        if state.company.gathering && state.company.joined >= state.company.expected {
            self.gathered.notify_one();
        }
    }

    /// Lets the lock go until those are back whom the last flush released, for a moment at most.
    pub(super) fn gather(&self, state: &mut MutexGuard<'_, State>) {
        if !state.company.is_awaited() {
            return;
        }
        state.company.gathering = true;
        let limit = state.company.flush_time / PART_OF_A_FLUSH;
        self.gathered.wait_for(state, limit);
        state.company.gathering = false;
        state.company.note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_never_waits_and_who_waits_in_vain_waits_less_often() {
        let mut company = Company::default();
        for _ in 0..3 {
            company.joined += 1;
            assert!(!company.is_awaited());
            company.flush_begins();
            company.flush_ends(Duration::from_millis(1));
        }
        let mut waits = Vec::new();
        for flush in 0..20 {
            company.joined = 1;
            company.flush_begins();
            company.joined = 1;
            company.flush_ends(Duration::from_millis(1));
            if company.is_awaited() {
                waits.push(flush);
                company.note();
            }
        }
        assert_eq!(waits, [0, 1, 3, 6, 11]);
        company.joined = 2;
        company.note();
        assert!(company.pause == 0 && company.next_pause == 1);
    }
}
