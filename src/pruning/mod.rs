//! Pruning: removing whole old segments that nobody needs. Planned first; the switch is one frame.
//!
//! What lives on of the segments that go (states, definitions) is copied into a base file, which is flushed before the
//! switch. A crash before the switch leaves a file that nobody names; after it, segments that nobody needs.

mod base;
mod hold;
mod units;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::config::Retention;
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::Commit;
use crate::format::note::Pruned;
use crate::format::snapshot::Retained;
use crate::format::{BLOCK, names};
use crate::journal::Journal;
use crate::locate;
use crate::lock;
use crate::origin::{Horizon, Origin};
use crate::position::{Address, SegmentId, Sequence};
use crate::protection::Protection;
use crate::recovery::Survey;
use crate::segment::Files;
use crate::storage;
use crate::view::read_start;

pub(crate) use base::{next_number, restore_reserve, write as write_base};
pub use hold::Holder;
pub(crate) use hold::{
    Holds, Purpose, bytes_between, check_lag, consumers, positions, somebody_lags, what_holds,
};
pub(crate) use units::move_out;

/// What a pruning removes, or did remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pruning {
    /// Whole segments.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The oldest checkpoint that is kept.
    pub first: Sequence,
    /// What keeps the rest.
    pub held_by: String,
    /// Consumers that fell behind further than they may, and are left behind.
    pub detached: Vec<String>,
}

/// A log without consumers is not pruned by itself, only when somebody asks: at the cap that would be silent loss.
pub(crate) fn prune_for_room(journal: &Journal) -> Result<bool> {
    if Survey::of(journal.storage())?.consumers.is_empty() {
        return Ok(false);
    }
    let spares = journal.state().spares.len();
    let pruned = prune(journal, &journal.config.retention)?;
    Ok(pruned.segments > 0 || journal.state().spares.len() > spares)
}

/// What would be removed. Changes nothing.
pub(crate) fn plan(origin: &Origin, retention: &Retention) -> Result<Pruning> {
    let horizon = origin.horizon()?;
    let holds = Holds::of(origin, &horizon, retention, Purpose::Prune)?;
    let first_live = cut(origin.files(), &horizon, holds.keep_from(), Lows::default())?;
    describe(origin.files(), &horizon, &holds, first_live)
}

/// Prunes. Blocks for a few flushes; appends go on meanwhile.
pub(crate) fn prune(journal: &Journal, retention: &Retention) -> Result<Pruning> {
    let _span = tracing::info_span!("highwater.prune").entered();
    alone(journal, || prune_alone(journal, retention))
}

/// One at a time prunes or compacts.
pub(crate) fn alone<T>(journal: &Journal, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let one = journal.pruning.lock();
    if one.swap(true, Ordering::Relaxed) {
        // This very thread prunes already, and ran out of room on the way.
        return Err(Error::new(ErrorKind::Full, "there is no room for what pruning has to write"));
    }
    let result = act();
    one.store(false, Ordering::Relaxed);
    result
}

fn prune_alone(journal: &Journal, retention: &Retention) -> Result<Pruning> {
    journal.flush_all()?;
    let origin_horizon = horizon(journal);
    let holds = Holds::of_journal(journal, &origin_horizon, retention, Purpose::Prune)?;
    let files = &journal.files;
    let lows = Lows { active: active_low(journal), ..Lows::default() };
    let wanted = cut(files, &origin_horizon, holds.keep_from(), lows)?;
    if wanted <= origin_horizon.retained.first_live && !drops_base(&origin_horizon, &holds) {
        clean_up(journal)?; // what an earlier opening left
        return describe(files, &origin_horizon, &holds, wanted);
    }
    // Uncommitted records of slow streams move to the head; what can't move now stays, and so does its segment.
    let floor = units::move_out(journal, wanted)?;
    journal.flush_all()?;
    let now = horizon(journal);
    let first_live =
        cut(files, &now, holds.keep_from(), Lows { active: active_low(journal), units: Some(floor) })?;
    let report = describe(files, &origin_horizon, &holds, first_live)?;
    if first_live <= now.retained.first_live && !drops_base(&now, &holds) {
        return Ok(report);
    }
    let before = now.retained.clone();
    let retained = write_base(journal, &before, first_live, holds.keep_from(), None)?;
    if Protection::SwitchBeforeUnlink.is_off() {
        for id in now.retained.first_live.0..first_live.0 {
            let name = names::segment(SegmentId(id));
            journal.storage().remove(&name).map_err(|e| Error::io("removing a segment", name, e))?;
        }
    }
    if !switch_to(journal, &holds, retained)? {
        return Ok(Pruning { segments: 0, bytes: 0, first: before.first_sequence, ..report });
    }
    tracing::info!(segments = report.segments, bytes = report.bytes, first = %report.first, "pruned");
    Ok(report)
}

