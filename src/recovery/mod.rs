//! Opening after whatever happened: look at the files, decide, and, for a writer only, act.
//!
//! [`look`] changes nothing. A reader without a living writer stops there, and shows what [`act`] would accept.

mod act;
mod chain;
mod cut;
mod decide;
mod report;
mod survey;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{Fault, HEADER};
use crate::format::mark::Mark;
use crate::format::{BLOCK, block_up};
use crate::position::{Address, SegmentId};
use crate::protection::Protection;
use crate::segment::{Files, OpenFault, Segment};
use crate::storage::{Access, Storage};
use crate::view::{Replay, Stop, View};

pub(crate) use act::{act, pad};
pub(crate) use cut::{erase_behind, write_mark};
pub(crate) use decide::Row;
pub use report::Recovery;
pub(crate) use survey::{Survey, read_mark};

use chain::Chain;
use decide::{Evidence, Trace, decide};

/// What lies in a log's directory.
#[derive(Debug)]
pub(crate) enum Look {
    /// No log yet, or the remains of one whose creation did not end.
    Nothing,
    Log(Box<Found>),
}

/// A log, read up to the end of what recovery accepts.
#[derive(Debug)]
pub(crate) struct Found {
    pub files: Files,
    pub survey: Survey,
    pub mark: Option<Mark>,
    pub view: View,
    pub replay: Replay,
    pub row: Row,
    /// The greatest trustworthy durable mark.
    pub durable: Address,
    /// What stands behind the last accepted frame, in words.
    pub why: String,
    /// The greatest epoch seen anywhere.
    pub epoch: u32,
}

/// Reads what a log holds and decides what to make of its end. Writes nothing.
pub(crate) fn look(storage: Arc<dyn Storage>, access: Access, boot: Option<u128>) -> Result<Look> {
    let survey = Survey::of(&*storage)?;
    survey.check_is_log(&*storage)?;
    if survey.is_empty() {
        return Ok(Look::Nothing);
    }
    let mark = survey.mark(&*storage)?;
    if survey.segments.is_empty() {
        return Err(OpenFault::Missing.into_error(mark.map_or(SegmentId::FIRST, |mark| mark.active)));
    }
    if mark.is_none() && is_half_made(&*storage, &survey)? {
        return Ok(Look::Nothing);
    }
    let Some(log) = survey.log_id(&*storage, mark.as_ref())? else {
        let first = survey.segments.first().copied().unwrap_or(SegmentId::FIRST);
        let fault = Segment::open(&*storage, first, Access::Read).err();
        return Err(fault.unwrap_or(OpenFault::Missing).into_error(first));
    };
    let files = Files::new(storage, log, access);
    let Chain { snapshot, events, replay, stop, contradiction } =
        chain::read(&files, &survey, mark.as_ref())?;
    let view = View::rebuild(&files, &snapshot, &events)?;

    let same_boot = boot.is_some() && mark.is_some_and(|mark| mark.boot == boot);
    let marked = mark.map_or(Address::NONE, |mark| mark.durable);
    let seen = probe(&files, &replay, same_boot)?;
    let durable = marked.max(replay.durable).max(seen.durable);
    let evidence = Evidence {
        durable,
        accepted: replay.accepted,
        end: replay.end(),
        // A full segment has no room for the frame that says so; the mark of a clean close says it, too.
        closed: replay.closed || mark.is_some_and(|mark| mark.clean && mark.durable == replay.end()),
        trace: trace(&stop),
        contradicts_mark: contradiction.is_some(),
    };
    let row = decide(&evidence);
    if let (Row::OtherHistory, Some((at, what))) = (row, contradiction) {
        return Err(files.damaged(at, what));
    }
    if row.refuses() {
        return Err(refusal(row, &replay, durable, stop));
    }
    let (first, last) = (view.retained.first_sequence, view.last.sequence);
    if first > last.next() {
        let what =
            format!("the log is said to begin with checkpoint {first}, and it ends with checkpoint {last}");
        return Err(replay.segment().damaged(BLOCK, what));
    }
    survey.check_dense(view.retained.first_live, replay.segment().id())?;
    for base in view.retained.files() {
        if !survey.bases.contains(&base.id) {
            return Err(OpenFault::Missing.into_error(base.id));
        }
    }
    let epoch = replay.epoch.max(seen.epoch).max(mark.map_or(0, |mark| mark.epoch));
    let why = explain(&stop);
    Ok(Look::Log(Box::new(Found { files, survey, mark, view, replay, row, durable, why, epoch })))
}

