//! Reading a disk that can't read some of its blocks: they read as zeros, which no checksum accepts, and are put on record.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::format::BLOCK;
use crate::storage::{Access, FileLayer, FileMap, Layer, Storage, StorageFile};
use crate::sync::Mutex;

/// File and byte of each block that can't be read, with what the system says.
pub(crate) type Unreadable = Arc<Mutex<BTreeMap<(String, u64), String>>>;

/// A storage whose files can always be read.
#[derive(Debug)]
pub(crate) struct Patient {
    below: Arc<dyn Storage>,
    unreadable: Unreadable,
}

impl Patient {
    pub(crate) fn over(below: Arc<dyn Storage>) -> (Arc<dyn Storage>, Unreadable) {
        let unreadable = Unreadable::default();
        (Arc::new(Patient { below, unreadable: unreadable.clone() }), unreadable)
    }
}

impl Layer for Patient {
    fn below(&self) -> &dyn Storage {
        &*self.below
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = self.below.open(name, access)?;
        Ok(Box::new(PatientFile { file, name: name.to_owned(), unreadable: self.unreadable.clone() }))
    }
}

#[derive(Debug)]
struct PatientFile {
    file: Box<dyn StorageFile>,
    name: String,
    unreadable: Unreadable,
}

impl FileLayer for PatientFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.file
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.file.read_at(buf, offset) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => {}
            read => return read,
        }
        // Block by block, so that only those are given up that can't be read.
        let block = u64::from(BLOCK);
        let end = self.file.len()?.min(offset.saturating_add(buf.len() as u64));
        let next = (offset / block + 1) * block;
        let len = next.min(end).saturating_sub(offset) as usize;
        let piece = &mut buf[..len];
        match self.file.read_at(piece, offset) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                piece.fill(0);
                let at = (self.name.clone(), offset / block * block);
                self.unreadable.lock().insert(at, e.to_string());
                Ok(len)
            }
            read => read,
        }
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.file.read_device(buf, offset).or(Ok(None))
    }

    /// A map would kill the process.
    fn map(&self, _bytes: u64) -> io::Result<Option<FileMap>> {
        Ok(None)
    }
}
