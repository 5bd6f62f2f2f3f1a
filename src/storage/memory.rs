//! Storage in memory: for tests, and for the simulated disk to stand on.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::{Access, FileMap, Lock, LockMode, Storage, StorageFile};

type Content = Arc<RwLock<Vec<u8>>>;

/// Files in memory. A clone is another view of the same files, as a second process would have.
///
/// ```
/// use std::sync::Arc;
/// use highwater::{Config, Log, storage::Memory};
/// let files = Memory::new();
/// let (log, _) = Log::open_on(Arc::new(files.clone()), Config::default())?;
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: Arc<Mutex<BTreeMap<String, Content>>>,
    locks: Arc<Mutex<BTreeMap<String, Held>>>,
}

#[derive(Debug, Default)]
struct Held {
    exclusive: bool,
    shared: usize,
}

impl Memory {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of every file, as they are now: what a killed process leaves behind.
    #[must_use]
    pub fn image(&self) -> Memory {
        let files = self.files.lock();
        let copy =
            files.iter().map(|(name, content)| (name.clone(), Arc::new(RwLock::new(content.read().clone()))));
        Memory { files: Arc::new(Mutex::new(copy.collect())), locks: Arc::default() }
    }

    /// The bytes of one file.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        self.files.lock().get(name).map(|content| content.read().clone())
    }

    /// Replaces the bytes of one file: for tests that damage it.
    pub fn set_content(&self, name: &str, bytes: Vec<u8>) {
        self.files.lock().insert(name.to_owned(), Arc::new(RwLock::new(bytes)));
    }
}

impl Storage for Memory {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let mut files = self.files.lock();
        let content = match access {
            Access::Create => files.entry(name.to_owned()).or_default().clone(),
            Access::Read | Access::Write => files.get(name).ok_or(io::ErrorKind::NotFound)?.clone(),
        };
        Ok(Box::new(MemoryFile { content }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.lock().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        if mode == LockMode::Shared && !self.files.lock().contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.open(name, Access::Create)?;
        let mut locks = self.locks.lock();
        let held = locks.entry(name.to_owned()).or_default();
        match mode {
            LockMode::Exclusive if held.exclusive || held.shared > 0 => return Ok(None),
            LockMode::Shared if held.exclusive => return Ok(None),
            LockMode::Exclusive => held.exclusive = true,
            LockMode::Shared => held.shared += 1,
        }
        Ok(Some(Box::new(MemoryLock { storage: self.clone(), name: name.to_owned(), mode })))
    }
}

#[derive(Debug)]
struct MemoryLock {
    storage: Memory,
    name: String,
    mode: LockMode,
}

impl Lock for MemoryLock {
    fn describe(&self, text: &str) -> io::Result<()> {
        self.storage.set_content(&self.name, text.as_bytes().to_vec());
        Ok(())
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        if let Some(held) = self.storage.locks.lock().get_mut(&self.name) {
            match self.mode {
                LockMode::Exclusive => held.exclusive = false,
                LockMode::Shared => held.shared -= 1,
            }
        }
    }
}

#[derive(Debug)]
struct MemoryFile {
    content: Content,
}

impl StorageFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.read();
        let rest = content.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut content = self.content.write();
        let mut at = offset as usize;
        for piece in pieces {
            if content.len() < at + piece.len() {
                content.resize(at + piece.len(), 0);
            }
            content[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        Ok(at - offset as usize)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut content = self.content.write();
        if (content.len() as u64) < bytes {
            content.resize(bytes as usize, 0);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.read().len() as u64)
    }

    fn links(&self) -> io::Result<u64> {
        Ok(1)
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buf, offset).map(Some)
    }

    fn map(&self, _bytes: u64) -> io::Result<Option<FileMap>> {
        Ok(None)
    }
}
