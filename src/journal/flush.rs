//! Writing what is pending, flushing it for everybody, and the mark.

use std::time::Duration;

use super::{Journal, State, pending};
use crate::error::{Error, Result};
use crate::format::mark::Mark;
use crate::format::names;
use crate::format::snapshot::LastCheckpoint;
use crate::position::{Address, SegmentId};
use crate::protection::Protection;
use crate::storage;
use crate::sync::MutexGuard;

/// Pending bytes go to the kernel when there are so many, while records still arrive, and the kernel is told to have the
/// device begin with them: the flush then finds most of its work done.
const WRITE_BYTES: u32 = 128 << 10;
/// A thread that adds to more than this waits for the one that writes.
const PENDING_BYTES_MAX: u64 = 4 << 20;
/// A waiter looks again after this at the latest; it is woken long before.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What is durable together: the log up to here, its last checkpoint, and what it begins with. A switch that is not flushed
/// has not happened.
#[derive(Debug, Clone, Copy)]
struct Reached {
    end: Address,
    last: LastCheckpoint,
    first_live: SegmentId,
}

/// What a write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Take {
    /// What there is of whole pieces of [`WRITE_BYTES`].
    Pieces,
    /// Everything.
    All,
    /// Everything, and has it flushed.
    Flush,
}

impl Take {
    fn all(flush: bool) -> Take {
        if flush { Take::Flush } else { Take::All }
    }
}

impl Reached {
    fn by(state: &State) -> Reached {
        Reached { end: state.durable, last: state.high_water, first_live: state.first_live }
    }
}

impl Journal {
    /// Returns once everything below `end` is durable. The first to come writes and flushes for all that are pending;
    /// those who come meanwhile wait, and one of them leads the next batch.
    pub(super) fn flush_to(&self, state: &mut MutexGuard<'_, State>, end: Address) -> Result<()> {
        let mut alone = false;
        while state.durable < end {
            self.check_failure(state)?;
            if state.writing || state.company.gathering {
                self.wait_for_turn(state, end);
            } else if alone {
                self.write_out(state, Take::Flush)?;
            } else {
                alone = true;
                self.gather(state);
            }
        }
        Ok(())
    }

    /// Returns once the kernel has everything below `end`.
    pub(super) fn write_to(&self, state: &mut MutexGuard<'_, State>, end: Address) -> Result<()> {
        while state.written < end {
            self.check_failure(state)?;
            if state.writing {
                self.wait_for_turn(state, end);
            } else {
                let flush = self.must_flush(state);
                self.write_out(state, Take::all(flush))?;
            }
        }
        Ok(())
    }

    /// Flushes everything that was appended so far.
    pub(crate) fn flush_all(&self) -> Result<()> {
        let mut state = self.state();
        self.check_failure(&state)?;
        let end = state.head.address();
        if state.written == end && state.durable >= state.written {
            return Ok(());
        }
        self.flush_to(&mut state, end)
    }

    pub(crate) fn write_all(&self) -> Result<()> {
        let mut state = self.state();
        let end = state.head.address();
        self.write_to(&mut state, end)
    }

