//! Backups: a copy of a log that somebody may be writing meanwhile, in a directory that is a log itself; and restoring one.
//!
//! A backup copies files as they are, and checks every frame on the way: the segments up to the last durable checkpoint, base
//! files, consumers' positions. A later backup into the same directory copies what is new. A pin keeps what is being copied.
//!
//! A restored log has the id of the one it comes from, so destinations and consumers go on where they were; and its next
//! checkpoint is another one than the original's of that number, so whoever is ahead of it is
//! [`Diverged`](crate::ErrorKind::Diverged), now and later.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! # let (shop, copy, restored) = (dir.path().join("shop.hw"), dir.path().join("copy"), dir.path().join("restored.hw"));
//! use highwater::{By, Commit, Config, Log, Sequence, StreamSpec, backup};
//! let (log, _) = Log::open(&shop, Config::default())?;
//! let orders = log.stream(StreamSpec::new("orders"))?;
//! for page in 1..=3 {
//!     log.writer(&[&orders])?.commit(Commit::new().stream(&orders, &page))?;
//! }
//! let made = backup::take(&shop, &copy, &mut |_| {})?; // the log is being written
//! assert_eq!(made.end, log.end());
//!
//! let by = By { who: "ops", why: "page 3 was wrong" };
//! backup::restore(&copy, &restored, Some(Sequence::new(2)), by, Config::default())?;
//! let (log, _) = Log::open(&restored, Config::default())?;
//! let orders = log.stream(StreamSpec::new("orders"))?;
//! assert_eq!(log.state()?.get::<u32>(&orders)?, Some(2));
//! # Ok::<(), highwater::Error>(())
//! ```

mod apart;
mod clear;
mod copy;
mod hold;
mod restore;
mod set;
mod take;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::log::make_dir;
use crate::log_reader::LogReader;
use crate::notes::By;
use crate::position::{Position, Sequence};
use crate::storage::{Disk, Storage};

pub use apart::check_apart;

/// What a backup has copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Backup {
    /// The last checkpoint in it; `None` for an empty log.
    pub end: Option<Position>,
    /// The oldest checkpoint in it.
    pub first: Sequence,
    /// The oldest checkpoint of the backup before, if this one lacks it: the log has let it go since, and what is let go leaves the
    /// backup, too.
    pub first_before: Option<Sequence>,
    /// The last checkpoint of the backup before, in the same directory.
    pub since: Option<Position>,
    /// Segments and base files that were copied, whole or from where the backup before ended.
    pub copied_files: u64,
    /// Bytes of them.
    pub copied_bytes: u64,
    /// Segments and base files that the backup before had.
    pub kept_files: u64,
    /// Files that the log does not have any more, and the backup no longer either.
    pub removed_files: u64,
    /// Consumers whose positions are in it.
    pub consumers: u64,
}

/// What a restore has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Restored {
    /// The last checkpoint of what was restored; `None` for an empty log.
    pub to: Option<Position>,
    /// The checkpoint that puts the restore on record, the last of the restored log.
    pub end: Option<Position>,
    /// Checkpoints of the backup behind `to`, which were left out.
    pub left_out: u64,
    /// Consumers that had acknowledged more than there is now. They are `Diverged` until they are moved or dropped, and what they
    /// deliver to is likely ahead, too.
    pub ahead: Vec<ConsumerAhead>,
    /// Segments and base files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// A consumer that has acknowledged what a restored log does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsumerAhead {
    /// The consumer.
    pub consumer: String,
    /// The last checkpoint that it had acknowledged.
    pub acknowledged: Sequence,
}

/// Copies the log in `log` into `to`, or what is new of it since the last backup there. `progress` is told the bytes copied so
/// far. Blocks for reading and writing all of that; a writer of the log goes on meanwhile, in this process or in another.
///
/// An error leaves the backup before as it was, for [`restore`] and for the next backup; until then the directory is refused
/// as a log. Fails with [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where the log is damaged, and with
/// [`ErrorKind::Diverged`](crate::ErrorKind::Diverged) where `to` holds a backup of another log, or of what this one has lost since; with
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where one directory lies in the other.
pub fn take(log: impl AsRef<Path>, to: impl AsRef<Path>, progress: &mut dyn FnMut(u64)) -> Result<Backup> {
    take_with(log, to, progress, || Ok(()))
}