/// How long a pruning waits for those who say what they need.
const TURN: Duration = Duration::from_secs(2);

/// Makes the switch, and removes what nobody needs behind it. `false`: somebody came meanwhile who needs what was to go, or is
/// just coming, and nothing has changed.
pub(crate) fn switch_to(journal: &Journal, holds: &Holds, retained: Retained) -> Result<bool> {
    let turn = lock::turn(journal.storage(), TURN)?;
    let late = match &turn {
        Some(_) => latecomer(journal, holds, &retained)?,
        None => Some("somebody who is just registering".to_owned()),
    };
    if let Some(late) = late {
        tracing::info!(who = late, "came during a pruning, which is given up");
        clean_up(journal)?;
        return Ok(false);
    }
    switch(journal, holds, retained)?;
    drop(turn);
    clean_up(journal)?;
    restore_reserve(journal);
    journal.notify();
    Ok(true)
}

/// Whether the log begins with a base checkpoint that nobody needs.
fn drops_base(horizon: &Horizon, holds: &Holds) -> bool {
    horizon.retained.compacted.is_some() && holds.keep_from() > horizon.retained.first_sequence
}

pub(crate) fn horizon(journal: &Journal) -> Horizon {
    let state = journal.state();
    Horizon {
        end: state.durable,
        last: state.high_water,
        confirmed: state.high_water.sequence,
        retained: state.view.retained.clone(),
    }
}

/// What is known to need segments beside the commits of the sealed ones.
#[derive(Debug, Default)]
pub(crate) struct Lows {
    /// The lowest address that a commit of a segment names, if that is the active one and its commits need not be read.
    pub active: Option<(SegmentId, Address)>,
    /// The lowest of what is not committed.
    pub units: Option<Address>,
}

fn active_low(journal: &Journal) -> Option<(SegmentId, Address)> {
    let state = journal.state();
    let low = state.view.segment_low;
    Some((state.head.segment.id(), if low.is_none() { Address(u64::MAX) } else { low }))
}

/// The first segment to be kept, if checkpoints from `keep` on are: every segment that one of them names is kept, too, and every state
/// that may be in force.
pub(crate) fn cut(files: &Files, horizon: &Horizon, keep: Sequence, lows: Lows) -> Result<SegmentId> {
    let first = horizon.retained.first_live;
    if horizon.last.sequence == Sequence::NONE
        || keep <= horizon.retained.first_sequence
            && (first == SegmentId::FIRST || horizon.retained.compacted.is_some())
    {
        return Ok(first);
    }
    let last = horizon.last.at.segment();
    let from = locate::segment_of(files, first, last, keep.max(Sequence::FIRST))?;
    let start = Address::new(from, BLOCK);
    let mut low = lows.units.unwrap_or(Address(u64::MAX)).min(start);
    for id in (from.0..=last.0).map(SegmentId) {
        let known = match lows.active {
            Some((active, low)) if active == id => Some(low),
            _ if id == last => None,
            _ => Some(locate::read_seal(files, id)?.low).filter(|low| !low.is_none()),
        };
        // That of the first counts commits in that go. Without a look at each of them, a large one would hold its records as long as
        // anything behind it is kept in the same segment: on a full disk, where no other segment can begin, for good.
        low = low.min(match known {
            Some(known) if id != from || known >= start => known,
            _ if id == from || id == last => lowest_in(files, id, keep, horizon.end)?,
            _ => continue,
        });
    }
    Ok(low.segment().max(first))
}

/// The lowest address that is needed of what the segment's commits name: all that those from `keep` on name, and the states that those
/// before it have set, which may be in force.
fn lowest_in(files: &Files, segment: SegmentId, keep: Sequence, end: Address) -> Result<Address> {
    let end = end.min(Address::new(segment.next(), 0));
    let mut walker = crate::segment::Walker::new(files.get(segment)?, BLOCK);
    let mut low = Address(u64::MAX);
    while let Some((Commit { head, states, .. }, _)) = locate::next_commit(files, &mut walker, end)? {
        let set = states.iter().filter_map(|change| change.to).map(|state| state.frame).min();
        let needed = if head.sequence < keep { set } else { Some(head.low) };
        low = needed.map_or(low, |needed| low.min(needed));
    }
    Ok(low)
}

