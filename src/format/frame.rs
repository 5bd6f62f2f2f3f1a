//! A frame: header, body, commit marker.
//!
//! ```text
//! 0   kind u8   flags u8   key_id u16   body_len u32   epoch u32   stream u32
//! 16  durable u64   body_crc u32   content_crc u32   items u32   header_crc u32
//! 40  body, zeros to a multiple of 8, marker u64
//! ```

use crate::config::Config;
use crate::format::ALIGN;
use crate::format::codec::Codec;
use crate::position::Address;
use crate::protection::Protection;

pub(crate) use crate::format::fault::Fault;

/// The header's length, in bytes.
pub(crate) const HEADER: usize = 40;
/// The commit marker's length, in bytes.
pub(crate) const MARKER: usize = 8;
/// The smallest frame: no body.
pub(crate) const FRAME_MIN: u32 = (HEADER + MARKER) as u32;
/// The longest body, in bytes: one record or state of the greatest length that a configuration allows, with what stands
/// before it. No writer makes a longer one, so a reader gives no memory to one: a sparse file has zeros for free.
pub(crate) const BODY_MAX: u32 = Config::ITEM_BYTES_MAX + 64;
const _: () = assert!(HEADER.is_multiple_of(ALIGN as usize) && MARKER.is_multiple_of(ALIGN as usize));

