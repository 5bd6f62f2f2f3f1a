//! Which attempt came before which.

use std::collections::BTreeMap;

use highwater::Sequence;

use super::Attempt;

/// Attempts in the order in which they were made: by the checkpoint with which each began, and not by the clock, which may have been
/// wrong for a while.
#[derive(Debug, Default)]
pub struct InOrder {
    attempts: BTreeMap<(Sequence, u64), Attempt>,
    /// How many records there were of them; it tells those apart that are in one checkpoint.
    read: u64,
}

impl InOrder {
    /// Takes the next record of an attempt, which is in checkpoint `at`: of its beginning or of its end.
    pub fn add(&mut self, at: Sequence, attempt: Attempt) {
        self.read += 1;
        let began = match &attempt.end {
            None => at,
            Some(end) => {
                // Attempts do not overlap, so it is nearly always the last one.
                let is_it =
                    |known: &&mut Attempt| known.run == attempt.run && known.attempt == attempt.attempt;
                if let Some(known) = self.attempts.values_mut().rev().find(is_it) {
                    *known = attempt;
                    return;
                }
                // Its beginning had no room in the log, or was pruned.
                at.min(end.first)
            }
        };
        self.attempts.insert((began, self.read), attempt);
    }

    /// Forgets all but the newest `max`.
    pub fn keep(&mut self, max: usize) {
        while self.attempts.len() > max {
            self.attempts.pop_first();
        }
    }

    /// The attempts, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.values()
    }
}

#[cfg(test)]
mod tests {
    use super::super::End;
    use super::*;

    fn begun(attempt: u32, started_us: i64) -> Attempt {
        Attempt { run: "r".to_owned(), attempt, started_us, end: None }
    }

    fn ended(attempt: u32, started_us: i64, first: u64) -> Attempt {
        let first = Sequence::new(first);
        let outcome = "complete".to_owned();
        let end = End { ended_us: started_us, outcome, error: None, sync: 1, records: 0, first, last: first };
        Attempt { end: Some(end), ..begun(attempt, started_us) }
    }

    fn numbers(attempts: &InOrder) -> Vec<u32> {
        attempts.iter().map(|attempt| attempt.attempt).collect()
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_hide_the_last_attempt() {
        let mut attempts = InOrder::default();
        for (at, attempt) in [
            (1, begun(1, 3_600_000)),
            (2, ended(1, 3_600_000, 1)),
            (3, begun(2, 5)),
            (4, ended(2, 5, 3)),
            (5, begun(3, 6)),
        ] {
            attempts.add(Sequence::new(at), attempt);
            attempts.keep(2);
        }
        assert_eq!(numbers(&attempts), [2, 3]);
        assert!(attempts.iter().next().unwrap().end.is_some());
    }

    #[test]
    fn an_end_that_comes_late_is_no_newer_attempt() {
        let mut attempts = InOrder::default();
        // The end of the first had no room before the second had begun, and the third's beginning had none at all.
        for (at, attempt, newest) in
            [(1, begun(1, 1), 1), (5, begun(2, 2), 2), (6, ended(1, 1, 1), 2), (7, ended(3, 3, 6), 3)]
        {
            attempts.add(Sequence::new(at), attempt);
            attempts.keep(1);
            assert_eq!(numbers(&attempts), [newest]);
        }
    }
}
