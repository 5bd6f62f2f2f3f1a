//! The disk: what programs see, what is on the device, and what a power cut leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Written whole or not at all when power fails.
const SECTOR: usize = 512;

pub(crate) type Inode = u64;
type Names = BTreeMap<String, Inode>;

/// A change of a name that no directory flush has made durable.
enum Change {
    Link(String, Inode),
    Unlink(String),
    Rename(String, String, Inode),
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Change::Link(name, inode) => drop(names.insert(name.clone(), *inode)),
            Change::Unlink(name) => drop(names.remove(name)),
            Change::Rename(from, to, inode) => {
                names.retain(|name, named| name != from || named != inode);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

#[derive(Default)]
pub(crate) struct File {
    /// What programs read.
    pub(crate) cached: Vec<u8>,
    /// What was flushed, at the length that was flushed.
    durable: Vec<u8>,
    /// Sectors that were written since.
    dirty: BTreeSet<usize>,
    /// Sectors of a failed flush: the cache shows them and believes them clean; the device does not have them.
    lost: BTreeSet<usize>,
    /// Counts changes; programs see it as time.
    pub(crate) changes: u64,
}

impl File {
    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.allocate(offset + data.len());
        self.cached[offset..offset + data.len()].copy_from_slice(data);
        for sector in offset / SECTOR..=(offset + data.len() - 1) / SECTOR {
            self.lost.remove(&sector);
            self.dirty.insert(sector);
        }
        self.changes += 1;
    }

    /// At least this long; the new part reads as zeros, and its sectors hold anything until they are flushed.
    pub(crate) fn allocate(&mut self, len: usize) {
        if len > self.cached.len() {
            self.set_len(len);
        }
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        let old = self.cached.len();
        self.cached.resize(len, 0);
        if len > old {
            self.dirty.extend(old / SECTOR..len.div_ceil(SECTOR));
        }
        self.changes += 1;
    }

    fn flush(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.cached, &mut self.durable, sector);
        }
    }

    /// The device forgets what it was given, and the cache does not know.
    fn fail_to_flush(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        self.lost.append(&mut self.dirty);
    }

    /// What the device shows: the kernel writes dirty pages back before it reads past its cache.
    pub(crate) fn device(&self) -> Vec<u8> {
        let mut bytes = self.cached.clone();
        for sector in &self.lost {
            copy_sector(&self.durable, &mut bytes, *sector);
        }
        bytes
    }

    /// Power fails.
    fn cut(&mut self, random: &mut Random) {
        let (short, long) =
            (self.durable.len().min(self.cached.len()), self.durable.len().max(self.cached.len()));
        let len = match random.below(3) {
            0 => short,
            1 => long,
            _ => short + random.below(long - short + 1),
        };
        let mut left = std::mem::take(&mut self.durable);
        left.resize(long, 0);
        let kept_of_4 = random.below(5);
        let holds_junk = random.below(2) == 0;
        for sector in std::mem::take(&mut self.dirty) {
            if random.below(4) < kept_of_4 {
                copy_sector(&self.cached, &mut left, sector);
            } else if holds_junk && sector * SECTOR >= short {
                let end = long.min((sector + 1) * SECTOR);
                left[sector * SECTOR..end].fill_with(|| random.next() as u8);
            }
        }
        left.resize(len, 0);
        self.lost.clear();
        self.cached.clone_from(&left);
        self.durable = left;
        self.changes += 1;
    }
}

/// As far as both reach.
fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let end = ((sector + 1) * SECTOR).min(from.len()).min(to.len());
    if let Some(range) = from.get(sector * SECTOR..end) {
        to[sector * SECTOR..end].copy_from_slice(range);
    }
}

pub(crate) struct Disk {
    pub(crate) names: Names,
    durable_names: Names,
    changes: Vec<Change>,
    pub(crate) files: HashMap<Inode, File>,
    next: Inode,
    /// So many flushes of files go well, and the next one fails.
    pub(crate) fails_after: Option<u32>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Disk {
            names: Names::new(),
            durable_names: Names::new(),
            changes: Vec::new(),
            files: HashMap::new(),
            next: 2, // 1 is the directory
            fails_after: None,
        }
    }

    pub(crate) fn create(&mut self, name: &str) -> Inode {
        let inode = self.next;
        self.next += 1;
        self.files.insert(inode, File::default());
        self.change(Change::Link(name.to_owned(), inode));
        inode
    }

    /// Whether there was such a file.
    pub(crate) fn unlink(&mut self, name: &str) -> bool {
        let was_there = self.names.contains_key(name);
        if was_there {
            self.change(Change::Unlink(name.to_owned()));
        }
        was_there
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(inode) = self.names.get(from).copied() else { return false };
        self.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
        true
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub(crate) fn flush_names(&mut self) {
        self.durable_names.clone_from(&self.names);
        self.changes.clear();
    }

    /// `false`: it failed.
    pub(crate) fn flush(&mut self, inode: Inode) -> bool {
        let fails = self.fails_after == Some(0);
        self.fails_after = self.fails_after.and_then(|left| left.checked_sub(1));
        if let Some(file) = self.files.get_mut(&inode) {
            if fails { file.fail_to_flush() } else { file.flush() }
        }
        !fails
    }

    /// Power fails: any subset of what was not flushed stays.
    pub(crate) fn cut(&mut self, seed: u64) {
        let mut random = Random(seed);
        self.cut_names(&mut random);
        let named: BTreeSet<Inode> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
        for inode in named {
            if let Some(file) = self.files.get_mut(&inode) {
                file.cut(&mut random);
            }
        }
        self.fails_after = None;
    }

    /// Half the time as a journal would, the first changes; else each by itself.
    fn cut_names(&mut self, random: &mut Random) {
        let changes = std::mem::take(&mut self.changes);
        let first = random.below(changes.len() + 1);
        let as_journal = random.below(2) == 0;
        for (index, change) in changes.iter().enumerate() {
            if if as_journal { index < first } else { random.below(2) == 0 } {
                change.apply(&mut self.durable_names);
            }
        }
        self.names.clone_from(&self.durable_names);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
