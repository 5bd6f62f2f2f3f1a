//! What a directory holds as a backup: a mark, in a file of its own, of how far the last one that came to its end goes.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::mark::{Mark, SLOT};
use crate::format::{BLOCK, names};
use crate::origin::Foreign;
use crate::recovery::{self, Survey, read_mark};
use crate::segment::Segment;
use crate::storage::{self, Access, Storage};

/// How far the backup in this directory goes; `None` if it is none.
pub(super) fn read(storage: &dyn Storage) -> Result<Option<Mark>> {
    let read = || storage::read_small(&*storage.open(names::BACKUP, Access::Read)?, SLOT);
    match read() {
        Ok(bytes) => match Mark::newest(&bytes) {
            Some(mark) => Ok(Some(mark)),
            None => Err(Error::corrupt(names::BACKUP, 0, "it does not say how far the backup goes")),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("reading how far the backup goes", names::BACKUP, e)),
    }
}

/// From here on the backup goes so far, durably. Everything that it names is.
pub(super) fn write(storage: &dyn Storage, mark: &Mark) -> Result<()> {
    let make = || {
        let file = storage::make_anew(storage, names::NEW)?;
        storage::write_all_at(&*file, &[&mark.encode()], 0)?;
        file.sync()?;
        storage.rename(names::NEW, names::BACKUP)?;
        storage::sync_names(storage)
    };
    make().map_err(|e| Error::io("saying how far the backup goes", names::BACKUP, e))
}

/// Opens what is there to be restored: a backup as of its last end, any other log as it is.
pub(super) fn open(storage: Arc<dyn Storage>) -> Result<Foreign> {
    match read(&*storage)? {
        Some(mark) if !is_log_of_its_own(&*storage, &mark)? => Foreign::open_at(storage, &mark),
        _ => Foreign::open(storage),
    }
}

/// Whether somebody has opened the backup as a log and written to it: then its mark bears a later epoch than anything copied. While
/// a copy is under way nobody can have, and the mark may be that of the next backup already.
pub(super) fn is_log_of_its_own(storage: &dyn Storage, backup: &Mark) -> Result<bool> {
    if Survey::of(storage)?.is_copying {
        return Ok(false);
    }
    Ok(read_mark(storage)?.is_some_and(|mark| mark.epoch > backup.epoch))
}

/// Makes a log of what was copied: a pad up to the next block, where the copy ends elsewhere, so that whoever opens it writes into
/// no block of it; and the mark, which says that everything is flushed.
pub(super) fn make_log(storage: &dyn Storage, mark: &Mark) -> Result<()> {
    let end = mark.durable;
    let segment = Segment::open(storage, end.segment(), Access::Write)
        .map_err(|fault| fault.into_error(end.segment()))?;
    let durable = if end.offset().is_multiple_of(BLOCK) {
        end
    } else {
        let padded = recovery::pad(&segment, end, mark.epoch, end)?;
        segment.sync()?;
        padded
    };
    recovery::write_mark(storage, &Mark { durable, ..*mark })
}

/// From here on, and until [`end`], the directory is refused as a log. `true` if it was before.
pub(super) fn begin(storage: &dyn Storage) -> Result<bool> {
    let begun = Survey::of(storage)?.is_copying;
    let make = || {
        storage.open(names::COPYING, Access::Create)?.sync()?;
        storage::sync_names(storage)
    };
    make().map_err(|e| Error::io("beginning to copy", names::COPYING, e))?;
    Ok(begun)
}

/// The directory is a log again.
pub(super) fn end(storage: &dyn Storage) -> Result<()> {
    let io = |e| Error::io("ending the copy", names::COPYING, e);
    storage::sync_names(storage).map_err(io)?;
    storage.remove(names::COPYING).map_err(io)?;
    storage::sync_names(storage).map_err(io)
}

/// The error for a directory that holds something else than what is to go on there.
pub(super) fn diverged(storage: &dyn Storage, what: &str) -> Error {
    Error::new(
        ErrorKind::Diverged,
        format!("{}: {what}; back up into a new directory, and keep this one", storage.path().display()),
    )
}