    /// Sends pending bytes out if there are many, and holds the caller back if there are too many.
    pub(super) fn write_if_due(&self, state: &mut MutexGuard<'_, State>) -> Result<()> {
        while state.pending.bytes() >= WRITE_BYTES.into() {
            self.check_failure(state)?;
            if !state.writing {
                let take = if self.must_flush(state) { Take::Flush } else { Take::Pieces };
                self.write_out(state, take)?;
            } else if state.pending.bytes() >= PENDING_BYTES_MAX {
                self.wait(state, PATIENCE);
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Whether the next write has to be flushed: too much is unflushed, or for too long.
    fn must_flush(&self, state: &State) -> bool {
        state.unflushed_bytes() > self.config.unflushed_bytes_max.into() || self.flush_is_due(state)
    }

    pub(super) fn flush_is_due(&self, state: &State) -> bool {
        match (self.config.flush_interval, state.unflushed_since) {
            (Some(interval), Some(since)) => {
                self.config.environment.elapsed().saturating_sub(since) >= interval
            }
            _ => false,
        }
    }

    /// Nothing is written after a failure, nor by a forked child, whose view of the log stands still.
    fn check_failure(&self, state: &State) -> Result<()> {
        self.check_process()?;
        state.failure.as_ref().map_or(Ok(()), |first| Err(Error::latched(first)))
    }

    /// Writes what is pending, with the lock given up meanwhile. Only one thread at a time is in here.
    fn write_out(&self, state: &mut MutexGuard<'_, State>, take: Take) -> Result<()> {
        let flush = take == Take::Flush;
        if flush {
            state.pad();
        }
        let before = state.pending.bytes();
        let pieces = match take {
            Take::Pieces => state.pending.take_aligned(WRITE_BYTES),
            Take::All | Take::Flush => state.pending.take(),
        };
        let bytes = before - state.pending.bytes();
        let end = state.head.address();
        let reached = Reached { end, last: state.view.last, first_live: state.view.retained.first_live };
        // The epoch is known for good before its first frame: else a power cut could make the next opening use it again.
        let before = Reached::by(state);
        let first = (!state.epoch_is_known).then(|| self.next_mark(state, before, false));
        let mark = flush.then(|| self.next_mark(state, reached, false));
        let tail = state.head.segment.clone();
        let to = pending::end(&pieces).unwrap_or(end);
        let early = if flush { None } else { state.writeback_due(to, WRITE_BYTES) };
        state.writing = true;
        if flush {
            state.company.flush_begins();
        }
        let begun = self.config.environment.elapsed();
        state.turn += 1;
        state.taken = state.pending.first().unwrap_or(end);
        let mut flush_took = Duration::ZERO;

        let result = MutexGuard::unlocked(state, || {
            if let Some(first) = &first {
                self.write_mark(first)?;
                self.sync_mark()?;
            }
            pending::write(&pieces)?;
            if flush {
                let begun = self.config.environment.elapsed();
                tail.sync()?;
                flush_took = self.config.environment.elapsed().saturating_sub(begun);
            }
            if let Some((from, to)) = early {
                tail.begin_writeback(from, to)?;
            }
            mark.as_ref().map_or(Ok(()), |mark| self.write_mark(mark))
        });

        state.writing = false;
        state.epoch_is_known = true;
        for piece in pieces {
            let memory = state.pending.put_back(piece);
            memory.into_iter().for_each(|memory| state.give_back(memory));
        }
        match result {
            Ok(()) if flush => {
                state.company.flush_ends(self.config.environment.elapsed().saturating_sub(begun));
                state.counters.flush_duration.observe(flush_took);
                self.flushed(state, reached);
            }
            Ok(()) => {
                state.written = state.pending.first().unwrap_or(end);
                state.unflushed_bytes += bytes;
                state.unflushed_since.get_or_insert_with(|| self.config.environment.elapsed());
            }
            Err(_) if Protection::FailStop.is_off() && tail.sync().is_ok() => {
                self.flushed(state, reached);
            }
            Err(error) => {
                // The pages may be gone and a later flush would prove nothing: no way on but to open again.
                tracing::error!(%error, "a write or flush failed; the log takes no more writes");
                state.failure = Some(error.clone());
                for waiting in self.turns.iter().chain([&self.changed]) {
                    waiting.notify_all();
                }
                return Err(error);
            }
        }
        self.end_turn(state);
        Ok(())
    }

    /// Waits for the end of the write that takes everything below `end`: the one under way, or the one behind it.
    fn wait_for_turn(&self, state: &mut MutexGuard<'_, State>, end: Address) {
        let turn = if end <= state.taken { state.turn } else { state.turn + 1 };
        self.turns[turn % 2].wait_for(state, PATIENCE);
    }

    /// Of those who came meanwhile one is woken first, and leads the next batch at once; the others sleep on, for it takes
    /// their frames along.
    fn end_turn(&self, state: &State) {
        self.turns[(state.turn + 1) % 2].notify_one();
        self.turns[state.turn % 2].notify_all();
        self.changed.notify_all();
    }

    fn flushed(&self, state: &mut State, reached: Reached) {
        let Reached { end, last, first_live } = reached;
        state.first_live = first_live;
        state.written = end;
        state.durable = end;
        state.unflushed_bytes = 0;
        state.unflushed_since = None;
        state.high_water = last;
        state.counters.flushes += 1;
        while state.undurable.front().is_some_and(|undurable| undurable.end <= end) {
            state.undurable.pop_front();
        }
        while let Some(at) = state.waypoints.front().copied().filter(|at| *at < end) {
            state.waypoint = at;
            state.waypoints.pop_front();
        }
    }

    /// The mark as it will be true once everything below `durable` is flushed.
    fn next_mark(&self, state: &mut State, reached: Reached, clean: bool) -> Mark {
        let Reached { end: durable, last, first_live } = reached;
        state.mark_generation += 1;
        Mark {
            log: self.log(),
            generation: state.mark_generation,
            boot: self.boot,
            pid: std::process::id(),
            epoch: state.epoch,
            durable,
            sequence: last.sequence,
            id: last.id,
            active: durable.segment(),
            waypoint: state
                .waypoints
                .iter()
                .rev()
                .copied()
                .find(|at| *at < durable)
                .unwrap_or(state.waypoint),
            first_live,
            clean,
        }
    }

    fn write_mark(&self, mark: &Mark) -> Result<()> {
        storage::write_all_at(&*self.mark, &[&mark.encode()], mark.slot_offset())
            .map_err(|e| Error::io("writing the mark", names::MARK, e))
    }

    /// Writes the mark anew and, with `flush`, makes it durable: what it says is true already.
    pub(crate) fn publish_mark(&self, clean: bool, flush: bool) -> Result<()> {
        let mut state = self.state();
        while state.writing {
            self.wait(&mut state, PATIENCE);
        }
        let reached = Reached::by(&state);
        let mark = self.next_mark(&mut state, reached, clean);
        self.write_mark(&mark)?;
        drop(state);
        if flush {
            self.sync_mark()?;
        }
        Ok(())
    }

    fn sync_mark(&self) -> Result<()> {
        self.mark.sync().map_err(|e| Error::io("flushing the mark", names::MARK, e))
    }
}
