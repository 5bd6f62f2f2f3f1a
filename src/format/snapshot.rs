//! The bodies of start, waypoint and pruned frames: what must be known to go on from here.

use crate::format::commit::CommitHead;
use crate::format::note::Repaired;
use crate::format::wire::{Decoded, Malformed, Take, put_varint};
use crate::position::{Address, CheckpointId, SegmentId, Sequence};

/// A base file: what lives on of segments that were pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    pub id: SegmentId,
    pub bytes: u32,
}

/// What the log still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retained {
    /// Segments below are gone, or will be.
    pub first_live: SegmentId,
    /// Checkpoints below can't be read any more, though a part of them may still lie in live segments.
    pub first_sequence: Sequence,
    /// The full index at the beginning of `first_live`; `NONE` as long as nothing was pruned.
    pub base_index: Address,
    pub bases: Vec<Base>,
    /// What was compacted: the log begins with a base checkpoint, whose number is `first_sequence`.
    pub compacted: Option<BaseCheckpoint>,
}

/// Where a base checkpoint lies: checkpoints that a compaction made one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseCheckpoint {
    /// Its commit frame.
    pub commit: Address,
    /// The files that hold it, beside those of states and definitions.
    pub files: Vec<Base>,
}

impl BaseCheckpoint {
    fn decode(take: &mut Take<'_>) -> Decoded<Option<Self>> {
        let commit = Address(take.u64()?);
        if commit.is_none() {
            return Ok(None);
        }
        let files = take_bases(take)?;
        if !files.iter().any(|base| base.id == commit.segment()) {
            return Err(Malformed("a base checkpoint lies in none of its files"));
        }
        Ok(Some(BaseCheckpoint { commit, files }))
    }
}

fn put_bases(out: &mut Vec<u8>, bases: &[Base]) {
    put_varint(out, bases.len() as u64);
    for base in bases {
        out.extend_from_slice(&base.id.0.to_le_bytes());
        out.extend_from_slice(&base.bytes.to_le_bytes());
    }
}

fn take_bases(take: &mut Take<'_>) -> Decoded<Vec<Base>> {
    let bases: Vec<Base> = (0..take.count(8)?)
        .map(|_| Ok(Base { id: SegmentId(take.u32()?), bytes: take.u32()? }))
        .collect::<Decoded<_>>()?;
    if bases.iter().any(|base| !base.id.is_base()) {
        return Err(Malformed("a base file's number is out of its range"));
    }
    Ok(bases)
}

impl Retained {
    /// Of a log that was never pruned.
    pub(crate) fn everything() -> Self {
        Retained {
            first_live: SegmentId::FIRST,
            first_sequence: Sequence::FIRST,
            base_index: Address::NONE,
            bases: Vec::new(),
            compacted: None,
        }
    }

    /// Every base file: those of states and definitions, and those of the base checkpoint.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Base> {
        self.bases.iter().chain(self.compacted.iter().flat_map(|base| &base.files))
    }

    /// Whether a commit in a segment is a checkpoint that can be read: those below are pruned, or told by the base checkpoint.
    pub(crate) fn shows(&self, sequence: Sequence) -> bool {
        sequence > self.first_sequence || sequence == self.first_sequence && self.compacted.is_none()
    }

    /// Whether what follows this checkpoint can be read as it was committed. A base checkpoint is no continuation of
    /// anything: what was deleted since may be missing in it.
    pub(crate) fn follows(&self, sequence: Sequence) -> bool {
        let next = sequence.next();
        let is_whole = self.compacted.is_none() || sequence == Sequence::NONE;
        next > self.first_sequence || next == self.first_sequence && is_whole
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first_live.0.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.get().to_le_bytes());
        out.extend_from_slice(&self.base_index.0.to_le_bytes());
        put_bases(out, &self.bases);
        match &self.compacted {
            Some(base) => {
                out.extend_from_slice(&base.commit.0.to_le_bytes());
                put_bases(out, &base.files);
            }
            None => out.extend_from_slice(&Address::NONE.0.to_le_bytes()),
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Decoded<Self> {
        let first_live = SegmentId(take.u32()?);
        let first_sequence = Sequence::new(take.u64()?);
        let base_index = Address(take.u64()?);
        let bases = take_bases(take)?;
        let compacted = BaseCheckpoint::decode(take)?;
        if first_live.is_base() || first_live < SegmentId::FIRST {
            return Err(Malformed("a segment's number is out of its range"));
        }
        Ok(Retained { first_live, first_sequence, base_index, bases, compacted })
    }

    /// Whether a frame at this address can still be read.
    pub(crate) fn holds(&self, at: Address) -> bool {
        let segment = at.segment();
        if segment.is_base() {
            self.files().any(|base| base.id == segment)
        } else {
            segment >= self.first_live
        }
    }
}

/// The last checkpoint before a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastCheckpoint {
    pub sequence: Sequence,
    pub id: CheckpointId,
    pub at: Address,
    pub time_us: i64,
}

impl Default for LastCheckpoint {
    fn default() -> Self {
        Self::NONE
    }
}

impl LastCheckpoint {
    /// Before the first.
    pub(crate) const NONE: LastCheckpoint = LastCheckpoint {
        sequence: Sequence::NONE,
        id: CheckpointId::NONE,
        at: Address::NONE,
        time_us: i64::MIN,
    };

