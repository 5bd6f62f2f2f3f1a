//! Which consumers there are: registering one, reading its position, dropping it.

use std::time::Duration;

use crate::consumer::Start;
use crate::error::{Error, ErrorKind, Result};
use crate::format::consumer::{CONSUMER_FILE, ConsumerState, MaxLag};
use crate::format::names;
use crate::locate;
use crate::lock;
use crate::notes::{self, By, Note, What};
use crate::origin::{Horizon, Origin, gap};
use crate::position::{Address, CheckpointId, Position, Sequence};
use crate::protection::Protection;
use crate::reader::Reader;
use crate::storage::{self, Access, LockMode, Storage};
use crate::sync::sleep;

pub(super) fn find_checkpoint(origin: &Origin, sequence: Sequence) -> Result<(Address, CheckpointId)> {
    let horizon = origin.horizon()?;
    if sequence > horizon.last.sequence {
        return Err(Error::new(
            ErrorKind::Diverged,
            format!(
                "the destination holds checkpoint {sequence}, this log ends at {}",
                horizon.last.sequence
            ),
        ));
    }
    if sequence.next() == horizon.retained.first_sequence
        && let Some(found) = locate::pruned_last(origin.files(), &horizon.retained)?
    {
        return Ok(found);
    }
    let mut reader = Reader::new(origin.clone(), sequence)?;
    match reader.next()? {
        Some(checkpoint) => Ok((checkpoint.at(), checkpoint.position().checkpoint)),
        None => Err(Error::not_found(format!("there is no checkpoint {sequence}"))),
    }
}

/// Whether a destination's position is on this log's history, and what follows it is there.
pub(crate) fn check_position(origin: &Origin, stored: Position) -> Result<()> {
    let diverged = |what: String| Err(Error::new(ErrorKind::Diverged, format!("position {stored} {what}")));
    if stored.log != origin.log() {
        return diverged(format!("is of another log; this is {}", origin.log()));
    }
    let horizon = origin.horizon()?;
    if !horizon.retained.follows(stored.sequence) {
        return Err(gap(stored.sequence.next(), &horizon.retained));
    }
    if stored.sequence == Sequence::NONE {
        return Ok(());
    }
    match find_checkpoint(origin, stored.sequence)? {
        (_, id) if id != stored.checkpoint => {
            diverged(format!("is not on this log's history: checkpoint {} is {id} here", stored.sequence))
        }
        _ => Ok(()),
    }
}

