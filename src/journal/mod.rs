//! The append path. Frames get their places in order under one lock; one thread at a time writes what is pending and
//! flushes it for all who wait (leader and followers); the mark follows each flush.

mod bookkeeping;
mod commit;
mod flush;
mod room;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{Extent, StateAt};
use crate::format::frame::SealedFrame;
use crate::position::{Address, LogId, StreamId};
use crate::segment::{Files, Segment};
use crate::storage::{Lock, Storage, StorageFile};
use crate::sync::{Condvar, Mutex, MutexGuard, ReentrantMutex};
use crate::view::View;

pub use commit::Committed;
pub(crate) use commit::{CommitRequest, NewStateText};
pub(crate) use state::{Head, Spare, State};

/// The writing side of an open log.
#[derive(Debug)]
pub(crate) struct Journal {
    pub files: Arc<Files>,
    pub config: Config,
    mark: Box<dyn StorageFile>,
    state: Mutex<State>,
    /// Something that a thread may wait for has happened: I/O ended, a checkpoint became durable, space came free.
    changed: Condvar,
    /// Who makes a segment or a base file, or retires one: there is one name for a file while it is made, and a spare must
    /// have one taker. Never taken while `state` is held.
    pub making: Mutex<()>,
    /// Who prunes; `true` while it does. Pruning needs room, too, and must not prune for it.
    pub pruning: ReentrantMutex<AtomicBool>,
    pid: u32,
    closing: AtomicBool,
    /// Given up at the close.
    lock: Mutex<Option<Box<dyn Lock>>>,
}

impl Journal {
    pub(crate) fn new(
        files: Arc<Files>,
        config: Config,
        mark: Box<dyn StorageFile>,
        lock: Box<dyn Lock>,
        state: State,
    ) -> Self {
        Journal {
            files,
            config,
            mark,
            state: Mutex::new(state),
            changed: Condvar::new(),
            making: Mutex::new(()),
            pruning: ReentrantMutex::new(AtomicBool::new(false)),
            pid: std::process::id(),
            closing: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(crate) fn log(&self) -> LogId {
        self.files.log
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.files.storage
    }

    /// A look at the state; nothing slow may happen under it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Wakes whoever waits for space or for a checkpoint.
    pub(crate) fn notify(&self) {
        // Taking the lock in between makes sure that nobody is between looking and waiting.
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Waits for a change; returns whether it came before `timeout`.
    pub(crate) fn wait(&self, state: &mut MutexGuard<'_, State>, timeout: std::time::Duration) -> bool {
        !self.changed.wait_for(state, timeout).timed_out()
    }

    /// Refuses a log that failed, was closed, or was inherited by a forked process.
    fn check(&self, state: &State) -> Result<()> {
        if let Some(first) = &state.failure {
            return Err(Error::latched(first));
        }
        if self.closing.load(Ordering::Relaxed) {
            return Err(Error::invalid("the log was closed"));
        }
        if std::process::id() != self.pid {
            return Err(Error::new(
                ErrorKind::Forked,
                format!("the log was opened by process {}; a forked process can't write it", self.pid),
            ));
        }
        Ok(())
    }

    /// Writes a frame of a unit. Large amounts go out to the kernel here, while records still arrive. The caller
    /// records the extent in its unit and then clears `unit.in_flight`.
    ///
    /// The frame is taken once it has its place; an error that leaves it is one that changed nothing.
    pub(crate) fn append(&self, unit: &Unit, frame: &mut Option<SealedFrame>) -> Result<Extent> {
        let bytes = frame.as_ref().map_or(0, SealedFrame::len);
        let mut state = self.state();
        self.check(&state)?;
        self.ensure_room(&mut state, bytes)?;
        let at = state.head.address();
        unit.departs(at);
        if let Some(frame) = frame.take() {
            state.push(frame);
        }
        self.write_if_due(&mut state)?;
        Ok(Extent { at, bytes, frames: 1 })
    }

    /// Memory for a frame.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.state().buffer()
    }

    /// A state's text.
    pub(crate) fn state_text(&self, state: &StateAt) -> Result<String> {
        match self.files.state_text(state) {
            // It may still be on its way to the kernel.
            Err(error) if *error.kind() == ErrorKind::Corrupt && self.is_pending(state.frame) => {
                self.write_all()?;
                self.files.state_text(state)
            }
            other => other,
        }
    }

    fn is_pending(&self, at: Address) -> bool {
        at >= self.state().written
    }
}

/// The frames of one writer that no commit has named yet. Pruning moves them out of old segments, so they are shared.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Held while a commit is under way, so that nothing moves that it names.
    pub streams: Mutex<BTreeMap<StreamId, UnitStream>>,
    /// The lowest address that is recorded: for a pruner who finds the unit locked.
    pub low: AtomicU64,
    /// The address of a frame that is written and not yet recorded.
    pub in_flight: AtomicU64,
}

/// No address is lower.
const NOWHERE: u64 = u64::MAX;

impl Default for Unit {
    fn default() -> Self {
        Unit { streams: Mutex::default(), low: AtomicU64::new(NOWHERE), in_flight: AtomicU64::new(NOWHERE) }
    }
}

impl Unit {
    /// Records the frame that `append` wrote last.
    pub(crate) fn record(&self, stream: StreamId, extent: Extent) {
        let mut streams = self.streams.lock();
        streams.entry(stream).or_default().push(extent);
        self.low.fetch_min(extent.at.0, Ordering::AcqRel);
        self.in_flight.store(NOWHERE, Ordering::Release);
    }

