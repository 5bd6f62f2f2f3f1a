//! Frames that the log writes about itself: opened, waypoints, recovery, pruned, repaired, close.

use std::sync::atomic::Ordering;

use super::flush::PATIENCE;
use super::{Journal, State};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{FrameBuf, Kind, SealedFrame};
use crate::format::index;
use crate::format::note::{Opened, Pruned, Recovered, Repaired, encode_close};
use crate::position::Address;
use crate::sync::MutexGuard;

/// A waypoint comes after so many bytes, or commits: what opening reads at most.
const WAYPOINT_BYTES: u64 = 4 << 20;
const WAYPOINT_COMMITS: u64 = 1024;

/// Who opens the log, and when.
pub(super) fn opened(environment: &dyn Environment) -> SealedFrame {
    let mut buf = FrameBuf::new(Vec::new());
    Opened { time_us: environment.now_us(), who: environment.process() }.encode(buf.body_mut());
    buf.seal(Kind::Opened, 0)
}

impl Journal {
    /// Says who opened the log, ahead of a checkpoint: an opening that puts nothing on record writes nothing. Nobody waits for
    /// room for that: then the next one says it.
    pub(super) fn say_opened(&self, state: &mut MutexGuard<'_, State>) -> Result<()> {
        let Some(bytes) = state.opened.as_ref().map(SealedFrame::len) else { return Ok(()) };
        self.ensure_room(state, 0)?;
        if self.has_room_to_spare(state, bytes) {
            state.opened.take().map(|frame| state.push(frame));
        }
        Ok(())
    }

    /// Writes a waypoint if the last is far behind and there is room.
    pub(super) fn waypoint_if_due(&self, state: &mut State) {
        if state.since_waypoint_bytes >= WAYPOINT_BYTES || state.since_waypoint_commits >= WAYPOINT_COMMITS {
            self.waypoint(state);
        }
    }

    fn waypoint(&self, state: &mut State) {
        const WAYPOINT_FRAME: u32 = 512;
        let current = state.view.chain.is_current();
        let index: usize =
            if current { 0 } else { state.view.all().map(|(_, entry)| index::entry_len(entry)).sum() };
        let bytes = index as u64 + u64::from(WAYPOINT_FRAME) + state.view.retained.files().count() as u64 * 8;
        let Ok(bytes) = u32::try_from(bytes) else { return };
        if !self.has_room(state, bytes) {
            return; // the next segment begins with a snapshot anyway
        }
        let index = if current { state.view.chain.head() } else { self.push_index(state) };
        let mut buf = FrameBuf::new(state.buffer());
        state.view.snapshot(index).encode(buf.body_mut());
        let at = state.push(buf.seal(Kind::Waypoint, 0));
        self.snapshot_written(state, at);
    }

    /// Begins a new log's first segment, flushed.
    pub(crate) fn begin(&self) -> Result<()> {
        let mut state = self.state();
        self.ensure_room(&mut state, 0)?;
        let end = state.head.address();
        self.flush_to(&mut state, end)
    }

    /// Puts on record what this opening dropped or rewrote, flushed.
    pub(crate) fn note_recovery(&self, note: &Recovered) -> Result<()> {
        self.state().opened = None; // that says it, too
        let mut buf = FrameBuf::new(Vec::new());
        note.encode(buf.body_mut());
        self.note(buf.seal(Kind::Recovery, 0), |_| Ok(()))
    }

    /// The switch of a pruning, flushed: from here on the log holds what `pruned` says.
    pub(crate) fn note_pruned(&self, pruned: &Pruned) -> Result<()> {
        let mut buf = FrameBuf::new(Vec::new());
        pruned.encode(buf.body_mut());
        self.note(buf.seal(Kind::Pruned, 0), |state| {
            state.view.retained = pruned.retained.clone();
            state.view.relocate(&self.files)?;
            state.relocate_undo(&self.files)?;
            self.waypoint(state);
            Ok(())
        })
    }

