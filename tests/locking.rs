//! Who comes at the very moment in which another takes the lock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use highwater::storage::{Disk, Layer, Lock, LockMode, Storage};
use highwater::{Config, ErrorKind, Log};

type Meanwhile = Box<dyn FnOnce() + Send>;

/// A disk that does something just before the lock is asked for, and just before it says who holds it.
struct Interrupted {
    disk: Disk,
    asked: Mutex<Option<Meanwhile>>,
    taken: Arc<Mutex<Option<Meanwhile>>>,
}

impl Interrupted {
    fn new(dir: &Path) -> Self {
        Interrupted { disk: Disk::new(dir), asked: Mutex::default(), taken: Arc::default() }
    }
}

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupted")
    }
}

impl Layer for Interrupted {
    fn below(&self) -> &dyn Storage {
        &self.disk
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        let asked = self.asked.lock().unwrap().take();
        asked.into_iter().for_each(|meanwhile| meanwhile());
        let taken = self.disk.try_lock(name, mode)?;
        Ok(taken.map(|lock| Box::new(InterruptedLock { lock, taken: self.taken.clone() }) as Box<dyn Lock>))
    }
}

struct InterruptedLock {
    lock: Box<dyn Lock>,
    taken: Arc<Mutex<Option<Meanwhile>>>,
}

impl std::fmt::Debug for InterruptedLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lock.fmt(f)
    }
}

impl Lock for InterruptedLock {
    fn describe(&self, text: &str) -> io::Result<()> {
        let taken = self.taken.lock().unwrap().take();
        taken.into_iter().for_each(|meanwhile| meanwhile());
        self.lock.describe(text)
    }
}

/// A lock that names a dead process is taken from it; but not while somebody else is just taking it.
#[test]
#[cfg(target_os = "linux")]
fn a_dead_holders_lock_has_one_heir() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    Log::open(&path, Config::default()).unwrap().0.close().unwrap();
    let read = |path: &str| std::fs::read_to_string(path).unwrap().trim().to_owned();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let dead = format!("process 4194304\nholder 4194304 1 {boot} {}\n", namespace.display());
    std::fs::write(path.join("lock"), dead).unwrap();

    let storage = Interrupted::new(&path);
    *storage.taken.lock().unwrap() = Some(Box::new(move || {
        let second = Log::open(&path, Config::default()).unwrap_err();
        assert_eq!(*second.kind(), ErrorKind::Locked, "{second}");
    }));
    let interrupted = storage.taken.clone();
    Log::open_on(Arc::new(storage), Config::default()).unwrap();
    assert!(interrupted.lock().unwrap().is_none(), "the second has tried");
}

/// Who closed a log does not hold it any more, by name either.
#[test]
fn a_closed_log_names_no_holder() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let text = || std::fs::read_to_string(dir.path().join("lock")).unwrap();
    assert!(text().contains(&format!("process {}", std::process::id())));
    log.close().unwrap();
    assert_eq!(text().trim(), "");
}

/// A repair that came and was killed while a writer waited for the lock is still to be taken back.
#[test]
fn a_writer_that_waited_sees_the_repair_that_came_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    Log::open(dir.path(), Config::default()).unwrap().0.close().unwrap();
    let note = dir.path().join("repair");
    let storage = Interrupted::new(dir.path());
    *storage.asked.lock().unwrap() = Some(Box::new(move || {
        std::fs::write(note, r#"{"repair":1,"segments":[1],"bases":[]}"#).unwrap();
    }));
    let refused = Log::open_on(Arc::new(storage), Config::default()).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Corrupt, "{refused}");
}
