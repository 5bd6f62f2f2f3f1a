//! How far a compaction goes.

use crate::config::Compaction;
use crate::error::Result;
use crate::format::BLOCK;
use crate::format::commit::Commit;
use crate::format::define::StreamName;
use crate::format::frame::Kind;
use crate::format::snapshot::Retained;
use crate::locate;
use crate::origin::Horizon;
use crate::position::{Address, SegmentId, Sequence, StreamId};
use crate::pruning::{self, Holder, Holds, Lows};
use crate::replacement::{self, Replacement};
use crate::segment::{Files, Walker};
use crate::view::read_start;

/// Checkpoints up to `commit` become one; the log then lives from `first_live` on.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub before: Retained,
    pub first_live: SegmentId,
    /// The last that is taken in, as it was, and where it lies: perhaps in a segment that stays.
    pub commit: Commit,
    pub at: Address,
    /// The log may be read up to here.
    pub end: Address,
}

impl Outline {
    /// Everything that nobody holds, if that frees segments. Ends before what is under way of what replaces other records, which the
    /// holds then tell. `name` knows the streams that there are.
    pub(super) fn within(
        files: &Files,
        horizon: &Horizon,
        holds: &mut Holds,
        compaction: &Compaction,
        name: &dyn Fn(StreamId) -> Option<StreamName>,
        floor: Option<Address>,
    ) -> Result<Option<Outline>> {
        // Where there is nothing older, nothing can be mixed up, or it is already.
        let first = horizon.retained.first_sequence;
        let may_mix = |one: &&Replacement| one.began > first && name(one.stream).is_some();
        loop {
            let Some(outline) = Self::before(files, horizon, holds.keep_from(), floor)? else {
                return Ok(None);
            };
            let candidates = compaction.replacements.iter().filter(may_mix);
            let Some(found) = replacement::end_before(candidates, outline.last()) else {
                return Ok(Some(outline));
            };
            let Some(stream) = name(found.stream) else { return Ok(Some(outline)) };
            holds.add(found.began, Holder::Replacement { stream });
        }
    }

    /// Everything before `keep`, if that frees segments.
    fn before(
        files: &Files,
        horizon: &Horizon,
        keep: Sequence,
        floor: Option<Address>,
    ) -> Result<Option<Outline>> {
        let before = horizon.retained.clone();
        let first_live = pruning::cut(files, horizon, keep, Lows { units: floor, ..Lows::default() })?;
        if first_live <= before.first_live {
            return Ok(None);
        }
        let Some((commit, at)) = last_before(files, horizon, keep)? else { return Ok(None) };
        let is_new = match &before.compacted {
            Some(_) => commit.head.sequence > before.first_sequence,
            None => commit.head.sequence >= before.first_sequence,
        };
        Ok(is_new.then_some(Outline { before, first_live, commit, at, end: horizon.end }))
    }

    /// The last checkpoint that is taken in: the number of the base checkpoint.
    pub(super) fn last(&self) -> Sequence {
        self.commit.head.sequence
    }

    /// The bytes of all files that are read.
    pub(super) fn bytes(&self, files: &Files) -> Result<u64> {
        let mut bytes = 0;
        for id in (self.before.first_live.0..=self.at.segment().0).map(SegmentId) {
            bytes += u64::from(files.get(id)?.bytes());
        }
        let base = self.before.compacted.iter().flat_map(|base| &base.files);
        Ok(bytes + base.map(|file| u64::from(file.bytes)).sum::<u64>())
    }

    /// The segments that go.
    pub(super) fn segments(&self) -> impl Iterator<Item = SegmentId> + use<> {
        (self.before.first_live.0..self.first_live.0).map(SegmentId)
    }
}

/// The last commit below `keep`; damage may have taken some numbers right before that.
fn last_before(files: &Files, horizon: &Horizon, keep: Sequence) -> Result<Option<(Commit, Address)>> {
    let retained = &horizon.retained;
    let segment = locate::segment_of(files, retained.first_live, horizon.last.at.segment(), keep)?;
    let mut walker = Walker::new(files.get(segment)?, BLOCK);
    let mut found = None;
    while let Some((commit, at)) = locate::next_commit(files, &mut walker, horizon.end)? {
        if commit.head.sequence >= keep {
            break;
        }
        found = Some((commit, at));
    }
    if found.is_some() {
        return Ok(found);
    }
    let at = read_start(files, segment)?.1.snapshot.last.at;
    if !retained.holds(at) || at.segment().is_base() {
        return Ok(None);
    }
    let body = files.body(at, Kind::Commit)?;
    Ok(Some((Commit::decode(&body, at).map_err(|e| files.damaged(at, e))?, at)))
}
