//! Room for frames: the active segment's, the next one's, and what happens when there is none.

use std::sync::Arc;
use std::time::Duration;

use super::{Journal, Spare, State};
use crate::config::{Config, WhenFull};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{BODY_MAX, FrameBuf, Kind, frame_len};
use crate::format::index::Index;
use crate::format::note::Seal;
use crate::format::segment::SegmentHeader;
use crate::format::snapshot::Start;
use crate::format::{BLOCK, index};
use crate::position::Address;
use crate::protection::Protection;
use crate::segment::Segment;
use crate::storage;
use crate::storage::Access;
use crate::sync::MutexGuard;

/// Always kept for the seal: its frame, and a pad that may reach over a block's end.
const SEAL_BYTES: u32 = 2 * BLOCK;
/// Kept for bookkeeping, so that opening, pruning and closing work on a full disk.
const BOOKKEEPING_BYTES: u32 = 2 * BLOCK;
/// A start frame with room for some base files.
const START_BYTES: u32 = BLOCK;
/// How often a writer at the cap looks whether another process has acknowledged.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Journal {
    /// Returns with room for a frame of `bytes` at the head. May roll to the next segment, make it, and wait for space;
    /// the lock is given up meanwhile. On an error nothing has changed.
    pub(super) fn ensure_room(&self, state: &mut MutexGuard<'_, State>, bytes: u32) -> Result<()> {
        self.ensure(state, bytes, seal_bytes() + BOOKKEEPING_BYTES)
    }

    /// The same for bookkeeping frames, which may use what is kept for them.
    pub(super) fn ensure_room_for_bookkeeping(
        &self,
        state: &mut MutexGuard<'_, State>,
        bytes: u32,
    ) -> Result<()> {
        self.ensure(state, bytes, seal_bytes())
    }

    fn ensure(&self, state: &mut MutexGuard<'_, State>, bytes: u32, keep: u32) -> Result<()> {
        check_frame(bytes)?;
        loop {
            self.check(state)?;
            if !state.has_started() {
                let (seal, end) = state.sealed;
                self.start_segment(state, seal, end);
            }
            if fits(state, bytes, keep) {
                return Ok(());
            }
            let need = segment_need(state, bytes);
            match &state.next {
                Some(next) if u64::from(next.bytes()) >= need && !state.next_has_durable_name => {
                    MutexGuard::unlocked(state, || self.sync_names())?;
                    state.next_has_durable_name = true;
                }
                Some(next) if u64::from(next.bytes()) >= need => self.roll(state),
                _ => {
                    state.counters.segments_late += 1;
                    MutexGuard::unlocked(state, || self.make_next(need))?;
                }
            }
        }
    }

    /// Room for optional bookkeeping, without rolling.
    pub(super) fn has_room(&self, state: &State, bytes: u32) -> bool {
        fits(state, bytes, seal_bytes())
    }

    /// The same without touching what is kept for bookkeeping that has to be.
    pub(super) fn has_room_to_spare(&self, state: &State, bytes: u32) -> bool {
        fits(state, bytes, seal_bytes() + BOOKKEEPING_BYTES)
    }

    /// Seals the active segment and begins the next.
    fn roll(&self, state: &mut State) {
        let Some(next) = state.next.take() else { return };
        let seal = Seal {
            last_sequence: state.view.last.sequence,
            last_time_us: state.view.last.time_us,
            low: state.view.segment_low,
            directory: std::mem::take(&mut state.directory),
        };
        let mut buf = FrameBuf::new(state.buffer());
        seal.encode(buf.body_mut());
        let at = state.push(buf.seal(Kind::Seal, 0));
        let end = state.head.address();
        tracing::debug!(segment = %next.id(), "begins");
        state.view.segment_low = Address::NONE;
        state.head = super::Head { segment: next, offset: BLOCK };
        self.start_segment(state, at, end);
    }

    /// The first frames of a segment: how the one before it ended, a snapshot, and the index behind it.
    fn start_segment(&self, state: &mut State, previous_seal: Address, previous_end: Address) {
        let mut start = Start { previous_end, previous_seal, snapshot: state.view.snapshot(Address::NONE) };
        let mut buf = FrameBuf::new(state.buffer());
        start.encode(buf.body_mut());
        let index_at = Address(state.head.address().0 + frame_len(buf.body_len() as u32));
        start.snapshot.index = index_at;
        let mut buf = FrameBuf::new(state.buffer());
        start.encode(buf.body_mut());
        let at = state.push(buf.seal(Kind::Start, 0));
        let written = self.push_index(state);
        debug_assert_eq!(written, index_at);
        self.snapshot_written(state, at);
    }

    /// Writes what changed since the newest index. There has to be room.
    pub(super) fn push_index(&self, state: &mut State) -> Address {
        let plan = state.view.chain.plan(state.view.all().count());
        let mut buf = FrameBuf::new(state.buffer());
        if plan.previous.is_none() {
            Index::encode(buf.body_mut(), plan.previous, state.view.all());
        } else {
            let nothing = &crate::view::NOTHING;
            let entries = plan.streams.iter().map(|s| (*s, state.view.entry(*s).unwrap_or(nothing)));
            Index::encode(buf.body_mut(), plan.previous, entries);
        }
        let at = state.push(buf.seal(Kind::Index, 0));
        let all: Vec<_> =
            if plan.previous.is_none() { state.view.all().map(|(s, _)| s).collect() } else { Vec::new() };
        state.view.chain.written(plan, at, all.into_iter());
        at
    }

    pub(super) fn snapshot_written(&self, state: &mut State, at: Address) {
        state.waypoints.push_back(at);
        state.since_waypoint_bytes = 0;
        state.since_waypoint_commits = 0;
    }

    /// Makes the segment behind the active one, of at least `need` bytes, if it is not there. Waits at the cap as the
    /// configuration says.
    pub(crate) fn make_next(&self, need: u64) -> Result<()> {
        let started = self.config.environment.elapsed();
        loop {
            let full = match self.try_make_next(need) {
                Err(error) if *error.kind() == ErrorKind::Full => error,
                result => {
                    self.state().is_full &= result.is_err();
                    return result;
                }
            };
            if self.remove_spares()? {
                continue; // they had another size
            }
            // Pruning may free space; what it needs itself is kept in reserve.
            if crate::pruning::prune_for_room(self)? {
                continue;
            }
            self.state().is_full = true;
            let deadline = match self.config.when_full {
                WhenFull::Wait(wait) if crate::pruning::somebody_lags(self)? => started.saturating_add(wait),
                _ => return Err(full),
            };
            let now = self.config.environment.elapsed();
            if now >= deadline {
                return Err(full);
            }
            let mut state = self.state();
            self.check(&state)?;
            self.wait(&mut state, LOOK_AGAIN.min(deadline - now));
        }
    }

    fn sync_names(&self) -> Result<()> {
        let path = self.storage().path();
        storage::sync_names(self.storage()).map_err(|e| Error::io("flushing the log's directory", path, e))
    }

    /// Gives up the spare segments, and what waits to be removed; whether there was anything.
    fn remove_spares(&self) -> Result<bool> {
        if self.remove_doomed()? {
            return Ok(true);
        }
        let _making = self.making.lock();
        let spares = std::mem::take(&mut self.state().spares);
        for spare in &spares {
            self.storage()
                .remove(&spare.name)
                .map_err(|e| Error::io("removing a segment", &spare.name, e))?;
        }
        Ok(!spares.is_empty())
    }

    fn try_make_next(&self, need: u64) -> Result<()> {
        let making = self.making.lock();
        let (id, header, spare) = {
            let mut state = self.state();
            self.check(&state)?;
            if state.next.as_ref().is_some_and(|next| u64::from(next.bytes()) >= need) {
                return Ok(());
            }
            // Taken away before anything is made: nobody may roll into a file that is about to be replaced.
            state.next = None;
            let id = state.head.segment.id().next();
            let bytes = self.next_segment_bytes(state.head.segment.bytes(), need)?;
            let spare = state
                .spares
                .iter()
                .position(|spare| spare.bytes == bytes)
                .map(|i| state.spares.swap_remove(i));
            (id, self.segment_header(id, bytes), spare)
        };
        let room = crate::pruning::check_lag(self).and_then(|()| match &spare {
            None => self.check_cap(header.segment_bytes.into()),
            Some(_) => Ok(()),
        });
        if let Err(error) = room {
            self.state().spares.extend(spare);
            return Err(error);
        }
        let made = match &spare {
            Some(spare) => Segment::create(self.storage(), header, Some(&spare.name)),
            None => self.create_fitting(header, need),
        };
        let segment = match made {
            Ok(segment) => Arc::new(segment),
            Err(error) => {
                // It may have got as far as its new name; then a new file takes that.
                let is_there = |spare: &Spare| self.storage().open(&spare.name, Access::Read).is_ok();
                self.state().spares.extend(spare.filter(is_there));
                return Err(error);
            }
        };
        self.files.forget(id);
        self.files.insert(segment.clone());
        let mut state = self.state();
        state.counters.segments_made += 1;
        state.counters.segments_recycled += u64::from(spare.is_some());
        state.next = Some(segment);
        state.next_has_durable_name = true;
        drop(state);
        drop(making);
        Ok(())
    }

    /// Makes a segment, a smaller one where the disk is too full for the usual size.
    fn create_fitting(&self, mut header: SegmentHeader, need: u64) -> Result<Segment> {
        loop {
            let half = (header.segment_bytes / 2).next_multiple_of(BLOCK);
            match Segment::create(self.storage(), header, None) {
                Err(error)
                    if *error.kind() == ErrorKind::Full
                        && u64::from(half) >= need
                        && half >= Config::SEGMENT_BYTES_MIN =>
                {
                    header.segment_bytes = half;
                }
                result => return result,
            }
        }
    }

    pub(crate) fn segment_header(&self, id: crate::position::SegmentId, segment_bytes: u32) -> SegmentHeader {
        SegmentHeader {
            log: self.log(),
            id,
            salt: self.config.environment.random() as u64,
            segment_bytes,
            unflushed_bytes_max: self.config.unflushed_bytes_max,
            created_us: self.config.environment.now_us(),
        }
    }

    /// Segments double up to the configured size, and are larger where one frame needs it.
    fn next_segment_bytes(&self, current: u32, need: u64) -> Result<u32> {
        let usual = u64::from(current).saturating_mul(2).min(self.config.segment_bytes.into());
        let bytes = usual.max(need).next_multiple_of(BLOCK.into());
        u32::try_from(bytes).map_err(|_| Error::too_large("a frame", u32::MAX.into(), need))
    }

    /// Refuses what would put the directory over its configured size.
    fn check_cap(&self, more: u64) -> Result<()> {
        let Some(limit) = self.config.size_max else { return Ok(()) };
        let used = self.disk_bytes()?;
        if used + more <= limit {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Full,
            format!(
                "the log occupies {used} bytes and needs {more} more, size_max is {limit}; {}",
                crate::pruning::what_holds(self)
            ),
        ))
    }

    /// Bytes of every segment and base file in the directory.
    pub(crate) fn disk_bytes(&self) -> Result<u64> {
        let survey = crate::recovery::Survey::of(self.storage())?;
        let mut bytes = 0;
        for id in survey.segments.iter().chain(&survey.bases) {
            if let Ok(file) = self.storage().open(&crate::format::names::segment(*id), Access::Read) {
                bytes += file.len().unwrap_or(0);
            }
        }
        Ok(bytes)
    }
}

