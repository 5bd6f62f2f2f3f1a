//! Power cuts: what was not flushed survives in any subset of sectors, whole, torn or as junk; names appear and vanish
//! until their directory is flushed. Several generations in a row, with cuts inside recovery and pruning too: every
//! storage call is a place where the power can go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::storage::{Access, FileMap, Lock, LockMode, Memory, Storage, StorageFile};
use highwater::{Commit, Config, Limit, Log, Op, Retention, Sequence, Start, StreamSpec};
use parking_lot::Mutex;

const SECTOR: usize = 512;

/// Files by identity; names point to them. Both have a cached and a durable side.
#[derive(Debug, Default)]
struct Disk {
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Calls until the power goes; `None`: it stays.
    left: Option<u64>,
    calls: u64,
}

#[derive(Debug, Default, Clone)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Power {
    disk: Arc<Mutex<Disk>>,
    locks: Memory,
}

impl Power {
    /// Every call that changes something may be the last.
    fn call(&self) -> io::Result<parking_lot::MutexGuard<'_, Disk>> {
        let mut disk = self.disk.lock();
        disk.calls += 1;
        match &mut disk.left {
            Some(0) => return Err(io::Error::other("no power")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(disk)
    }

    /// The disk as the next boot finds it.
    fn cut(&self, random: &mut Random) -> Power {
        let disk = self.disk.lock();
        let mut names = disk.durable_names.clone();
        // A name that was made, changed or removed since the directory's flush may have either fate.
        for name in disk.names.keys().chain(disk.durable_names.keys()).collect::<BTreeSet<_>>() {
            if disk.names.get(name) != disk.durable_names.get(name) && random.below(2) == 0 {
                match disk.names.get(name) {
                    Some(content) => drop(names.insert(name.clone(), *content)),
                    None => drop(names.remove(name)),
                }
            }
        }
        let contents = disk.contents.iter().map(|content| content.after_cut(random)).collect();
        let disk = Disk { contents, durable_names: names.clone(), names, ..Disk::default() };
        Power { disk: Arc::new(Mutex::new(disk)), locks: Memory::new() }
    }
}

impl Content {
    fn after_cut(&self, random: &mut Random) -> Content {
        let len = if random.below(2) == 0 { self.cached.len() } else { self.durable.len() };
        let mut found = self.durable.clone();
        found.resize(len.max(self.durable.len()), 0);
        // Some cuts keep nearly all, some nearly nothing.
        let keeps = random.below(11);
        for (sector, new) in self.cached.chunks(SECTOR).enumerate() {
            let range = sector * SECTOR..(sector * SECTOR + new.len()).min(found.len());
            let changed = found.get(range.clone()).is_none_or(|old| old != &new[..range.len()]);
            if !changed || range.is_empty() {
                continue;
            }
            match random.below(20) {
                0 => found[range].iter_mut().for_each(|byte| *byte = random.next() as u8),
                _ if random.below(10) < keeps => found[range.clone()].copy_from_slice(&new[..range.len()]),
                _ => {}
            }
        }
        Content { cached: found.clone(), durable: found }
    }
}

impl Storage for Power {
    fn path(&self) -> &std::path::Path {
        std::path::Path::new("power")
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let known = self.disk.lock().names.get(name).copied();
        let content = match known {
            Some(content) => content,
            None if access == Access::Create => {
                let mut disk = self.call()?;
                disk.contents.push(Content::default());
                let content = disk.contents.len() - 1;
                disk.names.insert(name.to_owned(), content);
                content
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(PowerFile { power: self.clone(), content }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.lock().names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.call()?;
        let content = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call()?.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.call()?;
        disk.durable_names = disk.names.clone();
        Ok(())
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        if name.starts_with("consumer.") {
            self.open(name, Access::Create)?;
        }
        self.locks.try_lock(name, mode)
    }
}

#[derive(Debug)]
struct PowerFile {
    power: Power,
    content: usize,
}

impl StorageFile for PowerFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.power.disk.lock();
        let rest = disk.contents[self.content].cached.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut disk = self.power.call()?;
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let cached = &mut disk.contents[self.content].cached;
        let end = offset as usize + bytes.len();
        if cached.len() < end {
            cached.resize(end, 0);
        }
        cached[offset as usize..end].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.power.call()?;
        let cached = &mut disk.contents[self.content].cached;
        let len = cached.len().max(bytes as usize);
        cached.resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.power.call()?;
        let content = &mut disk.contents[self.content];
        content.durable = content.cached.clone();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.power.disk.lock().contents[self.content].cached.len() as u64)
    }

    fn links(&self) -> io::Result<u64> {
        Ok(1)
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let disk = self.power.disk.lock();
        let rest = disk.contents[self.content].durable.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(Some(n))
    }