fn describe(files: &Files, horizon: &Horizon, holds: &Holds, first_live: SegmentId) -> Result<Pruning> {
    let from = horizon.retained.first_live;
    let goes = first_live > from || drops_base(horizon, holds);
    let mut bytes = 0;
    for id in from.0..first_live.0.max(from.0) {
        bytes += u64::from(files.get(SegmentId(id))?.bytes());
    }
    if goes && let Some(base) = &horizon.retained.compacted {
        bytes += base.files.iter().map(|file| u64::from(file.bytes)).sum::<u64>();
    }
    Ok(Pruning {
        segments: u64::from(first_live.0.saturating_sub(from.0)),
        bytes,
        first: if goes { holds.keep_from() } else { horizon.retained.first_sequence },
        held_by: holds.describe(),
        detached: holds.detached.iter().map(|(name, _)| name.clone()).collect(),
    })
}

fn switch(journal: &Journal, holds: &Holds, retained: Retained) -> Result<()> {
    let time_us = journal.config.environment.now_us();
    journal.note_pruned(&Pruned { time_us, retained, detached: holds.detached.clone() })
}

/// Who has come since the holds were read and needs what is to go: a consumer that registered or moved back, or a pin.
fn latecomer(journal: &Journal, holds: &Holds, retained: &Retained) -> Result<Option<String>> {
    let now = hold::positions(journal.storage())?;
    Ok(now
        .into_iter()
        .filter(|(name, state)| !retained.follows(state.sequence) && !holds.knew(name, state.sequence))
        .map(|(name, _)| format!("consumer {name}"))
        .next()
        .or(hold::late_pin(journal, retained)?))
}

/// Removes what the log no longer names, keeping some segments to be written over. For who opens, prunes or compacts: what is
/// half made is somebody else's otherwise. Safe also after a crash.
pub(crate) fn clean_up(journal: &Journal) -> Result<()> {
    remove_half_made(journal)?;
    // A file that another thread is writing over is neither a spare nor a segment.
    let _making = journal.making.lock();
    // Looked at before the directory: a file that is removed meanwhile is known to be.
    let (retained, known) = {
        let state = journal.state();
        let spares = state.spares.iter().map(|spare| &spare.name);
        let known: HashSet<String> = spares.chain(&state.doomed).cloned().collect();
        (state.view.retained.clone(), known)
    };
    let survey = Survey::of(journal.storage())?;
    let mut removed = false;
    for id in survey.segments.iter().take_while(|id| **id < retained.first_live) {
        let name = names::segment(*id);
        if known.contains(&name) {
            continue;
        }
        removed |= retire(journal, *id, &name)?;
    }
    for id in survey.bases.iter().filter(|id| !retained.files().any(|base| base.id == **id)) {
        journal.files.forget(*id);
        let name = names::segment(*id);
        journal.storage().remove(&name).map_err(|e| Error::io("removing a base file", &name, e))?;
        removed = true;
    }
    if removed {
        let path = journal.storage().path();
        storage::sync_names(journal.storage())
            .map_err(|e| Error::io("flushing the log's directory", path, e))?;
    }
    Ok(())
}

/// Removes a base file whose making did not end.
fn remove_half_made(journal: &Journal) -> Result<()> {
    match journal.storage().remove(names::NEW_BASE) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("removing a base file", names::NEW_BASE, e))
        }
        _ => Ok(()),
    }
}

/// Takes back what was written for a switch that does not come. The first error is what counts.
pub(crate) fn give_up(journal: &Journal) {
    if let Err(error) = clean_up(journal) {
        tracing::debug!(%error, "left for the next pruning to remove");
    }
}

/// Keeps a segment's file to be written over, or removes it.
fn retire(journal: &Journal, id: SegmentId, name: &str) -> Result<bool> {
    let segment = match journal.files.get(id) {
        Ok(segment) => Some(segment),
        // Half-made, or made anew under an old name: only its room counts.
        Err(error) if *error.kind() == ErrorKind::Corrupt => None,
        Err(error) => return Err(error),
    };
    journal.files.forget(id);
    if let Some(segment) = segment {
        // A map may be made again as long as the file has its name; then it must not be written over.
        let usual = journal.config.read_mode != crate::ReadMode::Map
            && segment.bytes() == journal.config.segment_bytes.next_multiple_of(BLOCK);
        let alone = std::sync::Arc::strong_count(&segment) == 1 && !segment.in_use() && segment.links()? == 1;
        let mut state = journal.state();
        if usual && alone && state.spares.len() < journal.config.spare_segments {
            state.spares.push(crate::journal::Spare { name: name.to_owned(), bytes: segment.bytes() });
            return Ok(false);
        }
    }
    journal.dispose(name)
}

/// The snapshot at the beginning of a segment.
pub(crate) fn snapshot_of(files: &Files, segment: SegmentId) -> Result<crate::format::snapshot::Snapshot> {
    Ok(read_start(files, segment)?.1.snapshot)
}
