//! Uncommitted records of slow streams: nothing on disk names them yet, so they can move.

use crate::error::{ErrorKind, Result};
use crate::format::commit::{Extent, decode_extents_part, encode_extents_part};
use crate::format::frame::{FrameBuf, Kind, SealedFrame};
use crate::journal::{Journal, Unit, UnitStream};
use crate::position::{Address, SegmentId};

/// Copies what open units have below `first_live` to the head. Returns the lowest place that is still needed: of units
/// that are being committed right now.
pub(crate) fn move_out(journal: &Journal, first_live: SegmentId) -> Result<Address> {
    let mut floor = Address(u64::MAX);
    let limit = Address::new(first_live, 0);
    let units = journal.state().living_units();
    for unit in units {
        let Some(mut streams) = unit.streams.try_lock() else {
            floor = floor.min(unit.floor());
            continue;
        };
        for (stream, held) in streams.iter_mut() {
            let Some(low) = held.low().filter(|low| *low < limit) else { continue };
            let mut moved = held.clone();
            match move_stream(journal, stream.get(), &mut moved, limit) {
                Ok(()) => *held = moved,
                // No room to move it: it stays, and so do its segments.
                Err(error) if *error.kind() == ErrorKind::Full => floor = floor.min(low),
                Err(error) => return Err(error),
            }
        }
        unit.settle(&streams);
        floor = floor.min(unit.floor());
    }
    Ok(floor)
}

fn move_stream(journal: &Journal, stream: u32, held: &mut UnitStream, limit: Address) -> Result<()> {
    held.parts_low = Address::NONE;
    for part in &mut held.parts {
        let body = journal.files.body(*part, Kind::Part)?;
        let mut extents = decode_extents_part(&body).map_err(|e| journal.files.damaged(*part, e))?;
        if *part < limit || extents.iter().any(|extent| extent.at < limit) {
            extents = move_extents(journal, &extents, limit)?;
            let mut frame = FrameBuf::new(Vec::new());
            encode_extents_part(frame.body_mut(), &extents);
            *part = write(journal, frame.seal(Kind::Part, stream))?.at;
        }
        let low =
            extents.iter().map(|extent| extent.at).chain([held.parts_low]).filter(|at| !at.is_none()).min();
        held.parts_low = low.unwrap_or(Address::NONE);
    }
    held.extents = move_extents(journal, &held.extents, limit)?;
    Ok(())
}

/// The same frames in the same order, those below `limit` at new places.
fn move_extents(journal: &Journal, extents: &[Extent], limit: Address) -> Result<Vec<Extent>> {
    let mut moved = UnitStream::default();
    for extent in extents {
        if extent.at >= limit {
            moved.push(*extent);
            continue;
        }
        let mut at = extent.at;
        for _ in 0..extent.frames {
            let (header, body) = journal.files.frame(at)?;
            moved.push(write(journal, FrameBuf::again(&header, &body))?);
            at = Address(at.0 + header.frame_len());
        }
    }
    Ok(moved.extents)
}

/// Appends a frame that no unit in flight waits for: its own unit is locked by us.
fn write(journal: &Journal, frame: SealedFrame) -> Result<Extent> {
    journal.append(&Unit::default(), &mut Some(frame))
}
