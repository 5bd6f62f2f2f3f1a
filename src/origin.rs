//! Where a reader gets the log from: the journal of this process, or the files that another process writes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::environment::{Environment, System};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::StateAt;
use crate::format::define::StreamName;
use crate::format::mark::Mark;
use crate::format::names::{self, FileName};
use crate::format::note::Repaired;
use crate::format::snapshot::{LastCheckpoint, Retained};
use crate::journal::Journal;
use crate::lock;
use crate::position::{Address, LogId, SegmentId, Sequence, StreamId};
use crate::recovery::{self, Look, Row, read_mark};
use crate::segment::Files;
use crate::storage::{Access, Storage, Watch};
use crate::sync::{Mutex, sleep};
use crate::view::{Replay, View, check_mark};

/// How far a reader may read.
#[derive(Debug, Clone)]
pub(crate) struct Horizon {
    /// Frames below are shown.
    pub end: Address,
    /// The last checkpoint below.
    pub last: LastCheckpoint,
    /// The last checkpoint that a power cut can't take back, as far as is known here.
    pub confirmed: Sequence,
    pub retained: Retained,
}

#[derive(Debug, Clone)]
pub(crate) enum Origin {
    Live(Arc<Journal>),
    Foreign(Arc<Foreign>),
}

impl Origin {
    pub(crate) fn files(&self) -> &Arc<Files> {
        match self {
            Origin::Live(journal) => &journal.files,
            Origin::Foreign(foreign) => &foreign.files,
        }
    }

    pub(crate) fn log(&self) -> LogId {
        self.files().log
    }

    /// Clocks and randomness: the writer's in its process, the system's elsewhere.
    pub(crate) fn environment(&self) -> &dyn Environment {
        match self {
            Origin::Live(journal) => &*journal.config.environment,
            Origin::Foreign(_) => &System,
        }
    }

    pub(crate) fn now_us(&self) -> i64 {
        self.environment().now_us()
    }

    /// A clock that never steps back.
    pub(crate) fn elapsed(&self) -> Duration {
        self.environment().elapsed()
    }

    /// How far one may read now.
    pub(crate) fn horizon(&self) -> Result<Horizon> {
        match self {
            Origin::Live(journal) => {
                let state = journal.state();
                Ok(Horizon {
                    end: state.durable,
                    last: state.high_water,
                    confirmed: state.high_water.sequence,
                    retained: state.view.retained.clone(),
                })
            }
            Origin::Foreign(foreign) => {
                foreign.refresh()?;
                Ok(foreign.state.lock().horizon())
            }
        }
    }