/// A log whose creation did not end: one segment without any valid frame, and no valid mark.
fn is_half_made(storage: &dyn Storage, survey: &Survey) -> Result<bool> {
    if survey.segments.len() != 1 || !survey.segments.contains(&SegmentId::FIRST) || !survey.bases.is_empty()
    {
        return Ok(false);
    }
    let segment = match Segment::open(storage, SegmentId::FIRST, Access::Read) {
        Ok(segment) => segment,
        Err(OpenFault::Error(error)) => return Err(error),
        // A segment gets its name once its header is flushed: a name without a header is damage, however early.
        Err(_) => return Ok(false),
    };
    if segment.file_len()? < u64::from(segment.bytes()) {
        return Ok(false);
    }
    let mut any = false;
    scan_blocks(&segment, BLOCK, segment.bytes(), |_, header| {
        any |= header.is_ok();
    })?;
    Ok(!any)
}

/// What valid frames behind the end of the chain say.
#[derive(Debug, Default)]
struct Seen {
    durable: Address,
    epoch: u32,
}

impl Default for Address {
    fn default() -> Self {
        Address::NONE
    }
}

/// Looks for durable marks behind the end of the chain: in frames at block boundaries (where batches start) and in the
/// next segment's start frame. Within one boot the mark file can't be outdated, and the search is skipped.
fn probe(files: &Files, replay: &Replay, same_boot: bool) -> Result<Seen> {
    let mut seen = Seen::default();
    let end = replay.end();
    let segment = replay.segment();
    if !same_boot {
        scan_blocks(segment, block_up(end.offset()), segment.bytes(), |at, header| {
            let Ok(header) = header else { return };
            seen.epoch = seen.epoch.max(header.epoch);
            if header.epoch >= replay.epoch {
                let proven = if Protection::MarkProvesDamage.is_off() { at } else { header.durable.min(at) };
                seen.durable = seen.durable.max(proven);
            }
        })?;
    }
    match Segment::open(&*files.storage, segment.id().next(), Access::Read) {
        Ok(next) => scan_blocks(&next, BLOCK, BLOCK * 2, |at, header| {
            let Ok(header) = header else { return };
            seen.epoch = seen.epoch.max(header.epoch);
            if header.epoch >= replay.epoch && at > end {
                // A segment begins only after the one before it was flushed to its end.
                seen.durable = seen.durable.max(at);
            }
        })?,
        Err(OpenFault::Error(error)) => return Err(error),
        Err(_) => {}
    }
    Ok(seen)
}

/// Decodes what could be a frame's header at each block from `from` to `to`.
fn scan_blocks(
    segment: &Segment,
    from: u32,
    to: u32,
    mut found: impl FnMut(Address, Result<crate::format::frame::Header, Fault>),
) -> Result<()> {
    const PIECE: u32 = 1 << 20;
    let mut buf = vec![0; PIECE.min(to.saturating_sub(from)) as usize];
    let mut at = from;
    while at < to {
        let len = PIECE.min(to - at) as usize;
        let mut filled = 0;
        while filled < len {
            match segment.read_some(&mut buf[filled..len], at + filled as u32)? {
                0 => break,
                n => filled += n,
            }
        }
        for (block, bytes) in buf[..filled].chunks(BLOCK as usize).enumerate() {
            if let Some(head) = bytes.first_chunk::<HEADER>() {
                let offset = at + block as u32 * BLOCK;
                found(segment.address(offset), segment.frame_header(head, offset));
            }
        }
        if filled < len {
            break;
        }
        at += len as u32;
    }
    Ok(())
}

fn trace(stop: &Stop) -> Trace {
    match stop {
        Stop::Fault(Fault::UnknownKind(_) | Fault::UnknownFlags(_)) => Trace::Unknown,
        Stop::Fault(Fault::Zeros) => Trace::Zeros,
        Stop::Fault(Fault::Stale { .. }) => Trace::LowerEpoch,
        Stop::Fault(_) => Trace::Other,
        Stop::SegmentEnd | Stop::Limit => Trace::SegmentEnd,
        Stop::NextSegment(OpenFault::Missing) => Trace::NextMissing,
        Stop::NextSegment(_) => Trace::NextInvalid,
    }
}

fn refusal(row: Row, replay: &Replay, durable: Address, stop: Stop) -> Error {
    let segment = replay.segment();
    let offset = replay.end().offset();
    match (row, stop) {
        (Row::Unknown, stop) => Error::new(
            ErrorKind::Unsupported,
            format!("{} byte {offset}: {}: use a newer highwater", segment.name(), explain(&stop)),
        ),
        (_, Stop::NextSegment(fault)) => fault.into_error(segment.id().next()),
        (_, stop) => {
            let short = match segment.file_len() {
                Ok(len) if len < u64::from(segment.bytes()) => {
                    format!(" (the file has {len} of its {} bytes)", segment.bytes())
                }
                _ => String::new(),
            };
            segment
                .damaged(offset, format!("{}; everything up to {durable} was flushed{short}", explain(&stop)))
        }
    }
}

fn explain(stop: &Stop) -> String {
    match stop {
        Stop::Fault(fault) => fault.to_string(),
        Stop::SegmentEnd => "the segment ends without a seal".into(),
        Stop::NextSegment(_) => "the next segment can't be read".into(),
        Stop::Limit => "end".into(),
    }
}
