//! The files of one log, behind two small traits: a directory and a file in it. [`Disk`] is the real one, [`Memory`]
//! serves tests; a wrapper around either can slow, count or break its calls.

mod disk;
mod filesystem;
mod layer;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod locker;
mod map;
mod memory;
mod orphan;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch;
mod writeback;

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use crate::protection::Protection;

pub use disk::Disk;
pub(crate) use filesystem::{FileSystem, judge};
pub use layer::{FileLayer, Layer};
pub use memory::Memory;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It must exist.
    Read,
    /// It must exist.
    Write,
    /// It is made if it does not exist, for its owner alone (mode 0600).
    Create,
}

/// Which lock is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Held by one, beside nobody.
    Exclusive,
    /// Held beside others that hold it shared.
    Shared,
}

/// A directory with the files of one log. Names are plain file names; nothing lies deeper.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The directory, for messages.
    fn path(&self) -> &std::path::Path;

    /// Opens a file.
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>>;

    /// The names of all files.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Renames a file over whatever has the new name. Durable after [`sync_names`](Storage::sync_names).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Durable after [`sync_names`](Storage::sync_names); before that it may come back.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Flushes the directory: which names exist, and what they name.
    fn sync_names(&self) -> io::Result<()>;

    /// Tries to lock a file, made if need be; `None` if somebody else holds it. It is given up when it is dropped
    /// and when the process ends.
    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>>;

    /// Which process holds an exclusive lock of a file, without taking it for a moment; `None` if none does, or nobody can tell.
    fn locker(&self, _name: &str) -> Option<u32> {
        None
    }

    /// Something that tells of writes to a file, by whomever; `None` where there is no such thing, and one has to look.
    fn watch(&self, _name: &str) -> io::Result<Option<Box<dyn Watch>>> {
        Ok(None)
    }
}

/// Tells of writes to one file.
pub trait Watch: Send + Sync + fmt::Debug {
    /// Returns after a write since the last call, or after `timeout`, or earlier.
    fn wait(&self, timeout: Duration) -> io::Result<()>;
}

/// One open file. Calls may come from several threads at once.
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// Reads at most `buf.len()` bytes; 0 is the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the pieces one after another; may write less than all.
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Makes the file at least this long, with room for every byte of it.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Flushes content and length to the device.
    fn sync(&self) -> io::Result<()>;

    /// Has the device begin with what was written to this range, without waiting for it. It is a hint, makes nothing
    /// durable, and may do nothing; but an error is one of a write.
    fn begin_writeback(&self, _offset: u64, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// Says that this range is about to be read, here and there, so that the device may be asked for it at once. It is a hint,
    /// and may do nothing.
    fn will_read(&self, _offset: u64, _bytes: u64) {}

    /// The length.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is 0.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// How many names the file has: with more than one, it may be somebody's backup.
    fn links(&self) -> io::Result<u64>;

    /// Reads what the *device* holds, past the page cache; `None` where that can't be done. A page of a failed flush
    /// reads back as it was written, though it is not on disk: only this tells.
    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>>;

    /// The first `bytes` as a memory map, or `None` where that can't be done.
    fn map(&self, bytes: u64) -> io::Result<Option<FileMap>>;
}

/// A part of a file as memory; it stays mapped as long as this is alive.
pub type FileMap = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A lock that is held until it is dropped.
pub trait Lock: Send + Sync + fmt::Debug {
    /// Replaces the text in the locked file: who holds it.
    fn describe(&self, text: &str) -> io::Result<()>;
}

/// Makes durable which files there are.
pub(crate) fn sync_names(storage: &dyn Storage) -> io::Result<()> {
    if Protection::DirectoryFlush.is_off() {
        return Ok(());
    }
    storage.sync_names()
}

/// Makes an empty file to be renamed when it is whole. A leftover is not used again: after a power cut inside a rename it may
/// be another name of a file that is needed.
pub(crate) fn make_anew(storage: &dyn Storage, name: &str) -> io::Result<Box<dyn StorageFile>> {
    match storage.remove(name) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => storage.open(name, Access::Create),
    }
}

/// Fills `buf` or says with `UnexpectedEof` that the file ends before.
pub(crate) fn read_exact_at(file: &dyn StorageFile, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Writes all pieces, finishing short writes.
pub(crate) fn write_all_at(file: &dyn StorageFile, pieces: &[&[u8]], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0); // drops empty pieces in front
    while !rest.is_empty() {
        match file.write_at(rest, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                offset += n as u64;
                IoSlice::advance_slices(&mut rest, n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The whole of a small file; what it holds beyond `limit` bytes is not read.
pub(crate) fn read_small(file: &dyn StorageFile, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; limit];
    let mut filled = 0;
    while filled < limit {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
