//! A disk with little room. A segment's header may claim any size below 4 GiB; making room for it is what a full disk refuses.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::storage::{Access, FileMap, Lock, LockMode, Memory, Storage, StorageFile};

/// No file grows beyond this, in bytes.
const FILE_BYTES_MAX: u64 = 2 << 20;

#[derive(Debug, Clone)]
pub(super) struct SmallDisk(pub Memory);

impl Storage for SmallDisk {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(SmallFile(self.0.open(name, access)?)))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        self.0.try_lock(name, mode)
    }
}

#[derive(Debug)]
struct SmallFile(Box<dyn StorageFile>);

fn check(end: u64) -> io::Result<()> {
    if end > FILE_BYTES_MAX { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl StorageFile for SmallFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        check(offset.saturating_add(bytes))?;
        self.0.write_at(pieces, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        check(bytes)?;
        self.0.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn links(&self) -> io::Result<u64> {
        self.0.links()
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.0.read_device(buf, offset)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<FileMap>> {
        self.0.map(bytes)
    }
}
