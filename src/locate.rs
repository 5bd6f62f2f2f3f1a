//! Finding a checkpoint by its number.

use std::sync::Arc;

use crate::error::Result;
use crate::format::BLOCK;
use crate::format::commit::Commit;
use crate::format::frame::Kind;
use crate::format::note::{Repaired, Seal};
use crate::format::snapshot::{LastCheckpoint, Retained};
use crate::position::{Address, CheckpointId, SegmentId, Sequence};
use crate::segment::{Files, Walker};
use crate::view::read_start;

/// The segment in which the commit of `sequence` lies: the last that begins before it. `last` has to have begun.
pub(crate) fn segment_of(
    files: &Files,
    first: SegmentId,
    last: SegmentId,
    sequence: Sequence,
) -> Result<SegmentId> {
    let (mut low, mut high) = (first.0, last.0);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let (_, start) = read_start(files, SegmentId(middle))?;
        if start.snapshot.last.sequence < sequence { low = middle } else { high = middle - 1 }
    }
    Ok(SegmentId(low))
}

/// The checkpoint in front of the oldest that is kept. It was pruned, but the log still knows its name: a destination or a
/// consumer may stand exactly there. `None` if it is not known, as after some repairs.
pub(crate) fn pruned_last(files: &Files, retained: &Retained) -> Result<Option<(Address, CheckpointId)>> {
    let wanted = retained.first_sequence.previous();
    let mut last = read_start(files, retained.first_live)?.1.snapshot.last;
    let mut walker = Walker::new(files.get(retained.first_live)?, BLOCK);
    while last.sequence < wanted {
        let Some((commit, at)) = next_commit(files, &mut walker, Address(u64::MAX))? else { break };
        (last.sequence, last.id, last.at) = (commit.head.sequence, commit.head.id, at);
    }
    let is_known = last.sequence == wanted && last.id != CheckpointId::NONE;
    Ok(is_known.then_some((last.at.max(Address::new(retained.first_live, BLOCK)), last.id)))
}

/// Which checkpoint has this number, at most the last's; `None` if that is not known any more.
pub(crate) fn identity(
    files: &Arc<Files>,
    retained: &Retained,
    last: &LastCheckpoint,
    sequence: Sequence,
) -> Result<Option<CheckpointId>> {
    if sequence == last.sequence {
        return Ok(Some(last.id));
    }
    if sequence.next() == retained.first_sequence {
        return Ok(pruned_last(files, retained)?.map(|(_, id)| id));
    }
    if sequence < retained.first_sequence {
        return Ok(None);
    }
    if sequence == retained.first_sequence
        && let Some(base) = base_commit(files, retained)?
    {
        return Ok(Some(base.head.id));
    }
    let newest = last.at.segment();
    let segment = segment_of(files, retained.first_live, newest, sequence)?;
    let mut walker = near(files, segment, segment < newest, sequence)?;
    while let Some((commit, _)) = next_commit(files, &mut walker, Address(u64::MAX))? {
        if commit.head.sequence >= sequence {
            return Ok(Some(commit.head.id).filter(|_| commit.head.sequence == sequence));
        }
    }
    Ok(None)
}

/// The base checkpoint that the log begins with, if it was compacted.
pub(crate) fn base_commit(files: &Files, retained: &Retained) -> Result<Option<Commit>> {
    let Some(base) = &retained.compacted else { return Ok(None) };
    let body = files.body(base.commit, Kind::Commit)?;
    let commit = Commit::decode(&body, base.commit).map_err(|e| files.damaged(base.commit, e))?;
    if commit.head.sequence != retained.first_sequence || commit.compacted.is_none() {
        let what = format!("expected base checkpoint {}", retained.first_sequence);
        return Err(files.damaged(base.commit, format!("{what}, found checkpoint {}", commit.head.sequence)));
    }
    Ok(Some(commit))
}

/// The seal of a segment, which the start frame of the next one points to.
pub(crate) fn read_seal(files: &Files, segment: SegmentId) -> Result<Seal> {
    let (_, start) = read_start(files, segment.next())?;
    let body = files.body(start.previous_seal, Kind::Seal)?;
    Seal::decode(&body).map_err(|e| files.damaged(start.previous_seal, e))
}

/// A walker at the commit of `sequence`, or at a frame not far before it.
pub(crate) fn near(
    files: &Arc<Files>,
    segment: SegmentId,
    is_sealed: bool,
    sequence: Sequence,
) -> Result<Walker> {
    let mut offset = BLOCK;
    if is_sealed {
        let seal = read_seal(files, segment)?;
        let known = seal.directory.iter().rev().find(|(known, _)| *known <= sequence);
        offset = known.map_or(BLOCK, |(_, offset)| *offset);
    }
    Ok(Walker::new(files.get(segment)?, offset))
}

/// What comes next on the way through the log.
#[derive(Debug)]
pub(crate) enum Met {
    Commit(Commit, Address),
    /// These checkpoints are missing: damage took them, and a repair gave them up.
    Lost(Repaired),
}

/// Reads forward to the next commit before `end`; `None` if there is none.
pub(crate) fn next_commit(
    files: &Files,
    walker: &mut Walker,
    end: Address,
) -> Result<Option<(Commit, Address)>> {
    loop {
        match next(files, walker, end)? {
            Some(Met::Commit(commit, at)) => return Ok(Some((commit, at))),
            Some(Met::Lost(_)) => {}
            None => return Ok(None),
        }
    }
}

/// Reads forward to the next commit, or place where some are missing.
pub(crate) fn next(files: &Files, walker: &mut Walker, end: Address) -> Result<Option<Met>> {
    while walker.address() < end {
        let at = walker.address();
        let header = walker.header()?.map_err(|fault| files.damaged(at, fault))?;
        match header.kind {
            Kind::Commit => {
                let body = walker.body(&header)?.map_err(|fault| files.damaged(at, fault))?;
                walker.step(&header);
                let commit = Commit::decode(&body, at).map_err(|e| files.damaged(at, e))?;
                return Ok(Some(Met::Commit(commit, at)));
            }
            Kind::Repaired => {
                let body = walker.body(&header)?.map_err(|fault| files.damaged(at, fault))?;
                walker.step(&header);
                let note = Repaired::decode(&body).map_err(|e| files.damaged(at, e))?;
                if note.skipped {
                    return Ok(Some(Met::Lost(note)));
                }
            }
            Kind::Seal => {
                let next = walker.segment().id().next();
                if Address::new(next, BLOCK) >= end {
                    return Ok(None);
                }
                *walker = Walker::new(files.get(next)?, BLOCK);
            }
            _ => walker.step(&header),
        }
    }
    Ok(None)
}