    pub(crate) fn with_view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        match self {
            Origin::Live(journal) => journal.with_view(read),
            Origin::Foreign(foreign) => read(&foreign.state.lock().view),
        }
    }

    /// Where a state lies, as of the horizon.
    pub(crate) fn state(&self, stream: StreamId) -> Option<StateAt> {
        match self {
            Origin::Live(journal) => journal.state().durable_state(stream),
            Origin::Foreign(foreign) => foreign.state.lock().view.state(stream),
        }
    }

    /// Every state as of the horizon, with its stream's name: one snapshot.
    pub(crate) fn states(&self) -> Result<(LastCheckpoint, Vec<NamedState>)> {
        match self {
            Origin::Live(journal) => {
                let state = journal.state();
                let entries = named_states(&state.view, |stream| state.durable_state(stream));
                Ok((state.high_water, entries))
            }
            Origin::Foreign(foreign) => {
                foreign.refresh()?;
                let seen = foreign.state.lock();
                Ok((seen.view.last, named_states(&seen.view, |stream| seen.view.state(stream))))
            }
        }
    }

    pub(crate) fn state_text(&self, state: &StateAt) -> Result<String> {
        match self {
            Origin::Live(journal) => journal.state_text(state),
            Origin::Foreign(foreign) => foreign.files.state_text(state),
        }
    }

    /// Segments below are read through maps: they are sealed and durable, nobody writes to them, and this process owns
    /// the log.
    pub(crate) fn mapped_below(&self) -> SegmentId {
        match self {
            Origin::Live(journal) if journal.config.read_mode == crate::ReadMode::Map => {
                journal.state().durable.segment()
            }
            _ => SegmentId(0),
        }
    }

    /// Waits until there is a checkpoint behind `seen`; `false` if the time passed.
    pub(crate) fn wait_beyond(&self, seen: Sequence, timeout: Duration) -> Result<bool> {
        match self {
            Origin::Live(journal) => {
                let environment = &journal.config.environment;
                let deadline = environment.elapsed().saturating_add(timeout);
                let mut state = journal.state();
                loop {
                    if state.high_water.sequence > seen {
                        return Ok(true);
                    }
                    let left = deadline.saturating_sub(environment.elapsed());
                    if left.is_zero() || state.failure.is_some() {
                        return Ok(false);
                    }
                    journal.wait(&mut state, left);
                }
            }
            Origin::Foreign(foreign) => foreign.wait_beyond(seen, timeout),
        }
    }

    /// The same for an error that goes to whoever reads: damage is counted.
    pub(crate) fn tell(&self, error: Error, sequence: Sequence) -> Error {
        let error = self.explain(error, sequence);
        if let (Origin::Live(journal), ErrorKind::Corrupt) = (self, error.kind()) {
            journal.count(&error);
        }
        error
    }

    /// What damage in an old checkpoint really means: if it was pruned meanwhile, it is gone, not damaged.
    pub(crate) fn explain(&self, error: Error, sequence: Sequence) -> Error {
        if *error.kind() != ErrorKind::Corrupt {
            return error;
        }
        match self.horizon() {
            Ok(Horizon { retained, .. })
                if sequence < retained.first_sequence
                    || retained.compacted.is_some()
                        && sequence == retained.first_sequence
                        && is_gone(&error, &retained) =>
            {
                gap(sequence, &retained)
            }
            _ => error,
        }
    }
}

/// Whether the damage is in a file that the log no longer names: what was there was compacted since.
fn is_gone(error: &Error, retained: &Retained) -> bool {
    let name = error.file().and_then(|file| file.file_name()).and_then(|name| name.to_str());
    match name.map(names::parse) {
        Some(FileName::Segment(id)) => !retained.holds(Address::new(id, 0)),
        _ => false,
    }
}

/// A state with its stream; the global one has no name.
pub(crate) type NamedState = (StreamId, Option<StreamName>, StateAt);

fn named_states(view: &View, state: impl Fn(StreamId) -> Option<StateAt>) -> Vec<NamedState> {
    let global = state(StreamId::GLOBAL).map(|at| (StreamId::GLOBAL, None, at));
    let streams =
        view.streams().filter_map(|(id, defined)| Some((id, Some(defined.name.clone()), state(id)?)));
    global.into_iter().chain(streams).collect()
}

/// The error for checkpoints that were pruned, or compacted into the one that the log begins with.
pub(crate) fn gap(first: Sequence, retained: &Retained) -> Error {
    let oldest = retained.first_sequence;
    let last = oldest.previous().max(first);
    let what = match retained.compacted {
        Some(_) if first == oldest => {
            format!(
                "{oldest} was compacted: it is for who begins there, and does not tell what was deleted before it"
            )
        }
        Some(_) => format!("they were compacted into checkpoint {oldest}, which tells what was left of them"),
        None => format!("they were pruned; the oldest that is kept is {oldest}"),
    };
    Error::new(ErrorKind::Gap { first, last }, what)
}

/// The error for checkpoints that damage took.
pub(crate) fn lost(first: Sequence, note: &Repaired) -> Error {
    Error::new(
        ErrorKind::Gap { first, last: note.last },
        format!("they were lost to damage ({}) and given up by repair {}", note.why, note.repair),
    )
}

/// A log that another process may be writing. Nothing here writes.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub files: Arc<Files>,
    state: Mutex<Seen>,
    /// Tells when a living writer has written the mark; made when somebody waits.
    watch: OnceLock<Option<Box<dyn Watch>>>,
    /// It is read as it was at one mark, whatever comes behind it.
    is_fixed: bool,
}

/// What was read so far.
#[derive(Debug)]
struct Seen {
    view: View,
    replay: Replay,
    end: Address,
    /// A writer lived when this was read.
    live: bool,
    generation: u64,
    confirmed: Sequence,
    unconfirmed: Option<Unconfirmed>,
}

