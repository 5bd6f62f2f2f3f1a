//! Writing the base checkpoint: what stays, stream by stream in the order in which it was appended.

use std::collections::BTreeMap;
use std::ops::Range;

use super::fate::Fates;
use super::files::DataFiles;
use super::outline::Outline;
use super::source::{Frame, Placed, Sink};
use super::streams::Streams;
use crate::config::{Compression, Config, Digest};
use crate::error::Result;
use crate::format::codec::Codec;
use crate::format::commit::{self, CommitHead, CommitStream, Link, encode_extents_part, encode_tail};
use crate::format::compacted::{Age, Compacted};
use crate::format::data::BASE_TIME;
use crate::format::frame::{FrameBuf, Header, Kind, SealedFrame};
use crate::format::snapshot::BaseCheckpoint;
use crate::journal::UnitStream;
use crate::packer::{Filled, Packer, Packing};
use crate::position::{Address, Sequence, StreamId};

/// With so many extents a stream lists the older ones in a part frame.
const EXTENTS_MAX: usize = 4096;
/// So many runs of ages are told of a stream; the oldest become one.
const AGES_MAX: usize = 16;

/// What one stream had and has.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub records_before: u64,
    pub records_after: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Takes what is read, and writes what stays of it.
pub(super) struct Copier<'a> {
    config: &'a Config,
    streams: &'a Streams,
    fates: &'a Fates<'a>,
    files: DataFiles<'a>,
    packer: Packer,
    outs: BTreeMap<StreamId, Out>,
    /// Bytes in memory, over all streams.
    buffered: usize,
    last_us: i64,
    low: Address,
}

/// One stream as it is written.
#[derive(Debug, Default)]
struct Out {
    unit: UnitStream,
    /// Its last frame, being filled.
    frame: Option<FrameBuf>,
    items: u32,
    previous_us: i64,
    codec: Option<Codec>,
    packing: Packing,
    checksum: crc32fast::Hasher,
    digest: Option<Box<blake3::Hasher>>,
    fingerprint: u64,
    ages: Vec<Age>,
    counts: Counts,
}

impl Out {
    fn buffered(&self) -> usize {
        self.frame.as_ref().map_or(0, FrameBuf::body_len)
    }

    fn age(&mut self, records: u64, time_us: i64) {
        match self.ages.last_mut() {
            Some(run) if run.time_us == time_us => run.records += records,
            _ => self.ages.push(Age { records, time_us }),
        }
        if self.ages.len() > AGES_MAX {
            let oldest = self.ages.remove(0);
            self.ages[0].records += oldest.records;
        }
    }

    /// What is compressed stays so: a frame that was stored as it is may only have been too small.
    fn note_codec(&mut self, codec: Codec) {
        if codec == Codec::Plain || self.codec == Some(codec) {
            return;
        }
        self.codec = Some(codec);
        self.packing = Packing::new(match codec {
            Codec::Plain => Compression::None,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd(0),
        });
    }
}

