//! The header of a segment (and of a base file): the first 128 bytes of its first block; the rest of it is zero.

use crate::format::wire::Take;
use crate::format::{BLOCK, VERSION};
use crate::position::{LogId, SegmentId};

/// The header's length, in bytes. Frames begin at [`BLOCK`].
pub(crate) const SEGMENT_HEADER: usize = 128;
const MAGIC: &[u8; 8] = b"hwsegmnt";
const CRC_AT: usize = 124;
/// CRC-32 (IEEE), as crc32fast computes it.
const CHECKSUM_CRC32: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub log: LogId,
    pub id: SegmentId,
    /// Another for each use of the file.
    pub salt: u64,
    /// The file's size, in bytes: a multiple of a block.
    pub segment_bytes: u32,
    /// The largest unflushed window its writer allows, in bytes.
    pub unflushed_bytes_max: u32,
    pub created_us: i64,
}

/// Why bytes are not a segment's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Not the magic: something else, or never written.
    Magic,
    Crc {
        expected: u32,
        found: u32,
    },
    /// Valid, and newer than this code.
    Unsupported(String),
    /// Valid by its checksum, but no writer of ours makes such a header.
    Nonsense(&'static str),
}

impl std::fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HeaderFault::Magic => write!(f, "expected a segment header, found something else"),
            HeaderFault::Crc { expected, found } => {
                write!(f, "segment header checksum: expected {expected:08x}, found {found:08x}")
            }
            HeaderFault::Unsupported(what) => f.write_str(what),
            HeaderFault::Nonsense(what) => write!(f, "segment header: {what}"),
        }
    }
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&VERSION.to_le_bytes()); // the least version that can read it
        out.extend_from_slice(&0u32.to_le_bytes()); // required flags
        out.extend_from_slice(&0u32.to_le_bytes()); // optional flags
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.log.0.as_u128().to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&u64::from(self.segment_bytes).to_le_bytes());
        out.push(BLOCK.trailing_zeros() as u8);
        out.push(CHECKSUM_CRC32);
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.unflushed_bytes_max.to_le_bytes());
        out.extend_from_slice(&self.created_us.to_le_bytes());
        out.resize(CRC_AT, 0);
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out.resize(BLOCK as usize, 0);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderFault> {
        let short = |_| HeaderFault::Magic;
        let mut take = Take::new(bytes);
        let head = take.take(SEGMENT_HEADER).map_err(short)?;
        if !head.starts_with(MAGIC) {
            return Err(HeaderFault::Magic);
        }
        let expected = Take::new(&head[CRC_AT..]).u32().map_err(short)?;
        let found = crc32fast::hash(&head[..CRC_AT]);
        if expected != found {
            return Err(HeaderFault::Crc { expected, found });
        }
        let mut take = Take::new(&head[MAGIC.len()..]);
        let (version, least) = (take.u16().map_err(short)?, take.u16().map_err(short)?);
        if least > VERSION {
            return Err(HeaderFault::Unsupported(format!(
                "written in format version {version}, which needs a reader of version {least}; this one reads up to {VERSION}: use a newer highwater"
            )));
        }
        let (required, _optional) = (take.u32().map_err(short)?, take.u32().map_err(short)?);
        if required != 0 {
            return Err(HeaderFault::Unsupported(format!(
                "it needs features {required:#010x}, which this version does not know: use a newer highwater"
            )));
        }
        let id = SegmentId(take.u32().map_err(short)?);
        let log = LogId(uuid::Uuid::from_u128(take.u128().map_err(short)?));
        let salt = take.u64().map_err(short)?;
        let segment_bytes = take.u64().map_err(short)?;
        let (block_log2, checksum) = (take.u8().map_err(short)?, take.u8().map_err(short)?);
        take.u16().map_err(short)?;
        let unflushed_bytes_max = take.u32().map_err(short)?;
        let created_us = take.i64().map_err(short)?;
        if u32::from(block_log2) != BLOCK.trailing_zeros() || checksum != CHECKSUM_CRC32 {
            return Err(HeaderFault::Unsupported(format!(
                "block size 2^{block_log2} with checksum {checksum}; this version knows 2^12 with checksum 1"
            )));
        }
        let segment_bytes = u32::try_from(segment_bytes)
            .ok()
            .filter(|bytes| bytes.is_multiple_of(BLOCK) && *bytes > BLOCK)
            .ok_or(HeaderFault::Nonsense("its size is not a whole number of blocks below 4 GiB"))?;
        Ok(SegmentHeader { log, id, salt, segment_bytes, unflushed_bytes_max, created_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            log: LogId(uuid::Uuid::from_u128(5)),
            id: SegmentId(9),
            salt: 77,
            segment_bytes: 1 << 20,
            unflushed_bytes_max: 8 << 20,
            created_us: -3,
        }
    }

    #[test]
    fn it_round_trips_and_fills_a_block() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), BLOCK as usize);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let good = sample().encode();
        for bit in 0..SEGMENT_HEADER * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_and_an_unknown_feature_are_refused_by_name() {
        for (at, text) in [(10, "needs a reader of version 2"), (12, "features 0x00000002")] {
            let mut bytes = sample().encode();
            bytes[at] = 2;
            let crc = crc32fast::hash(&bytes[..CRC_AT]);
            bytes[CRC_AT..SEGMENT_HEADER].copy_from_slice(&crc.to_le_bytes());
            let refused = SegmentHeader::decode(&bytes).unwrap_err().to_string();
            assert!(refused.contains(text), "{refused}");
        }
    }
}
