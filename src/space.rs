//! Where a log's bytes are, and who holds them.

use serde::Serialize;

use crate::config::Retention;
use crate::error::Result;
use crate::format::frame::Kind;
use crate::format::{BLOCK, names};
use crate::origin::{Horizon, Origin};
use crate::position::{Address, SegmentId, Sequence};
use crate::pruning::{self, Holder, Holds, Lows, Purpose};
use crate::reader::Reader;
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
    /// Positions of consumers, pins, the mark, room kept for a full disk.
    pub other_bytes: u64,
    /// What a pruning would free now.
    pub reclaimable_bytes: u64,
    /// Who holds segments, and how many bytes of them; who holds most comes first.
    pub holders: Vec<Held>,
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
    let fixed = [names::MARK, names::RESERVE, names::NOTES, names::BACKUP].map(len);
    space.other_bytes = consumers.chain(pins).chain(fixed).sum();
    space.disk_bytes =
        space.segment_bytes + space.base_bytes + space.spare_bytes + space.aside_bytes + space.other_bytes;
    Ok(())
}

fn add_frames(origin: &Origin, horizon: &Horizon, space: &mut Space) -> Result<()> {
    let files = origin.files();
    let (mut data, mut rest) = (0, u64::from(BLOCK));
    let mut walker = Walker::new(files.get(horizon.retained.first_live)?, BLOCK);
    while walker.address() < horizon.end {
        let at = walker.address();
        let header = walker.header()?.map_err(|fault| files.damaged(at, fault))?;
        match header.kind {
            Kind::Data => data += header.frame_len(),
            _ => rest += header.frame_len(),
        }
        walker.step(&header);
        if header.kind == Kind::Seal {
            rest += u64::from(walker.segment().bytes()).saturating_sub(walker.offset().into());
            let next = walker.segment().id().next();
            if Address::new(next, BLOCK) >= horizon.end {
                break;
            }
            walker = Walker::new(files.get(next)?, BLOCK);
            rest += u64::from(BLOCK);
        }
    }
    let mut named = 0;
    let mut reader = Reader::new(origin.clone(), horizon.retained.first_sequence)?;
    while reader.next_sequence() <= horizon.last.sequence {
        let checkpoint = match reader.next() {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => break,
            Err(error) => {
                reader.pass_gap().ok_or(error)?;
                continue;
            }
        };
        for stream in checkpoint.stream_ids() {
            space.record_bytes += checkpoint.disk_bytes_of(stream)?;
        }
        named += checkpoint.segment_bytes()?;
    }
    space.dead_bytes = data.saturating_sub(named);
    space.bookkeeping_bytes = rest;
    space.free_bytes = space.segment_bytes.saturating_sub(data + rest);
    Ok(())
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
            bytes: bytes(first, behind)?,
            alone_bytes: bytes(first, without)?,
        });
    }
    space.holders.sort_by_key(|held| std::cmp::Reverse((held.alone_bytes, held.bytes)));
    space.reclaimable_bytes = pruning::plan(origin, retention)?.bytes;
    Ok(())
}
