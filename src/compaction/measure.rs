//! Counting what would stay, without writing it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::copy::Counts;
use super::fate::Fates;
use super::source::{Frame, Sink};
use super::streams::Streams;
use crate::error::Result;
use crate::format::commit::CommitStream;
use crate::position::StreamId;

/// Takes what is read, and counts.
pub(super) struct Measure<'a> {
    streams: &'a Streams,
    fates: &'a Fates<'a>,
    pub counts: BTreeMap<StreamId, Counts>,
}

impl<'a> Measure<'a> {
    pub(super) fn new(streams: &'a Streams, fates: &'a Fates<'a>) -> Self {
        Measure { streams, fates, counts: BTreeMap::new() }
    }
}

impl Sink for Measure<'_> {
    fn wants(&self, _stream: StreamId) -> bool {
        true
    }

    fn skips(&self, stream: StreamId, ordinals: Range<u64>) -> bool {
        !self.streams.is_keyed(stream) || self.fates.none_stays(stream, &ordinals)
    }

    fn part(&mut self, part: &CommitStream, is_replaced: bool) {
        let counts = self.counts.entry(part.stream).or_default();
        counts.records_before += part.records;
        counts.bytes_before = counts.bytes_before.saturating_add(part.bytes);
        if !is_replaced && self.streams.is_keyless(part.stream) {
            counts.records_after += part.records;
            counts.bytes_after = counts.bytes_after.saturating_add(part.bytes);
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<()> {
        if !self.streams.is_keyed(frame.stream) {
            return Ok(());
        }
        let counts = self.counts.entry(frame.stream).or_default();
        frame.each_record(&mut |placed| {
            if self.fates.stays(frame.stream, placed) {
                let record = placed.record;
                let bytes = record.key.len() + record.metadata.len() + record.payload.len();
                counts.records_after += 1;
                counts.bytes_after = counts.bytes_after.saturating_add(bytes as u64);
            }
            Ok(())
        })
    }
}
