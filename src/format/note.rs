//! The bodies of the bookkeeping frames: opened, recovery, pruned, repaired, seal, close.

use crate::format::snapshot::Retained;
use crate::format::wire::{Decoded, Malformed, Take, put_bytes, put_varint};
use crate::position::{Address, Sequence};

/// Who opened the log, and writes what comes behind this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub time_us: i64,
    pub who: String,
}

impl Opened {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time_us.to_le_bytes());
        put_bytes(out, self.who.as_bytes());
    }

    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut take = Take::new(body);
        let note = Opened { time_us: take.i64()?, who: take.text()?.to_owned() };
        take.finish()?;
        Ok(note)
    }
}

/// What an opening dropped or rewrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub time_us: i64,
    /// The log goes on behind here.
    pub cut: Address,
    /// Where the chain of valid frames ended.
    pub end: Address,
    pub dropped_frames: u64,
    pub dropped_bytes: u64,
    pub rewritten_bytes: u64,
    pub why: String,
    /// Who opened the log.
    pub who: String,
}

impl Recovered {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time_us.to_le_bytes());
        out.extend_from_slice(&self.cut.0.to_le_bytes());
        out.extend_from_slice(&self.end.0.to_le_bytes());
        put_varint(out, self.dropped_frames);
        put_varint(out, self.dropped_bytes);
        put_varint(out, self.rewritten_bytes);
        put_bytes(out, self.why.as_bytes());
        put_bytes(out, self.who.as_bytes());
    }

    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut take = Take::new(body);
        let note = Recovered {
            time_us: take.i64()?,
            cut: Address(take.u64()?),
            end: Address(take.u64()?),
            dropped_frames: take.varint()?,
            dropped_bytes: take.varint()?,
            rewritten_bytes: take.varint()?,
            why: take.text()?.to_owned(),
            who: take.text()?.to_owned(),
        };
        take.finish()?;
        Ok(note)
    }
}

/// The switch of a pruning: what the log holds from here on, and which consumers were left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pruned {
    pub time_us: i64,
    pub retained: Retained,
    /// Consumers beyond their `max_lag` that were detached, with the last checkpoint they had acknowledged.
    pub detached: Vec<(String, Sequence)>,
}

impl Pruned {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time_us.to_le_bytes());
        self.retained.encode(out);
        put_varint(out, self.detached.len() as u64);
        for (name, sequence) in &self.detached {
            put_bytes(out, name.as_bytes());
            put_varint(out, sequence.get());
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut take = Take::new(body);
        let time_us = take.i64()?;
        let retained = Retained::decode(&mut take)?;
        let detached = (0..take.count(2)?)
            .map(|_| Ok((take.text()?.to_owned(), Sequence::new(take.varint()?))))
            .collect::<Decoded<_>>()?;
        take.finish()?;
        Ok(Pruned { time_us, retained, detached })
    }
}

/// What a repair did in this place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repaired {
    pub time_us: i64,
    /// What it set aside bears this number.
    pub repair: u32,
    /// The checkpoints that were lost, without gaps. None were if the first is the one behind the last.
    pub first: Sequence,
    pub last: Sequence,
    /// What follows was kept: the numbers stay empty. Else the log ended here, and they are given out again.
    pub skipped: bool,
    /// Where the damage began, and what was found there.
    pub why: String,
}

const REPAIRED_SKIPPED: u8 = 1;

impl Repaired {
    /// The first and the last checkpoint that were lost, if any were.
    pub(crate) fn lost(&self) -> Option<(Sequence, Sequence)> {
        (self.first <= self.last).then_some((self.first, self.last))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time_us.to_le_bytes());
        out.extend_from_slice(&self.repair.to_le_bytes());
        out.push(if self.skipped { REPAIRED_SKIPPED } else { 0 });
        out.extend_from_slice(&self.first.get().to_le_bytes());
        out.extend_from_slice(&self.last.get().to_le_bytes());
        put_bytes(out, self.why.as_bytes());
    }

    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut take = Take::new(body);
        let (time_us, repair, flags) = (take.i64()?, take.u32()?, take.u8()?);
        let (first, last) = (Sequence::new(take.u64()?), Sequence::new(take.u64()?));
        let why = take.text()?.to_owned();
        take.finish()?;
        let skipped = flags & REPAIRED_SKIPPED != 0;
        let is_none_lost = !skipped && first == last.next();
        if flags & !REPAIRED_SKIPPED != 0 || first > last && !is_none_lost {
            return Err(Malformed("a repair's note makes no sense"));
        }
        Ok(Repaired { time_us, repair, first, last, skipped, why })
    }
}

/// Ends a segment, with a sparse directory of its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    pub last_sequence: Sequence,
    pub last_time_us: i64,
    /// The lowest extent that a commit in this segment names.
    pub low: Address,
    /// Sequences and offsets of some commits, ascending.
    pub directory: Vec<(Sequence, u32)>,
}

impl Seal {
    /// So many entries fit into a block with the frame around them.
    pub(crate) const DIRECTORY_MAX: usize = 256;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.last_sequence.get().to_le_bytes());
        out.extend_from_slice(&self.last_time_us.to_le_bytes());
        out.extend_from_slice(&self.low.0.to_le_bytes());
        put_varint(out, self.directory.len() as u64);
        for (sequence, offset) in &self.directory {
            out.extend_from_slice(&sequence.get().to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut take = Take::new(body);
        let (last_sequence, last_time_us) = (Sequence::new(take.u64()?), take.i64()?);
        let low = Address(take.u64()?);
        let directory = (0..take.count(12)?)
            .map(|_| Ok((Sequence::new(take.u64()?), take.u32()?)))
            .collect::<Decoded<_>>()?;
        take.finish()?;
        Ok(Seal { last_sequence, last_time_us, low, directory })
    }
}

/// A clean close.
pub(crate) fn encode_close(out: &mut Vec<u8>, time_us: i64) {
    out.extend_from_slice(&time_us.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_round_trip() {
        let opened = Opened { time_us: 1, who: "process 7".into() };
        let mut body = Vec::new();
        opened.encode(&mut body);
        assert_eq!(Opened::decode(&body).unwrap(), opened);

        let recovered = Recovered {
            time_us: 1,
            cut: Address(2),
            end: Address(3),
            dropped_frames: 4,
            dropped_bytes: 5,
            rewritten_bytes: 6,
            why: "torn".into(),
            who: "process 7".into(),
        };
        let mut body = Vec::new();
        recovered.encode(&mut body);
        assert_eq!(Recovered::decode(&body).unwrap(), recovered);

        let pruned = Pruned {
            time_us: 1,
            retained: Retained::everything(),
            detached: vec![("lake".into(), Sequence::new(8))],
        };
        let mut body = Vec::new();
        pruned.encode(&mut body);
        assert_eq!(Pruned::decode(&body).unwrap(), pruned);

        let repaired = Repaired {
            time_us: 1,
            repair: 2,
            first: Sequence::new(3),
            last: Sequence::new(4),
            skipped: true,
            why: "rot".into(),
        };
        let mut body = Vec::new();
        repaired.encode(&mut body);
        assert_eq!(Repaired::decode(&body).unwrap(), repaired);

        let seal = Seal {
            last_sequence: Sequence::new(2),
            last_time_us: 3,
            low: Address(4),
            directory: vec![(Sequence::new(1), 4096); Seal::DIRECTORY_MAX],
        };
        let mut body = Vec::new();
        seal.encode(&mut body);
        assert!(crate::format::frame::frame_len(body.len() as u32) <= crate::format::BLOCK.into());
        assert_eq!(Seal::decode(&body).unwrap(), seal);
    }
}
