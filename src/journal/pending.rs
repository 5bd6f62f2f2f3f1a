//! What has its place in the log and is not written yet, and how much of it a write takes.

use std::sync::Arc;

use crate::error::Result;
use crate::position::Address;
use crate::segment::Segment;

/// A frame on its way to the kernel.
#[derive(Debug)]
pub(super) struct Piece {
    segment: Arc<Segment>,
    offset: u32,
    bytes: Vec<u8>,
    /// So many of its bytes the kernel has.
    from: usize,
    /// And so many after the write that has taken it.
    to: usize,
}

impl Piece {
    fn is_left_over(&self) -> bool {
        self.to < self.bytes.len()
    }

    /// Its memory, once it is written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Frames in the order of their places.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pieces: Vec<Piece>,
    bytes: u64,
}

impl Pending {
    pub(super) fn push(&mut self, segment: Arc<Segment>, offset: u32, bytes: Vec<u8>) {
        self.bytes += bytes.len() as u64;
        self.pieces.push(Piece { segment, offset, from: 0, to: bytes.len(), bytes });
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first frame of which the kernel does not have everything.
    pub(super) fn first(&self) -> Option<Address> {
        self.pieces.first().map(|piece| piece.segment.address(piece.offset))
    }

    /// Takes everything.
    pub(super) fn take(&mut self) -> Vec<Piece> {
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }

    /// Takes what lies below the last multiple of `align` in its segment. The kernel keeps a file in pieces as they are written,
    /// and what is written in aligned ones is read half as fast again; and no block is written twice.
    pub(super) fn take_aligned(&mut self, align: u32) -> Vec<Piece> {
        let (Some(first), Some(last)) = (self.pieces.first(), self.pieces.last()) else { return Vec::new() };
        if first.segment.id() != last.segment.id() {
            return self.take(); // the end of a segment is written with the beginning of the next
        }
        let cut = (last.offset + last.bytes.len() as u32) / align * align;
        let later = self.pieces.iter().position(|piece| piece.offset >= cut).unwrap_or(self.pieces.len());
        let later = self.pieces.split_off(later);
        let mut taken = std::mem::replace(&mut self.pieces, later);
        if let Some(piece) = taken.last_mut() {
            piece.to = piece.bytes.len().min((cut - piece.offset) as usize);
        }
        self.bytes -= taken.iter().map(|piece| (piece.to - piece.from) as u64).sum::<u64>();
        taken
    }

    /// Takes back a piece that was written: what is left of it comes first, or else its memory is free.
    pub(super) fn put_back(&mut self, mut piece: Piece) -> Option<Vec<u8>> {
        if !piece.is_left_over() {
            return Some(piece.into_bytes());
        }
        (piece.from, piece.to) = (piece.to, piece.bytes.len());
        self.pieces.insert(0, piece);
        None
    }
}

/// Where the last of these ends.
pub(super) fn end(pieces: &[Piece]) -> Option<Address> {
    pieces.last().map(|piece| piece.segment.address(piece.offset + piece.to as u32))
}

/// Writes pieces in order, adjacent ones in one call. A segment is flushed before the first byte goes into the next, so
/// a segment that has begun proves that the one before it is whole.
pub(super) fn write(pieces: &[Piece]) -> Result<()> {
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|piece| piece.segment.id() == first.segment.id()).count();
        let (now, later) = rest.split_at(run);
        let slices: Vec<&[u8]> = now.iter().map(|piece| &piece.bytes[piece.from..piece.to]).collect();
        first.segment.write(&slices, first.offset + first.from as u32)?;
        if !later.is_empty() {
            first.segment.sync()?;
        }
        rest = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::BLOCK;
    use crate::format::segment::SegmentHeader;
    use crate::position::{LogId, SegmentId};
    use crate::storage::Memory;

    const ALIGN: u32 = 1 << 12;

    fn segment(files: &Memory, number: u32) -> Arc<Segment> {
        let header = SegmentHeader {
            log: LogId(uuid::Uuid::from_u128(1)),
            id: SegmentId(number),
            salt: 7,
            segment_bytes: 1 << 18,
            unflushed_bytes_max: 1 << 20,
            created_us: 0,
        };
        Arc::new(Segment::create(files, header, None).unwrap())
    }

    /// Writes what was taken, and gives back what is left of it.
    fn write_out(pending: &mut Pending, pieces: Vec<Piece>) {
        write(&pieces).unwrap();
        pieces.into_iter().for_each(|piece| drop(pending.put_back(piece)));
    }

    #[test]
    fn whole_pieces_go_first_and_everything_comes_out_once() {
        let (files, mut pending) = (Memory::new(), Pending::default());
        let segment = segment(&files, 1);
        let mut expected: Vec<u8> = Vec::new();
        let lens = [100, 5000, 8192, 1, 12_288, 4095, 1, 20_000, 3];
        for (i, len) in lens.into_iter().cycle().take(36).enumerate() {
            pending.push(segment.clone(), BLOCK + expected.len() as u32, vec![i as u8 + 1; len]);
            expected.resize(expected.len() + len, i as u8 + 1);
            if pending.bytes() >= ALIGN.into() {
                let pieces = pending.take_aligned(ALIGN);
                let end = end(&pieces).unwrap();
                assert_eq!(end.offset() % ALIGN, 0);
                // A frame comes while it writes.
                pending.push(segment.clone(), BLOCK + expected.len() as u32, vec![0xaa; 10]);
                expected.resize(expected.len() + 10, 0xaa);
                write_out(&mut pending, pieces);
                assert_eq!(
                    u64::from(end.offset()) + pending.bytes(),
                    u64::from(BLOCK) + expected.len() as u64
                );
                assert!(
                    pending.first().unwrap() <= end,
                    "a frame of which a part is missing counts as written"
                );
            }
        }
        let rest = pending.take();
        write_out(&mut pending, rest);
        assert_eq!((pending.bytes(), pending.first()), (0, None));
        assert_eq!(segment.read(BLOCK, expected.len()).unwrap(), expected);
    }

    #[test]
    fn the_end_of_a_segment_goes_with_the_beginning_of_the_next() {
        let (files, mut pending) = (Memory::new(), Pending::default());
        pending.push(segment(&files, 1), BLOCK, vec![1; 5000]);
        pending.push(segment(&files, 2), BLOCK, vec![2; 10]);
        assert_eq!(pending.take_aligned(ALIGN).len(), 2);
        assert_eq!(pending.bytes(), 0);
    }
}