/// "hwcommit", read as a little-endian number.
const MARKER_SEED: u64 = u64::from_le_bytes(*b"hwcommit");
/// Spreads the epoch over the marker's bits.
const MARKER_SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a frame holds. Zero is no kind, so a region that was never written is never a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Opens a segment: how the one before it ended, and a snapshot.
    Start = 1,
    /// Records of one stream.
    Data = 2,
    /// Something that a commit names because it does not fit into it: a large state, a list of extents.
    Part = 3,
    /// A checkpoint: what it covers and its states. The "state frame".
    Commit = 4,
    /// A stream's definition.
    Define = 5,
    /// Where streams and states lie.
    Index = 6,
    /// A snapshot from which opening can start.
    Waypoint = 7,
    /// What an opening dropped or rewrote.
    Recovery = 8,
    /// The log now begins later: the switch of a pruning.
    Pruned = 9,
    /// Ends a segment.
    Seal = 10,
    /// A clean close.
    Close = 11,
    /// Fills a batch to the next block.
    Pad = 12,
    /// What damage took, and a repair gave up.
    Repaired = 13,
    /// Who opened the log, and wrote what comes behind.
    Opened = 14,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        use Kind::*;
        const ALL: [Kind; 14] = [
            Start, Data, Part, Commit, Define, Index, Waypoint, Recovery, Pruned, Seal, Close, Pad, Repaired,
            Opened,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Whether a frame may begin with this byte: a quick look before a checksum is taken.
    pub(crate) fn may_be(byte: u8) -> bool {
        Kind::from_byte(byte).is_some()
    }

    /// Whether what is written so far holds once this frame is there: frames behind the last settling one belong
    /// to nobody after a crash. A start is nothing without the index behind it.
    pub(crate) fn settles(self) -> bool {
        !matches!(self, Kind::Data | Kind::Part | Kind::Define | Kind::Opened | Kind::Pad | Kind::Start)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    /// Of a data frame's content: all there is in its flags. A frame with an unknown flag is refused by name.
    pub codec: Codec,
    /// Reserved for encryption; 0.
    pub key_id: u16,
    pub body_len: u32,
    /// Of the opening that wrote it.
    pub epoch: u32,
    /// The stream of a data frame; else 0.
    pub stream: u32,
    /// Everything below was flushed when this header was made.
    pub durable: Address,
    /// Of the body as stored.
    pub body_crc: u32,
    /// Of the content: a data frame's records without their base time, decoded; else as `body_crc`.
    pub content_crc: u32,
    /// Records in a data frame; else 0.
    pub items: u32,
}

/// Whole bytes on disk of a frame with such a body.
pub(crate) const fn frame_len(body_len: u32) -> u64 {
    HEADER as u64 + (body_len as u64).next_multiple_of(ALIGN as u64) + MARKER as u64
}

/// What stands behind the body of a frame at `at`: never zero, and never what an earlier use left there.
pub(crate) fn marker(at: Address, epoch: u32) -> u64 {
    MARKER_SEED ^ place(at).0 ^ u64::from(epoch).wrapping_mul(MARKER_SPREAD)
}

impl Header {
    /// The header's bytes: the salt and the address in its checksum tie it to one use of one place.
    pub(crate) fn encode(&self, salt: u64, at: Address) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[0] = self.kind as u8;
        out[1] = self.codec as u8;
        out[2..4].copy_from_slice(&self.key_id.to_le_bytes());
        out[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        out[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        out[12..16].copy_from_slice(&self.stream.to_le_bytes());
        out[16..24].copy_from_slice(&self.durable.0.to_le_bytes());
        out[24..28].copy_from_slice(&self.body_crc.to_le_bytes());
        out[28..32].copy_from_slice(&self.content_crc.to_le_bytes());
        out[32..36].copy_from_slice(&self.items.to_le_bytes());
        let crc = header_crc(&out, salt, at);
        out[36..40].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Believes nothing before the checksum, and the length only if the frame stays inside its segment.
    pub(crate) fn decode(
        bytes: &[u8; HEADER],
        salt: u64,
        at: Address,
        segment_bytes: u32,
    ) -> Result<Header, Fault> {
        if bytes == &[0; HEADER] {
            return Err(Fault::Zeros);
        }
        let u32_at = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let (expected, found) = (u32_at(36), header_crc(bytes, salt, at));
        if expected != found {
            return Err(Fault::HeaderCrc { expected, found });
        }
        let kind = Kind::from_byte(bytes[0]).ok_or(Fault::UnknownKind(bytes[0]))?;
        let (flags, key_id) = (bytes[1], u16::from_le_bytes([bytes[2], bytes[3]]));
        let codec = Codec::from_byte(flags).filter(|codec| kind == Kind::Data || *codec == Codec::Plain);
        let codec = codec.filter(|_| key_id == 0).ok_or(Fault::UnknownFlags(flags))?;
        let header = Header {
            kind,
            codec,
            key_id,
            body_len: u32_at(4),
            epoch: u32_at(8),
            stream: u32_at(12),
            durable: Address(u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32),
            body_crc: u32_at(24),
            content_crc: u32_at(28),
            items: u32_at(32),
        };
        if header.body_len > BODY_MAX {
            return Err(Fault::TooLarge { body_len: header.body_len });
        }
        let end = u64::from(at.offset()) + header.frame_len();
        if end > u64::from(segment_bytes) {
            return Err(Fault::TooLong { end, segment_bytes });
        }
        Ok(header)
    }

    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(self.body_len)
    }
}

/// The place as checksum and marker know it.
fn place(at: Address) -> Address {
    if Protection::LifeOfFile.is_off() { Address(at.offset().into()) } else { at }
}

fn header_crc(bytes: &[u8; HEADER], salt: u64, at: Address) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let salt = if Protection::LifeOfFile.is_off() { 0 } else { salt };
    hasher.update(&salt.to_le_bytes());
    hasher.update(&place(at).0.to_le_bytes());
    hasher.update(&bytes[..HEADER - 4]);
    hasher.finalize()
}

/// A frame while it is made: room for the header, then the body. The checksums are taken and the marker's place is
/// made outside any lock; the header and the marker follow when the place in the log is known.
#[derive(Debug)]
pub(crate) struct FrameBuf {
    bytes: Vec<u8>,
}

impl FrameBuf {
    /// An empty body, in `memory` that is used again.
    pub(crate) fn new(mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.resize(HEADER, 0);
        FrameBuf { bytes: memory }
    }

    /// The body so far; append to it.
    pub(crate) fn body_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    pub(crate) fn body_len(&self) -> usize {
        self.bytes.len() - HEADER
    }

    pub(crate) fn from_body(body: &[u8]) -> Self {
        let mut buf = FrameBuf::new(Vec::with_capacity(frame_len(body.len() as u32) as usize));
        buf.bytes.extend_from_slice(body);
        buf
    }

    /// Its memory, to be used again.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes the checksum and closes the body.
    pub(crate) fn seal(self, kind: Kind, stream: u32) -> SealedFrame {
        let crc = crc32fast::hash(self.body());
        self.close(kind, stream, 0, crc, crc)
    }

    /// Closes a data frame, whose content (behind the first `base` bytes) has this checksum: the body's follows from
    /// it, so nothing is read twice.
    pub(crate) fn seal_data(self, base: usize, stream: u32, items: u32, content_crc: u32) -> SealedFrame {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.body()[..base]);
        let content_len = (self.body_len() - base) as u64;
        hasher.combine(&crc32fast::Hasher::new_with_initial_len(content_crc, content_len));
        self.close(Kind::Data, stream, items, hasher.finalize(), content_crc)
    }

    /// Closes a data frame whose content was compressed and had this checksum before.
    pub(crate) fn seal_packed(self, codec: Codec, stream: u32, items: u32, content_crc: u32) -> SealedFrame {
        let body_crc = crc32fast::hash(self.body());
        SealedFrame { codec, ..self.close(Kind::Data, stream, items, body_crc, content_crc) }
    }

    /// A frame as it stands elsewhere, with a checked body.
    pub(crate) fn again(header: &Header, body: &[u8]) -> SealedFrame {
        let Header { kind, codec, stream, items, body_crc, content_crc, .. } = *header;
        let buf = FrameBuf::from_body(body);
        SealedFrame { codec, ..buf.close(kind, stream, items, body_crc, content_crc) }
    }

    fn close(mut self, kind: Kind, stream: u32, items: u32, body_crc: u32, content_crc: u32) -> SealedFrame {
        let body_len = self.body_len() as u32;
        self.bytes.resize(frame_len(body_len) as usize, 0);
        let codec = Codec::Plain;
        SealedFrame { bytes: self.bytes, kind, codec, stream, items, body_len, body_crc, content_crc }
    }
}

