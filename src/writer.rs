//! A writer: it owns some streams, takes their records, and commits them with their states.

use std::sync::Arc;

use crate::commit::{Commit, Cover};
use crate::config::{Config, Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{self, CommitStream};
use crate::format::data::{BASE_TIME, OpKind, RECORD_HEADER_MAX, RecordParts};
use crate::format::frame::FrameBuf;
use crate::journal::{CommitRequest, Committed, Journal, Unit, UnitStream};
use crate::packer::{Filled, Packer, Packing};
use crate::position::{LogId, StreamId, StreamMap};
use crate::streams::Stream;

/// What a record does, borrowed: it is copied once, into the log's buffer.
///
/// ```
/// use highwater::Op;
/// let op = Op::Upsert { key: b"42", row: br#"{"id":42}"# };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op<'a> {
    /// A new row; `key` is empty for a stream without one.
    Insert {
        /// The canonical encoding of the key columns: see [`key::encode`](crate::key::encode).
        key: &'a [u8],
        /// The payload.
        row: &'a [u8],
    },
    /// The whole row.
    Upsert {
        /// The key.
        key: &'a [u8],
        /// The payload.
        row: &'a [u8],
    },
    /// A part of a row.
    Update {
        /// The key.
        key: &'a [u8],
        /// The columns that change.
        row: &'a [u8],
    },
    /// The row goes. A payload is allowed: some sources send the row's last image.
    Delete {
        /// The key.
        key: &'a [u8],
        /// The last image, or nothing.
        row: &'a [u8],
    },
    /// Every row goes.
    Truncate,
}

impl<'a> Op<'a> {
    fn parts(self) -> (OpKind, &'a [u8], &'a [u8]) {
        match self {
            Op::Insert { key, row } => (OpKind::Insert, key, row),
            Op::Upsert { key, row } => (OpKind::Upsert, key, row),
            Op::Update { key, row } => (OpKind::Update, key, row),
            Op::Delete { key, row } => (OpKind::Delete, key, row),
            Op::Truncate => (OpKind::Truncate, b"", b""),
        }
    }
}

/// What can come with a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta<'a> {
    /// When the source emitted it, in microseconds since 1970-01-01 UTC. `None`: the time of the call, to
    /// some milliseconds.
    pub emitted_us: Option<i64>,
    /// Bytes that mean nothing to the log.
    pub metadata: &'a [u8],
}

/// Owns a set of streams and writes to them. What was appended since the last commit is gone when it is dropped.
#[derive(Debug)]
pub struct Writer {
    journal: Arc<Journal>,
    id: u64,
    unit: Arc<Unit>,
    streams: StreamMap<Open>,
    /// Bytes in memory, over all streams.
    buffered: usize,
    packer: Packer,
}

/// One stream's uncommitted records.
#[derive(Debug, Default)]
struct Open {
    /// Its last frame, being filled.
    frame: Option<FrameBuf>,
    frame_items: u32,
    records: u64,
    bytes: u64,
    /// On disk, with the frame being filled.
    log_bytes: u64,
    previous_us: i64,
    checksum: crc32fast::Hasher,
    digest: Option<Box<blake3::Hasher>>,
    packing: Packing,
}

impl Open {
    fn new(packing: Packing) -> Self {
        Open { packing, ..Open::default() }
    }

    /// As it is without uncommitted records.
    fn clear(&mut self) {
        *self = Open::new(self.packing);
    }

    fn buffered(&self) -> usize {
        self.frame.as_ref().map_or(0, FrameBuf::body_len)
    }
}

impl Writer {
    pub(crate) fn new(journal: Arc<Journal>, streams: &[&Stream]) -> Result<Writer> {
        let unit = Arc::new(Unit::default());
        let id = {
            let mut state = journal.state();
            let id = state.next_writer;
            state.next_writer += 1;
            state.units.retain(|unit| unit.strong_count() > 0);
            state.units.push(Arc::downgrade(&unit));
            id
        };
        let mut writer = Writer {
            journal,
            id,
            unit,
            streams: StreamMap::default(),
            buffered: 0,
            packer: Packer::default(),
        };
        for stream in streams {
            writer.add(stream)?;
        }
        Ok(writer)
    }

