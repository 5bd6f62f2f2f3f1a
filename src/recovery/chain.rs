//! The chain of valid frames: from the newest snapshot to its end, and what the mark says of it.

use super::Survey;
use crate::error::{ErrorKind, Result};
use crate::format::BLOCK;
use crate::format::frame::Kind;
use crate::format::mark::Mark;
use crate::format::snapshot::Snapshot;
use crate::position::{Address, SegmentId};
use crate::segment::{Files, OpenFault};
use crate::view::{Event, Replay, Stop, contradiction, last_of};

/// What was read.
pub(super) struct Chain {
    pub snapshot: Snapshot,
    /// What settled behind it.
    pub events: Vec<Event>,
    pub replay: Replay,
    pub stop: Stop,
    /// Where the log is not what the mark says, and how.
    pub contradiction: Option<(Address, String)>,
}

/// Reads it, once, from the newest snapshot on.
pub(super) fn read(files: &Files, survey: &Survey, mark: Option<&Mark>) -> Result<Chain> {
    let (snapshot, mut replay) = start(files, survey, mark)?;
    ask_ahead(&replay, mark);
    let mut events = Vec::new();
    let mut contradicts = None;
    // A snapshot behind the mark's end tells of a later time.
    if let Some(mark) = mark.filter(|mark| mark.durable >= replay.end()) {
        let stop = replay.run(files, Some(mark.durable), |event| note(&mut events, event))?;
        if matches!(stop, Stop::Limit) {
            contradicts = contradiction(mark, replay.end(), &last_of(&snapshot, &events));
        }
    }
    let stop = replay.run(files, None, |event| note(&mut events, event))?;
    Ok(Chain { snapshot, events, replay, stop, contradiction: contradicts })
}

fn note(events: &mut Vec<Event>, event: Event) -> Result<()> {
    events.push(event);
    Ok(())
}

/// Starts at the newest snapshot that is known: the mark's waypoint, or the start frame of a later segment.
fn start(files: &Files, survey: &Survey, mark: Option<&Mark>) -> Result<(Snapshot, Replay)> {
    let begin = |at: Address| -> Result<(Snapshot, Replay)> {
        let (snapshot, replay) = Replay::from(files, at)?;
        if !snapshot.index.is_none()
            && !snapshot.index.segment().is_base()
            && snapshot.index.segment() >= snapshot.retained.first_live
        {
            // A start frame names the index behind it, which a crash may have torn away.
            files.body(snapshot.index, Kind::Index)?;
        }
        Ok((snapshot, replay))
    };
    let mut first_error = None;
    // Newest first: a mark that lags behind a power cut may point into segments that were pruned since.
    let waypoint = mark.map(|mark| mark.waypoint);
    let candidates = survey.segments.iter().rev().flat_map(|id| {
        let marked = waypoint.filter(|at| at.segment() == *id);
        marked.into_iter().chain([Address::new(*id, BLOCK)])
    });
    for at in candidates {
        match begin(at) {
            Ok(found) => return Ok(found),
            Err(error) if *error.kind() != ErrorKind::Corrupt => return Err(error),
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| OpenFault::Missing.into_error(SegmentId::FIRST)))
}

/// Asks the device for what is about to be read: from the snapshot to where the mark says that the log ends, and a little more.
fn ask_ahead(replay: &Replay, mark: Option<&Mark>) {
    /// About what lies between two waypoints.
    const BYTES_MAX: u32 = 6 << 20;
    const BEYOND_BYTES: u32 = 256 << 10;
    let (segment, from) = (replay.segment(), replay.end().offset());
    let known = mark.map(|mark| mark.durable).filter(|durable| durable.segment() == segment.id());
    let to = known.map_or(u32::MAX, |durable| durable.offset().saturating_add(BEYOND_BYTES));
    segment.will_read(from, to.min(from.saturating_add(BYTES_MAX)).min(segment.bytes()));
}
