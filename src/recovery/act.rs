//! Making durable what recovery accepts, before anything new is written.

use super::Found;
use crate::error::Result;
use crate::format::frame::{FrameBuf, Kind, frame_len, pad_body};
use crate::format::{BLOCK, block_up};
use crate::position::Address;
use crate::protection::Protection;
use crate::segment::Segment;

/// What was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acted {
    pub rewritten_bytes: u64,
    /// Where the log goes on: behind everything accepted and everything flushed, on a block.
    pub goes_on: Address,
}

/// So much is compared at once.
const PIECE: usize = 1 << 20;

/// Makes the unflushed window durable, from the durable mark to the last accepted frame, and closes its last block with
/// a pad of the new epoch. Nothing below the mark is touched.
///
/// A killed process leaves pages that were never flushed; a failed flush leaves pages that look clean and are not on the
/// device. Building on either, and then losing power, would lose what this opening had accepted. So the window is
/// compared with the device itself, and what differs is written again. It is flushed in any case: reading past the cache
/// has the kernel write its pages back first, so that the device shows what it may still forget.
pub(crate) fn act(found: &Found, epoch: u32) -> Result<Acted> {
    let (from, to) = (found.durable, found.replay.keeps);
    let segment = found.replay.segment();
    check_room(found, from.max(to))?;
    lengthen(segment)?;
    if to <= from || Protection::SettleWindow.is_off() {
        let from = from.max(to);
        let goes_on = Address::new(from.segment(), block_up(from.offset()));
        return Ok(Acted { rewritten_bytes: 0, goes_on });
    }
    let mut written = 0;
    let mut id = from.segment().max(found.view.retained.first_live);
    while id < to.segment() {
        let sealed = found.files.get(id)?;
        lengthen(&sealed)?;
        let start = if id == from.segment() { from.offset().max(BLOCK) } else { BLOCK };
        written += settle(&sealed, start, sealed.bytes())?;
        sealed.sync()?;
        id = id.next();
    }
    let start = if from.segment() == to.segment() { from.offset().max(BLOCK) } else { BLOCK };
    written += settle(segment, start, block_up(to.offset()))?;
    let goes_on = pad(segment, to, epoch, from)?;
    segment.sync()?;
    Ok(Acted { rewritten_bytes: written, goes_on })
}

/// Gives a file that is too short its length again: nothing that counts was missing, or the look would have found it.
fn lengthen(segment: &Segment) -> Result<()> {
    if segment.file_len()? < u64::from(segment.bytes()) { segment.allocate() } else { Ok(()) }
}

/// Every writer leaves room for its segment's seal; an end without it is none that a writer made, and nothing can follow.
fn check_room(found: &Found, end: Address) -> Result<()> {
    let segment = found.files.get(end.segment())?;
    let padded = u64::from(end.offset()) + pad_body(end.offset()).map_or(0, frame_len);
    if padded + u64::from(BLOCK) > u64::from(segment.bytes()) {
        return Err(
            segment.damaged(end.offset(), "the log ends here, and there is no room for the segment's seal")
        );
    }
    Ok(())
}

/// Writes again what the device does not hold between two blocks. The caller flushes.
fn settle(segment: &Segment, from: u32, to: u32) -> Result<u64> {
    let mut written = 0;
    let mut at = from;
    while at < to {
        let len = PIECE.min((to - at) as usize);
        let cached = segment.read(at, len)?;
        let mut device = vec![0; len];
        // What the device can't read it may well write.
        let known = matches!(segment.read_device(&mut device, at), Ok(Some(read)) if read == len);
        for (block, bytes) in cached.chunks(BLOCK as usize).enumerate() {
            let start = block * BLOCK as usize;
            if !known || bytes != &device[start..start + bytes.len()] {
                segment.write(&[bytes], at + start as u32)?;
                written += bytes.len() as u64;
            }
        }
        at += len as u32;
    }
    Ok(written)
}

/// Fills the rest of the last accepted block, so that the chain of frames reaches the block where the log goes on.
/// Returns where that is. The window is not flushed yet, so the pad says no more than was known to be durable before.
pub(crate) fn pad(segment: &Segment, to: Address, epoch: u32, durable: Address) -> Result<Address> {
    let Some(body) = pad_body(to.offset()) else { return Ok(to) };
    let frame = FrameBuf::from_body(&vec![0; body as usize]).seal(Kind::Pad, 0);
    let bytes = frame.place(segment.header.salt, to, epoch, durable);
    segment.write(&[&bytes], to.offset())?;
    Ok(Address(to.0 + bytes.len() as u64))
}
