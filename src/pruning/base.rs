//! Base files: where states and definitions live on when their segments go.

use std::collections::HashMap;
use std::sync::Arc;

use super::snapshot_of;
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{PART_STATE_TEXT, encode_state_part};
use crate::format::define::Definition;
use crate::format::frame::{FrameBuf, Kind, SealedFrame, frame_len};
use crate::format::index::{Entry, Index, entry_len};
use crate::format::snapshot::{Base, BaseCheckpoint, Retained};
use crate::format::{BLOCK, names};
use crate::journal::{Journal, check_frame};
use crate::position::{Address, SegmentId, Sequence, StreamId};
use crate::segment::{Files, Segment};
use crate::storage::Access;
use crate::view::{View, read_definition};

/// So many base files at most: then the smallest are merged.
const BASES_MAX: usize = 8;
/// Given up when a base file finds no room on a full disk.
const RESERVE_BYTES: u64 = 1 << 20;
/// Pieces of a base file are written when there is so much.
const WRITE_BYTES: usize = 1 << 20;

/// Writes the base file for a log that begins at `first_live`; returns what the log holds from then on. Durable when it
/// returns, and named by nobody yet.
pub(crate) fn write(
    journal: &Journal,
    before: &Retained,
    first_live: SegmentId,
    first: Sequence,
    compacted: Option<BaseCheckpoint>,
) -> Result<Retained> {
    let snapshot = snapshot_of(&journal.files, first_live)?;
    let view = View::load(&journal.files, &snapshot, before)?;
    let kept = worth_keeping(&view, before);
    let stays = |at: Address| {
        kept.iter().any(|base| base.id == at.segment())
            || !at.segment().is_base() && at.segment() >= first_live
    };
    let moves = Moves::plan(&journal.files, &view, stays)?;

    // The highest number of all: it stays if the switch is taken back, so no number is ever used again.
    let made = before.files().chain(compacted.iter().flat_map(|base| &base.files));
    let id = next_number(made);
    let bytes = u32::try_from(moves.bytes.next_multiple_of(BLOCK.into()))
        .map_err(|_| Error::too_large("a base file", u32::MAX.into(), moves.bytes))?;
    let segment = Arc::new(make_file(journal, id, bytes)?);
    let mut writer =
        BaseWriter { segment: segment.clone(), offset: BLOCK, written: BLOCK, pending: Vec::new() };
    let base_index = moves.write(&journal.files, &view, &mut writer)?;
    writer.finish()?;
    journal.files.insert(segment);
    let mut bases = kept;
    bases.push(Base { id, bytes });
    let first_sequence = first.max(before.first_sequence);
    Ok(Retained { first_live, first_sequence, base_index, bases, compacted })
}

/// The number of the next base file.
pub(crate) fn next_number<'a>(made: impl Iterator<Item = &'a Base>) -> SegmentId {
    SegmentId::base(made.map(|base| base.id.base_number()).max().unwrap_or(0) + 1)
}

/// Base files of which more than half is alive; with too many of them, only the largest.
fn worth_keeping(view: &View, before: &Retained) -> Vec<Base> {
    let mut alive: HashMap<SegmentId, u64> = HashMap::new();
    for (_, entry) in view.all() {
        if let Some(state) = &entry.state {
            *alive.entry(state.frame.segment()).or_default() += u64::from(state.len);
        }
    }
    let live = |base: &Base| alive.get(&base.id).copied().unwrap_or(0);
    let mut kept: Vec<Base> =
        before.bases.iter().filter(|base| live(base) > u64::from(base.bytes) / 2).copied().collect();
    kept.sort_by_key(|base| std::cmp::Reverse(base.bytes));
    kept.truncate(BASES_MAX - 1);
    kept
}

/// What has to be copied, and how long it will be.
struct Moves {
    states: Vec<StreamId>,
    /// Streams with every version of their definition, oldest first.
    definitions: Vec<(StreamId, Vec<Definition>)>,
    bytes: u64,
}

impl Moves {
    fn plan(files: &Files, view: &View, stays: impl Fn(Address) -> bool) -> Result<Moves> {
        // Header, index, and a block for what the estimate of the index misses.
        let mut moves = Moves { states: Vec::new(), definitions: Vec::new(), bytes: u64::from(2 * BLOCK) };
        for (stream, entry) in view.all() {
            moves.bytes += entry_len(entry) as u64 + 16;
            if let Some(state) = entry.state.filter(|state| !stays(state.frame)) {
                moves.bytes += frame_len(state.len + PART_STATE_TEXT);
                moves.states.push(stream);
            }
            if let Some(defined) = entry.defined.as_ref().filter(|defined| !stays(defined.at)) {
                let versions = history(files, view, defined.at)?;
                for version in &versions {
                    let mut body = Vec::new();
                    version.encode(&mut body);
                    moves.bytes += frame_len(body.len() as u32);
                }
                moves.definitions.push((stream, versions));
            }
        }
        Ok(moves)
    }

