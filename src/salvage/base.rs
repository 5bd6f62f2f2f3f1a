//! What is left of a base checkpoint. Its files hold nothing else, so damage there costs this one checkpoint, and damage
//! anywhere else does not touch it.

use super::Salvage;
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{Commit, CommitStream, Extent, decode_extents_part};
use crate::format::frame::Kind;
use crate::locate;
use crate::position::Sequence;
use crate::segment::Walker;

/// What a look at the base checkpoint gives.
#[derive(Debug, Default)]
pub(crate) enum BaseFound {
    /// The log begins with none.
    #[default]
    Absent,
    Whole(Box<Commit>),
    Lost(LostBase),
}

/// A base checkpoint of which something is damaged.
#[derive(Debug)]
pub(crate) struct LostBase {
    pub sequence: Sequence,
    /// File, byte, and what was found there.
    pub why: String,
    /// What it was, if that can be read.
    pub commit: Option<Box<Commit>>,
}

impl BaseFound {
    pub(crate) fn lost(&self) -> Option<&LostBase> {
        match self {
            BaseFound::Lost(lost) => Some(lost),
            BaseFound::Absent | BaseFound::Whole(_) => None,
        }
    }

    pub(crate) fn whole(&self) -> Option<&Commit> {
        match self {
            BaseFound::Whole(commit) => Some(commit),
            BaseFound::Absent | BaseFound::Lost(_) => None,
        }
    }
}

impl Salvage {
    /// Reads all of the base checkpoint.
    pub(super) fn base(&self) -> Result<BaseFound> {
        let sequence = self.retained.first_sequence;
        let lost = |error: Error, commit: Option<Box<Commit>>| match error.kind() {
            ErrorKind::Corrupt => Ok(BaseFound::Lost(LostBase { sequence, why: error.to_string(), commit })),
            _ => Err(error),
        };
        let commit = match locate::base_commit(&self.files, &self.retained) {
            Ok(None) => return Ok(BaseFound::Absent),
            Ok(Some(commit)) => Box::new(commit),
            Err(error) => return lost(error, None),
        };
        match commit.streams.iter().try_for_each(|part| self.check_part(part)) {
            Ok(()) => Ok(BaseFound::Whole(commit)),
            Err(error) => lost(error, Some(commit)),
        }
    }

    fn check_part(&self, part: &CommitStream) -> Result<()> {
        let files = &self.files;
        for at in &part.parts {
            let body = files.body(*at, Kind::Part)?;
            let extents = decode_extents_part(&body).map_err(|e| files.damaged(*at, e))?;
            extents.iter().try_for_each(|extent| self.check_extent(extent))?;
        }
        part.extents.iter().try_for_each(|extent| self.check_extent(extent))
    }

    fn check_extent(&self, extent: &Extent) -> Result<()> {
        let segment = self.files.get(extent.at.segment())?;
        let end = u64::from(extent.at.offset()) + u64::from(extent.bytes);
        let mut walker = Walker::new(segment.clone(), extent.at.offset());
        while u64::from(walker.offset()) < end {
            let offset = walker.offset();
            let header = walker.header()?.map_err(|fault| segment.refuses(offset, fault))?;
            walker.check(&header)?.map_err(|fault| segment.refuses(offset, fault))?;
            walker.step(&header);
        }
        Ok(())
    }
}
