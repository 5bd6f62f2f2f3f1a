//! Reading a log past its damage: every frame that is still valid, and the holes between them. Nothing here writes.

mod assess;
mod base;
mod links;
mod patient;
mod retained;
mod scan;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::mark::Mark;
use crate::format::snapshot::Retained;
use crate::position::SegmentId;
use crate::recovery::Survey;
use crate::segment::{Files, OpenFault, Segment};
use crate::storage::{Access, Storage};

use patient::Unreadable;

pub(crate) use assess::{Amount, Assessment, Loss, LostRun, Survivor};
pub(crate) use base::{BaseFound, LostBase};
pub(crate) use patient::Patient;
pub(crate) use scan::{Hole, Item};

/// A log that may be damaged anywhere.
#[derive(Debug)]
pub(crate) struct Salvage {
    pub files: Arc<Files>,
    pub survey: Survey,
    pub mark: Option<Mark>,
    /// What the log still holds, as far as can be known.
    pub retained: Retained,
    /// The last segment that has begun.
    pub last: SegmentId,
    unreadable: Unreadable,
}

impl Salvage {
    /// Finds out what there is. Fails where nothing tells which log this is, or which version wrote it.
    pub(crate) fn open(storage: Arc<dyn Storage>) -> Result<Salvage> {
        let (storage, unreadable) = Patient::over(storage);
        let survey = Survey::of(&*storage)?;
        survey.check_not_copying(&*storage)?;
        survey.check_is_log(&*storage)?;
        if survey.is_empty() {
            return Err(Error::not_found(format!("there is no log at {}", storage.path().display())));
        }
        let mark = survey.mark(&*storage)?;
        let Some(log) = survey.log_id(&*storage, mark.as_ref())? else {
            let what = "neither the mark nor any segment tells which log this is: nothing can be read";
            return Err(Error::corrupt(storage.path(), 0, what));
        };
        let last = last_begun(&*storage, &survey, mark.as_ref())?;
        let files = Arc::new(Files::new(storage, log, Access::Read));
        let retained = Retained::everything();
        let mut salvage = Salvage { files, survey, mark, retained, last, unreadable };
        salvage.retained = salvage.newest_retained()?;
        Ok(salvage)
    }

    /// Blocks that the disk could not read so far, in words.
    pub(crate) fn unreadable(&self) -> Vec<String> {
        let unreadable = self.unreadable.lock();
        unreadable.iter().map(|((file, at), why)| format!("{file} byte {at}: can't be read: {why}")).collect()
    }

    /// The same log, read through other files.
    pub(crate) fn through(self, files: Arc<Files>) -> Salvage {
        Salvage { files, ..self }
    }
}

/// The last segment that holds something: a prepared one behind it is none. Nor is one that an opening has dropped: the mark
/// was flushed then, with the opening's epoch, and every frame of such a segment is older.
fn last_begun(storage: &dyn Storage, survey: &Survey, mark: Option<&Mark>) -> Result<SegmentId> {
    let newest = survey.segments.last().map_or(SegmentId::FIRST, |id| id.next());
    // The mark may name a segment that is gone; one that is further away is nothing that a writer said.
    let marked = mark.map_or(SegmentId::FIRST, |mark| mark.active.min(newest));
    let epoch = mark.map_or(0, |mark| mark.epoch);
    for id in survey.segments.range(marked.next()..).rev() {
        match Segment::open(storage, *id, Access::Read) {
            Ok(segment) if scan::any_frame(&segment, epoch)? => return Ok(*id),
            Err(OpenFault::Error(error)) => return Err(error),
            _ => {}
        }
    }
    match (mark, survey.segments.last()) {
        // Damage may be in the first block of the last but one; the last is one that was prepared.
        (None, Some(last)) => Ok(SegmentId(last.0 - 1).max(marked)),
        _ => Ok(marked),
    }
}

/// `None` for what is damaged; a disk that can't be read, or a newer version, is no damage.
pub(crate) fn no_damage<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if *error.kind() == crate::ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}
