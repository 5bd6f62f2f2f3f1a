//! Making bytes pass their checksums, as somebody would who means harm.

use crate::format::BLOCK;
use crate::format::codec::{Codec, Decompressor, is_credible};
use crate::format::data::BASE_TIME;
use crate::format::frame::{Fault, HEADER, Header, MARKER, frame_len, marker};
use crate::format::segment::{HeaderFault, SEGMENT_HEADER, SegmentHeader};
use crate::format::wire::Take;
use crate::position::Address;

const DATA_KIND: u8 = 2;

/// Puts a segment header's checksum right.
pub(super) fn seal_segment(file: &mut [u8]) {
    if let Err(HeaderFault::Crc { found, .. }) = SegmentHeader::decode(file) {
        file[SEGMENT_HEADER - 4..SEGMENT_HEADER].copy_from_slice(&found.to_le_bytes());
    }
}

/// Puts the checksums and the marker of the frame at `offset` of a segment's file right, as far as it lies in the file.
pub(super) fn seal_frame(file: &mut [u8], offset: usize) {
    let Ok(segment) = SegmentHeader::decode(file) else { return };
    let Some(frame) = file.get_mut(offset..) else { return };
    let Some(body_len) = body_len(frame) else { return };
    let at = Address::new(segment.id, offset as u32);
    if let Some(body) = frame[HEADER..].get(..body_len as usize) {
        let content = if frame[0] == DATA_KIND { body.get(BASE_TIME..).unwrap_or_default() } else { body };
        let unpacked = Codec::from_byte(frame[1]).and_then(|codec| unpack(codec, content));
        let content_crc = crc32fast::hash(unpacked.as_deref().unwrap_or(content));
        let body_crc = crc32fast::hash(body);
        frame[24..28].copy_from_slice(&body_crc.to_le_bytes());
        frame[28..32].copy_from_slice(&content_crc.to_le_bytes());
    }
    let epoch = u32::from_le_bytes([frame[8], frame[9], frame[10], frame[11]]);
    let end = usize::try_from(frame_len(body_len)).unwrap_or(usize::MAX);
    if let Some(place) = frame.get_mut(end - MARKER..end) {
        place.copy_from_slice(&marker(at, epoch).to_le_bytes());
    }
    let Some(header) = frame.first_chunk_mut::<HEADER>() else { return };
    if let Err(Fault::HeaderCrc { found, .. }) = Header::decode(header, segment.salt, at, u32::MAX) {
        header[HEADER - 4..].copy_from_slice(&found.to_le_bytes());
    }
}

/// What was compressed, behind its length.
fn unpack(codec: Codec, content: &[u8]) -> Option<Vec<u8>> {
    let mut take = Take::new(content);
    let len = take.varint().ok().filter(|_| codec != Codec::Plain)?;
    let stored = take.take(take.remaining()).ok()?;
    let credible = is_credible(len, stored.len() as u64);
    credible.then(|| Decompressor::default().decompress(codec, stored, len as usize)).flatten()
}

/// Where frames begin, if one goes by the lengths they tell.
pub(super) fn frames(file: &[u8]) -> Vec<usize> {
    let mut offsets = Vec::new();
    let mut offset = BLOCK as usize;
    while let Some(body_len) = file.get(offset..).and_then(body_len).filter(|_| file[offset] != 0) {
        offsets.push(offset);
        offset = offset.saturating_add(usize::try_from(frame_len(body_len)).unwrap_or(usize::MAX));
    }
    offsets
}

/// The body's length, where a whole header stands.
fn body_len(frame: &[u8]) -> Option<u32> {
    let header = frame.first_chunk::<HEADER>()?;
    Some(u32::from_le_bytes([header[4], header[5], header[6], header[7]]))
}
