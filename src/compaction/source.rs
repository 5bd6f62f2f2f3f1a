//! Reading what is to be compacted, in order: the base checkpoint of an earlier compaction, then one checkpoint after another.
//! Everything about what is read is checked: damage must not become a valid frame.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::meter::Meter;
use super::outline::Outline;
use crate::error::Result;
use crate::format::BLOCK;
use crate::format::codec::{Codec, Decompressor};
use crate::format::commit::{Commit, CommitStream, Extent, decode_extents_part};
use crate::format::compacted::Age;
use crate::format::data::{BASE_TIME, Content, FrameRecords, RecordParts};
use crate::format::frame::{Header, Kind};
use crate::locate::{self, Met};
use crate::position::{Address, Sequence, StreamId};
use crate::segment::{Files, Walker};

/// What is read, and where from.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub files: &'a Files,
    pub outline: &'a Outline,
    /// The bytes of one pass, about.
    pub bytes: u64,
    /// Of some streams: their records in checkpoints before this one do not count any more. They are not even read.
    pub replaced: BTreeMap<StreamId, Sequence>,
}

/// A frame of records.
pub(super) struct Frame<'a> {
    pub stream: StreamId,
    pub header: &'a Header,
    pub body: &'a Bytes,
    /// Which record of its stream is the first one, of all that are read.
    pub ordinal: u64,
    content: Content,
    times: Times<'a>,
    files: &'a Files,
    at: Address,
}

/// When the records of one stream of a checkpoint were committed.
#[derive(Debug, Clone, Copy)]
enum Times<'a> {
    All(i64),
    /// Those of a base checkpoint, by runs.
    Runs(&'a [Age], i64),
}

impl Times<'_> {
    fn of(self, ordinal: u64) -> i64 {
        match self {
            Times::All(time_us) => time_us,
            Times::Runs(runs, otherwise) => {
                let mut end = 0;
                let run = runs.iter().find(|run| {
                    end += run.records;
                    ordinal < end
                });
                run.map_or(otherwise, |run| run.time_us)
            }
        }
    }
}

/// One record, with its place.
pub(super) struct Placed<'a> {
    pub record: RecordParts<'a>,
    pub ordinal: u64,
    /// When it was committed, at the latest.
    pub time_us: i64,
    /// An earlier compaction has kept it.
    pub is_of_base: bool,
}

impl Frame<'_> {
    /// When this record, which is in the frame, was committed.
    pub(super) fn time_us(&self, ordinal: u64) -> i64 {
        self.times.of(ordinal)
    }

    /// The encodings of its records, one after another.
    pub(super) fn content(&self) -> &[u8] {
        &self.content.records
    }

    /// Whether an earlier compaction has kept it.
    pub(super) fn is_of_base(&self) -> bool {
        matches!(self.times, Times::Runs(..))
    }

    /// Every record of it.
    pub(super) fn each_record(&self, visit: &mut dyn FnMut(&Placed<'_>) -> Result<()>) -> Result<()> {
        let mut records = FrameRecords::new(self.content.clone());
        let mut ordinal = self.ordinal;
        while let Some(record) = records.next_parts().map_err(|e| self.files.damaged(self.at, e))? {
            let (time_us, is_of_base) = (self.time_us(ordinal), self.is_of_base());
            visit(&Placed { record, ordinal, time_us, is_of_base })?;
            ordinal += 1;
        }
        if ordinal - self.ordinal != u64::from(self.header.items) {
            return Err(self.files.damaged(self.at, "another number of records than its header says"));
        }
        Ok(())
    }
}

/// Who takes what is read.
pub(super) trait Sink {
    /// Whether the frames of this stream are of interest; all others are not even read.
    fn wants(&self, stream: StreamId) -> bool;
    fn frame(&mut self, frame: &Frame<'_>) -> Result<()>;
    /// Whether it needs no frame that holds these records of a stream and no other: its body is not read.
    fn skips(&self, _stream: StreamId, _ordinals: Range<u64>) -> bool {
        false
    }
    /// A stream's part of a checkpoint begins, wanted or not; none of a part that is replaced follows.
    fn part(&mut self, _part: &CommitStream, _is_replaced: bool) {}
}

impl Source<'_> {
    /// Reads everything once. Returns from which checkpoint on it is complete.
    pub(super) fn pass(&self, meter: &mut Meter<'_>, sink: &mut dyn Sink) -> Result<Sequence> {
        let retained = &self.outline.before;
        let mut counts = BTreeMap::new();
        let mut from = retained.first_sequence;
        if let Some(commit) = locate::base_commit(self.files, retained)? {
            from = commit.compacted.as_ref().map_or(from, |compacted| compacted.from);
            self.checkpoint(&commit, &mut counts, meter, sink)?;
        }
        let last = self.outline.last();
        let mut walker = Walker::new(self.files.get(retained.first_live)?, BLOCK);
        while walker.address() <= self.outline.at {
            match locate::next(self.files, &mut walker, self.outline.end)? {
                Some(Met::Commit(commit, _)) if retained.shows(commit.head.sequence) => {
                    self.checkpoint(&commit, &mut counts, meter, sink)?;
                }
                Some(Met::Commit(..)) => {}
                // What damage took is not told by what comes behind it.
                Some(Met::Lost(note)) if note.last < last => from = from.max(note.last.next()),
                Some(Met::Lost(_)) | None => break,
            }
        }
        Ok(from)
    }