/// What was acknowledged has to be on this log's history: after a repair its number may belong to another checkpoint.
pub(super) fn check_history(origin: &Origin, name: &str, state: &ConsumerState) -> Result<()> {
    if state.id == CheckpointId::NONE || Protection::PositionIdentity.is_off() {
        return Ok(());
    }
    let diverged = |what: String| {
        let text = format!("consumer {name} has acknowledged checkpoint {}, {what}", state.sequence);
        Err(Error::new(ErrorKind::Diverged, text))
    };
    match find_checkpoint(origin, state.sequence) {
        Ok((_, id)) if id != state.id => diverged(format!("{}; here it is {id}", state.id)),
        Err(error) if *error.kind() == ErrorKind::Diverged => {
            diverged("which this log does not hold (any more)".to_owned())
        }
        Err(error) if !matches!(error.kind(), ErrorKind::Gap { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Whether what a consumer acknowledged is another history. What can't be read is told by who reads it.
pub(crate) fn is_diverged(origin: &Origin, name: &str, state: &ConsumerState) -> bool {
    state.log != origin.log()
        || check_history(origin, name, state).is_err_and(|error| *error.kind() == ErrorKind::Diverged)
}

/// Who has a consumer, in words.
pub(super) fn user(storage: &dyn Storage, file_name: &str) -> String {
    match storage.locker(file_name) {
        Some(process) if process == std::process::id() => "another part of this process".to_owned(),
        Some(process) => format!("process {process}"),
        None => "another process or another part of this one".to_owned(),
    }
}

pub(super) fn check_name(name: &str) -> Result<()> {
    if names::is_valid(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name:?} can't name a consumer; use up to 100 letters, digits, '.', '_', '-'"
    )))
}

/// Makes a new consumer's file, whole and durable before it has its name; then whoever looks for consumers sees it. The
/// caller looks whether a pruning passed it meanwhile: who comes second sees the other.
pub(crate) fn register(origin: &Origin, name: &str, start: Start, max_lag: Option<MaxLag>) -> Result<()> {
    let storage = &*origin.files().storage;
    let (made, file_name) = (names::new_consumer(name), names::consumer(name));
    let state = ConsumerState { max_lag, ..starting(origin, start)? };
    let io = |e| Error::io(format!("registering consumer {name}"), &file_name, e);
    // Two may register one name at once: the second must not replace what the first has.
    let lock = storage.try_lock(&made, LockMode::Exclusive).map_err(io)?;
    if lock.is_none() || read_state(storage, name)?.is_some() {
        return Err(Error::new(
            ErrorKind::ConsumerBusy,
            format!("consumer {name} is being registered by another"),
        ));
    }
    let make = || -> std::io::Result<()> {
        let file = storage.open(&made, Access::Create)?;
        file.allocate(CONSUMER_FILE as u64)?;
        storage::write_all_at(&*file, &[&state.encode()], state.slot_offset())?;
        file.sync()?;
        storage.rename(&made, &file_name)?;
        storage::sync_names(storage)
    };
    make().map_err(|e| {
        let _ = storage.remove(&made);
        io(e)
    })
}

/// A position that one can go on from. Asked before anything is made, so that a refusal leaves nothing.
fn following(sequence: Sequence, horizon: &Horizon) -> Result<Sequence> {
    match horizon.retained.follows(sequence) {
        true => Ok(sequence),
        false => Err(gap(sequence.next(), &horizon.retained)),
    }
}

/// Whether the log begins with a base checkpoint that takes in everything since it was created.
fn begins_complete(origin: &Origin, horizon: &Horizon) -> Result<bool> {
    let base = locate::base_commit(origin.files(), &horizon.retained)?;
    Ok(base.and_then(|commit| commit.compacted).is_some_and(|compacted| compacted.from == Sequence::FIRST))
}

/// The first state of a consumer that begins there.
pub(super) fn starting(origin: &Origin, start: Start) -> Result<ConsumerState> {
    let horizon = origin.horizon()?;
    let oldest = horizon.retained.first_sequence.previous();
    let sequence = match start {
        Start::Earliest if begins_complete(origin, &horizon)? => oldest,
        Start::Earliest => following(Sequence::NONE, &horizon)?,
        Start::Oldest => oldest,
        Start::Now => horizon.last.sequence,
        Start::After(sequence) => following(sequence, &horizon)?,
    };
    let (at, id) = if sequence == horizon.last.sequence {
        (horizon.last.at, horizon.last.id)
    } else if sequence == Sequence::NONE || !horizon.retained.follows(sequence) {
        // Who begins with a base checkpoint stands nowhere before.
        (Address::NONE, CheckpointId::NONE)
    } else {
        match find_checkpoint(origin, sequence) {
            // Pruned: whoever reads on from here is told.
            Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => {
                (Address::NONE, CheckpointId::NONE)
            }
            found => found?,
        }
    };
    let at = if at.is_none() { Address::new(horizon.retained.first_live, crate::format::BLOCK) } else { at };
    let start = if start == Start::Earliest { Sequence::NONE } else { sequence };
    let (log, ahead) = (origin.log(), Vec::new());
    Ok(ConsumerState { log, generation: 1, sequence, id, start, at, max_lag: None, ahead })
}

/// Whether a consumer could begin there; behind which checkpoint it would stand.
pub(crate) fn check_start(origin: &Origin, start: Start) -> Result<Sequence> {
    starting(origin, start).map(|state| state.sequence)
}

/// A consumer's position; `None` if it was never registered. A file that can't be read is an error: it never means that nobody needs the records.
pub(crate) fn read_state(storage: &dyn Storage, name: &str) -> Result<Option<ConsumerState>> {
    let file_name = names::consumer(name);
    match read_settled(storage, &file_name) {
        Ok(bytes) => match ConsumerState::newest(&bytes) {
            Some(state) => Ok(Some(state)),
            None => Err(Error::corrupt(
                file_name,
                0,
                format!(
                    "no slot holds a position of consumer {name}; it gets nothing, and nothing is pruned, until it is moved or dropped"
                ),
            )),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("reading a consumer's position", file_name, e)),
    }
}

/// A consumer's file. It was whole before it had its name, so an empty one is damage; unless somebody opens a consumer that
/// another drops at that moment: then its lock makes an empty file, which goes at once.
fn read_settled(storage: &dyn Storage, file_name: &str) -> std::io::Result<Vec<u8>> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let bytes = storage::read_small(&*storage.open(file_name, Access::Read)?, CONSUMER_FILE)?;
        if !bytes.is_empty() {
            return Ok(bytes);
        }
        sleep(Duration::from_millis(5));
    }
    Ok(Vec::new())
}

/// Whether it has a file, of whatever content.
fn is_registered(storage: &dyn Storage, name: &str) -> Result<bool> {
    Ok(crate::recovery::Survey::of(storage)?.consumers.iter().any(|known| known == name))
}