fn seal_bytes() -> u32 {
    if Protection::SealRoom.is_off() { 0 } else { SEAL_BYTES }
}

/// What no reader would believe is not written.
pub(crate) fn check_frame(bytes: u32) -> Result<()> {
    let limit = frame_len(BODY_MAX);
    match u64::from(bytes) > limit {
        true => Err(Error::too_large("a frame", limit, bytes.into())),
        false => Ok(()),
    }
}

fn fits(state: &State, bytes: u32, keep: u32) -> bool {
    u64::from(state.head.offset) + u64::from(bytes) + u64::from(keep) <= u64::from(state.head.segment.bytes())
}

/// What a segment needs to begin and to take a frame of `bytes`.
fn segment_need(state: &State, bytes: u32) -> u64 {
    let index: u64 = state.view.all().map(|(_, entry)| index::entry_len(entry) as u64).sum();
    let start = u64::from(START_BYTES) + state.view.retained.files().count() as u64 * 8;
    u64::from(BLOCK)
        + start
        + frame_len(0)
        + index
        + u64::from(bytes)
        + u64::from(SEAL_BYTES + BOOKKEEPING_BYTES)
}

/// The smallest segment has to hold a frame of the usual size beside all that is kept free.
const _: () = assert!(Config::SEGMENT_BYTES_MIN >= 8 * BLOCK);
