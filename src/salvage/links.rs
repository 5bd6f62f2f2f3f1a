//! Which commits are none of the log's history: an opening or a repair had dropped and written over them, and a lost write has brought
//! them back. Each commit names the one that it comes behind, so a later one tells.

use std::collections::{BTreeSet, VecDeque};

use crate::format::commit::{CommitHead, Link};
use crate::position::{Address, Sequence};

/// A commit is remembered for so many: a lost write brings back a few blocks.
const REMEMBERED: usize = 4096;

/// The commits that were met last, and what later ones say of them.
#[derive(Debug, Default)]
pub(super) struct Links {
    recent: VecDeque<Met>,
    left_over: BTreeSet<Address>,
}

#[derive(Debug)]
struct Met {
    at: Address,
    sequence: Sequence,
    link: Link,
    /// The later commit for whose history this is none.
    denied_by: Option<Address>,
}

impl Links {
    /// The next commit of the log. Who stands between it and the one that it comes behind is none of its history; if that one is
    /// not there, nobody is who has its number or a greater one. What was said by a commit that is none itself does not count.
    pub(super) fn commit(&mut self, head: &CommitHead, at: Address) {
        let before = self.recent.iter().rposition(|met| met.link == head.previous);
        if before.is_none_or(|before| before + 1 < self.recent.len()) {
            self.deny(head, at, before);
        }
        if self.recent.len() == REMEMBERED {
            self.forget_first();
        }
        let (sequence, link) = (head.sequence, Link::to(head.id));
        self.recent.push_back(Met { at, sequence, link, denied_by: None });
    }

    fn deny(&mut self, head: &CommitHead, at: Address, before: Option<usize>) {
        let mut unsaid = BTreeSet::new();
        for (number, met) in self.recent.iter_mut().enumerate() {
            if before.map_or(met.sequence.next() >= head.sequence, |before| number > before) {
                met.denied_by = Some(at);
                unsaid.insert(met.at);
            }
        }
        for met in &mut self.recent {
            met.denied_by = met.denied_by.filter(|by| !unsaid.contains(by));
        }
    }

    /// Where those stand that are none of the log's.
    pub(super) fn left_over(mut self) -> BTreeSet<Address> {
        while !self.recent.is_empty() {
            self.forget_first();
        }
        self.left_over
    }

    fn forget_first(&mut self) {
        let first = self.recent.pop_front();
        self.left_over.extend(first.filter(|met| met.denied_by.is_some()).map(|met| met.at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::CheckpointId;

    /// Which of these are left over: each a number, an id, and the id of the one before.
    fn left_over(commits: &[(u64, u128, u128)]) -> Vec<usize> {
        let id = |id| CheckpointId(uuid::Uuid::from_u128(id));
        let mut links = Links::default();
        for (at, (sequence, own, before)) in commits.iter().enumerate() {
            let head = CommitHead {
                sequence: Sequence::new(*sequence),
                id: id(*own),
                time_us: 0,
                flags: 0,
                previous: Link::to(id(*before)),
                low: Address::NONE,
            };
            links.commit(&head, Address(at as u64));
        }
        links.left_over().into_iter().map(|at| at.0 as usize).collect()
    }

    #[test]
    fn a_later_commit_tells_which_is_none_of_the_log() {
        // Whole, and with a hole in it.
        assert_eq!(left_over(&[(1, 1, 0), (2, 2, 1), (3, 3, 2)]), [0; 0]);
        assert_eq!(left_over(&[(1, 1, 0), (4, 4, 3), (5, 5, 4)]), [0; 0]);
        // In another's place; between two; two in a row.
        assert_eq!(left_over(&[(1, 1, 0), (2, 92, 1), (3, 3, 2)]), [1]);
        assert_eq!(left_over(&[(1, 1, 0), (2, 92, 1), (2, 2, 1), (3, 3, 2)]), [1]);
        assert_eq!(left_over(&[(1, 1, 0), (2, 92, 1), (3, 93, 92), (2, 2, 1)]), [1, 2]);
        // It comes behind another itself, and what it says of its neighbour does not count.
        assert_eq!(left_over(&[(1, 1, 0), (2, 2, 1), (3, 93, 92), (4, 4, 3)]), [2]);
        assert_eq!(left_over(&[(1, 1, 0), (2, 2, 1), (2, 92, 91), (3, 3, 2)]), [2]);
        assert_eq!(left_over(&[(1, 1, 0), (2, 2, 1), (3, 3, 2), (1, 91, 0), (4, 4, 3)]), [3]);
        assert_eq!(left_over(&[(1, 1, 0), (2, 2, 1), (3, 3, 2), (2, 92, 1), (4, 4, 3)]), [3]);
    }

    #[test]
    fn what_is_long_ago_stays_denied() {
        let mut commits = vec![(1, 1, 0), (2, 92, 1), (3, 3, 2)];
        commits.extend((4..2 * REMEMBERED as u64).map(|n| (n, n.into(), u128::from(n) - 1)));
        assert_eq!(left_over(&commits), [1]);
    }
}
