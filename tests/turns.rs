//! Who says what the log has to keep, and who lets something go, take turns: whatever one does in the middle of what the
//! other does, and whoever dies there, nobody loses what he was told that he has (P11).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use highwater::environment::Stepped;
use highwater::repair::{self, Mode};
use highwater::storage::{Access, FileLayer, Layer, Lock, LockMode, Memory, Storage, StorageFile};
use highwater::{
    Commit, Compaction, Config, Consumer, ErrorKind, Limit, Log, LogReader, Op, Pin, Result, Retention,
    Sequence, Start, StreamSpec,
};

type Hook = Box<dyn FnMut(&str) -> io::Result<()> + Send>;

/// Memory that tells of calls before it does them; they may fail then.
#[derive(Clone)]
struct Watched {
    files: Memory,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn over(files: Memory) -> Self {
        Watched { files, hook: Arc::default() }
    }

    fn watch(&self, hook: impl FnMut(&str) -> io::Result<()> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    fn rest(&self) {
        *self.hook.lock().unwrap() = None;
    }

    /// One is looked at at a time: what a hook does itself is not.
    fn tell(&self, what: &str, name: &str) -> io::Result<()> {
        let Some(mut hook) = self.hook.lock().unwrap().take() else { return Ok(()) };
        let told = hook(&format!("{what} {name}"));
        self.hook.lock().unwrap().get_or_insert(hook);
        told
    }
}

impl Layer for Watched {
    fn below(&self) -> &dyn Storage {
        &self.files
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = Storage::open(&self.files, name, access)?;
        Ok(Box::new(WatchedFile { file, name: name.to_owned(), storage: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.tell("rename", to)?;
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.tell("remove", name)?;
        self.files.remove(name)
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        self.tell("lock", name)?;
        self.files.try_lock(name, mode)
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn StorageFile>,
    name: String,
    storage: Watched,
}

impl FileLayer for WatchedFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.file
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.tell("flush", &self.name)?;
        self.file.sync()
    }
}

fn config() -> Config {
    Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(3, 1)), ..Config::default() }
}

/// A log of forty checkpoints in several segments.
fn sample() -> (Watched, Log) {
    let storage = Watched::over(Memory::new());
    let (log, _) = Log::open_on(Arc::new(storage.clone()), config()).unwrap();
    let stream = log.stream(StreamSpec::new("s").key(["id"])).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 1..=40u8 {
        writer.append(&stream, Op::Upsert { key: &[i % 7], row: &[i; 9000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
    drop(writer);
    (storage, log)
}

fn prune(log: &Log) -> u64 {
    log.prune(&Retention { min_count: 1, ..Retention::default() }).unwrap().segments
}

/// As another process would.
fn register(files: &Memory) -> Result<Consumer> {
    LogReader::open_on(Arc::new(files.clone()))?.consumer("late", Start::Earliest)
}

/// Who was registered from the first checkpoint on is given all of them.
fn gets_everything(mut late: Consumer) {
    let mut next = 1;
    while let Some(batch) = late.next_batch(&Limit::default()).unwrap() {
        assert_eq!(batch.checkpoints()[0].sequence().get(), next);
        next = batch.end().sequence.get() + 1;
        late.acknowledge(batch.end()).unwrap();
    }
    assert_eq!(next, 41);
}

/// Between a pruning's look at who needs what, and its turn, somebody registers: nothing goes.
#[test]
fn who_registers_during_a_pruning_is_seen_before_its_switch() {
    let (storage, log) = sample();
    let late = Arc::new(Mutex::new(None));
    let (files, registered) = (storage.files.clone(), late.clone());
    storage.watch(move |call| {
        if call == "lock holds.guard" && registered.lock().unwrap().is_none() {
            *registered.lock().unwrap() = Some(register(&files).unwrap());
        }
        Ok(())
    });
    assert_eq!(prune(&log), 0);
    storage.rest();
    gets_everything(late.lock().unwrap().take().unwrap());
    assert!(prune(&log) > 0);
}

/// The same with a pin, and a compaction.
#[test]
fn a_pin_made_during_a_pruning_or_a_compaction_is_seen_before_the_switch() {
    for compacts in [false, true] {
        let (storage, log) = sample();
        let (files, mut is_made) = (storage.files.clone(), false);
        storage.watch(move |call| {
            if call == "lock holds.guard" && !is_made {
                is_made = true;
                let pin = Pin { from: Sequence::new(3), owner: "a backup".into(), expires_us: i64::MAX };
                LogReader::open_on(Arc::new(files.clone())).unwrap().pin("backup", &pin).unwrap();
            }
            Ok(())
        });
        let retention = Retention { min_count: 1, ..Retention::default() };
        if compacts {
            let compaction = Compaction { retention, ..Compaction::default() };
            assert!(!log.compact(&compaction, &mut |_| std::ops::ControlFlow::Continue(())).unwrap().done);
        } else {
            assert_eq!(log.prune(&retention).unwrap().segments, 0);
        }
        assert_eq!(log.first(), Sequence::FIRST);
    }
}

/// In a pruning's turn somebody comes to register: he waits, and is told that the beginning is gone. Otherwise he would be
/// registered, unseen, at a place that is just going.
#[test]
fn who_registers_in_a_prunings_turn_waits_for_its_end() {
    let (storage, log) = sample();
    let coming = Arc::new(Mutex::new(None));
    let (files, thread) = (storage.files.clone(), coming.clone());
    let mut has_turn = false;
    storage.watch(move |call| {
        if has_turn && call.starts_with("flush ") && thread.lock().unwrap().is_none() {
            let files = files.clone();
            *thread.lock().unwrap() = Some(thread::spawn(move || register(&files)));
            // He has time to come between.
            thread::sleep(Duration::from_millis(200));
        }
        has_turn |= call == "lock holds.guard";
        Ok(())
    });
    assert!(prune(&log) > 0);
    let late = coming.lock().unwrap().take().unwrap().join().unwrap();
    let error = late.map(gets_everything).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Gap { .. }), "{error}");
}

/// The pruning process dies at any call behind the moment at which somebody registered: what he was promised is there.
#[test]
fn a_pruning_that_dies_takes_nothing_from_whom_registered_meanwhile() {
    let (storage, log) = sample();
    let images = Arc::new(Mutex::new(Vec::new()));
    let (files, left) = (storage.files.clone(), images.clone());
    storage.watch(move |call| {
        let mut left = left.lock().unwrap();
        if call == "lock holds.guard" && left.is_empty() {
            drop(register(&files).unwrap());
            left.push(files.image());
        }
        if !left.is_empty() {
            left.push(files.image());
        }
        Ok(())
    });
    let pruned = prune(&log);
    storage.rest();
    assert_eq!(pruned, 0);
    let mut images = std::mem::take(&mut *images.lock().unwrap());
    images.push(storage.files.image());
    assert!(images.len() > 2, "{}", images.len());
    for image in images {
        let (log, _) = Log::open_on(Arc::new(image), config()).unwrap();
        gets_everything(log.consumer("late", Start::Now).unwrap());
    }
}

/// A repair that fails gives up the lock before it takes back what it did. Another that comes just then is refused: what it did
/// would be taken back, too.
#[test]
fn of_two_repairs_one_is_refused() {
    let (storage, log) = sample();
    log.close().unwrap();
    let mut bytes = storage.files.content("00000002.hws").unwrap();
    bytes[20_000] ^= 1;
    storage.files.set_content("00000002.hws", bytes);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = calls.clone();
    let whole = Watched::over(storage.files.image());
    whole.watch(move |call| {
        noted.lock().unwrap().push(call.to_owned());
        Ok(())
    });
    repair::apply_on(Arc::new(whole), Mode::SkipDamaged, config()).unwrap();
    let calls = calls.lock().unwrap().clone();
    let begun = calls.iter().position(|call| call == "rename repair").unwrap();
    let mut met = 0;
    for failing in begun + 1..calls.len() {
        met += usize::from(meet(&storage.files.image(), failing));
    }
    assert!(met > 5, "{met} of {} calls let another come", calls.len());
}

/// A repair of which one call fails, and another that comes when the first one asks for the lock again. Whether it came.
fn meet(files: &Memory, failing: usize) -> bool {
    let storage = Watched::over(files.clone());
    let other = Arc::new(Mutex::new(None));
    let (same, result) = (files.clone(), other.clone());
    let mut number = 0;
    storage.watch(move |call| {
        number += 1;
        if number == failing + 1 {
            return Err(io::Error::other("the disk said no"));
        }
        if number > failing && call == "lock lock.guard" && result.lock().unwrap().is_none() {
            *result.lock().unwrap() =
                Some(repair::apply_on(Arc::new(same.clone()), Mode::SkipDamaged, config()));
        }
        Ok(())
    });
    let first = repair::apply_on(Arc::new(storage), Mode::SkipDamaged, config());
    let Some(second) = other.lock().unwrap().take() else { return false };
    let refused = second.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Locked);
    let repaired = || {
        let log = Log::open_on(Arc::new(files.clone()), config()).unwrap().0;
        log.verify(&mut |_| {}).unwrap().is_sound()
    };
    assert!(refused || repaired(), "call {failing}: the first said {first:?}, the second {second:?}");
    // Whatever became of them, one that comes later finds a log that it can repair.
    repair::apply_on(Arc::new(files.clone()), Mode::SkipDamaged, config()).unwrap();
    assert!(repaired());
    true
}