/// The same for a log beside which something lies that belongs to it, as the records that a consumer could not deliver. `beside` copies that: it
/// is called when the consumers' positions were read, and before the new backup counts. So wherever a backup is interrupted, none of
/// its consumers is ahead of what lies beside it. An error of it ends the backup, and leaves the one before; it may be called again where
/// the log has let something go meanwhile.
pub fn take_with<E: From<Error>>(
    log: impl AsRef<Path>,
    to: impl AsRef<Path>,
    progress: &mut dyn FnMut(u64),
    beside: impl FnMut() -> Result<(), E>,
) -> Result<Backup, E> {
    let source = LogReader::open(log.as_ref())?; // before anything is made for a mistyped path
    drop(source);
    check_apart(log.as_ref(), to.as_ref())?;
    if !to.as_ref().exists() {
        make_dir(to.as_ref())?;
    }
    let (log, to) = (Arc::new(Disk::new(log.as_ref())), Arc::new(Disk::new(to.as_ref())));
    let mut beside = Beside::new(beside);
    let made = take::take(log, to, progress, &mut || beside.copy());
    beside.result(made)
}

/// [`take`] on any storages.
pub fn take_on(log: Arc<dyn Storage>, to: Arc<dyn Storage>, progress: &mut dyn FnMut(u64)) -> Result<Backup> {
    take::take(log, to, progress, &mut || Ok(()))
}

/// The backup in `dir`, as it was when the last one came to its end; a plain log is read as it is.
pub fn open(dir: impl AsRef<Path>) -> Result<LogReader> {
    open_on(Arc::new(Disk::new(dir.as_ref())))
}

/// The same on any storage.
pub fn open_on(storage: Arc<dyn Storage>) -> Result<LogReader> {
    Ok(LogReader::new(crate::origin::Origin::Foreign(Arc::new(set::open(storage)?))))
}

/// Makes a log in `to`, which must not hold one, out of the backup in `backup` (or out of any log that nobody writes), as of checkpoint
/// `at` or of the last one; and puts that on record in it. Blocks for copying all of that. A crash on the way leaves a directory
/// that is refused as a log, and can be restored into again.
///
/// Fails with [`ErrorKind::Gap`](crate::ErrorKind::Gap) or [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the backup does not
/// hold the checkpoint as it was committed.
pub fn restore(
    backup: impl AsRef<Path>,
    to: impl AsRef<Path>,
    at: Option<Sequence>,
    by: By<'_>,
    config: Config,
) -> Result<Restored> {
    restore_with(backup, to, at, by, config, || Ok(()))
}

/// The same for a log beside which something lies. `beside` brings it back: it is called when the place was found fit, and before the
/// directory is a log. An error of it leaves a directory that is refused as a log, and can be restored into again.
pub fn restore_with<E: From<Error>>(
    backup: impl AsRef<Path>,
    to: impl AsRef<Path>,
    at: Option<Sequence>,
    by: By<'_>,
    config: Config,
    beside: impl FnMut() -> Result<(), E>,
) -> Result<Restored, E> {
    drop(open(backup.as_ref())?); // before anything is made for a mistyped path
    check_apart(backup.as_ref(), to.as_ref())?;
    let is_new = !to.as_ref().exists();
    if is_new {
        make_dir(to.as_ref())?;
    }
    let disk = |path: &Path| Arc::new(Disk::new(path));
    let (source, place) = (disk(backup.as_ref()), disk(to.as_ref()));
    let mut beside = Beside::new(beside);
    let restored = restore::restore(source, place, at, by, config, &mut || beside.copy());
    if is_new && restored.is_err() {
        // Nothing was begun, as where there is no such checkpoint. A directory with something in it stays.
        let _ = std::fs::remove_dir(to.as_ref());
    }
    beside.result(restored)
}

/// [`restore`] on any storages.
pub fn restore_on(
    backup: Arc<dyn Storage>,
    to: Arc<dyn Storage>,
    at: Option<Sequence>,
    by: By<'_>,
    config: Config,
) -> Result<Restored> {
    restore::restore(backup, to, at, by, config, &mut || Ok(()))
}

/// Copying what lies beside a log, whose errors are not the engine's.
struct Beside<F, E> {
    copy: F,
    failed: Option<E>,
}

impl<E: From<Error>, F: FnMut() -> Result<(), E>> Beside<F, E> {
    fn new(copy: F) -> Self {
        Beside { copy, failed: None }
    }

    fn copy(&mut self) -> Result<()> {
        self.failed = (self.copy)().err();
        match self.failed {
            None => Ok(()),
            Some(_) => Err(Error::invalid("what lies beside the log was not copied")),
        }
    }

    fn result<T>(self, of_log: Result<T>) -> Result<T, E> {
        match self.failed {
            Some(failed) => Err(failed),
            None => Ok(of_log?),
        }
    }
}
