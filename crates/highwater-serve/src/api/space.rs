//! Where the log's bytes are, as a picture: cells of some segments each, and who holds which.

use highwater::{Growth, Held, SegmentSpace, Sequence, Space};
use serde::Serialize;

use super::{App, Nothing, Refused};

/// So many cells at most: more can't be told apart.
const CELLS_MAX: usize = 120;

#[derive(Serialize)]
pub(crate) struct Answer {
    disk_bytes: u64,
    segments: u64,
    segment_bytes: u64,
    record_bytes: u64,
    dead_bytes: u64,
    bookkeeping_bytes: u64,
    free_bytes: u64,
    base_bytes: u64,
    spare_bytes: u64,
    spare_segments: u64,
    aside_bytes: u64,
    reserve_bytes: u64,
    other_bytes: u64,
    growth: Option<Growth>,
    reclaimable_bytes: u64,
    /// The first segments, which a pruning would free.
    reclaimable_segments: u64,
    cells: Vec<Cell>,
    holders: Vec<Held>,
}

/// Some segments that follow each other.
#[derive(Serialize)]
struct Cell {
    /// Their numbers.
    from: u32,
    to: u32,
    bytes: u64,
    record_bytes: u64,
    dead_bytes: u64,
    bookkeeping_bytes: u64,
    free_bytes: u64,
    /// The checkpoints whose commits lie in them.
    first: Option<Sequence>,
    last: Option<Sequence>,
}

pub(crate) fn space(app: &App, _: Nothing) -> Result<Answer, Refused> {
    let log = app.log()?;
    log.refresh()?;
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let space = app.space.get(end, || log.space(&app.subject.retention()))?;
    Ok(Answer::of(&space))
}

impl Answer {
    fn of(space: &Space) -> Answer {
        let together = space.segment_list.len().div_ceil(CELLS_MAX).max(1);
        Answer {
            disk_bytes: space.disk_bytes,
            segments: space.segments,
            segment_bytes: space.segment_bytes,
            record_bytes: space.record_bytes,
            dead_bytes: space.dead_bytes,
            bookkeeping_bytes: space.bookkeeping_bytes,
            free_bytes: space.free_bytes,
            base_bytes: space.base_bytes,
            spare_bytes: space.spare_bytes,
            spare_segments: space.spare_segments,
            aside_bytes: space.aside_bytes,
            reserve_bytes: space.reserve_bytes,
            other_bytes: space.other_bytes,
            growth: space.growth,
            reclaimable_bytes: space.reclaimable_bytes,
            reclaimable_segments: space.reclaimable_segments,
            cells: space.segment_list.chunks(together).filter_map(Cell::of).collect(),
            holders: space.holders.clone(),
        }
    }
}

impl Cell {
    fn of(segments: &[SegmentSpace]) -> Option<Cell> {
        let sum = |part: fn(&SegmentSpace) -> u64| segments.iter().map(part).sum();
        Some(Cell {
            from: segments.first()?.id,
            to: segments.last()?.id,
            bytes: sum(|of| of.bytes),
            record_bytes: sum(|of| of.record_bytes),
            dead_bytes: sum(|of| of.dead_bytes),
            bookkeeping_bytes: sum(|of| of.bookkeeping_bytes),
            free_bytes: sum(|of| of.free_bytes),
            first: segments.iter().find_map(|of| of.first),
            last: segments.iter().rev().find_map(|of| of.last),
        })
    }
}
