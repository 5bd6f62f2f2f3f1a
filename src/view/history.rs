//! Whether what was read is one history. An opening or a repair may have dropped whole frames and written over them; where the disk
//! loses that write they are back, valid as ever, and what stands around them may happen to fit.

use super::Event;
use crate::error::Result;
use crate::format::commit::{Commit, Link};
use crate::format::mark::Mark;
use crate::format::snapshot::{LastCheckpoint, Snapshot};
use crate::position::Address;
use crate::segment::Files;

/// A commit names the checkpoint that it comes behind, and that has to be the one before it.
pub(crate) fn check_follows(
    files: &Files,
    last: &LastCheckpoint,
    commit: &Commit,
    at: Address,
) -> Result<()> {
    if commit.head.previous == Link::to(last.id) {
        return Ok(());
    }
    let what = format!(
        "checkpoint {} does not come behind the one before it, {} ({}): what had been written over is back",
        commit.head.sequence, last.sequence, last.id
    );
    Err(files.damaged(at, what))
}

/// The last checkpoint is the one that was the last when the log's end was looked at.
pub(crate) fn check_same(files: &Files, found: &LastCheckpoint, last: &LastCheckpoint) -> Result<()> {
    if found.id == last.id {
        return Ok(());
    }
    let what = format!(
        "checkpoint {} is another, {}, than the log's last, {}: what had been written over is back",
        found.sequence, found.id, last.id
    );
    Err(files.damaged(found.at, what))
}

/// The last checkpoint behind a snapshot and what was read after it.
pub(crate) fn last_of(snapshot: &Snapshot, events: &[Event]) -> LastCheckpoint {
    events.iter().fold(snapshot.last, |last, event| match event {
        Event::Commit { commit, at } => LastCheckpoint::of(&commit.head, *at),
        Event::Repaired { note } => last.repaired(note),
        _ => last,
    })
}

/// What the mark says of the log up to its end, and is not so: where, and what.
pub(crate) fn contradiction(mark: &Mark, end: Address, last: &LastCheckpoint) -> Option<(Address, String)> {
    if end != mark.durable {
        let what = format!(
            "no frame ends at {}, up to where the mark says that everything was flushed",
            mark.durable
        );
        return Some((mark.durable, what));
    }
    if (last.sequence, last.id) == (mark.sequence, mark.id) {
        return None;
    }
    let what = format!(
        "the last checkpoint before {end} is {} ({}), and the mark says {} ({}): what had been written over is back",
        last.sequence, last.id, mark.sequence, mark.id
    );
    let at = if last.at.is_none() { end } else { last.at };
    Some((at, what))
}

/// Refuses what the mark contradicts.
pub(crate) fn check_mark(files: &Files, mark: &Mark, end: Address, last: &LastCheckpoint) -> Result<()> {
    contradiction(mark, end, last).map_or(Ok(()), |(at, what)| Err(files.damaged(at, what)))
}
