//! How far a compaction goes: from the log's beginning to a segment's end.

use crate::error::Result;
use crate::format::commit::Commit;
use crate::format::frame::Kind;
use crate::format::snapshot::{LastCheckpoint, Retained};
use crate::origin::Horizon;
use crate::position::{Address, SegmentId, Sequence};
use crate::pruning;
use crate::segment::Files;
use crate::view::read_start;

/// Checkpoints up to `last` become one; the log then lives from `first_live` on.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub before: Retained,
    pub first_live: SegmentId,
    pub last: LastCheckpoint,
    /// The commit of `last`, as it was.
    pub commit: Commit,
}

impl Outline {
    /// Everything before `keep` that whole segments hold; `None` if that is nothing.
    ///
    /// All that is not compacted has to lie behind the cut. A checkpoint between the cut and `keep` is one of those, so it may
    /// move the cut down, which leaves more of them: until it holds.
    pub(super) fn of(
        files: &Files,
        horizon: &Horizon,
        keep: Sequence,
        floor: Option<Address>,
    ) -> Result<Option<Outline>> {
        let before = &horizon.retained;
        let mut first_live = pruning::cut(files, horizon, keep, floor)?;
        while first_live > before.first_live {
            let last = read_start(files, first_live)?.1.snapshot.last;
            let is_new = match &before.compacted {
                Some(_) => last.sequence > before.first_sequence,
                None => last.sequence >= before.first_sequence,
            };
            if !is_new {
                return Ok(None);
            }
            let lower = pruning::cut(files, horizon, last.sequence.next(), floor)?;
            if lower < first_live {
                first_live = lower;
                continue;
            }
            match read_commit(files, before, &last)? {
                Some(commit) => {
                    return Ok(Some(Outline { before: before.clone(), first_live, last, commit }));
                }
                // Damage took the last ones before the cut: what is missing has no name to give to all of them.
                None => first_live = SegmentId(first_live.0 - 1),
            }
        }
        Ok(None)
    }

    /// The bytes of all files that are read.
    pub(super) fn bytes(&self, files: &Files) -> Result<u64> {
        let mut bytes = 0;
        for id in self.segments() {
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

/// The commit that a snapshot calls the last, if it is there.
fn read_commit(files: &Files, retained: &Retained, last: &LastCheckpoint) -> Result<Option<Commit>> {
    if !retained.holds(last.at) {
        return Ok(None);
    }
    let body = files.body(last.at, Kind::Commit)?;
    let commit = Commit::decode(&body, last.at).map_err(|e| files.damaged(last.at, e))?;
    Ok(Some(commit).filter(|commit| commit.head.sequence == last.sequence))
}
