//! A consumer's file: its acknowledged position, in four slots that are written in turn.

use crate::format::wire::{Decoded, Malformed, Take};
use crate::position::{Address, CheckpointId, LogId, Sequence, StreamId};

/// Slots are written in turn without a flush; before one is written over, a newer one is flushed. So whatever position was
/// ever durable (and a pruning may have relied on it) is followed by a newer durable one before it goes.
pub(crate) const CONSUMER_SLOTS: u64 = 4;
/// A slot, in bytes.
pub(crate) const CONSUMER_SLOT: usize = 16 << 10;
pub(crate) const CONSUMER_FILE: usize = CONSUMER_SLOTS as usize * CONSUMER_SLOT;
/// So many streams may be ahead of the rest; one more is delivered again after a restart.
pub(crate) const AHEAD_MAX: usize = 1000;
const MAGIC: &[u8; 8] = b"hwconsum";
/// Magic, checksum, length.
const PREFIX: usize = 8 + 4 + 4;

/// What the log does when a consumer is further behind than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LagPolicy {
    /// Appends wait for it, or fail, as [`Config::when_full`](crate::Config::when_full) says.
    Block,
    /// It is detached: pruning no longer waits for it, and the gap is on record.
    Detach,
}

/// How far a consumer may fall behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxLag {
    /// In bytes of segments between its position and the end of the log.
    pub bytes: u64,
    /// And then?
    pub then: LagPolicy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerState {
    pub log: LogId,
    pub generation: u64,
    /// Every checkpoint up to here is acknowledged.
    pub sequence: Sequence,
    pub id: CheckpointId,
    /// Where it was put when it was made or moved by hand; [`Sequence::NONE`]: at the log's beginning.
    pub start: Sequence,
    /// Where that checkpoint's commit lies: for the lag in bytes.
    pub at: Address,
    pub max_lag: Option<MaxLag>,
    /// Streams that are acknowledged further than that.
    pub ahead: Vec<(StreamId, Sequence)>,
}

impl ConsumerState {
    /// Whether anything was acknowledged behind its start. Who passed a gap has acknowledged nothing of it.
    pub(crate) fn has_acknowledged(&self) -> bool {
        self.id != CheckpointId::NONE && self.sequence > self.start
    }

    pub(crate) fn slot_offset(&self) -> u64 {
        self.generation % CONSUMER_SLOTS * CONSUMER_SLOT as u64
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; PREFIX];
        out[..8].copy_from_slice(MAGIC);
        out.extend_from_slice(&self.log.0.as_u128().to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.sequence.get().to_le_bytes());
        out.extend_from_slice(&self.id.0.as_u128().to_le_bytes());
        out.extend_from_slice(&self.start.get().to_le_bytes());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        let (then, bytes) = match self.max_lag {
            None => (0u8, 0),
            Some(MaxLag { bytes, then: LagPolicy::Block }) => (1, bytes),
            Some(MaxLag { bytes, then: LagPolicy::Detach }) => (2, bytes),
        };
        out.push(then);
        out.extend_from_slice(&bytes.to_le_bytes());
        let ahead = &self.ahead[..self.ahead.len().min(AHEAD_MAX)];
        out.extend_from_slice(&(ahead.len() as u32).to_le_bytes());
        for (stream, sequence) in ahead {
            out.extend_from_slice(&stream.get().to_le_bytes());
            out.extend_from_slice(&sequence.get().to_le_bytes());
        }
        let len = out.len() as u32;
        out[12..16].copy_from_slice(&len.to_le_bytes());
        let crc = crc32fast::hash(&out[12..]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(slot: &[u8]) -> Decoded<ConsumerState> {
        let mut prefix = Take::new(slot);
        let (magic, crc, len) = (prefix.take(8)?, prefix.u32()?, prefix.u32()? as usize);
        let valid = magic == MAGIC && (PREFIX..=CONSUMER_SLOT).contains(&len) && len <= slot.len();
        if !valid || crc32fast::hash(&slot[12..len]) != crc {
            return Err(Malformed("no valid consumer position"));
        }
        let mut take = Take::new(&slot[PREFIX..len]);
        let log = LogId(uuid::Uuid::from_u128(take.u128()?));
        let (generation, sequence) = (take.u64()?, Sequence::new(take.u64()?));
        let id = CheckpointId(uuid::Uuid::from_u128(take.u128()?));
        let start = Sequence::new(take.u64()?);
        let at = Address(take.u64()?);
        let (then, bytes) = (take.u8()?, take.u64()?);
        let max_lag = match then {
            0 => None,
            1 => Some(MaxLag { bytes, then: LagPolicy::Block }),
            2 => Some(MaxLag { bytes, then: LagPolicy::Detach }),
            _ => return Err(Malformed("a lag policy is unknown")),
        };
        let count = take.u32()? as usize;
        if count > AHEAD_MAX {
            return Err(Malformed("a consumer's position lists too many streams"));
        }
        let mut ahead = Vec::with_capacity(count);
        for _ in 0..count {
            ahead.push((StreamId::new(take.u32()?), Sequence::new(take.u64()?)));
        }
        take.finish()?;
        Ok(ConsumerState { log, generation, sequence, id, start, at, max_lag, ahead })
    }

    /// The newest valid slot of a consumer's file.
    pub(crate) fn newest(file: &[u8]) -> Option<ConsumerState> {
        file.chunks(CONSUMER_SLOT)
            .take(CONSUMER_SLOTS as usize)
            .filter_map(|slot| ConsumerState::decode(slot).ok())
            .max_by_key(|state| state.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_valid_slot_counts_and_a_full_one_fits() {
        let state = |generation| ConsumerState {
            log: LogId(uuid::Uuid::from_u128(5)),
            generation,
            sequence: Sequence::new(generation),
            id: CheckpointId(uuid::Uuid::from_u128(6)),
            start: Sequence::new(4),
            at: Address(7),
            max_lag: Some(MaxLag { bytes: 8, then: LagPolicy::Detach }),
            ahead: vec![(StreamId::new(1), Sequence::new(9)); AHEAD_MAX],
        };
        let mut file = vec![0; CONSUMER_FILE];
        assert_eq!(ConsumerState::newest(&file), None);
        for generation in [1, 2] {
            let bytes = state(generation).encode();
            file[state(generation).slot_offset() as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(ConsumerState::newest(&file), Some(state(2)));
        file[2 * CONSUMER_SLOT + 100] ^= 1;
        assert_eq!(ConsumerState::newest(&file), Some(state(1)));
    }
}