    /// Copies everything, then the full index; returns where that lies.
    fn write(&self, files: &Files, view: &View, out: &mut BaseWriter) -> Result<Address> {
        let mut entries: HashMap<StreamId, Entry> =
            view.all().map(|(stream, entry)| (stream, entry.clone())).collect();
        for stream in &self.states {
            let Some(state) = entries.get_mut(stream).and_then(|entry| entry.state.as_mut()) else {
                continue;
            };
            let text = files.state_text(state)?;
            let mut frame = FrameBuf::new(Vec::new());
            encode_state_part(frame.body_mut(), text.as_bytes());
            state.frame = out.push(frame.seal(Kind::Part, stream.get()))?;
            state.offset = PART_STATE_TEXT;
        }
        for (stream, versions) in &self.definitions {
            let mut previous = Address::NONE;
            for version in versions {
                let mut frame = FrameBuf::new(Vec::new());
                Definition { previous, ..version.clone() }.encode(frame.body_mut());
                previous = out.push(frame.seal(Kind::Define, stream.get()))?;
            }
            if let Some(defined) = entries.get_mut(stream).and_then(|entry| entry.defined.as_mut()) {
                defined.at = previous;
            }
        }
        let mut sorted: Vec<_> = entries.iter().collect();
        sorted.sort_by_key(|(stream, _)| **stream);
        let mut frame = FrameBuf::new(Vec::new());
        Index::encode(
            frame.body_mut(),
            Address::NONE,
            sorted.into_iter().map(|(stream, entry)| (*stream, entry)),
        );
        out.push(frame.seal(Kind::Index, 0))
    }
}

/// Every version of a definition that can still be read, oldest first.
fn history(files: &Files, view: &View, at: Address) -> Result<Vec<Definition>> {
    let mut versions = Vec::new();
    let mut at = at;
    while !at.is_none() && view.retained.holds(at) {
        let definition = read_definition(files, at)?;
        if versions.last().is_some_and(|newer: &Definition| newer.version <= definition.version) {
            return Err(files.damaged(at, "a definition's predecessor is not older"));
        }
        at = definition.previous;
        versions.push(definition);
    }
    versions.reverse();
    Ok(versions)
}

/// Writes frames into a base file, one after another.
struct BaseWriter {
    segment: Arc<Segment>,
    offset: u32,
    written: u32,
    pending: Vec<u8>,
}

impl BaseWriter {
    fn push(&mut self, frame: SealedFrame) -> Result<Address> {
        if u64::from(self.offset) + u64::from(frame.len()) > self.segment.bytes().into() {
            return Err(Error::invalid("a base file is larger than it was planned"));
        }
        check_frame(frame.len())?;
        let at = self.segment.address(self.offset);
        self.offset += frame.len();
        self.pending.extend_from_slice(&frame.place(self.segment.header.salt, at, 0, Address::NONE));
        if self.pending.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(at)
    }

    fn flush(&mut self) -> Result<()> {
        self.segment.write(&[&self.pending], self.written)?;
        self.written = self.offset;
        self.pending.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.segment.sync()
    }
}

/// Makes the file, on a full disk out of the reserve.
fn make_file(journal: &Journal, id: SegmentId, bytes: u32) -> Result<Segment> {
    let _making = journal.making.lock();
    let make = || Segment::create(journal.storage(), journal.segment_header(id, bytes), None);
    match make() {
        Err(error)
            if *error.kind() == ErrorKind::Full && journal.storage().remove(names::RESERVE).is_ok() =>
        {
            make()
        }
        result => result,
    }
}

/// Puts room aside for the next pruning on a full disk, if there is any.
pub(crate) fn restore_reserve(journal: &Journal) {
    let storage = journal.storage();
    let is_there = |name| {
        storage.open(name, Access::Read).is_ok_and(|file| file.len().is_ok_and(|len| len >= RESERVE_BYTES))
    };
    if is_there(names::RESERVE) {
        return;
    }
    let made = storage.open(names::RESERVE, Access::Create).and_then(|file| file.allocate(RESERVE_BYTES));
    if made.is_err() {
        let _ = storage.remove(names::RESERVE);
    }
}