    /// What a repair gave up here, flushed with what follows.
    pub(crate) fn note_repaired(&self, note: &Repaired) -> Result<()> {
        let mut buf = FrameBuf::new(Vec::new());
        note.encode(buf.body_mut());
        self.note(buf.seal(Kind::Repaired, 0), |state| {
            state.view.repaired(note);
            Ok(())
        })
    }

    fn note(&self, frame: SealedFrame, then: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        let mut state = self.state();
        self.ensure_room_for_bookkeeping(&mut state, frame.len())?;
        let both = state.opened.as_ref().map(|opened| opened.len() + frame.len());
        if both.is_some_and(|both| self.has_room(&state, both)) {
            state.opened.take().map(|opened| state.push(opened));
        }
        state.push(frame);
        then(&mut state)?;
        let end = state.head.address();
        self.flush_to(&mut state, end)
    }

    /// Flushes everything, says that the log was closed, and makes the mark durable. A log that this opening has not
    /// changed is left as it is.
    pub(crate) fn close(&self) -> Result<()> {
        {
            let state = self.state();
            // A forked child has nothing to close.
            if self.closing.load(Ordering::Relaxed)
                || self.check(&state).is_err_and(|e| *e.kind() == ErrorKind::Forked)
            {
                return Ok(());
            }
            // Under the lock: from here on nobody gets a place for a frame.
            self.closing.store(true, Ordering::Relaxed);
        }
        let result = self.write_close();
        let mut state = self.state();
        while state.writing {
            self.wait(&mut state, PATIENCE);
        }
        drop(state);
        self.notify();
        // Nothing is left behind that no later opening would look for.
        let removed = self.remove_all_doomed();
        self.lock.lock().take();
        result.and(removed)
    }

    fn write_close(&self) -> Result<()> {
        let mut state = self.state();
        if let Some(first) = &state.failure {
            return Err(Error::latched(first));
        }
        if !state.dirty {
            return Ok(());
        }
        let mut buf = FrameBuf::new(Vec::new());
        encode_close(buf.body_mut(), self.config.environment.now_us());
        let frame = buf.seal(Kind::Close, 0);
        if self.has_room(&state, frame.len()) && state.has_started() {
            state.push(frame);
        }
        let end: Address = state.head.address();
        self.flush_to(&mut state, end)?;
        drop(state);
        self.publish_mark(true, true)
    }

    /// What [`maintain`](crate::Log::maintain) does here: a late flush, the next segment, a durable mark.
    pub(crate) fn maintain(&self) -> Result<()> {
        self.flush_late()?;
        let need = {
            let state = self.state();
            let half = state.head.offset > state.head.segment.bytes() / 2;
            half && state.next.is_none() && (!state.spares.is_empty() || state.counters.segments_made > 0)
        };
        if need {
            // No room is no failure yet: who needs the segment will be told.
            if let Err(error) = self.make_next(0) {
                tracing::warn!(%error, "could not prepare the next segment");
            }
        }
        self.remove_doomed()?;
        Ok(())
    }

    /// Flushes what waits for it: everything if its time has come, or if so much waits that its writer would have to flush it soon, and
    /// stand still meanwhile; else what was committed. A few records that nobody has committed wait for their commit: a
    /// flush here would be one more for it to wait behind.
    fn flush_late(&self) -> Result<()> {
        let mut state = self.state();
        self.check(&state)?;
        let much = state.unflushed_bytes() > u64::from(self.config.unflushed_bytes_max) / 8;
        if much || self.flush_is_due(&state) {
            drop(state);
            return self.flush_all();
        }
        let committed = state.undurable.back().map(|last| last.end);
        match committed.filter(|_| self.config.flush_interval.is_none()) {
            Some(end) => self.flush_to(&mut state, end),
            None => Ok(()),
        }
    }
}
