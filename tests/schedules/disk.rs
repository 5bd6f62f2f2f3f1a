//! Files whose calls are places where another thread may go on, and which know what was flushed.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex};

use highwater::storage::{Access, FileMap, Lock, LockMode, Memory, Storage, StorageFile};
use shuttle::sync::atomic::{AtomicU64, Ordering};

/// A clone is the same disk. Names are durable at once: what is looked at here are flushes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    files: Arc<Mutex<BTreeMap<String, Arc<Content>>>>,
    locks: Memory,
    calls: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Content {
    cached: Mutex<Version>,
    durable: Mutex<Version>,
}

/// A file's bytes after so many writes.
#[derive(Debug, Default, Clone)]
struct Version {
    writes: u64,
    bytes: Vec<u8>,
}

impl Version {
    fn grow(&mut self, len: usize) {
        self.writes += 1;
        self.bytes.resize(len.max(self.bytes.len()), 0);
    }
}

impl Disk {
    /// Here another thread may go on.
    fn call(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    /// What a power cut would leave at the least: what was flushed, and nothing else.
    pub(crate) fn durable(&self) -> Memory {
        let image = Memory::new();
        for (name, content) in &*self.files.lock().unwrap() {
            image.set_content(name, content.durable.lock().unwrap().bytes.clone());
        }
        image
    }
}

impl Storage for Disk {
    fn path(&self) -> &Path {
        Path::new("scheduled")
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        self.call();
        let mut files = self.files.lock().unwrap();
        let content = match access {
            Access::Create => files.entry(name.to_owned()).or_default(),
            Access::Read | Access::Write => files.get(name).ok_or(io::ErrorKind::NotFound)?,
        };
        Ok(Box::new(File { disk: self.clone(), content: content.clone() }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.call();
        Ok(self.files.lock().unwrap().keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call();
        let mut files = self.files.lock().unwrap();
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call();
        let removed = self.files.lock().unwrap().remove(name);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.call();
        Ok(())
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        self.call();
        self.locks.try_lock(name, mode)
    }
}

#[derive(Debug)]
struct File {
    disk: Disk,
    content: Arc<Content>,
}

impl StorageFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.call();
        let cached = self.content.cached.lock().unwrap();
        let rest = cached.bytes.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.disk.call();
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let mut cached = self.content.cached.lock().unwrap();
        let end = offset as usize + bytes.len();
        cached.grow(end);
        cached.bytes[offset as usize..end].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.disk.call();
        self.content.cached.lock().unwrap().grow(bytes as usize);
        Ok(())
    }

    /// What was written before the call is durable after it; what is written meanwhile is not.
    fn sync(&self) -> io::Result<()> {
        let begun = self.content.cached.lock().unwrap().clone();
        self.disk.call();
        let mut durable = self.content.durable.lock().unwrap();
        if begun.writes > durable.writes {
            *durable = begun;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.cached.lock().unwrap().bytes.len() as u64)
    }

    fn links(&self) -> io::Result<u64> {
        Ok(1)
    }

    fn read_device(&self, _buf: &mut [u8], _offset: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn map(&self, _bytes: u64) -> io::Result<Option<FileMap>> {
        Ok(None)
    }
}
