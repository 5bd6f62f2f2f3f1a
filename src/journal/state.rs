//! What the append path knows, under its lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};

use super::Unit;
use super::company::Company;
use super::pending::Pending;
use crate::error::{Error, Result};
use crate::format::BLOCK;
use crate::format::commit::StateAt;
use crate::format::define::{Definition, StreamName};
use crate::format::frame::{FrameBuf, Kind, SealedFrame, pad_body};
use crate::format::snapshot::LastCheckpoint;
use crate::histogram::Histogram;
use crate::position::{Address, SegmentId, Sequence, StreamId};
use crate::segment::{Files, Segment};
use crate::view::View;

/// Where the next frame goes.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub segment: Arc<Segment>,
    pub offset: u32,
}

impl Head {
    pub(crate) fn address(&self) -> Address {
        self.segment.address(self.offset)
    }
}

/// A checkpoint that is committed and not yet durable.
#[derive(Debug)]
pub(super) struct Undurable {
    pub end: Address,
    /// What the states that it changed were before, to show the durable ones.
    pub undo: Vec<(StreamId, Option<StateAt>)>,
}

/// Counts since the opening, for [`Status`](crate::Status) and [`Metrics`](crate::Metrics).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counters {
    pub flushes: u64,
    pub appended_bytes: u64,
    pub segments_made: u64,
    pub segments_recycled: u64,
    /// Segments that had to be made while a commit waited.
    pub segments_late: u64,
    pub commit_duration: Histogram,
    pub flush_duration: Histogram,
}

#[derive(Debug)]
pub(crate) struct State {
    /// As committed: durable or not.
    pub view: View,
    pub head: Head,
    /// The segment behind the active one, prepared.
    pub next: Option<Arc<Segment>>,
    /// Its maker flushed the directory. An earlier process may have failed, or been killed, before it did.
    pub next_has_durable_name: bool,
    /// Retired files that wait to be written over.
    pub spares: Vec<Spare>,
    /// Files that nobody names and that are about to be removed.
    pub doomed: VecDeque<String>,
    pub epoch: u32,
    pub(super) pending: Pending,
    /// The kernel has everything below.
    pub written: Address,
    /// The device has everything below.
    pub durable: Address,
    /// The device has been told to begin with everything below.
    begun: Address,
    /// Bytes written and not flushed.
    pub(super) unflushed_bytes: u64,
    /// When the oldest of them was written, on the monotonic clock.
    pub(super) unflushed_since: Option<std::time::Duration>,
    /// A thread is writing; the others wait or add to what is pending.
    pub(super) writing: bool,
    pub(super) company: Company,
    /// Counts the writes that were begun.
    pub(super) turn: usize,
    /// Where the last of them ends.
    pub(super) taken: Address,
    pub failure: Option<Error>,
    pub(super) undurable: VecDeque<Undurable>,
    /// The last durable checkpoint: the high-water mark.
    pub high_water: LastCheckpoint,
    /// The first live segment as of the last flush.
    pub first_live: SegmentId,
    /// Snapshots written and not yet known durable, oldest first.
    pub(super) waypoints: VecDeque<Address>,
    /// The newest durable snapshot.
    pub(super) waypoint: Address,
    pub(super) since_waypoint_bytes: u64,
    pub(super) since_waypoint_commits: u64,
    pub(super) directory: Vec<(Sequence, u32)>,
    /// The seal of the segment before the active one, and its end, as long as the active one has not begun.
    pub sealed: (Address, Address),
    pub(super) mark_generation: u64,
    /// The mark on the device has this epoch. A new log needs none: nothing older can be there.
    pub epoch_is_known: bool,
    /// Something was written by this opening: its close says so in the log.
    pub dirty: bool,
    /// Who opened the log, as long as the log does not say it.
    pub opened: Option<SealedFrame>,
    /// Definitions that the next commit of their stream writes.
    pub unwritten: HashMap<StreamId, Definition>,
    /// Names given out, written or not.
    pub registered: HashMap<StreamName, StreamId>,
    pub owners: HashMap<StreamId, u64>,
    pub next_writer: u64,
    pub units: Vec<Weak<Unit>>,
    pub counters: Counters,
    /// Errors that somebody was given, by the names of their kinds.
    pub errors: BTreeMap<&'static str, u64>,
    /// The last time that a segment was to be made, there was no room for it.
    pub is_full: bool,
    /// Memory of written frames, to be used again.
    pub(super) memory: Vec<Vec<u8>>,
}

/// A file that held a pruned segment.
#[derive(Debug, Clone)]
pub(crate) struct Spare {
    pub name: String,
    pub bytes: u32,
}

/// So many buffers are kept for later frames.
const MEMORY_MAX: usize = 16;