    /// Takes another stream. Fails with [`ErrorKind::StreamBusy`] while another writer has it.
    pub fn add(&mut self, stream: &Stream) -> Result<()> {
        stream.check_log(self.journal.log())?;
        let mut state = self.journal.state();
        if state.view.is_dropped(stream.id()) {
            return Err(Error::not_found(format!("stream {} was dropped; register it anew", stream.name())));
        }
        match state.owners.get(&stream.id()) {
            Some(owner) if *owner == self.id => return Ok(()),
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::StreamBusy,
                    format!(
                        "stream {} is owned by another writer of this process; drop that one first",
                        stream.name()
                    ),
                ));
            }
            None => drop(state.owners.insert(stream.id(), self.id)),
        }
        drop(state);
        let compression = stream.compression().unwrap_or(self.journal.config.compression);
        self.streams.insert(stream.id(), Open::new(Packing::new(compression)));
        Ok(())
    }

    /// Appends a record, emitted now. It is copied; nothing is visible before the commit. Blocks only for I/O when
    /// buffers are full, and at the log's cap as configured.
    ///
    /// Fails with [`ErrorKind::TooLarge`], [`ErrorKind::Full`], or [`ErrorKind::Failed`]; after any of them the stream's
    /// uncommitted records are as they were before the call.
    pub fn append(&mut self, stream: &Stream, op: Op<'_>) -> Result<()> {
        self.append_with(stream, op, Meta::default())
    }

    /// Appends a record with its emitted-at time and metadata.
    pub fn append_with(&mut self, stream: &Stream, op: Op<'_>, meta: Meta<'_>) -> Result<()> {
        let (kind, key, payload) = op.parts();
        let config = &self.journal.config;
        let emitted_us = meta.emitted_us.unwrap_or_else(|| config.environment.recent_us());
        let record = RecordParts { op: kind, emitted_us, key, metadata: meta.metadata, payload };
        let len = record.content_len();
        if len > config.record_bytes_max as usize {
            return Err(Error::too_large(
                format!("a record of stream {} (Config::record_bytes_max)", stream.name()),
                config.record_bytes_max.into(),
                len as u64,
            ));
        }
        let mut open = find(&mut self.streams, self.journal.log(), stream)?;
        check_unit(open, config, stream, len)?;
        let room = RECORD_HEADER_MAX + len;
        let frame_is_full = open.frame_items > 0 && open.buffered() + room > config.data_frame_bytes();
        // Room is made before the record is taken: an error leaves everything as it was.
        if frame_is_full || self.buffered > 0 && self.buffered + room > config.buffer_bytes_max {
            let made = self.make_room(stream.id(), frame_is_full, room);
            self.journal.counted(made)?;
            open = find(&mut self.streams, self.journal.log(), stream)?;
        }
        let previous_us = open.previous_us;
        let before = open.buffered();
        let frame = open.frame.get_or_insert_with(|| {
            let mut frame = FrameBuf::new(self.journal.buffer());
            frame.body_mut().extend_from_slice(&previous_us.to_le_bytes());
            frame
        });
        record.encode(frame.body_mut(), previous_us);
        self.buffered += frame.body_len() - before;
        open.log_bytes += (frame.body_len() - before) as u64;
        open.previous_us = emitted_us;
        open.frame_items += 1;
        open.records += 1;
        open.bytes += len as u64;
        Ok(())
    }

    /// Writes out a stream's full frame, and what else there is too much of in memory.
    fn make_room(&mut self, stream: StreamId, frame_is_full: bool, room: usize) -> Result<()> {
        if frame_is_full {
            self.spill(stream)?;
        }
        if self.buffered > 0 && self.buffered + room > self.journal.config.buffer_bytes_max {
            self.spill_largest()?;
        }
        Ok(())
    }

    /// Drops a stream's uncommitted records, as after an error in the middle of a page. They are never visible.
    pub fn discard(&mut self, stream: &Stream) -> Result<()> {
        let open = find(&mut self.streams, self.journal.log(), stream)?;
        self.buffered -= open.buffered();
        open.clear();
        let mut streams = self.unit.streams.lock();
        streams.remove(&stream.id());
        self.unit.settle(&streams);
        Ok(())
    }

    /// How many records of a stream are not committed.
    pub fn uncommitted(&self, stream: &Stream) -> u64 {
        let open = self.streams.get(&stream.id()).filter(|_| stream.log() == self.journal.log());
        open.map_or(0, |open| open.records)
    }

    /// Commits a checkpoint: the records of the streams it covers since their previous one, and the states given,
    /// together, atomically. With [`Durability::Sync`](crate::Durability::Sync) it is durable when this returns; blocks
    /// for one write and one flush, which writers on other threads share.
    ///
    /// An error leaves the records uncommitted and the writer usable, unless the log failed
    /// ([`ErrorKind::Failed`], [`ErrorKind::Io`]); then whether the checkpoint is there is known after opening again.
    pub fn commit(&mut self, commit: Commit) -> Result<Committed> {
        let journal = self.journal.clone();
        journal.counted(self.commit_all(commit))
    }

    fn commit_all(&mut self, commit: Commit) -> Result<Committed> {
        let begun = self.journal.config.environment.elapsed();
        let (covered, mut request) = self.prepare(commit)?;
        request.begun = Some(begun);
        for stream in &covered {
            self.spill(*stream)?;
        }
        // Held to the end: pruning must not move what the commit frame names.
        let mut unit = self.unit.streams.lock();
        let none = UnitStream::default();
        request.low = covered.iter().filter_map(|s| unit.get(s)?.low()).min();
        {
            let state = self.journal.state();
            for stream in &covered {
                let Some(open) = self.streams.get(stream).filter(|open| open.records > 0) else { continue };
                let extents = unit.get(stream).unwrap_or(&none);
                request.streams.push(CommitStream {
                    stream: *stream,
                    records: open.records,
                    bytes: open.bytes,
                    fingerprint: state.fingerprint(*stream),
                    checksum: open.checksum.clone().finalize(),
                    digest: open.digest.as_ref().map(|digest| *digest.finalize().as_bytes()),
                    parts: extents.parts.clone(),
                    extents: extents.extents.clone(),
                });
            }
        }
        let committed = self.journal.commit(&self.unit, &request)?;
        for stream in &covered {
            unit.remove(stream);
            self.streams.entry(*stream).and_modify(Open::clear);
        }
        self.unit.settle(&unit);
        Ok(committed)
    }

    /// Checks a commit against what this writer may do; which streams it covers, in the order of their numbers.
    fn prepare(&self, commit: Commit) -> Result<(Vec<StreamId>, CommitRequest)> {
        let (cover, mut request) = commit.into_request(&self.journal)?;
        let mut covered: Vec<StreamId> = match cover {
            Cover::All => self.streams.keys().copied().collect(),
            Cover::Named(named) => named,
        };
        covered.sort_unstable();
        covered.dedup();
        // Nobody means this: the records would wait in silence for a commit that names their stream.
        let waits = |open: &&Open| covered.is_empty() && open.records > 0;
        if let Some(open) = self.streams.values().find(waits) {
            return Err(Error::invalid(format!(
                "the commit covers no stream, and records of one ({}) wait for a commit: name the stream, or cover all()",
                open.records
            )));
        }
        if let Some(foreign) = covered.iter().find(|stream| !self.streams.contains_key(stream)) {
            return Err(Error::invalid(format!(
                "stream {foreign} does not belong to this writer; add it first"
            )));
        }
        if cover_is_global(&request) {
            request.flags |= commit::GLOBAL;
            let state = self.journal.state();
            if state.owners.values().any(|owner| *owner != self.id) {
                return Err(Error::new(
                    ErrorKind::StreamBusy,
                    "the global state belongs to a writer that owns all streams, and another writer owns some",
                ));
            }
        }
        Ok((covered, request))
    }

    /// Writes out the frame that a stream is filling.
    fn spill(&mut self, stream: StreamId) -> Result<()> {
        let Some(open) = self.streams.get_mut(&stream) else { return Ok(()) };
        let Some(frame) = open.frame.take() else { return Ok(()) };
        let body = frame.body_len();
        let records = &frame.body()[BASE_TIME..];
        let (content, len) = (crc32fast::hash(records), records.len() as u64);
        let digest = (self.journal.config.digest == Digest::Blake3).then(|| {
            let mut digest = open.digest.clone().unwrap_or_default();
            digest.update(records);
            digest
        });
        let filled = Filled { frame, stream: stream.get(), items: open.frame_items, content_crc: content };
        let (sealed, raw) = self.packer.close(&mut open.packing, filled, || self.journal.buffer());
        let saved = body - sealed.body_len();
        let mut sealed = Some(sealed);
        let extent = match self.journal.append(&self.unit, &mut sealed) {
            Ok(extent) => extent,
            Err(error) => {
                open.frame = sealed.map(|sealed| raw.unwrap_or_else(|| sealed.reopen()));
                return Err(error);
            }
        };
        raw.into_iter().for_each(|raw| self.journal.give_back(raw.into_memory()));
        self.buffered -= body;
        open.log_bytes -= saved as u64;
        open.digest = digest;
        open.checksum.combine(&crc32fast::Hasher::new_with_initial_len(content, len));
        open.frame_items = 0;
        self.unit.record(stream, extent);
        self.journal.spill_extents(&self.unit, stream)
    }

    fn spill_largest(&mut self) -> Result<()> {
        let largest = self.streams.iter().max_by_key(|(_, open)| open.buffered()).map(|(stream, _)| *stream);
        largest.map_or(Ok(()), |stream| self.spill(stream))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Uncommitted frames need no undoing: nothing names them.
        self.journal.state().owners.retain(|_, owner| *owner != self.id);
    }
}

#[inline]
fn find<'a>(streams: &'a mut StreamMap<Open>, log: LogId, stream: &Stream) -> Result<&'a mut Open> {
    stream.check_log(log)?;
    streams.get_mut(&stream.id()).ok_or_else(|| not_added(stream))
}

#[cold]
fn not_added(stream: &Stream) -> Error {
    Error::invalid(format!("stream {} does not belong to this writer; add it first", stream.name()))
}

fn check_unit(open: &Open, config: &Config, stream: &Stream, more: usize) -> Result<()> {
    let limit = match (config.unit_bytes_max, config.size_max) {
        (None, None) => return Ok(()),
        (unit, size) => unit.unwrap_or(u64::MAX).min(size.unwrap_or(u64::MAX)),
    };
    let actual = open.log_bytes + more as u64;
    if actual <= limit {
        return Ok(());
    }
    let what = format!(
        "the uncommitted records of stream {} (commit more often, or raise unit_bytes_max and size_max)",
        stream.name()
    );
    Err(Error::too_large(what, limit, actual))
}

fn cover_is_global(request: &CommitRequest) -> bool {
    request.states.iter().any(|(stream, _)| *stream == StreamId::GLOBAL)
}