    fn map(&self, _bytes: u64) -> io::Result<Option<FileMap>> {
        Ok(None)
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

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What must hold after every cut.
#[derive(Debug, Default)]
struct Promise {
    /// The last checkpoint that was acknowledged as durable.
    durable: u64,
    /// A recovery has said that these are there; they may never go again.
    recovered: u64,
    /// What each checkpoint holds; a lost one's number may be used again, with other content.
    content: BTreeMap<u64, Vec<u8>>,
}

fn payload(id: u64) -> Vec<u8> {
    let len = [0, 30, 700, 5000, 12_000][id as usize % 5];
    (0..len).map(|i| (id as usize * 31 + i) as u8).collect()
}

/// One life: open, write, perhaps prune, until the power goes.
fn life(
    power: &Power,
    world: &Arc<Stepped>,
    promise: &mut Promise,
    random: &mut Random,
) -> highwater::Result<()> {
    let config = Config {
        segment_bytes: 64 << 10,
        buffer_bytes_max: 8 << 10,
        unflushed_bytes_max: 64 << 10,
        environment: world.clone(),
        ..Config::default()
    };
    let (log, recovery) = Log::open_on(Arc::new(power.clone()), config)?;
    let found = recovery.sequence().get();
    assert!(
        found >= promise.durable,
        "P1: {} was acknowledged, {found} is there: {recovery}",
        promise.durable
    );
    assert!(found >= promise.recovered, "what recovery had accepted is gone: {recovery}");
    promise.recovered = found;
    promise.durable = found;
    promise.content.split_off(&(found + 1));
    check(&log, promise);

    let [a, b] = ["a", "b"].map(|name| log.stream(StreamSpec::new(name)));
    let (a, b) = (a?, b?);
    let mut writer = log.writer(&[&a, &b])?;
    let mut lake = log.consumer("lake", Start::Oldest)?;
    for _ in 0..random.below(60) {
        let id = world_number(random);
        let row = payload(id);
        writer.append(&b, Op::Insert { key: b"", row: b"left uncommitted" })?;
        writer.append(&a, Op::Insert { key: b"", row: &row })?;
        let buffered = random.below(4) == 0;
        let durability = if buffered { highwater::Durability::Buffered } else { highwater::Durability::Sync };
        let next = log_next(promise);
        promise.content.insert(next, row);
        let committed = writer.commit(Commit::new().stream(&a, &id).durability(durability))?;
        assert_eq!(committed.sequence().get(), next);
        if committed.durable {
            promise.durable = next;
        }
        match random.below(12) {
            0 => {
                while let Some(batch) = lake.next_batch(&Limit::default())? {
                    lake.acknowledge(batch.end())?;
                }
            }
            1 => drop(log.prune(&Retention { min_count: 3, ..Retention::default() })?),
            2 => writer.discard(&b)?,
            _ => {}
        }
    }
    drop((writer, lake));
    if random.below(2) == 0 {
        log.close()?;
        promise.durable = promise.content.keys().last().copied().unwrap_or(0);
    }
    Ok(())
}

fn world_number(random: &mut Random) -> u64 {
    random.below(1_000_000)
}

fn log_next(promise: &Promise) -> u64 {
    promise.content.keys().last().copied().unwrap_or(0).max(promise.recovered) + 1
}

/// Everything that is retained is what was committed.
fn check(log: &Log, promise: &Promise) {
    let verification = log.verify(&mut |_| {}).unwrap();
    assert!(verification.is_sound(), "{verification:?}");
    let first = log.first();
    let mut reader = log.reader(first.max(Sequence::FIRST)).unwrap();
    while let Some(checkpoint) = reader.next().unwrap() {
        let expected = &promise.content[&checkpoint.sequence().get()];
        let found: Vec<Vec<u8>> =
            checkpoint.records().map(|record| record.unwrap().payload.to_vec()).collect();
        assert_eq!(found, std::slice::from_ref(expected), "checkpoint {}", checkpoint.sequence());
    }
}

fn run(seed: u64) -> u64 {
    let mut random = Random(seed);
    let world = Arc::new(Stepped::new(seed, 1_700_000_000_000_000));
    let mut power = Power::default();
    let mut promise = Promise::default();
    let mut cuts = 0;
    for _ in 0..8 {
        power.disk.lock().left = Some(random.below(400));
        if let Err(error) = life(&power, &world, &mut promise, &mut random) {
            assert!(power.disk.lock().left == Some(0), "seed {seed}: {error:?}");
        }
        power = power.cut(&mut random);
        world.reboot();
        cuts += 1;
    }
    power.disk.lock().left = None;
    life(&power, &world, &mut promise, &mut random).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    cuts
}

#[test]
fn no_power_cut_takes_what_was_acknowledged_or_accepted() {
    let first: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut cuts = 0;
    for seed in first..first + count {
        let cut = std::panic::catch_unwind(|| run(seed));
        cuts += cut.unwrap_or_else(|_| panic!("seed {seed} failed: run it alone with SEED={seed} SEEDS=1"));
    }
    assert!(cuts >= count * 8);
}