    fn checkpoint(
        &self,
        commit: &Commit,
        counts: &mut BTreeMap<StreamId, u64>,
        meter: &mut Meter<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        for (index, part) in commit.streams.iter().enumerate() {
            let count = counts.entry(part.stream).or_default();
            let otherwise = commit.head.time_us;
            let times = match &commit.compacted {
                Some(base) => Times::Runs(base.ages.get(index).map_or(&[], Vec::as_slice), otherwise),
                None => Times::All(otherwise),
            };
            let is_replaced =
                self.replaced.get(&part.stream).is_some_and(|began| commit.head.sequence < *began);
            sink.part(part, is_replaced);
            if !is_replaced && sink.wants(part.stream) {
                self.part(commit, part, (*count, times), meter, sink)?;
            }
            *count += part.records;
        }
        Ok(())
    }

    fn part(
        &self,
        commit: &Commit,
        part: &CommitStream,
        (first, times): (u64, Times<'_>),
        meter: &mut Meter<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let mut checksum = crc32fast::Hasher::new();
        let mut codecs = Decompressor::default();
        let mut ordinal = first;
        let mut at = Address::NONE;
        let mut extents = |extent: Extent| -> Result<()> {
            let segment = self.files.get(extent.at.segment())?;
            let mut walker = Walker::new(segment.clone(), extent.at.offset());
            let end = extent.at.0 + u64::from(extent.bytes);
            while walker.address().0 < end {
                at = walker.address();
                let refuse = |fault| segment.refuses(at.offset(), fault);
                let header = walker.header()?.map_err(refuse)?;
                if header.kind != Kind::Data || header.stream != part.stream.get() {
                    let what = format!("expected records of stream {}", part.stream);
                    return Err(segment.damaged(at.offset(), format!("{what}, found {:?}", header.kind)));
                }
                let ordinals = ordinal..ordinal + u64::from(header.items);
                if header.codec == Codec::Plain && sink.skips(part.stream, ordinals) {
                    // Its own checksum covers what the header says of the content.
                    let len = u64::from(header.body_len).saturating_sub(BASE_TIME as u64);
                    checksum.combine(&crc32fast::Hasher::new_with_initial_len(header.content_crc, len));
                    meter.read(header.frame_len())?;
                    ordinal += u64::from(header.items);
                    walker.step(&header);
                    continue;
                }
                let body = walker.body(&header)?.map_err(refuse)?;
                let content = Content::of(&header, body.clone(), &mut codecs).map_err(refuse)?;
                let len = content.records.len() as u64;
                checksum.combine(&crc32fast::Hasher::new_with_initial_len(header.content_crc, len));
                meter.read(header.frame_len())?;
                let (stream, files) = (part.stream, self.files);
                let frame =
                    Frame { stream, header: &header, body: &body, ordinal, content, times, files, at };
                sink.frame(&frame)?;
                ordinal += u64::from(header.items);
                walker.step(&header);
            }
            Ok(())
        };
        for listed in &part.parts {
            let body = self.files.body(*listed, Kind::Part)?;
            let found = decode_extents_part(&body).map_err(|e| self.files.damaged(*listed, e))?;
            found.into_iter().try_for_each(&mut extents)?;
        }
        part.extents.iter().copied().try_for_each(extents)?;
        let found = (checksum.finalize(), ordinal - first);
        if found != (part.checksum, part.records) {
            let what = format!("checkpoint {}, stream {}", commit.head.sequence, part.stream);
            let expected = (part.checksum, part.records);
            return Err(self.files.damaged(
                at,
                format!(
                    "{what}: expected {} records with checksum {:08x}, found {} with {:08x}",
                    expected.1, expected.0, found.1, found.0
                ),
            ));
        }
        Ok(())
    }
}