/// Where a consumer would stand that is moved; what would refuse that, refuses this. Who uses it is asked of the system, where that can
/// tell: a lock, however short, could keep somebody from it.
pub(crate) fn plan_seek(origin: &Origin, name: &str, start: Start) -> Result<Sequence> {
    check_name(name)?;
    let storage = &*origin.files().storage;
    if !is_registered(storage, name)? {
        return Err(unknown(name));
    }
    if storage.locker(&names::consumer(name)).is_some() {
        return Err(in_use(storage, name));
    }
    Ok(aim(origin, start)?.sequence)
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("no consumer {name} in this log"))
}

/// Where a consumer stands that is moved there.
fn aim(origin: &Origin, start: Start) -> Result<ConsumerState> {
    let last = origin.horizon()?.last.sequence;
    match start {
        Start::After(sequence) if sequence > last => Err(Error::not_found(format!(
            "the log's last checkpoint is {last}; nothing stands behind {sequence}"
        ))),
        _ => starting(origin, start),
    }
}

fn in_use(storage: &dyn Storage, name: &str) -> Error {
    let user = user(storage, &names::consumer(name));
    Error::new(ErrorKind::ConsumerBusy, format!("consumer {name} is in use by {user}; end that first"))
}

/// Moves a consumer that nobody uses. It is asked of nothing that it says of its place, so one that has diverged, or whose file is damaged, can be moved,
/// too. Its lag policy stays; streams that were acknowledged further are forgotten. Returns where it stands.
pub(crate) fn seek(origin: &Origin, name: &str, start: Start, by: Option<By<'_>>) -> Result<Sequence> {
    check_name(name)?;
    by.map_or(Ok(()), |by| by.check())?;
    let storage = &*origin.files().storage;
    let file_name = names::consumer(name);
    let io = |e| Error::io(format!("moving consumer {name}"), &file_name, e);
    // Before the lock, which would make the file.
    if !is_registered(storage, name)? {
        return Err(unknown(name));
    }
    let lock = storage.try_lock(&file_name, LockMode::Exclusive).map_err(io)?;
    let _lock = lock.ok_or_else(|| in_use(storage, name))?;
    let file = storage.open(&file_name, Access::Write).map_err(io)?;
    // The newest slot has to be durable before an older one is written over.
    file.sync().map_err(io)?;
    let before = match read_state(storage, name) {
        Ok(state) => Some(state.ok_or_else(|| unknown(name))?),
        // Damage to what it says of its place is mended by giving it one.
        Err(error) if *error.kind() == ErrorKind::Corrupt => None,
        Err(error) => return Err(error),
    };
    // No pruning passes the new place before it is written.
    let turn = lock::turn_to_hold(storage)?;
    let after = ConsumerState {
        generation: before.as_ref().map_or(1, |before| before.generation + 1),
        max_lag: before.as_ref().and_then(|before| before.max_lag),
        ..aim(origin, start)?
    };
    if before.is_none() {
        file.allocate(CONSUMER_FILE as u64).map_err(io)?;
    }
    storage::write_all_at(&*file, &[&after.encode()], after.slot_offset()).map_err(io)?;
    file.sync().map_err(io)?;
    let (from, to) = (before.map(|before| before.sequence), Some(after.sequence));
    notes::add(storage, &note(origin, name, from, to, by)?, &*turn)?;
    Ok(after.sequence)
}

/// What was done to a consumer, now.
fn note(
    origin: &Origin,
    consumer: &str,
    from: Option<Sequence>,
    to: Option<Sequence>,
    by: Option<By<'_>>,
) -> Result<Note> {
    Ok(Note {
        time_us: origin.now_us(),
        after: origin.horizon()?.last.sequence,
        what: What::Consumer { consumer: consumer.to_owned(), from, to },
        who: by.map(|by| by.who.to_owned()),
        why: by.map(|by| by.why.to_owned()),
    })
}

/// Forgets a consumer: nothing is kept for it any more.
pub(crate) fn drop_consumer(origin: &Origin, name: &str, by: Option<By<'_>>) -> Result<()> {
    check_name(name)?;
    by.map_or(Ok(()), |by| by.check())?;
    let storage = &*origin.files().storage;
    let file_name = names::consumer(name);
    if !is_registered(storage, name)? {
        return Err(Error::not_found(format!("no consumer {name} in this log")));
    }
    let io = |e| Error::io("dropping a consumer", &file_name, e);
    let lock = storage.try_lock(&file_name, LockMode::Exclusive).map_err(io)?;
    if lock.is_none() {
        return Err(in_use(storage, name));
    }
    // One whose file is damaged can be dropped: that is what it takes to go on.
    let from = read_state(storage, name).ok().flatten().map(|state| state.sequence);
    storage.remove(&file_name).map_err(io)?;
    drop(lock); // held until nobody can find the file any more
    storage::sync_names(storage).map_err(io)?;
    let turn = lock::turn_to_hold(storage)?;
    notes::add(storage, &note(origin, name, from, None, by)?, &*turn)
}
