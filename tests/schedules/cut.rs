//! Power that goes in the middle of a schedule: whatever threads are doing, the next boot finds all that was told before.

use std::sync::{Arc, Mutex};

use highwater::environment::Stepped;
use highwater::storage::{Access, FileLayer, Layer, Lock, LockMode, Storage, StorageFile};
use highwater::testing::{Random, SimDisk, State};
use highwater::{Config, Durability, ErrorKind, Limit, Log, Retention, Start, StreamSpec};
use shuttle::rand::Rng;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::{commit, config, explore};

/// The simulated disk with places where another thread may go on.
#[derive(Debug, Clone)]
struct Scheduled {
    disk: SimDisk,
    calls: Arc<AtomicU64>,
}

#[derive(Debug)]
struct ScheduledFile(Box<dyn StorageFile>, Scheduled);

impl Scheduled {
    fn call(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

impl Layer for Scheduled {
    fn below(&self) -> &dyn Storage {
        &self.disk
    }

    fn open(&self, name: &str, access: Access) -> std::io::Result<Box<dyn StorageFile>> {
        self.call();
        Ok(Box::new(ScheduledFile(Storage::open(&self.disk, name, access)?, self.clone())))
    }

    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.call();
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.call();
        self.disk.remove(name)
    }

    fn sync_names(&self) -> std::io::Result<()> {
        self.call();
        self.disk.sync_names()
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> std::io::Result<Option<Box<dyn Lock>>> {
        self.call();
        self.disk.try_lock(name, mode)
    }
}

impl FileLayer for ScheduledFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.0
    }

    fn write_at(&self, pieces: &[std::io::IoSlice<'_>], offset: u64) -> std::io::Result<usize> {
        self.1.call();
        self.0.write_at(pieces, offset)
    }

    /// What is written while it goes on is not durable behind it.
    fn sync(&self) -> std::io::Result<()> {
        self.1.call();
        let flushed = self.0.sync();
        self.1.call();
        flushed
    }
}

/// What callers have been told so far.
#[derive(Debug, Clone, Default)]
struct Told {
    /// The last checkpoint that is durable.
    durable: u64,
    /// Consumers, and what they have acknowledged for good.
    consumers: Vec<(&'static str, u64)>,
}

/// What a boot finds is what was told, or more.
fn check(state: State, told: &Told) {
    let world = Stepped::new(2, 1);
    world.reboot();
    let config = Config { environment: Arc::new(world), ..config() };
    let (log, recovery) = Log::open_on(Arc::new(SimDisk::new(state, 1)), config).unwrap();
    let end = recovery.sequence().get();
    assert!(end >= told.durable, "{} was durable, {end} is there: {recovery}", told.durable);
    let mut reader = log.reader(log.first()).unwrap();
    for expected in log.first().get()..=end {
        let checkpoint = reader.next().unwrap().unwrap();
        assert_eq!(checkpoint.sequence().get(), expected);
        assert_eq!(checkpoint.records().map(Result::unwrap).count() as u64, checkpoint.record_count());
    }
    for (name, acknowledged) in &told.consumers {
        let mut consumer = log.consumer(name, Start::Now).unwrap();
        let at = consumer.acknowledged().get();
        assert!(at >= *acknowledged, "{name} had {acknowledged} and has {at}");
        if at < end {
            let batch = consumer.next_batch(&Limit::default()).unwrap().unwrap();
            assert_eq!(batch.checkpoints()[0].sequence().get(), at + 1, "{name}");
        }
    }
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

/// A log of some segments, of which a consumer has four checkpoints for good.
fn begin(disk: &Scheduled) -> (Arc<Log>, Told) {
    let (log, _) = Log::open_on(Arc::new(disk.clone()), config()).unwrap();
    let stream = log.stream(StreamSpec::new("first")).unwrap();
    for number in 0..5 {
        commit(&log, &stream, number, 20_000, Durability::Sync).unwrap();
    }
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 4, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    lake.sync().unwrap();
    (Arc::new(log), Told { durable: 5, consumers: vec![("lake", 4)] })
}

#[test]
fn power_goes_while_threads_commit_prune_and_register() {
    explore(|| {
        let disk = Scheduled { disk: SimDisk::new(State::default(), 1), calls: Arc::default() };
        let (log, told) = begin(&disk);
        let told = Arc::new(Mutex::new(told));
        let mut threads = Vec::new();
        for name in ["a", "b"] {
            let (log, told) = (log.clone(), told.clone());
            let stream = log.stream(StreamSpec::new(name)).unwrap();
            threads.push(thread::spawn(move || {
                for number in 0..2 {
                    let sequence = commit(&log, &stream, number, 20_000, Durability::Sync).unwrap().get();
                    let mut told = told.lock().unwrap();
                    told.durable = told.durable.max(sequence);
                }
            }));
        }
        let pruned = log.clone();
        threads.push(thread::spawn(move || drop(pruned.prune(&Retention::default()).unwrap())));
        let (registers, knows) = (log.clone(), told.clone());
        threads.push(thread::spawn(move || {
            match registers.consumer("late", Start::Oldest) {
                Ok(late) => knows.lock().unwrap().consumers.push(("late", late.acknowledged().get())),
                // A schedule may let the pruning rest in its turn for as long as anybody waits.
                Err(error) => assert_eq!(*error.kind(), ErrorKind::ConsumerBusy, "{error}"),
            }
        }));
        let power = {
            let (disk, told) = (disk.clone(), told.clone());
            thread::spawn(move || {
                for _ in 0..shuttle::rand::thread_rng().gen_range(0..60) {
                    thread::yield_now();
                }
                // Nothing happens between the two: what was told is there.
                let told = told.lock().unwrap().clone();
                (disk.disk.state(), told)
            })
        };
        let (left, known) = power.join().unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for seed in 0..3 {
            check(left.crash(&mut Random::new(seed)), &known);
        }
        check(disk.disk.state().crash(&mut Random::new(3)), &told.lock().unwrap());
    });
}
