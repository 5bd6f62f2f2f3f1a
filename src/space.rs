//! Where a log's bytes are, and who holds them.

use serde::Serialize;

use crate::config::Retention;
use crate::error::Result;
use crate::format::frame::Kind;
use crate::format::{BLOCK, names};
use crate::growth::{Growing, Growth};
use crate::origin::{Horizon, Origin};
use crate::position::{SegmentId, Sequence};
use crate::pruning::{self, Holder, Holds, Lows, Purpose};
use crate::reader::{Checkpoint, Reader};
use crate::recovery::Survey;
use crate::segment::Walker;
use crate::storage::Access;

/// What a log's files hold, in bytes, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Space {
    /// All files of the log.
    pub disk_bytes: u64,
    /// The segments that hold the log.
    pub segment_bytes: u64,
    /// How many these are.
    pub segments: u64,
    /// Of them: frames of records that a retained checkpoint names. Some may lie in base files.
    pub record_bytes: u64,
    /// Of them: frames of records that no retained checkpoint names: discarded, interrupted, pruned, or not committed yet.
    pub dead_bytes: u64,
    /// Of them: commits, states, definitions, indexes, notes and padding.
    pub bookkeeping_bytes: u64,
    /// Of them: behind the end, to be written yet.
    pub free_bytes: u64,
    /// What lives on of pruned or compacted segments.
    pub base_bytes: u64,
    /// Segments that are prepared, or wait to be written over.
    pub spare_bytes: u64,
    /// How many these are.
    pub spare_segments: u64,
    /// What repairs have set aside.
    pub aside_bytes: u64,
    /// Room that is kept for a pruning on a full disk.
    pub reserve_bytes: u64,
    /// Positions of consumers, pins, the mark, notes.
    pub other_bytes: u64,
    /// What a pruning would free now.
    pub reclaimable_bytes: u64,
    /// So many of [`segment_list`](Space::segment_list), from the first on, a pruning would free.
    pub reclaimable_segments: u64,
    /// How fast it grows, by what is kept; `None` where that is too young to tell.
    pub growth: Option<Growth>,
    /// The segments that hold the log, in their order.
    pub segment_list: Vec<SegmentSpace>,
    /// Who holds segments, and how many bytes of them; who holds most comes first.
    pub holders: Vec<Held>,
}

/// What one segment's file holds, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SegmentSpace {
    /// Its number.
    pub id: u32,
    /// Its size.
    pub bytes: u64,
    /// The first checkpoint whose commit lies in it, of those that can be read.
    pub first: Option<Sequence>,
    /// The last one.
    pub last: Option<Sequence>,
    /// Frames of records that a retained checkpoint names.
    pub record_bytes: u64,
    /// Frames of records that none names.
    pub dead_bytes: u64,
    /// Commits, states, definitions, indexes, notes and padding.
    pub bookkeeping_bytes: u64,
    /// Behind the end, to be written yet.
    pub free_bytes: u64,
}

/// What one holder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Held {
    /// Who.
    #[serde(flatten)]
    pub holder: Holder,
    /// The first checkpoint that it needs.
    pub from: Sequence,
    /// The first segment that stays for it, with all behind it.
    pub first_segment: u32,
    /// Bytes of the segments that stay for it. Several may hold the same ones.
    pub bytes: u64,
    /// Bytes that nobody else holds: a pruning would free them if it let go.
    pub alone_bytes: u64,
}

/// Adds it up. Reads the header of every frame and every commit.
pub(crate) fn space(origin: &Origin, retention: &Retention) -> Result<Space> {
    let horizon = origin.horizon()?;
    let mut space = Space::default();
    add_files(origin, &horizon, &mut space)?;
    add_frames(origin, &horizon, &mut space)?;
    add_holders(origin, &horizon, retention, &mut space)?;
    Ok(space)
}

fn add_files(origin: &Origin, horizon: &Horizon, space: &mut Space) -> Result<()> {
    let storage = &*origin.files().storage;
    let survey = Survey::of(storage)?;
    // A file that goes meanwhile weighs nothing.
    let len = |name: &str| storage.open(name, Access::Read).and_then(|file| file.len()).unwrap_or(0);
    for id in &survey.segments {
        let bytes = len(&names::segment(*id));
        if *id < horizon.retained.first_live || *id > horizon.end.segment() {
            space.spare_segments += 1;
            space.spare_bytes += bytes;
        } else {
            space.segments += 1;
            space.segment_bytes += bytes;
        }
    }
    space.base_bytes = survey.bases.iter().map(|id| len(&names::segment(*id))).sum();
    space.aside_bytes = survey.aside.iter().map(|(repair, name)| len(&names::aside(*repair, name))).sum();
    let consumers = survey.consumers.iter().map(|name| len(&names::consumer(name)));
    let pins = survey.pins.iter().map(|name| len(&names::pin(name)));
    let fixed = [names::MARK, names::NOTES, names::BACKUP].map(len);
    space.reserve_bytes = len(names::RESERVE);
    space.other_bytes = consumers.chain(pins).chain(fixed).sum();
    space.disk_bytes = space.segment_bytes + space.base_bytes + space.spare_bytes;
    space.disk_bytes += space.aside_bytes + space.reserve_bytes + space.other_bytes;
    Ok(())
}

