//! The body of a data frame: a base time, then records of one stream.
//!
//! A record's time is the difference to the record before it *in its unit*, so the records' bytes do not depend on
//! how they were cut into frames; the base time lets each frame be decoded alone.

use bytes::Bytes;

use crate::format::codec::{Codec, Decompressor, is_credible};
use crate::format::frame::{Fault, Header, check_content};
use crate::format::wire::{Decoded, Malformed, Take, put_varint, unzigzag, zigzag};

/// The base time at the beginning of a body, in bytes; the content's checksum begins behind it.
pub(crate) const BASE_TIME: usize = 8;
/// The most that op, time and the three lengths take.
pub(crate) const RECORD_HEADER_MAX: usize = 1 + 10 + 3 * 5;

/// A varint below this takes one byte, one below its square two.
const SHORT: u8 = 0x80;

/// What a record does to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpKind {
    /// A new row, or a row of a stream without a key.
    Insert = 1,
    /// The whole row, whether or not its key is there.
    Upsert = 2,
    /// A part of a row: columns that are absent keep their values.
    Update = 3,
    /// The row with this key goes.
    Delete = 4,
    /// Every row goes.
    Truncate = 5,
}

impl OpKind {
    fn from_byte(byte: u8) -> Decoded<OpKind> {
        use OpKind::*;
        const ALL: [OpKind; 5] = [Insert, Upsert, Update, Delete, Truncate];
        let index = usize::from(byte).wrapping_sub(Insert as usize);
        ALL.get(index).copied().ok_or(Malformed("an operation is unknown"))
    }

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            OpKind::Insert => "insert",
            OpKind::Upsert => "upsert",
            OpKind::Update => "update",
            OpKind::Delete => "delete",
            OpKind::Truncate => "truncate",
        }
    }
}

/// A record, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordParts<'a> {
    pub op: OpKind,
    pub emitted_us: i64,
    pub key: &'a [u8],
    pub metadata: &'a [u8],
    pub payload: &'a [u8],
}

impl RecordParts<'_> {
    /// The bytes that count: key, metadata and payload.
    pub(crate) fn content_len(&self) -> usize {
        self.key.len() + self.metadata.len() + self.payload.len()
    }

    /// Operation, time and lengths. Those of most records are short, and written at once: small records cost calls, not bytes.
    #[inline]
    fn encode_head(&self, out: &mut Vec<u8>, time: u64, lens: [u64; 3]) {
        let [key, metadata, payload] = lens;
        let (op, short) = (self.op as u8, u64::from(SHORT));
        if time | key | metadata >= short || payload >= short * short {
            out.push(op);
            [time, key, metadata, payload].into_iter().for_each(|value| put_varint(out, value));
        } else if payload < short {
            out.extend_from_slice(&[op, time as u8, key as u8, metadata as u8, payload as u8]);
        } else {
            let (low, high) = (payload as u8 | SHORT, (payload >> 7) as u8);
            out.extend_from_slice(&[op, time as u8, key as u8, metadata as u8, low, high]);
        }
    }

    /// Copies the record behind what is there: the one copy on its way to the disk.
    #[inline]
    pub(crate) fn encode(&self, out: &mut Vec<u8>, previous_us: i64) {
        out.reserve(RECORD_HEADER_MAX + self.content_len());
        let time = zigzag(self.emitted_us.wrapping_sub(previous_us));
        let lens = [self.key, self.metadata, self.payload].map(|part| part.len() as u64);
        self.encode_head(out, time, lens);
        for part in [self.key, self.metadata, self.payload] {
            if !part.is_empty() {
                out.extend_from_slice(part);
            }
        }
    }
}

/// A record as it comes out: it owns a share of the memory it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodedRecord {
    pub op: OpKind,
    pub emitted_us: i64,
    pub key: Bytes,
    pub metadata: Bytes,
    pub payload: Bytes,
}

/// What a data frame holds, decompressed: the records' encodings one after another.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub base_us: i64,
    pub records: Bytes,
}

impl Content {
    /// Of a body that passed its checksum. What was compressed has to pass that of its content, too.
    pub(crate) fn of(header: &Header, body: Bytes, codecs: &mut Decompressor) -> Result<Content, Fault> {
        let malformed = |Malformed(what)| Fault::Content(what);
        let mut take = Take::new(&body);
        let base_us = take.i64().map_err(malformed)?;
        if header.codec == Codec::Plain {
            return Ok(Content { base_us, records: body.slice(BASE_TIME..) });
        }
        if !header.codec.is_built() {
            return Err(Fault::NoCodec(header.codec));
        }
        let len = take.varint().map_err(malformed)?;
        let stored = take.take(take.remaining()).map_err(malformed)?;
        if !is_credible(len, stored.len() as u64) {
            return Err(Fault::Content("its length is beyond anything that was compressed"));
        }
        let records = codecs
            .decompress(header.codec, stored, len as usize)
            .ok_or(Fault::Content("it can't be decompressed to its length"))?;
        check_content(header, crc32fast::hash(&records))?;
        Ok(Content { base_us, records: records.into() })
    }
}

/// The records of one data frame.
#[derive(Debug, Clone)]
pub(crate) struct FrameRecords {
    content: Bytes,
    at: usize,
    previous_us: i64,
}

impl FrameRecords {
    pub(crate) fn new(content: Content) -> Self {
        FrameRecords { content: content.records, at: 0, previous_us: content.base_us }
    }

