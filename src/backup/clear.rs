//! Removing from a directory what is no part of what was copied into it.

use crate::error::{Error, Result};
use crate::format::names;
use crate::format::snapshot::Retained;
use crate::position::SegmentId;
use crate::recovery::Survey;
use crate::storage::Storage;

/// Removes segments, base files and consumers that the log does not have. Returns how many segments and base files that were.
pub(super) fn others(
    storage: &dyn Storage,
    retained: &Retained,
    last: SegmentId,
    consumers: &[&str],
) -> Result<u64> {
    let survey = Survey::of(storage)?;
    let is_live = |id: &SegmentId| (retained.first_live..=last).contains(id);
    let is_base = |id: &SegmentId| retained.files().any(|base| base.id == *id);
    let segments = survey.segments.iter().filter(|id| !is_live(id));
    let gone: Vec<SegmentId> =
        segments.chain(survey.bases.iter().filter(|id| !is_base(id))).copied().collect();
    for id in &gone {
        remove(storage, &names::segment(*id))?;
    }
    for name in survey.consumers.iter().filter(|name| !consumers.contains(&name.as_str())) {
        remove(storage, &names::consumer(name))?;
    }
    Ok(gone.len() as u64)
}

/// Removes what a restore that did not come to its end has left.
pub(super) fn everything(storage: &dyn Storage) -> Result<()> {
    let survey = Survey::of(storage)?;
    for id in survey.segments.iter().chain(&survey.bases) {
        remove(storage, &names::segment(*id))?;
    }
    for name in &survey.consumers {
        remove(storage, &names::consumer(name))?;
    }
    if survey.has_mark {
        remove(storage, names::MARK)?;
    }
    Ok(())
}

fn remove(storage: &dyn Storage, name: &str) -> Result<()> {
    storage.remove(name).map_err(|e| Error::io("removing what is no part of the copy", name, e))
}
