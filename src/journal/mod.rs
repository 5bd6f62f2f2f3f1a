//! The append path. Frames get their places in order under one lock; one thread at a time writes what is pending and
//! flushes it for all who wait (leader and followers); the mark follows each flush.

mod bookkeeping;
mod commit;
mod company;
mod doomed;
mod flush;
mod pending;
mod room;
mod state;
mod unit;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::config::Config;
use crate::environment::Owner;
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{Extent, StateAt};
use crate::format::frame::SealedFrame;
use crate::position::{Address, LogId};
use crate::recovery::Recovery;
use crate::segment::Files;
use crate::storage::{Lock, Storage, StorageFile};
use crate::sync::{Condvar, Mutex, MutexGuard, ReentrantMutex};
use crate::view::View;

pub use commit::Committed;
pub(crate) use commit::{Again, CommitRequest, NewStateText};
pub(crate) use room::check_frame;
pub(crate) use state::{Head, Spare, State};
pub(crate) use unit::{Unit, UnitStream};

/// The writing side of an open log.
#[derive(Debug)]
pub(crate) struct Journal {
    pub files: Arc<Files>,
    pub config: Config,
    mark: Box<dyn StorageFile>,
    state: Mutex<State>,
    /// Something that a thread may wait for has happened: I/O ended, a checkpoint became durable, space came free.
    changed: Condvar,
    /// The end of a write, for those whose frames it takes: by the count's last bit, so that who waits for the next one sleeps
    /// on.
    turns: [Condvar; 2],
    /// Those are back for whom a leader waits.
    gathered: Condvar,
    /// Of this boot: it does not change while the process lives.
    boot: Option<u128>,
    /// Who makes a segment or a base file, or retires one: there is one name for a file while it is made, and a spare must
    /// have one taker. Never taken while `state` is held.
    pub making: Mutex<()>,
    /// Who removes a file that nobody names any more.
    removing: Mutex<()>,
    /// Who prunes; `true` while it does. Pruning needs room, too, and must not prune for it.
    pub pruning: ReentrantMutex<AtomicBool>,
    owner: Owner,
    /// So many bytes have to lie in sealed segments before a compaction is looked for again.
    pub compact_from: AtomicU64,
    closing: AtomicBool,
    /// What the opening found; set once, when it is over.
    pub opening: OnceLock<Recovery>,
    /// Given up at the close.
    lock: Mutex<Option<Box<dyn Lock>>>,
}

impl Journal {
    pub(crate) fn new(
        files: Arc<Files>,
        config: Config,
        mark: Box<dyn StorageFile>,
        lock: Box<dyn Lock>,
        mut state: State,
    ) -> Self {
        state.opened = Some(bookkeeping::opened(&*config.environment));
        Journal {
            files,
            boot: config.environment.boot(),
            config,
            mark,
            state: Mutex::new(state),
            changed: Condvar::new(),
            turns: [Condvar::new(), Condvar::new()],
            gathered: Condvar::new(),
            making: Mutex::new(()),
            removing: Mutex::new(()),
            pruning: ReentrantMutex::new(AtomicBool::new(false)),
            owner: Owner::default(),
            compact_from: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            opening: OnceLock::new(),
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

    /// Counts the error of a call that somebody made.
    pub(crate) fn counted<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.count(error))
    }

    /// Counts an error that somebody is given.
    pub(crate) fn count(&self, error: &Error) {
        *self.state().errors.entry(error.kind().name()).or_default() += 1;
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
        self.check_process()
    }

    fn check_process(&self) -> Result<()> {
        self.owner.check("the log was opened")
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

    /// Memory that is not needed any more.
    pub(crate) fn give_back(&self, memory: Vec<u8>) {
        self.state().give_back(memory);
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

/// Reads a view without changing it.
impl Journal {
    pub(crate) fn with_view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.state().view)
    }
}
