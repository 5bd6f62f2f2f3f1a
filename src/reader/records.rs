//! The records of one checkpoint, frame by frame.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::format::codec::Decompressor;
use crate::format::commit::{CommitStream, Extent, decode_extents_part};
use crate::format::data::{Content, DecodedRecord, FrameRecords, OpKind, RecordParts};
use crate::format::frame::{HEADER, Kind};
use crate::format::wire::Malformed;
use crate::origin::Origin;
use crate::position::{Address, SegmentId, Sequence, StreamId};

/// So much of an extent is read at once: two frames of the usual size, which stay in the processor's cache.
const PIECE: u32 = 2 * (Config::DATA_FRAME_BYTES as u32 + 4096);

/// A record as it was appended. Its bytes share the memory they were read into and keep it alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its stream.
    pub stream: StreamId,
    /// What it does.
    pub op: OpKind,
    /// When the source emitted it, in microseconds since 1970-01-01 UTC.
    pub emitted_us: i64,
    /// Its key; empty without one.
    pub key: Bytes,
    /// Its metadata.
    pub metadata: Bytes,
    /// Its payload.
    pub payload: Bytes,
}

/// A [`Record`] that borrows what it is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its stream.
    pub stream: StreamId,
    /// What it does.
    pub op: OpKind,
    /// When the source emitted it, in microseconds since 1970-01-01 UTC.
    pub emitted_us: i64,
    /// Its key; empty without one.
    pub key: &'a [u8],
    /// Its metadata.
    pub metadata: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

/// The records of a checkpoint. It reads in pieces, so memory stays bounded; every byte's CRC is checked on the way. It
/// stops for good at its first error.
#[derive(Debug)]
pub struct Records {
    origin: Origin,
    sequence: Sequence,
    /// Segments below may be mapped.
    mapped_below: SegmentId,
    streams: VecDeque<CommitStream>,
    current: Option<StreamReader>,
    frame: Option<(StreamId, FrameRecords)>,
    codecs: Decompressor,
    failed: bool,
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl Records {
    /// The records of these parts of the checkpoint.
    pub(super) fn new(origin: Origin, sequence: Sequence, streams: VecDeque<CommitStream>) -> Self {
        Records {
            mapped_below: origin.mapped_below(),
            origin,
            sequence,
            streams,
            current: None,
            frame: None,
            codecs: Decompressor::default(),
            failed: false,
        }
    }

    /// The next record, borrowed from the memory that it was read into: for who looks at each once this costs less than the
    /// iterator, whose records own a share of that memory. The two can be mixed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (log, _) = highwater::Log::open(dir.path(), highwater::Config::default())?;
    /// let mut reader = log.reader(log.first())?;
    /// while let Some(checkpoint) = reader.next()? {
    ///     let mut records = checkpoint.records();
    ///     while let Some(record) = records.next_ref() {
    ///         println!("{} bytes", record?.payload.len());
    ///     }
    /// }
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn next_ref(&mut self) -> Option<Result<RecordRef<'_>>> {
        if let Err(error) = self.fill() {
            return Some(Err(error));
        }
        let Records { frame: Some((stream, records)), failed, sequence, .. } = self else { return None };
        let next = records.next_parts().map_err(|e| malformed(*sequence, e)).transpose()?;
        *failed = next.is_err();
        Some(next.map(|RecordParts { op, emitted_us, key, metadata, payload }| RecordRef {
            stream: *stream,
            op,
            emitted_us,
            key,
            metadata,
            payload,
        }))
    }

    fn advance(&mut self) -> Result<Option<Record>> {
        self.fill()?;
        let Some((stream, records)) = &mut self.frame else { return Ok(None) };
        let next = records.next_record().map_err(|e| malformed(self.sequence, e));
        self.failed = next.is_err();
        Ok(next?.map(|DecodedRecord { op, emitted_us, key, metadata, payload }| Record {
            stream: *stream,
            op,
            emitted_us,
            key,
            metadata,
            payload,
        }))
    }

    /// Has a frame at hand with a record that was not given yet, or none if there is no such record, now and later.
    fn fill(&mut self) -> Result<()> {
        let is_there = self.frame.as_ref().is_some_and(|(_, records)| !records.is_empty());
        if is_there && !self.failed {
            return Ok(());
        }
        self.frame = None;
        if self.failed {
            return Ok(());
        }
        let found = self.next_frame().map_err(|error| self.origin.tell(error, self.sequence));
        self.failed = found.is_err();
        self.frame = found?;
        Ok(())
    }

    fn next_frame(&mut self) -> Result<Option<(StreamId, FrameRecords)>> {
        loop {
            if let Some(reader) = &mut self.current {
                match reader.next_frame(&self.origin, self.mapped_below, &mut self.codecs)? {
                    Some(content) if content.records.is_empty() => {}
                    Some(content) => return Ok(Some((reader.part.stream, FrameRecords::new(content)))),
                    None => {
                        reader.finish(&self.origin, self.sequence)?;
                        self.current = None;
                    }
                }
                continue;
            }
            match self.streams.pop_front() {
                Some(part) => self.current = Some(StreamReader::new(&self.origin, part)?),
                None => return Ok(None),
            }
        }
    }
}

fn malformed(sequence: Sequence, e: Malformed) -> Error {
    Error::new(ErrorKind::Corrupt, format!("checkpoint {sequence}: a data frame: {e}"))
}

