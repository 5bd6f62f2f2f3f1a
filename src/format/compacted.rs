//! What a base checkpoint's commit says beside what every commit says: which checkpoints it takes in, and how old its
//! records are.

use crate::format::wire::{Decoded, Take, put_varint};
use crate::position::Sequence;

/// Behind the labels of a commit with the flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// Everything from this checkpoint on is taken in; 1: everything since the log was created.
    pub from: Sequence,
    /// For each stream of the commit, in their order: runs of its records by age, oldest first.
    pub ages: Vec<Vec<Age>>,
}

/// Some records that follow each other, and a time by which all of them were committed: a tombstone's age does not begin anew
/// with every compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age {
    pub records: u64,
    pub time_us: i64,
}

impl Compacted {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.from.get());
        for runs in &self.ages {
            put_varint(out, runs.len() as u64);
            for run in runs {
                put_varint(out, run.records);
                out.extend_from_slice(&run.time_us.to_le_bytes());
            }
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>, streams: usize) -> Decoded<Self> {
        let from = Sequence::new(take.varint()?);
        let runs = |take: &mut Take<'_>| {
            (0..take.count(9)?).map(|_| Ok(Age { records: take.varint()?, time_us: take.i64()? })).collect()
        };
        let ages = (0..streams).map(|_| runs(take)).collect::<Decoded<_>>()?;
        Ok(Compacted { from, ages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_round_trips_and_any_cut_is_an_error() {
        let runs = vec![Age { records: 1, time_us: -2 }, Age { records: 300, time_us: i64::MAX }];
        let compacted = Compacted { from: Sequence::new(7), ages: vec![runs, Vec::new()] };
        let mut body = Vec::new();
        compacted.encode(&mut body);
        assert_eq!(Compacted::decode(&mut Take::new(&body), 2), Ok(compacted));
        for cut in 0..body.len() {
            assert!(Compacted::decode(&mut Take::new(&body[..cut]), 2).is_err());
        }
    }
}
