//! What one call does while another is at its most delicate: a storage that runs something in the middle of a rename.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use highwater::environment::Stepped;
use highwater::storage::{Layer, Memory, Storage};
use highwater::{Commit, Config, Log, LogReader, Op, Retention, StreamSpec};

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Memory that does something just before a file gets a name that begins so.
#[derive(Clone)]
struct Interrupted {
    files: Memory,
    meanwhile: Arc<Mutex<Option<(&'static str, Meanwhile)>>>,
}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupted")
    }
}

impl Interrupted {
    fn new() -> Self {
        Interrupted { files: Memory::new(), meanwhile: Arc::default() }
    }

    fn before(&self, name: &'static str, meanwhile: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some((name, Box::new(meanwhile)));
    }
}

impl Layer for Interrupted {
    fn below(&self) -> &dyn Storage {
        &self.files
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let due = self.meanwhile.lock().unwrap().take_if(|(name, _)| to.starts_with(*name));
        if let Some((_, meanwhile)) = due {
            meanwhile();
        }
        self.files.rename(from, to)
    }
}

#[test]
fn a_writer_makes_a_segment_while_a_pruning_makes_a_base_file() {
    let storage = Interrupted::new();
    let world = Arc::new(Stepped::new(1, 1));
    let config = Config {
        segment_bytes: 64 << 10,
        spare_segments: 0,
        environment: world.clone(),
        ..Config::default()
    };
    let (log, _) = Log::open_on(Arc::new(storage.clone()), config).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    let mut commit = move |number: u32| {
        writer.append(&stream, Op::Insert { key: b"", row: &[number as u8; 20_000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &number)).unwrap();
    };
    (1..=20).for_each(&mut commit);
    let (sent, writing) = std::sync::mpsc::channel();
    storage.before("base-", move || {
        sent.send(std::thread::spawn(move || (21..=40).for_each(&mut commit))).unwrap();
        // It has time to do harm; if it waits for us instead, it goes on when we are done.
        std::thread::sleep(std::time::Duration::from_millis(100));
    });
    let pruned = log.prune(&Retention { min_count: 2, ..Retention::default() }).unwrap();
    writing.recv().unwrap().join().unwrap();
    assert!(pruned.segments > 0 && log.end().unwrap().sequence.get() == 40);
    log.close().unwrap();

    let log = LogReader::open_on(Arc::new(storage)).unwrap();
    assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
    assert_eq!(*common::payloads(&log).last().unwrap(), [40; 20_000]);
}

#[test]
fn a_pruning_leaves_a_spare_segment_alone_that_is_being_written_over() {
    let storage = Interrupted::new();
    let config =
        Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(1, 1)), ..Config::default() };
    let log = Arc::new(Log::open_on(Arc::new(storage.clone()), config).unwrap().0);
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    let mut commit = |number: u32| {
        writer.append(&stream, Op::Insert { key: b"", row: &[number as u8; 20_000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &number)).unwrap();
    };
    let retention = Retention { min_count: 2, ..Retention::default() };
    (1..=20).for_each(&mut commit);
    log.prune(&retention).unwrap();
    assert!(log.status().unwrap().spare_segments > 0);

    let (pruner, pruning) = std::sync::mpsc::channel();
    let same = log.clone();
    storage.before("0000", move || {
        pruner.send(std::thread::spawn(move || same.prune(&retention).unwrap())).unwrap();
        // It has time to do harm; if it waits for us instead, it goes on when we are done.
        std::thread::sleep(std::time::Duration::from_millis(100));
    });
    (21..=40).for_each(&mut commit);
    pruning.recv().unwrap().join().unwrap();
    (41..=60).for_each(&mut commit);
    assert!(log.status().unwrap().segments_recycled > 1);
    assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
}