/// Reads one stream's frames of one checkpoint, and adds up what the commit says of them.
#[derive(Debug)]
struct StreamReader {
    part: CommitStream,
    extents: VecDeque<Extent>,
    parts: VecDeque<Address>,
    /// What was read ahead of the current extent, and where it begins.
    piece: Bytes,
    at: Address,
    /// Bytes of the extent that are not in `piece`.
    left: u32,
    items: u64,
    checksum: crc32fast::Hasher,
    digest: Option<Box<blake3::Hasher>>,
}

impl StreamReader {
    fn new(_origin: &Origin, part: CommitStream) -> Result<Self> {
        Ok(StreamReader {
            extents: VecDeque::new(),
            parts: part.parts.iter().copied().collect(),
            piece: Bytes::new(),
            at: Address::NONE,
            left: 0,
            items: 0,
            checksum: crc32fast::Hasher::new(),
            digest: part.digest.map(|_| Box::default()),
            part,
        })
    }

    fn damaged(&self, origin: &Origin, what: impl std::fmt::Display) -> Error {
        origin.files().damaged(self.at, what)
    }

    /// The next extent: first those in part frames, then those in the commit.
    fn next_extent(&mut self, origin: &Origin) -> Result<bool> {
        loop {
            if let Some(extent) = self.extents.pop_front() {
                (self.at, self.left, self.piece) = (extent.at, extent.bytes, Bytes::new());
                return Ok(true);
            }
            if let Some(at) = self.parts.pop_front() {
                let body = origin.files().body(at, Kind::Part)?;
                let extents = decode_extents_part(&body).map_err(|e| origin.files().damaged(at, e))?;
                self.extents.extend(extents);
                continue;
            }
            self.extents.extend(std::mem::take(&mut self.part.extents));
            if self.extents.is_empty() {
                return Ok(false);
            }
        }
    }

    /// What the next frame holds, with everything about it checked.
    fn next_frame(
        &mut self,
        origin: &Origin,
        mapped_below: SegmentId,
        codecs: &mut Decompressor,
    ) -> Result<Option<Content>> {
        while self.piece.is_empty() && self.left == 0 {
            if !self.next_extent(origin)? {
                return Ok(None);
            }
        }
        self.fill(origin, mapped_below, HEADER)?;
        let segment = origin.files().get(self.at.segment())?;
        let offset = self.at.offset();
        let mut head = [0; HEADER];
        head.copy_from_slice(&self.piece[..HEADER]);
        let header = segment.frame_header(&head, offset).map_err(|fault| segment.refuses(offset, fault))?;
        if header.kind != Kind::Data || header.stream != self.part.stream.get() {
            let what = format!(
                "expected records of stream {}, found a {:?} frame of stream #{}",
                self.part.stream, header.kind, header.stream
            );
            return Err(segment.damaged(offset, what));
        }
        let len = header.frame_len() as usize;
        self.fill(origin, mapped_below, len)?;
        let rest = self.piece.slice(HEADER..len);
        let body = segment.check(&header, offset, rest).map_err(|fault| segment.refuses(offset, fault))?;
        let content = Content::of(&header, body, codecs).map_err(|fault| segment.refuses(offset, fault))?;
        let content_len = content.records.len() as u64;
        self.checksum.combine(&crc32fast::Hasher::new_with_initial_len(header.content_crc, content_len));
        if let Some(digest) = &mut self.digest {
            digest.update(&content.records);
        }
        self.items += u64::from(header.items);
        self.piece = self.piece.split_off(len);
        self.at = Address(self.at.0 + len as u64);
        Ok(Some(content))
    }

    /// Has at least `len` bytes in the piece.
    fn fill(&mut self, origin: &Origin, mapped_below: SegmentId, len: usize) -> Result<()> {
        if self.piece.len() >= len {
            return Ok(());
        }
        let missing = (len - self.piece.len()) as u64;
        if missing > u64::from(self.left) {
            return Err(self.damaged(origin, "a frame reaches beyond the extent that names it"));
        }
        // The rest of the last piece is read again with what follows: frames are contiguous in memory.
        let whole = self.piece.len() as u32 + self.left;
        let bytes = whole.min(PIECE.max(len as u32));
        let segment = origin.files().get(self.at.segment())?;
        self.piece = Bytes::new();
        self.piece = if segment.id() < mapped_below {
            segment.read_mapped(self.at.offset(), bytes as usize)?
        } else {
            origin.files().read(&segment, self.at.offset(), bytes as usize)?
        };
        self.left = whole - bytes;
        Ok(())
    }

    /// The whole has to be what the commit says.
    fn finish(&mut self, origin: &Origin, sequence: Sequence) -> Result<()> {
        let (expected, found) = (self.part.checksum, self.checksum.clone().finalize());
        if expected != found || self.items != self.part.records {
            return Err(self.damaged(
                origin,
                format!(
                    "checkpoint {sequence}, stream {}: expected {} records with checksum {expected:08x}, found {} with {found:08x}",
                    self.part.stream, self.part.records, self.items
                ),
            ));
        }
        match (&self.digest, &self.part.digest) {
            (Some(found), Some(expected)) if found.finalize().as_bytes() != expected => Err(self.damaged(
                origin,
                format!("checkpoint {sequence}, stream {}: the BLAKE3 digest differs", self.part.stream),
            )),
            _ => Ok(()),
        }
    }
}
