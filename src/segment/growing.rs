//! A base file whose size nobody knows ahead: it grows in pieces, each flushed, so that no flush of a writer beside it has
//! much to wait for. It gets its header and its name when it is whole.

use super::Segment;
use crate::error::{Error, Result};
use crate::format::frame::SealedFrame;
use crate::format::segment::SegmentHeader;
use crate::format::{BLOCK, names};
use crate::position::Address;
use crate::storage::{self, Storage};

/// So much is written and flushed at once.
const PIECE: usize = 1 << 20;

/// The file while it is made.
#[derive(Debug)]
pub(crate) struct Growing {
    segment: Segment,
    offset: u32,
    written: u32,
    pending: Vec<u8>,
}

impl Growing {
    /// Begins an empty file. What the header says of its size is not true yet.
    pub(crate) fn begin(storage: &dyn Storage, header: SegmentHeader) -> Result<Growing> {
        let made = names::new_segment(header.id);
        let file = storage::make_anew(storage, made).map_err(|e| Error::io("making a base file", made, e))?;
        let header = SegmentHeader { segment_bytes: u32::MAX / BLOCK * BLOCK, ..header };
        let segment = Segment { header, name: made.to_owned(), file, map: std::sync::OnceLock::new() };
        Ok(Growing { segment, offset: BLOCK, written: BLOCK, pending: Vec::new() })
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// Whether a frame of so many bytes has an address here.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        u64::from(self.offset) + bytes < u64::from(self.segment.bytes())
    }

    /// Adds a frame, which has to fit.
    pub(crate) fn push(&mut self, frame: SealedFrame) -> Result<Address> {
        let at = self.segment.address(self.offset);
        self.offset += frame.len();
        self.pending.extend_from_slice(&frame.place(self.segment.header.salt, at, 0, Address::NONE));
        self.write(self.pending.len() / PIECE * PIECE)?;
        Ok(at)
    }

    /// Writes the first of what is pending, piece by piece, each flushed: where the disk is full it shows here.
    fn write(&mut self, bytes: usize) -> Result<()> {
        for piece in self.pending[..bytes].chunks(PIECE) {
            let end = self.written + piece.len() as u32;
            self.allocate(end)?;
            self.segment.write(&[piece], self.written)?;
            self.segment.sync()?;
            self.written = end;
        }
        self.pending.drain(..bytes);
        Ok(())
    }

    fn allocate(&self, bytes: u32) -> Result<()> {
        let whole = u64::from(bytes).next_multiple_of(BLOCK.into());
        self.segment.file.allocate(whole).map_err(|e| Error::io("allocating", &self.segment.name, e))
    }

    /// The rest, the header, a flush, the name, a flush of the directory.
    pub(crate) fn finish(mut self, storage: &dyn Storage) -> Result<Segment> {
        self.write(self.pending.len())?;
        let mut segment = self.segment;
        segment.header.segment_bytes = self.offset.next_multiple_of(BLOCK);
        segment.write(&[&segment.header.encode()], 0)?;
        segment.sync()?;
        let name = names::segment(segment.id());
        storage
            .rename(&segment.name, &name)
            .and_then(|()| storage::sync_names(storage))
            .map_err(|e| Error::io("making a base file", &name, e))?;
        segment.name = name;
        Ok(segment)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::frame::{FrameBuf, Kind};
    use crate::position::{LogId, SegmentId};
    use crate::segment::Walker;
    use crate::storage::{Access, Memory};

    #[test]
    fn a_grown_file_is_a_segment_like_any_other() {
        let files = Memory::new();
        let header = SegmentHeader {
            log: LogId(uuid::Uuid::from_u128(1)),
            id: SegmentId::base(3),
            salt: 7,
            segment_bytes: 0,
            unflushed_bytes_max: 1 << 20,
            created_us: 0,
        };
        let mut growing = Growing::begin(&files, header).unwrap();
        let body = vec![5; 700 << 10];
        let places: Vec<_> =
            (0..4).map(|_| growing.push(FrameBuf::from_body(&body).seal(Kind::Part, 1)).unwrap()).collect();
        assert!(Segment::open(&files, header.id, Access::Read).is_err(), "it has its name too early");
        growing.finish(&files).unwrap();
        let segment = Arc::new(Segment::open(&files, header.id, Access::Read).unwrap());
        assert_eq!(u64::from(segment.bytes()), segment.file_len().unwrap());
        let mut walker = Walker::new(segment, BLOCK);
        for at in places {
            let frame = walker.header().unwrap().unwrap();
            assert_eq!((walker.address(), &walker.body(&frame).unwrap().unwrap()[..]), (at, &body[..]));
            walker.step(&frame);
        }
    }
}
