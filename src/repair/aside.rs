//! Setting files aside, and taking them back: a repair that did not come to its end never was.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::names;
use crate::position::SegmentId;
use crate::recovery::Survey;
use crate::salvage::Salvage;
use crate::storage::{self, Access, Storage};

/// What is written down before anything is changed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UnderWay {
    repair: u32,
    /// Segments and base files that were there.
    segments: Vec<u32>,
    bases: Vec<u32>,
}

/// More than a note of this length is none of ours.
const NOTE_BYTES_MAX: usize = 64 << 20;

/// Puts on record that a repair begins; from here on nobody opens the log.
pub(super) fn begin(storage: &dyn Storage, repair: u32, salvage: &Salvage) -> Result<UnderWay> {
    let under_way = UnderWay {
        repair,
        segments: salvage.survey.segments.iter().map(|id| id.0).collect(),
        bases: salvage.survey.bases.iter().map(|id| id.0).collect(),
    };
    note(storage, &under_way)?;
    Ok(under_way)
}

fn note(storage: &dyn Storage, under_way: &UnderWay) -> Result<()> {
    let text = serde_json::to_vec(under_way).map_err(|e| Error::invalid(e.to_string()))?;
    write_whole(storage, names::REPAIR, &[&text])
}

/// The repair came to its end. On an error it is still under way: a note that is gone and may come back with a power cut
/// would then take back what was committed meanwhile.
pub(super) fn end(storage: &dyn Storage, under_way: &UnderWay) -> Result<()> {
    let ended = remove_note(storage);
    if ended.is_err() {
        note(storage, under_way)?;
    }
    ended
}

fn remove_note(storage: &dyn Storage) -> Result<()> {
    storage.remove(names::REPAIR).map_err(|e| Error::io("ending the repair", names::REPAIR, e))?;
    sync_names(storage)
}

/// Takes back what an interrupted repair had changed.
pub(super) fn take_back_interrupted(storage: &dyn Storage) -> Result<()> {
    if !Survey::of(storage)?.has_repair {
        return Ok(());
    }
    let io = |e| Error::io("reading what a repair was about", names::REPAIR, e);
    let file = storage.open(names::REPAIR, Access::Read).map_err(io)?;
    let text =
        storage::read_small(&*file, (file.len().map_err(io)? as usize).min(NOTE_BYTES_MAX)).map_err(io)?;
    let under_way =
        serde_json::from_slice(&text).map_err(|e| Error::corrupt(names::REPAIR, 0, e.to_string()))?;
    take_back(storage, &under_way)
}

/// Everything is as it was before. May be interrupted and done again.
pub(super) fn take_back(storage: &dyn Storage, under_way: &UnderWay) -> Result<()> {
    let survey = Survey::of(storage)?;
    for (_, name) in survey.aside.iter().filter(|(repair, _)| *repair == under_way.repair) {
        rename(storage, &names::aside(under_way.repair, name), name)?;
    }
    let known = |id: &SegmentId| under_way.segments.contains(&id.0) || under_way.bases.contains(&id.0);
    for id in survey.segments.iter().chain(&survey.bases).filter(|id| !known(id)) {
        let name = names::segment(*id);
        storage.remove(&name).map_err(|e| Error::io("taking a repair back", &name, e))?;
    }
    sync_names(storage)?;
    remove_note(storage)
}

/// Keeps a copy of a file that is about to be changed.
pub(super) fn copy(storage: &dyn Storage, repair: u32, name: &str) -> Result<()> {
    const PIECE: usize = 1 << 20;
    let io = |e| Error::io("setting a copy aside", name, e);
    let from = match storage.open(name, Access::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(e)),
    };
    let to = create(storage)?;
    let len = from.len().map_err(io)?;
    let mut at = 0;
    while at < len {
        let mut buf = vec![0; PIECE.min((len - at) as usize)];
        storage::read_exact_at(&*from, &mut buf, at).map_err(io)?;
        storage::write_all_at(&*to, &[&buf], at).map_err(io)?;
        at += buf.len() as u64;
    }
    to.sync().map_err(io)?;
    rename(storage, names::NEW, &names::aside(repair, name))
}

/// Sets a file aside that is no longer part of the log.
pub(super) fn move_away(storage: &dyn Storage, repair: u32, name: &str) -> Result<()> {
    match storage.open(name, Access::Read) {
        Ok(_) => rename(storage, name, &names::aside(repair, name)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("setting aside", name, e)),
    }
}

/// The number of the next repair.
pub(super) fn next_number(survey: &Survey) -> u32 {
    survey.aside.iter().map(|(repair, _)| *repair).max().unwrap_or(0).saturating_add(1)
}

/// Makes a file's directory entry durable; the file is flushed already.
pub(super) fn sync_names(storage: &dyn Storage) -> Result<()> {
    storage::sync_names(storage).map_err(|e| Error::io("flushing the log's directory", storage.path(), e))
}

fn write_whole(storage: &dyn Storage, name: &str, pieces: &[&[u8]]) -> Result<()> {
    let file = create(storage)?;
    let io = |e| Error::io("writing", name, e);
    storage::write_all_at(&*file, pieces, 0).map_err(io)?;
    file.sync().map_err(io)?;
    rename(storage, names::NEW, name)?;
    sync_names(storage)
}

/// An empty file under a name that means nothing yet.
fn create(storage: &dyn Storage) -> Result<Box<dyn storage::StorageFile>> {
    storage::make_anew(storage, names::NEW).map_err(|e| Error::io("making", names::NEW, e))
}

fn rename(storage: &dyn Storage, from: &str, to: &str) -> Result<()> {
    storage.rename(from, to).map_err(|e| Error::io(format!("renaming it to {to}"), from, e))
}
