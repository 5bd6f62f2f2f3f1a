//! A snapshot of what a log is doing, computed from its state.

use std::time::Duration;

use serde::Serialize;

use crate::consumer::ConsumerInfo;
use crate::error::Result;
use crate::format::names;
use crate::origin::Origin;
use crate::position::{LogId, Position, Sequence};
use crate::recovery::Survey;
use crate::storage::Access;

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SegmentStatus {
    /// Its number.
    pub id: u32,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Whether it is full; the last one is being written.
    pub sealed: bool,
}

/// A plain snapshot. Gauges are computed from what is there, never added up and subtracted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The log.
    pub log: LogId,
    /// The high-water mark: the last durable checkpoint.
    pub end: Option<Position>,
    /// The oldest checkpoint that can be read.
    pub first: Sequence,
    /// From the oldest to the last; those that damage took and a repair gave up are counted with them.
    pub checkpoints: u64,
    /// Records committed since the log was created.
    pub records: u64,
    /// Bytes of keys, metadata and payloads committed since the log was created.
    pub bytes: u64,
    /// Streams that are defined, without those of a runtime's own bookkeeping.
    pub streams: u64,
    /// Segments that hold the log.
    pub segments: Vec<SegmentStatus>,
    /// Files of pruned segments that wait to be written over, and prepared ones.
    pub spare_segments: u64,
    /// All files of the log, as far as it knows them, in bytes.
    pub disk_bytes: u64,
    /// Those of them that [`Config::size_max`](crate::Config::size_max) counts: segments, also spare ones, and base files.
    pub size_bytes: u64,
    /// Bytes that are written, and named by no commit yet; known in the writing process only.
    pub uncommitted_bytes: u64,
    /// Bytes that are written, and not flushed yet; known in the writing process only.
    pub unflushed_bytes: u64,
    /// When the last durable checkpoint was committed, in microseconds since 1970-01-01 UTC.
    pub last_checkpoint_us: Option<i64>,
    /// How long that is ago, by the clock of who asks; zero if that clock is behind.
    pub last_checkpoint_age: Option<Duration>,
    /// Flushes since the opening; known in the writing process only.
    pub flushes: u64,
    /// Bytes of frames since the opening; known in the writing process only.
    pub appended_bytes: u64,
    /// Segments made since the opening; known in the writing process only.
    pub segments_made: u64,
    /// How many of these out of pruned ones, whose files are written over.
    pub segments_recycled: u64,
    /// How many of these while an append waited for them.
    pub segments_late: u64,
    /// Consumers with their lag.
    pub consumers: Vec<ConsumerInfo>,
    /// Whether a write or flush failed: the log has to be opened again.
    pub failed: bool,
    /// Whether the last segment that was to be made found no room, on the disk or under `size_max`; known in the writing
    /// process only.
    pub full: bool,
}

pub(crate) fn status(origin: &Origin) -> Result<Status> {
    let horizon = origin.horizon()?;
    let storage = &*origin.files().storage;
    let survey = Survey::of(storage)?;
    let file_bytes = |name: &str| storage.open(name, Access::Read).and_then(|file| file.len()).unwrap_or(0);
    let (first_live, active) = (horizon.retained.first_live, horizon.end.segment());
    let mut segments = Vec::new();
    let mut spare_segments = 0;
    let mut size_bytes = survey.bases.iter().map(|id| file_bytes(&names::segment(*id))).sum::<u64>();
    for id in &survey.segments {
        let bytes = file_bytes(&names::segment(*id));
        size_bytes += bytes;
        if *id < first_live || *id > active {
            spare_segments += 1;
        } else {
            segments.push(SegmentStatus { id: id.0, bytes, sealed: *id < active });
        }
    }
    let consumers = survey.consumers.iter().map(|name| file_bytes(&names::consumer(name))).sum::<u64>();
    let disk_bytes = size_bytes + consumers + file_bytes(names::MARK) + file_bytes(names::RESERVE);
    let (totals, streams) = origin.with_view(|view| {
        (view.totals, view.streams().filter(|(_, defined)| !defined.name.is_of_runtime()).count() as u64)
    });
    let last = horizon.last;
    let end = (last.sequence > Sequence::NONE).then(|| Position {
        log: origin.log(),
        sequence: last.sequence,
        checkpoint: last.id,
    });
    let age = end.map(|_| Duration::from_micros(origin.now_us().saturating_sub(last.time_us).max(0) as u64));
    let mut status = Status {
        log: origin.log(),
        end,
        first: horizon.retained.first_sequence,
        checkpoints: last.sequence.next().get().saturating_sub(horizon.retained.first_sequence.get()),
        records: totals.records,
        bytes: totals.bytes,
        streams,
        segments,
        spare_segments,
        disk_bytes,
        size_bytes,
        uncommitted_bytes: 0,
        unflushed_bytes: 0,
        last_checkpoint_us: end.map(|_| last.time_us),
        last_checkpoint_age: age,
        flushes: 0,
        appended_bytes: 0,
        segments_made: 0,
        segments_recycled: 0,
        segments_late: 0,
        consumers: crate::pruning::consumers(origin)?,
        failed: false,
        full: false,
    };
    if let Origin::Live(journal) = origin {
        let units = journal.state().living_units();
        let bytes = units
            .iter()
            .flat_map(|unit| unit.streams.lock().values().map(|s| s.bytes).collect::<Vec<_>>())
            .sum();
        status.uncommitted_bytes = bytes;
        let state = journal.state();
        status.unflushed_bytes = state.unflushed_bytes();
        status.flushes = state.counters.flushes;
        status.appended_bytes = state.counters.appended_bytes;
        status.segments_made = state.counters.segments_made;
        status.segments_recycled = state.counters.segments_recycled;
        status.segments_late = state.counters.segments_late;
        status.failed = state.failure.is_some();
        status.full = state.is_full;
    }
    Ok(status)
}