impl State {
    pub(crate) fn new(
        view: View,
        head: Head,
        durable: Address,
        epoch: u32,
        waypoint: Address,
        mark_generation: u64,
    ) -> Self {
        let (high_water, first_live) = (view.last, view.retained.first_live);
        State {
            written: head.address(),
            durable,
            begun: durable,
            view,
            head,
            next: None,
            next_has_durable_name: true,
            spares: Vec::new(),
            doomed: VecDeque::new(),
            epoch,
            pending: Pending::default(),
            unflushed_bytes: 0,
            unflushed_since: None,
            writing: false,
            company: Company::default(),
            turn: 0,
            taken: Address::NONE,
            failure: None,
            undurable: VecDeque::new(),
            high_water,
            first_live,
            waypoints: VecDeque::new(),
            waypoint,
            since_waypoint_bytes: 0,
            since_waypoint_commits: 0,
            directory: Vec::new(),
            sealed: (Address::NONE, Address::NONE),
            mark_generation,
            epoch_is_known: true,
            dirty: false,
            opened: None,
            unwritten: HashMap::new(),
            registered: HashMap::new(),
            owners: HashMap::new(),
            next_writer: 1,
            units: Vec::new(),
            counters: Counters::default(),
            errors: BTreeMap::new(),
            is_full: false,
            memory: Vec::new(),
        }
    }

    pub(crate) fn set_directory(&mut self, directory: Vec<(Sequence, u32)>) {
        self.directory = directory;
    }

    /// Gives a frame its place at the head. There has to be room.
    pub(super) fn push(&mut self, frame: SealedFrame) -> Address {
        let at = self.head.address();
        debug_assert!(
            u64::from(self.head.offset) + u64::from(frame.len()) <= u64::from(self.head.segment.bytes())
        );
        let bytes = frame.place(self.head.segment.header.salt, at, self.epoch, self.durable);
        let len = bytes.len() as u64;
        self.pending.push(self.head.segment.clone(), self.head.offset, bytes);
        self.head.offset += len as u32;
        self.since_waypoint_bytes += len;
        self.counters.appended_bytes += len;
        self.dirty = true;
        at
    }

    /// Which offsets of the active segment the device may begin with once everything up to `end` is written, if they are so
    /// many bytes. They are taken as begun. A block that is not full is left out: it is about to be written again.
    pub(super) fn writeback_due(&mut self, end: Address, bytes: u32) -> Option<(u32, u32)> {
        let start = self.head.segment.address(BLOCK);
        let from = self.begun.max(self.durable).max(start).offset();
        let to = if end > start { end.offset() / BLOCK * BLOCK } else { 0 };
        if u64::from(to) < u64::from(from) + u64::from(bytes) {
            return None;
        }
        self.begun = self.head.segment.address(to);
        Some((from, to))
    }

    /// Fills the last block, so that the next batch starts on one.
    pub(super) fn pad(&mut self) {
        if let Some(body) = pad_body(self.head.offset) {
            let mut buf = FrameBuf::new(self.buffer());
            let len = buf.body_mut().len() + body as usize;
            buf.body_mut().resize(len, 0);
            self.push(buf.seal(Kind::Pad, 0));
        }
    }

    /// Memory for a frame.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.memory.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, bytes: Vec<u8>) {
        const BYTES_MAX: usize = 1 << 20;
        if self.memory.len() < MEMORY_MAX && bytes.capacity() <= BYTES_MAX {
            self.memory.push(bytes);
        }
    }

    /// The state at the high-water mark: what is committed and not durable does not count.
    pub(crate) fn durable_state(&self, stream: StreamId) -> Option<StateAt> {
        let undone = self.undurable.iter().flat_map(|u| &u.undo).find(|(changed, _)| *changed == stream);
        undone.map_or_else(|| self.view.state(stream), |(_, before)| *before)
    }

    /// Written or pending, and not flushed.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes + self.pending.bytes()
    }

    /// Whether the active segment has begun.
    pub(super) fn has_started(&self) -> bool {
        self.head.offset > BLOCK
    }

    /// The current definition of a stream: not yet written, or as the view has it.
    pub(crate) fn fingerprint(&self, stream: StreamId) -> u64 {
        match self.unwritten.get(&stream) {
            Some(definition) => definition.fingerprint,
            None => self.view.entry(stream).and_then(|e| e.defined.as_ref()).map_or(0, |d| d.fingerprint),
        }
    }

    /// The units of living writers.
    pub(crate) fn living_units(&mut self) -> Vec<Arc<Unit>> {
        self.units.retain(|unit| unit.strong_count() > 0);
        self.units.iter().filter_map(Weak::upgrade).collect()
    }

    /// After a pruning: places that are gone are replaced in what would be undone, too.
    pub(crate) fn relocate_undo(&mut self, files: &Files) -> Result<()> {
        let State { view, undurable, .. } = self;
        for (stream, before) in undurable.iter_mut().flat_map(|u| &mut u.undo) {
            if before.is_some_and(|state| !view.retained.holds(state.frame)) {
                *before = view.base_state(files, *stream)?;
            }
        }
        Ok(())
    }
}
