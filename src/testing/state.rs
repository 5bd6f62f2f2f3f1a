//! What a disk holds: on the device, in the cache above it, and between the two. A pure value; operations go in, and a
//! crash takes what was not flushed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::content::{Content, SECTOR, Sector};
use super::random::Random;

/// A file's number: its identity, whatever it is named.
pub type FileId = usize;

/// A call that changes something, as the disk keeps it on record.
#[derive(Debug, Clone)]
pub enum Operation {
    /// A new, empty file with a name.
    Create(Arc<str>),
    /// Bytes at a place.
    Write(FileId, u64, Arc<[u8]>),
    /// A file gets at least this long.
    Allocate(FileId, u64),
    /// A file's content and length are flushed.
    Sync(FileId),
    /// A flush fails: some sectors reached the device, and the cache takes all of them for clean.
    SyncFails(FileId, u64),
    /// A name goes to another, over whatever had that.
    Rename(Arc<str>, Arc<str>),
    /// A name goes.
    Remove(Arc<str>),
    /// The names are flushed.
    SyncNames,
    /// The cache forgets clean pages: where a flush failed, the device's bytes show.
    Evict,
}

impl Operation {
    /// In one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Operation::Create(_) => "create",
            Operation::Write(..) => "write",
            Operation::Allocate(..) => "allocate",
            Operation::Sync(_) => "flush",
            Operation::SyncFails(..) => "failed flush",
            Operation::Rename(..) => "rename",
            Operation::Remove(_) => "remove",
            Operation::SyncNames => "directory flush",
            Operation::Evict => "eviction",
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) cached: Content,
    pub(crate) device: Content,
    /// Sectors written since the flush, with what earlier writes since then had put there: a cut may leave any of them.
    pub(crate) dirty: BTreeMap<u32, Vec<Sector>>,
    /// Sectors that a failed flush left clean in the cache and other on the device.
    pub(crate) lies: BTreeSet<u32>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Name {
    pub(crate) device: Option<FileId>,
    /// What it named since the directory's flush; the last is what it names now.
    pub(crate) since: Vec<Option<FileId>>,
}

impl Name {
    fn now(&self) -> Option<FileId> {
        self.since.last().copied().unwrap_or(self.device)
    }
}

/// Files by identity, names that point to them, and both sides of each.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(crate) files: Vec<File>,
    pub(crate) names: BTreeMap<Arc<str>, Name>,
}

impl State {
    /// The file of a name.
    pub fn find(&self, name: &str) -> Option<FileId> {
        self.names.get(name)?.now()
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter().filter(|(_, name)| name.now().is_some()).map(|(name, _)| name)
    }

    /// How many names a file has; a cut in a rename may leave both.
    pub fn links(&self, file: FileId) -> u64 {
        self.names.values().filter(|name| name.now() == Some(file)).count() as u64
    }

    /// What reading a file gives.
    pub fn cached(&self, file: FileId) -> &Content {
        &self.files[file].cached
    }

    /// What the device has of a file.
    pub fn device(&self, file: FileId) -> &Content {
        &self.files[file].device
    }

    /// Replaces a file's bytes on both sides, for damage. The name is made if need be.
    pub fn replace(&mut self, name: &str, content: Content) {
        let file = File { cached: content.clone(), device: content, ..File::default() };
        match self.find(name) {
            Some(id) => self.files[id] = file,
            None => {
                self.files.push(file);
                let id = self.files.len() - 1;
                self.names.insert(name.into(), Name { device: Some(id), since: Vec::new() });
            }
        }
    }

    /// Takes a name away for good, for damage.
    pub fn forget(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Does what an operation says.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create(name) => {
                self.files.push(File::default());
                self.point(name, Some(self.files.len() - 1));
            }
            Operation::Write(file, offset, bytes) => self.files[*file].write(bytes, *offset),
            Operation::Allocate(file, len) => {
                let cached = &mut self.files[*file].cached;
                cached.set_len(cached.len().max(*len));
            }
            Operation::Sync(file) => self.files[*file].flush(),
            Operation::SyncFails(file, seed) => self.files[*file].fail_flush(&mut Random::new(*seed)),
            Operation::Rename(from, to) => {
                let file = self.find(from);
                self.point(from, None);
                self.point(to, file);
            }
            Operation::Remove(name) => self.point(name, None),
            Operation::SyncNames => {
                for name in self.names.values_mut() {
                    name.device = name.now();
                    name.since.clear();
                }
                self.names.retain(|_, name| name.device.is_some());
            }
            Operation::Evict => self.files.iter_mut().for_each(File::evict),
        }
    }

    fn point(&mut self, name: &Arc<str>, file: Option<FileId>) {
        self.names.entry(name.clone()).or_default().since.push(file);
    }

    /// Two states with the same hash look the same to the next boot.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (name, at) in &self.names {
            let Some(file) = at.now() else { continue };
            name.hash(&mut hasher);
            self.files[file].cached.hash_into(&mut hasher);
        }
        hasher.finish()
    }
}

fn sectors(offset: u64, len: usize) -> std::ops::Range<u32> {
    let first = offset / SECTOR as u64;
    let end = (offset + len as u64).div_ceil(SECTOR as u64);
    first as u32..end as u32
}

impl File {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        for sector in sectors(offset, bytes.len()) {
            match self.dirty.entry(sector) {
                std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(Vec::new())),
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    entry.get_mut().push(self.cached.sector(sector));
                }
            }
        }
        self.cached.write(bytes, offset);
    }

    fn flush(&mut self) {
        self.device.set_len(self.cached.len());
        let mut shared = 0;
        for sector in self.dirty.keys() {
            // A page without lies is on the device as it is in the cache.
            if self.lies.is_empty() {
                if *sector >= shared {
                    self.device.share_page(&self.cached, *sector);
                    shared = Content::page_behind(*sector);
                }
            } else {
                self.device.set_sector(*sector, &self.cached.sector(*sector));
            }
        }
        let dirty = std::mem::take(&mut self.dirty);
        self.lies.retain(|sector| !dirty.contains_key(sector));
    }

    fn fail_flush(&mut self, random: &mut Random) {
        let reached = random.below(5);
        self.device.set_len(self.cached.len());
        for (sector, _) in std::mem::take(&mut self.dirty) {
            if random.below(4) < reached {
                self.device.set_sector(sector, &self.cached.sector(sector));
                self.lies.remove(&sector);
            } else {
                self.lies.insert(sector);
            }
        }
    }

    fn evict(&mut self) {
        for sector in std::mem::take(&mut self.lies) {
            if !self.dirty.contains_key(&sector) {
                self.cached.set_sector(sector, &self.device.sector(sector));
            }
        }
    }
}
