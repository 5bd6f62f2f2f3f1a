//! Records that take the place of others without a truncate: what the engine is told, since nothing in the log says so to it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::position::{Sequence, StreamId};

/// Records of a stream that take the place of all that it had before. Who reads a source anew appends no truncate, since what
/// was there counts until the new records are whole; when that is, a runtime says in states of its own, which the engine does
/// not read. For a compaction it has to be told: see [`Compaction::replacements`](crate::Compaction::replacements).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// The stream.
    pub stream: StreamId,
    /// The first checkpoint that may hold new records. What the stream has in those before it is what is replaced.
    pub began: Sequence,
    /// What became of it.
    pub outcome: ReplacementOutcome,
}

/// What became of a [`Replacement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacementOutcome {
    /// Nothing yet: the new records are not whole.
    Open,
    /// From this checkpoint on the new records are whole, and the old ones do not count any more.
    Whole(Sequence),
    /// From this checkpoint on the old ones and the new ones count together: the new ones never became whole.
    GivenUp(Sequence),
}

impl Replacement {
    /// Says no to one that was over before it began.
    pub(crate) fn check(&self) -> Result<()> {
        match self.over() {
            Some(over) if over < self.began => Err(Error::invalid(format!(
                "Compaction::replacements: that of stream {} is over at checkpoint {over}; it began at {}",
                self.stream, self.began
            ))),
            _ => Ok(()),
        }
    }

    fn over(&self) -> Option<Sequence> {
        match self.outcome {
            ReplacementOutcome::Open => None,
            ReplacementOutcome::Whole(at) | ReplacementOutcome::GivenUp(at) => Some(at),
        }
    }

    /// Whether a base checkpoint of this number would tell old and new records as if they were of one kind.
    fn is_under_way(&self, at: Sequence) -> bool {
        self.began <= at && self.over().is_none_or(|over| at < over)
    }
}

/// Which replacement a base checkpoint of this number has to end before, if any: none is under way at the checkpoint before that.
pub(crate) fn end_before<'a>(
    replacements: impl Iterator<Item = &'a Replacement>,
    mut last: Sequence,
) -> Option<&'a Replacement> {
    let mut newest_first: Vec<&Replacement> = replacements.collect();
    newest_first.sort_by_key(|one| Reverse(one.began));
    let mut found = None;
    for one in newest_first {
        if one.is_under_way(last) {
            (last, found) = (one.began.previous(), Some(one));
        }
    }
    found
}

/// Of each stream that had its records replaced by the checkpoint `last`: those in checkpoints before this one are the old ones.
pub(crate) fn replaced_by(replacements: &[Replacement], last: Sequence) -> BTreeMap<StreamId, Sequence> {
    let mut replaced = BTreeMap::new();
    for one in replacements {
        if matches!(one.outcome, ReplacementOutcome::Whole(at) if at <= last) {
            let before = replaced.entry(one.stream).or_insert(one.began);
            *before = one.began.max(*before);
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId::new(1);

    fn of(began: u64, outcome: ReplacementOutcome) -> Replacement {
        Replacement { stream: STREAM, began: Sequence::new(began), outcome }
    }

    fn whole(began: u64, at: u64) -> Replacement {
        of(began, ReplacementOutcome::Whole(Sequence::new(at)))
    }

    fn given_up(began: u64, at: u64) -> Replacement {
        of(began, ReplacementOutcome::GivenUp(Sequence::new(at)))
    }

    #[test]
    fn a_base_checkpoint_lies_where_nothing_is_under_way() {
        let ends = |all: &[Replacement], last| {
            end_before(all.iter(), Sequence::new(last)).map(|one| one.began.get())
        };
        let one = [whole(5, 8)];
        assert_eq!([4, 5, 7, 8, 9].map(|last| ends(&one, last)), [None, Some(5), Some(5), None, None]);
        assert_eq!(
            [4, 5, 900].map(|last| ends(&[of(5, ReplacementOutcome::Open)], last)),
            [None, Some(5), Some(5)]
        );
        // Begun anew, and once more: one leads to the next. Whole at once is never under way.
        let chain = [whole(7, 9), given_up(3, 5), whole(20, 20), given_up(5, 7)];
        assert_eq!(
            [2, 3, 6, 8, 9, 20].map(|last| ends(&chain, last)),
            [None, Some(3), Some(3), Some(3), None, None]
        );
        // Inside of another's.
        assert_eq!(ends(&[whole(3, 9), whole(5, 6)], 5), Some(3));
    }

    #[test]
    fn the_newest_that_is_whole_counts() {
        let all = [whole(5, 8), whole(10, 12), given_up(14, 15), of(16, ReplacementOutcome::Open)];
        let before = |last| replaced_by(&all, Sequence::new(last)).get(&STREAM).map(|at| at.get());
        assert_eq!([7, 8, 11, 12, 99].map(before), [None, Some(5), Some(5), Some(10), Some(10)]);
    }

    #[test]
    fn none_is_over_before_it_began() {
        assert!(whole(5, 5).check().is_ok() && of(5, ReplacementOutcome::Open).check().is_ok());
        assert!(whole(5, 4).check().is_err() && given_up(5, 4).check().is_err());
    }
}
