//! Ending a log behind one of its frames, whatever came behind it: for a repair, and for a restore as of an earlier checkpoint.

use super::pad;
use crate::error::{Error, Result};
use crate::format::frame::{FrameBuf, Kind, frame_len};
use crate::format::mark::{MARK_FILE, Mark};
use crate::format::note::Pruned;
use crate::format::snapshot::Retained;
use crate::format::{BLOCK, names};
use crate::position::Address;
use crate::segment::Segment;
use crate::storage::{self, Access, Storage};

/// Puts what is retained behind the last frame that stays, a pad behind that, and then zeros, flushed. Returns where the zeros
/// begin: on a block, so that what is written next touches nothing that is here.
pub(crate) fn erase_behind(
    storage: &dyn Storage,
    at: Address,
    epoch: u32,
    retained: &Retained,
    now_us: i64,
) -> Result<Address> {
    const PIECE: usize = 1 << 20;
    let segment = Segment::open(storage, at.segment(), Access::Write)
        .map_err(|fault| fault.into_error(at.segment()))?;
    let mut buf = FrameBuf::new(Vec::new());
    let pruned = Pruned { time_us: now_us, retained: retained.clone(), detached: Vec::new() };
    pruned.encode(buf.body_mut());
    let len = frame_len(buf.body_len() as u32);
    if u64::from(at.offset()) + len + u64::from(BLOCK) > u64::from(segment.bytes()) {
        return Err(segment.damaged(at.offset(), "there is no room to cut the log here"));
    }
    let frame = buf.seal(Kind::Pruned, 0).place(segment.header.salt, at, epoch, at);
    let end = Address(at.0 + len);
    let zeros = vec![0; PIECE.min((segment.bytes() - end.offset()) as usize)];
    let mut offset = end.offset();
    while offset < segment.bytes() {
        let len = zeros.len().min((segment.bytes() - offset) as usize);
        segment.write(&[&zeros[..len]], offset)?;
        offset += len as u32;
    }
    segment.write(&[&frame], at.offset())?;
    let end = pad(&segment, end, epoch, at)?;
    segment.sync()?;
    Ok(end)
}

/// Replaces the mark: it may say less than it did. For who holds the log alone.
pub(crate) fn write_mark(storage: &dyn Storage, mark: &Mark) -> Result<()> {
    let io = |e| Error::io("writing the mark anew", names::MARK, e);
    let file = storage.open(names::MARK, Access::Create).map_err(io)?;
    let mut slots = vec![0; MARK_FILE];
    let at = mark.slot_offset() as usize;
    let bytes = mark.encode();
    slots[at..at + bytes.len()].copy_from_slice(&bytes);
    storage::write_all_at(&*file, &[&slots], 0).map_err(io)?;
    file.sync().map_err(io)?;
    storage::sync_names(storage).map_err(|e| Error::io("flushing the log's directory", storage.path(), e))
}