/// What the end of a log that nobody writes is worth.
#[derive(Debug, Clone)]
pub(crate) struct Unconfirmed {
    /// What the next opening for writing would say.
    pub text: String,
    /// It would drop something.
    pub torn: bool,
}

/// A reader that meets a writer in the middle of an opening or a pruning looks again so often.
const ATTEMPTS: usize = 50;
const AGAIN: Duration = Duration::from_millis(10);
const POLL_MIN: Duration = Duration::from_micros(500);
const POLL_MAX: Duration = Duration::from_millis(10);

impl Foreign {
    pub(crate) fn open(storage: Arc<dyn Storage>) -> Result<Foreign> {
        let (files, seen) = read(storage)?;
        Ok(Foreign {
            files: Arc::new(files),
            state: Mutex::new(seen),
            watch: OnceLock::new(),
            is_fixed: false,
        })
    }

    /// The log as this mark says that it was, whatever stands behind it. It is never looked at again.
    pub(crate) fn open_at(storage: Arc<dyn Storage>, mark: &Mark) -> Result<Foreign> {
        let (files, seen) = read_to(storage, mark)?;
        Ok(Foreign {
            files: Arc::new(files),
            state: Mutex::new(seen),
            watch: OnceLock::new(),
            is_fixed: true,
        })
    }

    /// How far it was read, as a mark says such things.
    pub(crate) fn mark(&self) -> Mark {
        let seen = self.state.lock();
        Mark {
            log: self.files.log,
            generation: seen.generation,
            boot: None,
            pid: std::process::id(),
            epoch: seen.replay.epoch,
            durable: seen.end,
            sequence: seen.view.last.sequence,
            id: seen.view.last.id,
            active: seen.end.segment(),
            waypoint: seen.replay.waypoint,
            first_live: seen.view.retained.first_live,
            clean: false,
        }
    }

    pub(crate) fn unconfirmed(&self) -> Option<Unconfirmed> {
        self.state.lock().unconfirmed.clone()
    }

    /// Learns what was committed since.
    pub(crate) fn refresh(&self) -> Result<()> {
        if self.is_fixed {
            return Ok(());
        }
        let storage = &self.files.storage;
        let mark = read_mark(&**storage)?;
        let mut seen = self.state.lock();
        let Some(mark) = mark.filter(|mark| mark.generation != seen.generation) else { return Ok(()) };
        let goes_on = seen.live && mark.durable >= seen.end && mark.log == self.files.log;
        if goes_on && self.advance(&mut seen, &mark).is_ok() {
            return Ok(());
        }
        // A writer came or went, or what was to be read next is pruned: from the newest snapshot, then.
        let (files, fresh) = read(storage.clone())?;
        if files.log != self.files.log {
            return Err(Error::new(ErrorKind::Diverged, "another log stands in this directory now"));
        }
        *seen = fresh;
        Ok(())
    }

    fn advance(&self, seen: &mut Seen, mark: &Mark) -> Result<()> {
        let Seen { view, replay, .. } = seen;
        replay.refresh();
        replay.run(&self.files, Some(mark.durable), |event| view.apply(&self.files, &event))?;
        if replay.end() < mark.durable {
            return Err(self.files.damaged(replay.end(), "the chain of frames ends below the durable mark"));
        }
        check_mark(&self.files, mark, replay.end(), &view.last)?;
        seen.end = mark.durable;
        seen.generation = mark.generation;
        seen.confirmed = mark.sequence;
        Ok(())
    }

