//! A disk whose every flush takes longer: a cloud volume, as far as a log can tell.

use std::io::{self, IoSlice};
use std::path::Path;
use std::time::Duration;

use highwater::storage::{Access, Disk, FileMap, Lock, LockMode, Storage, StorageFile};

/// A directory on such a disk.
#[derive(Debug)]
pub(crate) struct SlowFlush {
    disk: Disk,
    delay: Duration,
}

impl SlowFlush {
    pub(crate) fn new(disk: Disk, delay: Duration) -> Self {
        SlowFlush { disk, delay }
    }
}

impl Storage for SlowFlush {
    fn path(&self) -> &Path {
        self.disk.path()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(SlowFile { file: self.disk.open(name, access)?, delay: self.delay }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.disk.names()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()?;
        std::thread::sleep(self.delay);
        Ok(())
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.try_lock(name, mode)
    }
}

#[derive(Debug)]
struct SlowFile {
    file: Box<dyn StorageFile>,
    delay: Duration,
}

impl StorageFile for SlowFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_at(pieces, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()?;
        std::thread::sleep(self.delay);
        Ok(())
    }

    fn begin_writeback(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.file.begin_writeback(offset, bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn links(&self) -> io::Result<u64> {
        self.file.links()
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.file.read_device(buf, offset)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<FileMap>> {
        self.file.map(bytes)
    }
}