impl Sink for Copier<'_> {
    fn wants(&self, stream: StreamId) -> bool {
        !self.streams.is_dropped(stream)
    }

    fn skips(&self, stream: StreamId, ordinals: Range<u64>) -> bool {
        self.streams.is_keyed(stream) && self.fates.none_stays(stream, &ordinals)
    }

    fn part(&mut self, part: &CommitStream, is_replaced: bool) {
        let digests = self.config.digest == Digest::Blake3 || part.digest.is_some();
        let out = self
            .outs
            .entry(part.stream)
            .or_insert_with(|| Out { digest: digests.then(Box::default), ..Out::default() });
        out.fingerprint = part.fingerprint;
        out.counts.records_before += part.records;
        out.counts.bytes_before = out.counts.bytes_before.saturating_add(part.bytes);
        if !is_replaced && self.streams.is_keyless(part.stream) {
            out.counts.bytes_after = out.counts.bytes_after.saturating_add(part.bytes);
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<()> {
        if self.streams.is_keyed(frame.stream) {
            self.outs.entry(frame.stream).or_default().note_codec(frame.header.codec);
            frame.each_record(&mut |placed| {
                if !self.fates.stays(frame.stream, placed) {
                    return Ok(());
                }
                self.record(frame.stream, placed)
            })
        } else {
            self.whole(frame)
        }
    }
}

impl<'a> Copier<'a> {
    pub(super) fn new(
        config: &'a Config,
        streams: &'a Streams,
        fates: &'a Fates<'a>,
        files: DataFiles<'a>,
        outline: &Outline,
    ) -> Self {
        Copier {
            config,
            streams,
            fates,
            files,
            packer: Packer::default(),
            outs: BTreeMap::new(),
            buffered: 0,
            last_us: outline.commit.head.time_us,
            low: Address::NONE,
        }
    }

    /// A frame of which nothing goes.
    fn whole(&mut self, frame: &Frame<'_>) -> Result<()> {
        let header = Header { stream: frame.stream.get(), ..*frame.header };
        let time_us = frame.time_us(frame.ordinal);
        let content = frame.content();
        let out = self.outs.entry(frame.stream).or_default();
        let len = content.len() as u64;
        out.checksum.combine(&crc32fast::Hasher::new_with_initial_len(header.content_crc, len));
        if let Some(digest) = &mut out.digest {
            digest.update(content);
        }
        out.counts.records_after += u64::from(header.items);
        let is_base = frame.is_of_base();
        out.age(header.items.into(), if is_base { time_us } else { self.last_us });
        self.place(frame.stream, FrameBuf::again(&header, frame.body))
    }

    /// A record goes into the frame that its stream is filling.
    fn record(&mut self, stream: StreamId, placed: &Placed<'_>) -> Result<()> {
        let record = placed.record;
        let len = record.content_len();
        let frame_max = self.config.data_frame_bytes();
        if self.outs.get(&stream).is_some_and(|out| out.items > 0 && out.buffered() + len > frame_max) {
            self.spill(stream)?;
        }
        if self.buffered > 0 && self.buffered + len > self.config.buffer_bytes_max {
            self.spill_largest()?;
        }
        let time_us = if placed.is_of_base { placed.time_us } else { self.last_us };
        let out = self.outs.entry(stream).or_default();
        let before = out.buffered();
        let previous_us = out.previous_us;
        let frame = out.frame.get_or_insert_with(|| {
            let mut frame = FrameBuf::new(Vec::new());
            frame.body_mut().extend_from_slice(&previous_us.to_le_bytes());
            frame
        });
        record.encode(frame.body_mut(), previous_us);
        self.buffered += frame.body_len() - before;
        out.previous_us = record.emitted_us;
        out.items += 1;
        out.counts.records_after += 1;
        out.counts.bytes_after = out.counts.bytes_after.saturating_add(len as u64);
        out.age(1, time_us);
        Ok(())
    }

    /// Closes the frame that a stream is filling.
    fn spill(&mut self, stream: StreamId) -> Result<()> {
        let Some(out) = self.outs.get_mut(&stream) else { return Ok(()) };
        let Some(frame) = out.frame.take() else { return Ok(()) };
        self.buffered -= frame.body_len();
        let content = &frame.body()[BASE_TIME..];
        let content_crc = crc32fast::hash(content);
        out.checksum.combine(&crc32fast::Hasher::new_with_initial_len(content_crc, content.len() as u64));
        if let Some(digest) = &mut out.digest {
            digest.update(content);
        }
        let filled =
            Filled { frame, stream: stream.get(), items: std::mem::take(&mut out.items), content_crc };
        let (sealed, _) = self.packer.close(&mut out.packing, filled, Vec::new);
        self.place(stream, sealed)
    }

    fn spill_largest(&mut self) -> Result<()> {
        let largest = self.outs.iter().max_by_key(|(_, out)| out.buffered()).map(|(stream, _)| *stream);
        largest.map_or(Ok(()), |stream| self.spill(stream))
    }

    /// Writes a frame of records, and notes where.
    fn place(&mut self, stream: StreamId, frame: SealedFrame) -> Result<()> {
        let bytes = frame.len();
        let at = self.files.push(frame)?;
        self.lower(at);
        let out = self.outs.entry(stream).or_default();
        out.unit.push(commit::Extent { at, bytes, frames: 1 });
        if out.unit.extents.len() < EXTENTS_MAX {
            return Ok(());
        }
        let mut part = FrameBuf::new(Vec::new());
        encode_extents_part(part.body_mut(), &std::mem::take(&mut out.unit.extents));
        let at = self.files.push(part.seal(Kind::Part, stream.get()))?;
        out.unit.parts.push(at);
        Ok(())
    }

    fn lower(&mut self, at: Address) {
        if self.low.is_none() {
            self.low = at; // places only go up
        }
    }

    /// Writes the commit. Everything is durable then, and named by nobody.
    pub(super) fn finish(
        mut self,
        outline: &Outline,
        from: Sequence,
    ) -> Result<(BaseCheckpoint, BTreeMap<StreamId, Counts>)> {
        let streams: Vec<StreamId> = self.outs.keys().copied().collect();
        streams.iter().try_for_each(|stream| self.spill(*stream))?;
        let counts = self.outs.iter().map(|(stream, out)| (*stream, out.counts)).collect();
        let outs: BTreeMap<StreamId, Out> = std::mem::take(&mut self.outs);
        let mut parts = Vec::with_capacity(outs.len());
        let mut compacted = Compacted { from, ages: Vec::with_capacity(outs.len()) };
        for (stream, out) in outs.into_iter().filter(|(_, out)| out.counts.records_after > 0) {
            parts.push(CommitStream {
                stream,
                records: out.counts.records_after,
                bytes: out.counts.bytes_after,
                fingerprint: out.fingerprint,
                checksum: out.checksum.finalize(),
                digest: out.digest.map(|digest| *digest.finalize().as_bytes()),
                parts: out.unit.parts,
                extents: out.unit.extents,
            });
            compacted.ages.push(out.ages);
        }
        let mut frame = FrameBuf::new(Vec::new());
        let prefix = frame.body_mut().len();
        encode_tail(frame.body_mut(), &parts, &[], &outline.commit.labels);
        compacted.encode(frame.body_mut());
        let head = CommitHead {
            flags: outline.commit.head.flags & !commit::BUFFERED | commit::COMPACTED,
            previous: Link::NONE,
            low: self.low,
            ..outline.commit.head
        };
        frame.body_mut()[prefix..prefix + commit::COMMIT_HEAD].copy_from_slice(&head.encode());
        let commit = self.files.push(frame.seal(Kind::Commit, 0))?;
        Ok((BaseCheckpoint { commit, files: self.files.finish()? }, counts))
    }
}