/// A whole frame but for its place in the log.
#[derive(Debug)]
pub(crate) struct SealedFrame {
    bytes: Vec<u8>,
    kind: Kind,
    codec: Codec,
    stream: u32,
    items: u32,
    body_len: u32,
    body_crc: u32,
    content_crc: u32,
}

impl SealedFrame {
    pub(crate) fn len(&self) -> u32 {
        self.bytes.len() as u32
    }

    pub(crate) fn body_len(&self) -> usize {
        self.body_len as usize
    }

    /// The frame as it was before it was sealed.
    pub(crate) fn reopen(mut self) -> FrameBuf {
        self.bytes.truncate(HEADER + self.body_len as usize);
        FrameBuf { bytes: self.bytes }
    }

    /// Writes header and marker; returns the frame's bytes and its header's checksum.
    pub(crate) fn place(mut self, salt: u64, at: Address, epoch: u32, durable: Address) -> Vec<u8> {
        let header = Header {
            kind: self.kind,
            codec: self.codec,
            key_id: 0,
            body_len: self.body_len,
            epoch,
            stream: self.stream,
            durable,
            body_crc: self.body_crc,
            content_crc: self.content_crc,
            items: self.items,
        };
        self.bytes[..HEADER].copy_from_slice(&header.encode(salt, at));
        let end = self.bytes.len() - MARKER;
        self.bytes[end..].copy_from_slice(&marker(at, epoch).to_le_bytes());
        self.bytes
    }
}

/// Compares a body's checksum with what the header says.
pub(crate) fn check_body(header: &Header, found: u32) -> Result<(), Fault> {
    if found != header.body_crc && !Protection::BodyChecksum.is_off() {
        return Err(Fault::BodyCrc { expected: header.body_crc, found });
    }
    Ok(())
}

/// Compares the checksum of what was compressed with what the header says.
pub(crate) fn check_content(header: &Header, found: u32) -> Result<(), Fault> {
    if found != header.content_crc && !Protection::BodyChecksum.is_off() {
        return Err(Fault::ContentCrc { expected: header.content_crc, found });
    }
    Ok(())
}

/// The body length of a pad that reaches from `offset` to the next block (or the one after, where a frame does not fit).
pub(crate) const fn pad_body(offset: u32) -> Option<u32> {
    let gap = crate::format::block_up(offset) - offset;
    match gap {
        0 => None,
        gap if gap >= FRAME_MIN => Some(gap - FRAME_MIN),
        gap => Some(gap + crate::format::BLOCK - FRAME_MIN),
    }
}