    /// From here on frames may be written that are not recorded yet.
    pub(crate) fn departs(&self, at: Address) {
        self.in_flight.store(at.0, Ordering::Release);
    }

    /// What was in flight is recorded.
    pub(crate) fn landed(&self) {
        self.in_flight.store(NOWHERE, Ordering::Release);
    }

    /// Computes `low` anew after something left the unit or moved.
    pub(crate) fn settle(&self, streams: &BTreeMap<StreamId, UnitStream>) {
        let low = streams.values().filter_map(UnitStream::low).min();
        self.low.store(low.map_or(NOWHERE, |at| at.0), Ordering::Release);
    }

    /// Nothing of this unit lies below.
    pub(crate) fn floor(&self) -> Address {
        Address(self.low.load(Ordering::Acquire).min(self.in_flight.load(Ordering::Acquire)))
    }
}

/// What one stream has in the log, uncommitted.
#[derive(Debug, Default, Clone)]
pub(crate) struct UnitStream {
    /// Part frames that list earlier extents.
    pub parts: Vec<Address>,
    /// The lowest extent listed in parts; `NONE` without parts.
    pub parts_low: Address,
    pub extents: Vec<Extent>,
    /// Of all its frames, on disk.
    pub bytes: u64,
}

impl UnitStream {
    /// Adds a frame behind the others; adjacent frames merge.
    pub(crate) fn push(&mut self, extent: Extent) {
        self.bytes += u64::from(extent.bytes);
        if let Some(last) = self.extents.last_mut()
            && last.at.0 + u64::from(last.bytes) == extent.at.0
            && let Some(bytes) = last.bytes.checked_add(extent.bytes)
        {
            last.bytes = bytes;
            last.frames += extent.frames;
            return;
        }
        self.extents.push(extent);
    }

    /// The lowest address it needs; `None` if it has nothing in the log.
    pub(crate) fn low(&self) -> Option<Address> {
        let parts = self.parts.iter().copied().chain([self.parts_low]).filter(|at| !at.is_none());
        self.extents.iter().map(|extent| extent.at).chain(parts).min()
    }
}

/// A piece on its way to the kernel.
#[derive(Debug)]
struct Piece {
    segment: Arc<Segment>,
    offset: u32,
    bytes: Vec<u8>,
}

/// Reads a view without changing it.
impl Journal {
    pub(crate) fn with_view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.state().view)
    }
}
