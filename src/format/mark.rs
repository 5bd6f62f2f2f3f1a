//! The mark: how far the log was flushed, in a small file of two slots that are written in turn. It is written after
//! each flush and not flushed itself, so every version of it that survives a crash is a true lower bound.

use crate::format::wire::{Decoded, Malformed, Take};
use crate::position::{Address, CheckpointId, LogId, SegmentId, Sequence};

/// A slot is a sector, and each has a block of its own: a torn write leaves the other one whole, also on a device that
/// writes 4 KiB at a time and calls 512 of them a sector.
pub(crate) const SLOT: usize = 512;
/// From one slot to the next.
pub(crate) const SLOTS_APART: usize = crate::format::BLOCK as usize;
/// The file: two blocks.
pub(crate) const MARK_FILE: usize = 2 * SLOTS_APART;
const MAGIC: &[u8; 8] = b"hwmark01";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub log: LogId,
    /// Counts up; the slot with the greatest is the newest.
    pub generation: u64,
    /// The boot it was written in, if known: within it nothing that the mark says can be outdated by a power cut.
    pub boot: Option<u128>,
    pub pid: u32,
    pub epoch: u32,
    /// Everything below was flushed.
    pub durable: Address,
    /// The last checkpoint below it.
    pub sequence: Sequence,
    pub id: CheckpointId,
    /// The segment that holds the end of the log.
    pub active: SegmentId,
    /// The newest snapshot below it.
    pub waypoint: Address,
    pub first_live: SegmentId,
    /// The log was closed, and nothing was written since.
    pub clean: bool,
}

impl Mark {
    pub(crate) fn slot_offset(&self) -> u64 {
        self.generation % 2 * SLOTS_APART as u64
    }

    pub(crate) fn encode(&self) -> [u8; SLOT] {
        let mut out = Vec::with_capacity(SLOT);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.log.0.as_u128().to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.boot.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.pid.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.durable.0.to_le_bytes());
        out.extend_from_slice(&self.sequence.get().to_le_bytes());
        out.extend_from_slice(&self.id.0.as_u128().to_le_bytes());
        out.extend_from_slice(&self.active.0.to_le_bytes());
        out.extend_from_slice(&self.waypoint.0.to_le_bytes());
        out.extend_from_slice(&self.first_live.0.to_le_bytes());
        out.push(self.clean.into());
        out.resize(SLOT - 4, 0);
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        let mut slot = [0; SLOT];
        slot.copy_from_slice(&out);
        slot
    }

    fn decode(slot: &[u8]) -> Decoded<Mark> {
        let (body, crc) = slot.split_at_checked(SLOT - 4).ok_or(Malformed("the mark is cut short"))?;
        if !body.starts_with(MAGIC) || crc != crc32fast::hash(body).to_le_bytes() {
            return Err(Malformed("no valid mark"));
        }
        let mut take = Take::new(&body[MAGIC.len()..]);
        Ok(Mark {
            log: LogId(uuid::Uuid::from_u128(take.u128()?)),
            generation: take.u64()?,
            boot: Some(take.u128()?).filter(|boot| *boot != 0),
            pid: take.u32()?,
            epoch: take.u32()?,
            durable: Address(take.u64()?),
            sequence: Sequence::new(take.u64()?),
            id: CheckpointId(uuid::Uuid::from_u128(take.u128()?)),
            active: SegmentId(take.u32()?),
            waypoint: Address(take.u64()?),
            first_live: SegmentId(take.u32()?),
            clean: take.u8()? != 0,
        })
    }

    /// The newest valid slot of a mark file.
    pub(crate) fn newest(file: &[u8]) -> Option<Mark> {
        file.chunks(SLOTS_APART)
            .take(2)
            .filter_map(|block| Mark::decode(block.get(..SLOT)?).ok())
            .max_by_key(|mark| mark.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(generation: u64) -> Mark {
        Mark {
            log: LogId(uuid::Uuid::from_u128(5)),
            generation,
            boot: Some(6),
            pid: 7,
            epoch: 8,
            durable: Address(9),
            sequence: Sequence::new(10),
            id: CheckpointId(uuid::Uuid::from_u128(11)),
            active: SegmentId(12),
            waypoint: Address(13),
            first_live: SegmentId(1),
            clean: true,
        }
    }

    #[test]
    fn the_newest_valid_slot_counts() {
        let mut file = vec![0; MARK_FILE];
        assert_eq!(Mark::newest(&file), None);
        for generation in [4, 5] {
            let mark = mark(generation);
            file[mark.slot_offset() as usize..][..SLOT].copy_from_slice(&mark.encode());
        }
        assert_eq!(Mark::newest(&file), Some(mark(5)));
        file[SLOTS_APART + 40] ^= 1;
        assert_eq!(Mark::newest(&file), Some(mark(4)));
        assert_eq!(Mark::newest(&file[..100]), None);
    }
}