    pub(crate) fn of(head: &CommitHead, at: Address) -> LastCheckpoint {
        LastCheckpoint { sequence: head.sequence, id: head.id, at, time_us: head.time_us }
    }

    /// The numbers of what damage took stay empty, if something behind it was kept.
    pub(crate) fn repaired(self, note: &Repaired) -> LastCheckpoint {
        let last = if note.skipped { self.sequence.max(note.last) } else { self.sequence };
        LastCheckpoint { sequence: last, ..self }
    }
}

/// Sums since the log was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub records: u64,
    /// Keys, metadata and payloads.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub last: LastCheckpoint,
    pub totals: Totals,
    /// The next stream's number.
    pub next_stream: u32,
    /// The newest index: the frame behind a start frame, or one before a waypoint.
    pub index: Address,
    /// The lowest extent that a commit in this segment names so far.
    pub segment_low: Address,
    pub retained: Retained,
}

impl Snapshot {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.last.sequence.get().to_le_bytes());
        out.extend_from_slice(&self.last.id.0.as_u128().to_le_bytes());
        out.extend_from_slice(&self.last.at.0.to_le_bytes());
        out.extend_from_slice(&self.last.time_us.to_le_bytes());
        out.extend_from_slice(&self.totals.records.to_le_bytes());
        out.extend_from_slice(&self.totals.bytes.to_le_bytes());
        out.extend_from_slice(&self.next_stream.to_le_bytes());
        out.extend_from_slice(&self.index.0.to_le_bytes());
        out.extend_from_slice(&self.segment_low.0.to_le_bytes());
        self.retained.encode(out);
    }

    fn take(take: &mut Take<'_>) -> Decoded<Self> {
        Ok(Snapshot {
            last: LastCheckpoint {
                sequence: Sequence::new(take.u64()?),
                id: CheckpointId(uuid::Uuid::from_u128(take.u128()?)),
                at: Address(take.u64()?),
                time_us: take.i64()?,
            },
            totals: Totals { records: take.u64()?, bytes: take.u64()? },
            next_stream: take.u32()?,
            index: Address(take.u64()?),
            segment_low: Address(take.u64()?),
            retained: Retained::decode(take)?,
        })
    }

    /// A waypoint's body.
    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut take = Take::new(body);
        let snapshot = Self::take(&mut take)?;
        take.finish()?;
        Ok(snapshot)
    }
}

/// The body of a start frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// Where the segment before this one ends; `NONE` in the first.
    pub previous_end: Address,
    /// Where its seal frame begins.
    pub previous_seal: Address,
    pub snapshot: Snapshot,
}

impl Start {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.previous_end.0.to_le_bytes());
        out.extend_from_slice(&self.previous_seal.0.to_le_bytes());
        self.snapshot.encode(out);
    }

    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut take = Take::new(body);
        let (previous_end, previous_seal) = (Address(take.u64()?), Address(take.u64()?));
        let snapshot = Snapshot::take(&mut take)?;
        take.finish()?;
        Ok(Start { previous_end, previous_seal, snapshot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_round_trips() {
        let start = Start {
            previous_end: Address(1),
            previous_seal: Address(2),
            snapshot: Snapshot {
                last: LastCheckpoint::NONE,
                totals: Totals { records: 3, bytes: 4 },
                next_stream: 5,
                index: Address(6),
                segment_low: Address(7),
                retained: Retained {
                    first_live: SegmentId(8),
                    first_sequence: Sequence::new(9),
                    base_index: Address(10),
                    bases: vec![Base { id: SegmentId::base(1), bytes: 4096 }],
                    compacted: Some(BaseCheckpoint {
                        commit: Address::new(SegmentId::base(2), 4096),
                        files: vec![Base { id: SegmentId::base(2), bytes: 8192 }],
                    }),
                },
            },
        };
        let mut body = Vec::new();
        start.encode(&mut body);
        assert_eq!(Start::decode(&body).unwrap(), start);
        for cut in 0..body.len() {
            assert!(Start::decode(&body[..cut]).is_err());
        }
        assert!(start.snapshot.retained.holds(Address::new(SegmentId::base(1), 4096)));
        assert!(!start.snapshot.retained.holds(Address::new(SegmentId(7), 4096)));
        assert!(start.snapshot.retained.holds(Address::new(SegmentId::base(2), 4096)));
    }

    #[test]
    fn a_base_checkpoint_lies_in_one_of_its_files() {
        let base = BaseCheckpoint { commit: Address::new(SegmentId::base(2), 4096), files: Vec::new() };
        let mut body = Vec::new();
        Retained { compacted: Some(base), ..Retained::everything() }.encode(&mut body);
        assert!(Retained::decode(&mut Take::new(&body)).is_err());
    }

    #[test]
    fn a_base_checkpoint_follows_nothing() {
        let first_sequence = Sequence::new(9);
        let pruned = Retained { first_sequence, ..Retained::everything() };
        let commit = Address::new(SegmentId::base(2), 4096);
        let compacted = Some(BaseCheckpoint { commit, files: Vec::new() });
        let compacted = Retained { compacted, ..pruned.clone() };
        assert!(pruned.follows(Sequence::new(8)) && !pruned.follows(Sequence::new(7)));
        assert!(compacted.follows(Sequence::new(9)) && !compacted.follows(Sequence::new(8)));
    }
}
