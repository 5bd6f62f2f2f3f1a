//! The chain of index frames: a full one, and smaller ones that tell what changed since.
//!
//! As in a log-structured merge tree, a new index takes in those before it that are no larger than itself, so the
//! chain stays logarithmic in length, and an entry is written a logarithmic number of times.

use std::collections::BTreeSet;

use crate::format::index::{Entry, Index};
use crate::position::{Address, StreamId};

/// The index frames that together tell the whole, oldest first, and what changed since the newest.
#[derive(Debug, Clone, Default)]
pub(crate) struct IndexChain {
    levels: Vec<Level>,
    touched: BTreeSet<StreamId>,
}

#[derive(Debug, Clone)]
struct Level {
    at: Address,
    streams: Vec<StreamId>,
}

/// What the next index frame has to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IndexPlan {
    /// `NONE`: it is a full one, and holds everything.
    pub previous: Address,
    pub streams: Vec<StreamId>,
    /// So many levels of the chain stay.
    keep: usize,
}

impl IndexChain {
    /// Where the newest index lies.
    pub(crate) fn head(&self) -> Address {
        self.levels.last().map_or(Address::NONE, |level| level.at)
    }

    /// Whether nothing changed since the newest index.
    pub(crate) fn is_current(&self) -> bool {
        self.touched.is_empty() && !self.levels.is_empty()
    }

    pub(crate) fn touch(&mut self, stream: StreamId) {
        self.touched.insert(stream);
    }

    /// Takes up an index that was read while loading.
    pub(crate) fn push(&mut self, at: Address, index: &Index) {
        self.levels.push(Level { at, streams: index.entries.iter().map(|(stream, _)| *stream).collect() });
    }

    /// Takes up an index that was met while replaying: it tells all that was touched before it.
    pub(crate) fn replace(&mut self, at: Address, index: &Index) {
        let found = self.levels.iter().position(|level| level.at == index.previous);
        // One that changes an index which is gone stands on the base index, which took its place at the bottom.
        let keep = found.map_or(usize::from(!index.previous.is_none()), |i| i + 1);
        self.levels.truncate(keep);
        self.push(at, index);
        self.touched.clear();
    }

    /// Plans the next index; `all` is how many entries a full one has.
    pub(crate) fn plan(&self, all: usize) -> IndexPlan {
        let mut streams = self.touched.clone();
        let mut keep = self.levels.len();
        while let Some(level) = keep.checked_sub(1).and_then(|i| self.levels.get(i)) {
            if level.streams.len() > streams.len() {
                break;
            }
            streams.extend(&level.streams);
            keep -= 1;
        }
        if keep == 0 || streams.len() >= all {
            return IndexPlan { previous: Address::NONE, streams: Vec::new(), keep: 0 };
        }
        IndexPlan { previous: self.levels[keep - 1].at, streams: streams.into_iter().collect(), keep }
    }

    /// The planned index was written at `at`; `all` lists every stream, for a full one.
    pub(crate) fn written(&mut self, plan: IndexPlan, at: Address, all: impl Iterator<Item = StreamId>) {
        self.levels.truncate(plan.keep);
        let streams = if plan.previous.is_none() { all.collect() } else { plan.streams };
        self.levels.push(Level { at, streams });
        self.touched.clear();
    }
}

/// An entry for a stream that the view knows nothing of any more.
pub(crate) static NOTHING: Entry = Entry { defined: None, state: None };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_stays_short_and_small_changes_stay_small() {
        let mut chain = IndexChain::default();
        let all = 1000u32;
        let streams = || (0..all).map(StreamId::new);
        let mut written = 0;
        for round in 0..2000u32 {
            chain.touch(StreamId::new(round.wrapping_mul(7919) % all));
            let plan = chain.plan(all as usize);
            written += if plan.previous.is_none() { all as usize } else { plan.streams.len() };
            chain.written(plan, Address(u64::from(round) + 1), streams());
            assert!(chain.levels.len() <= 12, "{}", chain.levels.len());
        }
        assert!(written < 2000 * 16, "{written} entries for 2000 changes");
    }

    #[test]
    fn a_small_log_writes_full_indexes() {
        let mut chain = IndexChain::default();
        for round in 1..5 {
            chain.touch(StreamId::new(1));
            let plan = chain.plan(1);
            assert_eq!(plan.previous, Address::NONE);
            chain.written(plan, Address(round), [StreamId::new(1)].into_iter());
        }
        assert_eq!(chain.levels.len(), 1);
    }
}