fn add_frames(origin: &Origin, horizon: &Horizon, space: &mut Space) -> Result<()> {
    let mut segments = Segments::of(origin, horizon)?;
    segments.walk(origin, horizon)?;
    let mut reader = Reader::new(origin.clone(), horizon.retained.first_sequence)?;
    let mut growing = Growing::default();
    while reader.next_sequence() <= horizon.last.sequence {
        match reader.next() {
            Ok(Some(checkpoint)) => {
                growing.take(&checkpoint);
                space.record_bytes += segments.add(&checkpoint)?;
            }
            Ok(None) => break,
            Err(error) => drop(reader.pass_gap().ok_or(error)?),
        }
    }
    space.growth = growing.growth(origin.files(), horizon);
    for mut of in segments.list {
        // What was just committed may have been counted as a name before it was as a frame.
        let data = std::mem::replace(&mut of.dead_bytes, 0);
        of.dead_bytes = data.saturating_sub(of.record_bytes);
        of.free_bytes = of.bytes.saturating_sub(data + of.bookkeeping_bytes);
        space.dead_bytes += of.dead_bytes;
        space.bookkeeping_bytes += of.bookkeeping_bytes;
        space.free_bytes += of.free_bytes;
        space.segment_list.push(of);
    }
    Ok(())
}

/// The segments while they are added up: what is named by no checkpoint yet counts as dead.
struct Segments {
    first: SegmentId,
    list: Vec<SegmentSpace>,
}

impl Segments {
    fn of(origin: &Origin, horizon: &Horizon) -> Result<Self> {
        let first = horizon.retained.first_live;
        let mut list = Vec::new();
        for id in first.0..=horizon.end.segment().0 {
            let bytes = origin.files().get(SegmentId(id))?.bytes().into();
            list.push(SegmentSpace { id, bytes, ..SegmentSpace::default() });
        }
        Ok(Segments { first, list })
    }

    fn get(&mut self, id: SegmentId) -> Option<&mut SegmentSpace> {
        self.list.get_mut(id.0.checked_sub(self.first.0)? as usize)
    }

    /// Every frame, by its header alone.
    fn walk(&mut self, origin: &Origin, horizon: &Horizon) -> Result<()> {
        let files = origin.files();
        for of in &mut self.list {
            let mut walker = Walker::new(files.get(SegmentId(of.id))?, BLOCK);
            of.bookkeeping_bytes = BLOCK.into();
            while walker.address() < horizon.end {
                let at = walker.address();
                let header = walker.header()?.map_err(|fault| files.damaged(at, fault))?;
                let bytes = header.frame_len();
                walker.step(&header);
                match header.kind {
                    Kind::Data => of.dead_bytes += bytes,
                    Kind::Seal => {
                        of.bookkeeping_bytes += bytes + of.bytes.saturating_sub(walker.offset().into());
                        break;
                    }
                    _ => of.bookkeeping_bytes += bytes,
                }
            }
        }
        Ok(())
    }

    /// Notes what a checkpoint names, in segments; returns the bytes of all that it names, base files included.
    fn add(&mut self, checkpoint: &Checkpoint) -> Result<u64> {
        let mut bytes = 0;
        checkpoint.each_extent(None, |extent| {
            bytes += u64::from(extent.bytes);
            if let Some(of) = self.get(extent.at.segment()) {
                of.record_bytes += u64::from(extent.bytes);
            }
        })?;
        if let Some(of) = self.get(checkpoint.at().segment()).filter(|_| !checkpoint.is_compacted()) {
            of.first.get_or_insert(checkpoint.sequence());
            of.last = Some(checkpoint.sequence());
        }
        Ok(bytes)
    }
}

fn add_holders(origin: &Origin, horizon: &Horizon, retention: &Retention, space: &mut Space) -> Result<()> {
    let holds = Holds::of(origin, horizon, retention, Purpose::Prune)?;
    let kept = |from: Sequence| -> Result<SegmentId> {
        pruning::cut(origin.files(), horizon, from, Lows::default())
    };
    let bytes = |first: SegmentId, end: SegmentId| -> Result<u64> {
        let segments = (first.0..end.0).map(|id| origin.files().get(SegmentId(id)));
        segments.map(|segment| Ok(u64::from(segment?.bytes()))).sum()
    };
    let behind = horizon.end.segment().next();
    for (n, (from, holder)) in holds.needs().iter().enumerate() {
        let others = holds.needs().iter().enumerate().filter(|(m, _)| *m != n).map(|(_, (from, _))| *from);
        // Without anybody the newest checkpoint stays.
        let without = kept(others.min().unwrap_or(horizon.last.sequence))?;
        let first = kept(*from)?;
        space.holders.push(Held {
            holder: holder.clone(),
            from: *from,
            first_segment: first.0,
            bytes: bytes(first, behind)?,
            alone_bytes: bytes(first, without)?,
        });
    }
    space.holders.sort_by_key(|held| std::cmp::Reverse((held.alone_bytes, held.bytes)));
    let plan = pruning::plan(origin, retention)?;
    (space.reclaimable_bytes, space.reclaimable_segments) = (plan.bytes, plan.segments);
    Ok(())
}