    /// Whether every record was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.content.len()
    }

    /// The next record, borrowed.
    pub(crate) fn next_parts(&mut self) -> Decoded<Option<RecordParts<'_>>> {
        take_record(&self.content, &mut self.at, &mut self.previous_us)
    }

    pub(crate) fn next_record(&mut self) -> Decoded<Option<DecodedRecord>> {
        let taken = take_record(&self.content, &mut self.at, &mut self.previous_us)?;
        Ok(taken.map(|parts| DecodedRecord {
            op: parts.op,
            emitted_us: parts.emitted_us,
            key: self.content.slice_ref(parts.key),
            metadata: self.content.slice_ref(parts.metadata),
            payload: self.content.slice_ref(parts.payload),
        }))
    }
}

/// The record at `at`, which moves on behind it.
fn take_record<'a>(
    content: &'a [u8],
    at: &mut usize,
    previous_us: &mut i64,
) -> Decoded<Option<RecordParts<'a>>> {
    let rest = &content[*at..];
    if rest.is_empty() {
        return Ok(None);
    }
    let head = match Head::short(rest) {
        Some(head) => head,
        None => Head::decode(rest)?,
    };
    let op = OpKind::from_byte(head.op)?;
    let [key, metadata, payload] = head.lens.map(|len| len as usize);
    let mut take = Take::new(&rest[head.bytes..]);
    let (key, metadata, payload) = (take.take(key)?, take.take(metadata)?, take.take(payload)?);
    let emitted_us = previous_us.wrapping_add(unzigzag(head.time));
    *at = content.len() - take.remaining();
    *previous_us = emitted_us;
    Ok(Some(RecordParts { op, emitted_us, key, metadata, payload }))
}

/// What stands before a record's bytes.
struct Head {
    op: u8,
    time: u64,
    /// Of key, metadata and payload.
    lens: [u32; 3],
    /// So many bytes it takes itself.
    bytes: usize,
}

impl Head {
    fn decode(record: &[u8]) -> Decoded<Head> {
        let mut take = Take::new(record);
        let (op, time) = (take.u8()?, take.varint()?);
        let lens = [take.varint_u32()?, take.varint_u32()?, take.varint_u32()?];
        Ok(Head { op, time, lens, bytes: record.len() - take.remaining() })
    }

    /// The same, looked at as a whole, if it is short: most are, and small records cost heads, not bytes.
    fn short(record: &[u8]) -> Option<Head> {
        let &[op, time @ ..SHORT, key @ ..SHORT, metadata @ ..SHORT, low, high] = record.first_chunk()?
        else {
            return None;
        };
        let (payload, bytes) = match (low, high) {
            (..SHORT, _) => (low.into(), 5),
            (_, ..SHORT) => (u32::from(low & !SHORT) | u32::from(high) << 7, 6),
            _ => return None,
        };
        Some(Head { op, time: time.into(), lens: [key.into(), metadata.into(), payload], bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_and_share_the_frames_memory() {
        let records = [
            RecordParts { op: OpKind::Upsert, emitted_us: 1_000, key: b"1", metadata: b"", payload: b"{}" },
            RecordParts { op: OpKind::Delete, emitted_us: 900, key: b"", metadata: b"m", payload: b"" },
            RecordParts {
                op: OpKind::Insert,
                emitted_us: i64::MIN,
                key: b"",
                metadata: b"",
                payload: &[7; 300],
            },
            RecordParts { op: OpKind::Insert, emitted_us: i64::MAX, key: b"", metadata: b"", payload: b"" },
        ];
        let mut content = Vec::new();
        let mut previous = 0;
        for record in &records {
            record.encode(&mut content, previous);
            previous = record.emitted_us;
        }
        let mut decoder = FrameRecords::new(Content { base_us: 0, records: content.into() });
        for record in &records {
            let found = decoder.next_record().unwrap().unwrap();
            assert_eq!((found.op, found.emitted_us), (record.op, record.emitted_us));
            assert_eq!(
                (&found.key[..], &found.metadata[..], &found.payload[..]),
                (record.key, record.metadata, record.payload)
            );
        }
        assert_eq!(decoder.next_record(), Ok(None));
    }

    /// Lengths and times around the edges of one and two bytes, in every combination: a short head reads as any other.
    #[test]
    fn short_heads_read_as_long_ones() {
        const EDGES: [usize; 6] = [0, 1, 127, 128, 16_383, 16_384];
        let bytes = vec![7; 16_384];
        for (time, key, metadata, payload) in EDGES.into_iter().flat_map(|time| {
            EDGES.into_iter().flat_map(move |key| {
                EDGES
                    .into_iter()
                    .flat_map(move |metadata| EDGES.map(|payload| (time, key, metadata, payload)))
            })
        }) {
            let emitted_us = unzigzag(time as u64);
            let (key, metadata, payload) = (&bytes[..key], &bytes[..metadata], &bytes[..payload]);
            let record = RecordParts { op: OpKind::Update, emitted_us, key, metadata, payload };
            let mut content = Vec::new();
            record.encode(&mut content, 0);
            let long = Head::decode(&content).unwrap();
            assert_eq!(content.len() - long.bytes, record.content_len());
            if let Some(short) = Head::short(&content) {
                assert_eq!(
                    (short.op, short.time, short.lens, short.bytes),
                    (long.op, long.time, long.lens, long.bytes)
                );
            } else {
                let is_long = time.max(key.len()).max(metadata.len()) >= 128 || payload.len() >= 16_384;
                assert!(is_long || content.len() < 6);
            }
        }
    }

    #[test]
    fn any_cut_of_a_body_is_an_error_or_fewer_records() {
        let mut content = Vec::new();
        RecordParts { op: OpKind::Insert, emitted_us: 5, key: b"kk", metadata: b"m", payload: b"ppp" }
            .encode(&mut content, 0);
        for cut in 0..content.len() {
            let records = Bytes::copy_from_slice(&content[..cut]);
            let whole = FrameRecords::new(Content { base_us: 0, records }).next_record();
            assert!(!matches!(whole, Ok(Some(_))), "{cut}");
        }
    }
}