    fn wait_beyond(&self, beyond: Sequence, timeout: Duration) -> Result<bool> {
        let deadline = System.elapsed().saturating_add(timeout);
        let mut pause = POLL_MIN;
        loop {
            self.refresh()?;
            if self.state.lock().view.last.sequence > beyond {
                return Ok(true);
            }
            let left = deadline.saturating_sub(System.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            self.pause(pause.min(left))?;
            pause = (pause * 2).min(POLL_MAX);
        }
    }

    /// Returns when the mark was written, as far as the system tells, or after `timeout`.
    fn pause(&self, timeout: Duration) -> Result<()> {
        let storage = &self.files.storage;
        let io = |e| Error::io("watching the mark", names::MARK, e);
        let watch = match self.watch.get() {
            Some(watch) => watch,
            None => {
                // What was written before there was a watch is seen by looking again at once.
                let made = storage.watch(names::MARK).map_err(io)?;
                drop(self.watch.set(made));
                return Ok(());
            }
        };
        match watch {
            Some(watch) => watch.wait(timeout).map_err(io),
            None => {
                sleep(timeout);
                Ok(())
            }
        }
    }
}

impl Seen {
    fn horizon(&self) -> Horizon {
        Horizon {
            end: self.end,
            last: self.view.last,
            confirmed: self.confirmed,
            retained: self.view.retained.clone(),
        }
    }
}

/// Reads a log from its newest snapshot, whoever writes it or not.
fn read(storage: Arc<dyn Storage>) -> Result<(Files, Seen)> {
    let mut attempt = 0;
    recovery::Survey::of(&*storage)?.check_settled(&*storage)?;
    loop {
        let live = lock::is_held(&*storage)?;
        let result = if live { read_live(storage.clone()) } else { read_still(storage.clone()) };
        attempt += 1;
        match result {
            // A writer that lives moves things under our feet; looking again settles it.
            Err(error) if attempt < ATTEMPTS && is_passing(&error) && lock::is_held(&*storage)? => {
                sleep(AGAIN);
            }
            other => return other,
        }
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
}

/// Up to the mark of a living writer.
fn read_live(storage: Arc<dyn Storage>) -> Result<(Files, Seen)> {
    let Some(mark) = read_mark(&*storage)? else {
        return Err(Error::not_found(format!("{} is just being made; try again", storage.path().display())));
    };
    read_to(storage, &mark)
}

/// Up to a mark.
fn read_to(storage: Arc<dyn Storage>, mark: &Mark) -> Result<(Files, Seen)> {
    let files = Files::new(storage, mark.log, Access::Read);
    let (snapshot, mut replay) = Replay::from(&files, mark.waypoint)?;
    let mut events = Vec::new();
    replay.run(&files, Some(mark.durable), |event| {
        events.push(event);
        Ok(())
    })?;
    if replay.end() < mark.durable {
        return Err(files.damaged(replay.end(), "the chain of frames ends below the durable mark"));
    }
    let view = View::rebuild(&files, &snapshot, &events)?;
    check_mark(&files, mark, replay.end(), &view.last)?;
    let seen = Seen {
        view,
        replay,
        end: mark.durable,
        live: true,
        generation: mark.generation,
        confirmed: mark.sequence,
        unconfirmed: None,
    };
    Ok((files, seen))
}

/// What recovery would accept.
fn read_still(storage: Arc<dyn Storage>) -> Result<(Files, Seen)> {
    let path = storage.path().display().to_string();
    let Look::Log(found) = recovery::look(storage, Access::Read, System.boot())? else {
        return Err(Error::not_found(format!("there is no log at {path}")));
    };
    let confirmed = found.mark.map_or(Sequence::NONE, |mark| mark.sequence);
    let last = found.view.last.sequence;
    let unopened = "nobody has opened this log for writing since it was last written";
    let text = match found.row {
        Row::Torn => Some(format!(
            "{unopened}; opening it will drop a torn write behind checkpoint {last} ({})",
            found.why
        )),
        Row::Uncommitted => {
            let (frames, bytes) = found.replay.loose;
            Some(format!(
                "{unopened}; opening it will drop {frames} uncommitted frames ({bytes} bytes) behind checkpoint {last}"
            ))
        }
        _ if confirmed < last => {
            Some(format!("{unopened}; a power cut could still take the last checkpoints back"))
        }
        _ => None,
    };
    let unconfirmed = text.map(|text| Unconfirmed { text, torn: found.row == Row::Torn });
    let seen = Seen {
        end: found.replay.accepted.max(found.durable),
        view: found.view,
        replay: found.replay,
        live: false,
        generation: found.mark.map_or(0, |mark| mark.generation),
        confirmed,
        unconfirmed,
    };
    Ok((found.files, seen))
}
