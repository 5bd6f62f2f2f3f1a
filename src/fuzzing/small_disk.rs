//! A disk with little room, whose calls can be made to fail. A segment's header may claim any size below 4 GiB; making room for it
//! is what a full disk refuses.

use std::io::{self, IoSlice};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::storage::{Access, FileLayer, Layer, Memory, Storage, StorageFile};

/// No file grows beyond this, in bytes.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails, and has done nothing.
    Io,
    /// The same, for lack of room.
    Full,
    /// A write does half of its work and says so; others are spared.
    Short,
    /// A write does half of its work and fails; others just fail.
    Torn,
}

#[derive(Debug, Clone)]
pub(super) struct SmallDisk {
    pub files: Memory,
    /// After so many calls that change something.
    fault: Arc<Mutex<Option<(u32, Fault)>>>,
}

impl SmallDisk {
    pub(super) fn new(files: Memory) -> Self {
        SmallDisk { files, fault: Arc::default() }
    }

    /// The fault comes after so many calls, once.
    pub(super) fn arm(&self, calls: u32, fault: Fault) {
        *self.fault.lock() = Some((calls, fault));
    }

    pub(super) fn disarm(&self) {
        *self.fault.lock() = None;
    }

    /// A call that changes something: the fault that is due, if one is.
    fn due(&self) -> Option<Fault> {
        let mut armed = self.fault.lock();
        let (calls, fault) = armed.as_mut()?;
        if let Some(left) = calls.checked_sub(1) {
            *calls = left;
            return None;
        }
        let fault = *fault;
        *armed = None;
        Some(fault)
    }

    fn call(&self) -> io::Result<()> {
        match self.due() {
            None | Some(Fault::Short) => Ok(()),
            Some(fault) => Err(fault.error()),
        }
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            Fault::Io | Fault::Short | Fault::Torn => io::Error::other("a fault"),
        }
    }
}

impl Layer for SmallDisk {
    fn below(&self) -> &dyn Storage {
        &self.files
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(SmallFile { file: self.files.open(name, access)?, disk: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call()?;
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call()?;
        self.files.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.call()?;
        self.files.sync_names()
    }
}

#[derive(Debug)]
struct SmallFile {
    file: Box<dyn StorageFile>,
    disk: SmallDisk,
}

fn check(end: u64) -> io::Result<()> {
    if end > FILE_BYTES_MAX { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl FileLayer for SmallFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.file
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        check(offset.saturating_add(bytes))?;
        let half = |file: &dyn StorageFile| {
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            file.write_at(&[IoSlice::new(&bytes[..bytes.len().div_ceil(2)])], offset)
        };
        match self.disk.due() {
            None => self.file.write_at(pieces, offset),
            Some(Fault::Short) => half(&*self.file),
            Some(fault @ Fault::Torn) => half(&*self.file).and(Err(fault.error())),
            Some(fault) => Err(fault.error()),
        }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        check(bytes)?;
        self.disk.call()?;
        self.file.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call()?;
        self.file.sync()
    }
}
