//! What a damaged log still holds, as far as that can be known.

use super::{Salvage, no_damage};
use crate::error::Result;
use crate::format::commit::Commit;
use crate::format::frame::Kind;
use crate::format::mark::Mark;
use crate::format::note::Pruned;
use crate::format::snapshot::{Base, BaseCheckpoint, Retained};
use crate::position::{Address, SegmentId, Sequence};
use crate::segment::{OpenFault, Segment};
use crate::storage::Access;
use crate::view::read_start;

use super::scan::Item;

impl Salvage {
    /// What the newest valid frames say. Where a segment that they name is gone and the mark knows of a later pruning, that
    /// pruning's frame is lost, and what it said has to be found out. The mark alone proves nothing: a switch may have been
    /// taken back since.
    pub(super) fn newest_retained(&self) -> Result<Retained> {
        let told = self.told_retained()?;
        let Some(mark) = self.mark else { return Ok(told) };
        let mut pruned = (told.first_live.0..mark.first_live.0).map(SegmentId);
        match pruned.any(|id| !self.survey.segments.contains(&id)) {
            true => self.inferred_retained(&mark, told),
            false => Ok(told),
        }
    }

    /// From the newest start frame that is valid and what was pruned since.
    fn told_retained(&self) -> Result<Retained> {
        for id in self.survey.segments.range(..=self.last).rev() {
            let Some((_, start)) = no_damage(read_start(&self.files, *id))? else { continue };
            let mut retained = start.snapshot.retained;
            for later in self.survey.segments.range(*id..=self.last) {
                self.scan_kind(*later, Kind::Pruned, &mut |_, body| {
                    if let Ok(pruned) = Pruned::decode(body) {
                        retained = pruned.retained;
                    }
                })?;
            }
            return Ok(retained);
        }
        let oldest = self.survey.segments.first().copied().unwrap_or(SegmentId::FIRST);
        Ok(Retained { first_live: oldest, ..Retained::everything() })
    }

    /// The base files are those that are there: an opening removes all others. A checkpoint that needs what is gone can't be
    /// read any more.
    fn inferred_retained(&self, mark: &Mark, told: Retained) -> Result<Retained> {
        let first_live = mark.first_live;
        let (base_index, bases, compacted) = (Address::NONE, Vec::new(), None);
        let mut retained = Retained { first_live, base_index, bases, compacted, ..told };
        let start = no_damage(read_start(&self.files, first_live))?;
        let before = start.as_ref().map_or(Sequence::NONE, |(_, start)| start.snapshot.last.sequence);
        let mut data = Vec::new();
        let mut commit = None;
        for id in &self.survey.bases {
            let base = match Segment::open(&*self.files.storage, *id, Access::Read) {
                Ok(base) => Base { id: *id, bytes: base.bytes() },
                Err(OpenFault::Error(error)) => return Err(error),
                Err(_) => continue,
            };
            let mut index = None;
            self.scan_kind(*id, Kind::Index, &mut |at, _| index = Some(at))?;
            match index {
                Some(at) => {
                    retained.bases.push(base);
                    retained.base_index = at;
                }
                None => data.push(base),
            }
            // A base checkpoint stands for all that is before the first segment, at least.
            self.scan_kind(*id, Kind::Commit, &mut |at, body| match Commit::decode(body, at) {
                Ok(base) if base.compacted.is_some() && base.head.sequence >= before => {
                    commit = Some((at, base.head.low, base.head.sequence));
                }
                _ => {}
            })?;
        }
        if let Some((commit, low, _)) = commit {
            let low = if low.is_none() { commit } else { low };
            data.retain(|base| (low.segment()..=commit.segment()).contains(&base.id));
            retained.compacted = Some(BaseCheckpoint { commit, files: data });
        }
        let behind = start.map_or(mark.sequence, |(_, start)| start.snapshot.last.sequence).next();
        let floor = Address::new(first_live, 0);
        let mut first = None;
        for id in self.survey.segments.range(first_live.min(self.last)..=self.last) {
            self.scan_kind(*id, Kind::Commit, &mut |at, body| match Commit::decode(body, at) {
                Ok(commit) if commit.head.low < floor => first = Some(commit.head.sequence.next()),
                Ok(commit) => drop(first.get_or_insert(commit.head.sequence)),
                Err(_) => {}
            })?;
        }
        retained.first_sequence = retained.first_sequence.max(first.unwrap_or(behind));
        if let Some((_, _, sequence)) = commit {
            retained.first_sequence = sequence;
        }
        Ok(retained)
    }

    /// Tells the bodies of all valid frames of one kind.
    fn scan_kind(&self, id: SegmentId, kind: Kind, tell: &mut dyn FnMut(Address, &[u8])) -> Result<()> {
        self.scan_segment(id, &mut 0, &mut |item| {
            if let Item::Frame { header, at, body: Some(body) } = item
                && header.kind == kind
            {
                tell(at, &body);
            }
            Ok(())
        })
    }
}
