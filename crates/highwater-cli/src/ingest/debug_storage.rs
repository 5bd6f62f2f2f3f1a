//! For crash tests: the files of a log on disk, with the moments around writes and flushes of segments made known
//! and made longer ([`super::phases`]).

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use highwater::storage::{Access, Disk, FileMap, Lock, LockMode, Storage, StorageFile};

use super::phases::{Phase, Phases};

/// Only segments hold checkpoints; the other files are bookkeeping. A segment is made under a temporary name, and written
/// through the file that was opened then.
fn is_segment(name: &str) -> bool {
    [".hws", ".tmp"].iter().any(|suffix| name.ends_with(suffix))
}

/// The disk, watched.
#[derive(Debug)]
pub(crate) struct DebugStorage {
    disk: Disk,
    phases: Arc<Phases>,
}

impl DebugStorage {
    pub(crate) fn new(dir: &Path, phases: Arc<Phases>) -> Self {
        DebugStorage { disk: Disk::new(dir), phases }
    }
}

impl Storage for DebugStorage {
    fn path(&self) -> &Path {
        self.disk.path()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = self.disk.open(name, access)?;
        if is_segment(name) {
            Ok(Box::new(DebugFile { file, phases: self.phases.clone() }))
        } else {
            Ok(file)
        }
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
        self.disk.sync_names()
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.try_lock(name, mode)
    }
}

/// A segment, watched.
#[derive(Debug)]
struct DebugFile {
    file: Box<dyn StorageFile>,
    phases: Arc<Phases>,
}

impl StorageFile for DebugFile {
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.phases.enter(Phase::Write);
        self.phases.linger(Phase::Write);
        let written = self.file.write_at(pieces, offset);
        self.phases.enter(Phase::Flush);
        written
    }

    fn sync(&self) -> io::Result<()> {
        self.phases.linger(Phase::Flush);
        let synced = self.file.sync();
        self.phases.enter(Phase::Idle);
        synced
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
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
