//! For crash tests: the files of a log on disk, with the moments around writes and flushes of segments made known
//! and made longer ([`super::phases`]).

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use highwater::storage::{Access, Disk, FileLayer, Layer, Storage, StorageFile};

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

impl Layer for DebugStorage {
    fn below(&self) -> &dyn Storage {
        &self.disk
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = self.disk.open(name, access)?;
        if is_segment(name) {
            Ok(Box::new(DebugFile { file, phases: self.phases.clone() }))
        } else {
            Ok(file)
        }
    }
}

/// A segment, watched.
#[derive(Debug)]
struct DebugFile {
    file: Box<dyn StorageFile>,
    phases: Arc<Phases>,
}

impl FileLayer for DebugFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.file
    }

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
}