/// Checks padding and marker of a frame whose bytes from the end of the body are `tail`.
pub(crate) fn check_tail(tail: &[u8], header: &Header, at: Address) -> Result<(), Fault> {
    let (padding, found) = tail.split_at(tail.len() - MARKER);
    if found != marker(at, header.epoch).to_le_bytes() {
        return Err(Fault::Marker);
    }
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Fault::Padding);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::SegmentId;

    const AT: Address = Address::new(SegmentId(3), 4096);

    fn sample() -> Vec<u8> {
        let mut buf = FrameBuf::new(Vec::new());
        buf.body_mut().extend_from_slice(b"hello");
        buf.seal_data(0, 7, 1, crc32fast::hash(b"hello")).place(99, AT, 2, Address::new(SegmentId(2), 8192))
    }

    fn decode(bytes: &[u8], salt: u64, at: Address) -> Result<Header, Fault> {
        Header::decode(bytes[..HEADER].try_into().unwrap(), salt, at, 1 << 20)
    }

    #[test]
    fn a_frame_round_trips() {
        let bytes = sample();
        let header = decode(&bytes, 99, AT).unwrap();
        assert_eq!((header.kind, header.stream, header.items, header.epoch), (Kind::Data, 7, 1, 2));
        assert_eq!(header.frame_len() as usize, bytes.len());
        assert_eq!(header.body_crc, crc32fast::hash(b"hello"));
        check_tail(&bytes[HEADER + 5..], &header, AT).unwrap();
    }

    /// The worked example of DESIGN.md.
    #[test]
    #[rustfmt::skip]
    fn the_documents_example_has_these_bytes() {
        let at = Address::new(SegmentId(1), 4096);
        let bytes = FrameBuf::from_body(&[0; 8]).seal(Kind::Close, 0).place(0, at, 1, at);
        assert_eq!(bytes, [
            0x0b, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x10, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x69, 0xdf, 0x22, 0x65, 0x69, 0xdf, 0x22, 0x65,
            0x00, 0x00, 0x00, 0x00, 0x1d, 0x87, 0x24, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x7d, 0x1b, 0x29, 0x10, 0xd5, 0x14, 0x5e, 0xea,
        ]);
    }

    #[test]
    fn another_salt_or_place_is_not_this_frame() {
        let bytes = sample();
        assert!(matches!(decode(&bytes, 98, AT), Err(Fault::HeaderCrc { .. })));
        assert!(matches!(decode(&bytes, 99, Address(AT.0 + 8)), Err(Fault::HeaderCrc { .. })));
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_seen() {
        let good = sample();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let seen = match decode(&bad, 99, AT) {
                Err(_) => true,
                Ok(h) => {
                    check_tail(&bad[HEADER + 5..], &h, AT).is_err()
                        || crc32fast::hash(&bad[HEADER..HEADER + 5]) != h.body_crc
                }
            };
            assert!(seen, "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_no_frame_and_a_length_beyond_the_segment_is_not_believed() {
        assert_eq!(decode(&[0; HEADER], 99, AT), Err(Fault::Zeros));
        let bytes = sample();
        let header: &[u8; HEADER] = bytes[..HEADER].try_into().unwrap();
        assert!(matches!(Header::decode(header, 99, AT, 4096 + 55), Err(Fault::TooLong { .. })));
    }

    #[test]
    fn only_a_data_frame_has_a_codec_and_only_one_that_is_known() {
        let flagged = |kind: Kind, flags: u8| {
            let mut bytes = FrameBuf::new(Vec::new()).seal(kind, 0).place(99, AT, 2, AT);
            bytes[1] = flags;
            let crc = header_crc(&bytes[..HEADER].try_into().unwrap(), 99, AT);
            bytes[36..40].copy_from_slice(&crc.to_le_bytes());
            decode(&bytes, 99, AT).map(|header| header.codec)
        };
        assert_eq!(flagged(Kind::Data, 1), Ok(Codec::Lz4));
        assert_eq!(flagged(Kind::Data, 2), Ok(Codec::Zstd));
        for flags in 3..=255 {
            assert_eq!(flagged(Kind::Data, flags), Err(Fault::UnknownFlags(flags)));
        }
        assert_eq!(flagged(Kind::Commit, 1), Err(Fault::UnknownFlags(1)));
    }

    #[test]
    fn a_pad_always_reaches_a_block() {
        for offset in (4096..4096 * 3).step_by(8) {
            let end = pad_body(offset).map_or(offset, |body| offset + frame_len(body) as u32);
            assert_eq!(end % crate::format::BLOCK, 0, "{offset}");
        }
    }
}
