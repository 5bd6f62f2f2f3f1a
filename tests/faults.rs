//! Calls that fail, a disk that is full, and what opening costs: a storage that counts and breaks its calls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use highwater::environment::Stepped;
use highwater::storage::{Access, FileLayer, Layer, Memory, Storage, StorageFile};
use highwater::{
    Commit, Config, Durability, ErrorKind, Limit, Log, LogReader, Op, Recovery, Retention, Sequence, Start,
    StreamSpec,
};

/// Memory that breaks.
#[derive(Debug, Clone)]
struct Breaking {
    files: Memory,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Counts down; the call that reaches zero fails, and so do all after it. Zero or less: nothing fails.
    syncs: AtomicI64,
    writes: AtomicI64,
    writebacks: AtomicI64,
    /// Flushes of other files than segments and base files.
    small_syncs: AtomicI64,
    /// Flushes of the directory.
    names: AtomicI64,
    /// Bytes that can still be allocated.
    room: AtomicI64,
    read: AtomicU64,
    written: AtomicU64,
    /// The device holds zeros, whatever the cache shows.
    forgot: AtomicBool,
    /// A consumer's file that appears while a pruning writes its base file, as if registered by another process.
    latecomer: std::sync::Mutex<Option<Vec<u8>>>,
}

impl Breaking {
    fn new() -> Self {
        let faults = Faults { room: AtomicI64::new(i64::MAX), ..Faults::default() };
        Breaking { files: Memory::new(), faults: Arc::new(faults) }
    }

    fn open(&self) -> highwater::Result<Log> {
        self.recover().map(|(log, _)| log)
    }

    fn recover(&self) -> highwater::Result<(Log, Recovery)> {
        let config = Config {
            segment_bytes: 64 << 10,
            environment: Arc::new(Stepped::new(1, 1)),
            ..Config::default()
        };
        Log::open_on(Arc::new(self.clone()), config)
    }
}

fn due(counter: &AtomicI64) -> bool {
    let left = counter.load(Relaxed);
    if left > 1 {
        counter.store(left - 1, Relaxed);
    }
    left == 1
}

impl Layer for Breaking {
    fn below(&self) -> &dyn Storage {
        &self.files
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = self.files.open(name, access)?;
        // A segment is made under another name, and so is a base file.
        let data = name.ends_with(".hws") || name == "new.tmp" || name == "new-base.tmp";
        Ok(Box::new(BreakingFile { file, faults: self.faults.clone(), data }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if to.starts_with("base-")
            && let Some(bytes) = self.faults.latecomer.lock().unwrap().take()
        {
            self.files.set_content("consumer.late", bytes);
        }
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let freed = self.files.content(name).map_or(0, |bytes| bytes.len());
        self.faults.room.fetch_add(freed as i64, Relaxed);
        self.files.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        if due(&self.faults.names) { Err(io::Error::other("the directory's flush failed")) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct BreakingFile {
    file: Box<dyn StorageFile>,
    faults: Arc<Faults>,
    data: bool,
}

impl FileLayer for BreakingFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.file
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.read.fetch_add(buf.len() as u64, Relaxed);
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        if self.data && due(&self.faults.writes) {
            return Err(io::Error::other("the disk said no"));
        }
        self.faults.written.fetch_add(pieces.iter().map(|piece| piece.len() as u64).sum(), Relaxed);
        self.file.write_at(pieces, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let more = bytes as i64 - self.file.len()? as i64;
        if more > 0 {
            if self.faults.room.load(Relaxed) < more {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.faults.room.fetch_sub(more, Relaxed);
        }
        self.file.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if due(if self.data { &self.faults.syncs } else { &self.faults.small_syncs }) {
            return Err(io::Error::other("the flush failed"));
        }
        self.file.sync()
    }

    fn begin_writeback(&self, offset: u64, bytes: u64) -> io::Result<()> {
        if due(&self.faults.writebacks) {
            return Err(io::Error::other("the device lost a block"));
        }
        self.file.begin_writeback(offset, bytes)
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        if self.faults.forgot.load(Relaxed) {
            buf.fill(0);
            return Ok(Some(buf.len()));
        }
        self.file.read_device(buf, offset)
    }
}

fn write(log: &Log, count: u32) -> highwater::Result<()> {
    let a = log.stream(StreamSpec::new("a"))?;
    let mut writer = log.writer(&[&a])?;
    for i in 0..count {
        writer.append(&a, Op::Insert { key: b"", row: &[i as u8; 2000] })?;
        writer.commit(Commit::new().stream(&a, &i))?;
    }
    Ok(())
}

/// Every checkpoint is read back, whole.
fn checkpoints(log: &LogReader) -> u64 {
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
    let mut reader = log.reader(log.first()).unwrap();
    let mut count = 0;
    while let Some(checkpoint) = reader.next().unwrap() {
        checkpoint.records().for_each(|record| drop(record.unwrap()));
        count += 1;
    }
    count
}

#[test]
fn after_a_failed_write_or_flush_nothing_more_is_written_until_the_log_is_opened_again() {
    for fail in [(|f: &Faults| &f.syncs) as fn(&Faults) -> &AtomicI64, |f| &f.writes] {
        let disk = Breaking::new();
        let log = disk.open().unwrap();
        write(&log, 5).unwrap();
        fail(&disk.faults).store(1, Relaxed);
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        let first = writer.commit(Commit::new().stream(&a, &99)).unwrap_err();
        assert_eq!(*first.kind(), ErrorKind::Io, "{first}");
        fail(&disk.faults).store(0, Relaxed); // the disk is well again; the log does not believe it
        let written = disk.faults.written.load(Relaxed);
        let second = writer.commit(Commit::new().stream(&a, &100)).unwrap_err();
        assert_eq!(*second.kind(), ErrorKind::Failed);
        assert!(second.to_string().contains("opened again"), "{second}");
        assert_eq!(*log.flush().unwrap_err().kind(), ErrorKind::Failed);
        drop((writer, log));
        assert_eq!(disk.faults.written.load(Relaxed), written, "not even at the close");
        let log = disk.open().unwrap();
        assert!(checkpoints(&log) >= 5);
        write(&log, 5).unwrap();
    }
}

/// The device shows what it was given (reading past the cache writes the cache back first), and may still forget it: only
/// a flush makes it durable, wherever in a block the last frame ends. If that flush fails, the device has nothing of it, and the next opening owes
/// it still, whatever the one before has left in the cache.
/// It may have been the only call to hear of it.
#[test]
fn an_error_of_an_early_writeback_is_one_of_a_write() {
    let storage = Breaking::new();
    let (log, _) = Log::open_on(Arc::new(storage.clone()), Config::default()).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    storage.faults.writebacks.store(2, Relaxed);
    let results: Vec<_> =
        (0..400).map(|_| writer.append(&a, Op::Insert { key: b"", row: &[7; 2000] })).collect();
    let first = results.iter().position(Result::is_err).expect("it was told to begin early");
    assert_eq!(*results[first].as_ref().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(*writer.commit(Commit::new().all()).unwrap_err().kind(), ErrorKind::Failed);
    drop((writer, log));
    storage.faults.writebacks.store(0, Relaxed);
    assert_eq!(checkpoints(&storage.open().unwrap()), 0);
}

#[test]
fn an_opening_flushes_what_it_accepts_though_the_device_shows_all_of_it() {
    for length in (0..4096).step_by(8) {
        let disk = Breaking::new();
        let log = disk.open().unwrap();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        let state = Commit::new().stream(&a, &"x".repeat(length)).durability(Durability::Buffered);
        writer.commit(state).unwrap();
        let killed = Breaking { files: disk.files.image(), ..Breaking::new() };
        killed.faults.syncs.store(1, Relaxed);
        assert!(killed.open().is_err(), "a state of {length} bytes: nothing was flushed");

        killed.faults.syncs.store(0, Relaxed);
        killed.faults.forgot.store(true, Relaxed);
        let (_, recovery) = killed.recover().unwrap();
        assert!(recovery.rewritten_bytes > length as u64, "a state of {length} bytes: {recovery}");
    }
}

#[test]
fn a_recycled_segment_that_failed_behind_its_renaming_is_made_anew() {
    let disk = Breaking::new();
    let log = disk.open().unwrap();
    write(&log, 80).unwrap();
    log.prune(&Retention::default()).unwrap();
    assert!(log.status().unwrap().spare_segments > 0);
    disk.faults.names.store(1, Relaxed);
    assert_eq!(*write(&log, 80).unwrap_err().kind(), ErrorKind::Io);
    disk.faults.names.store(0, Relaxed);
    write(&log, 80).unwrap();
    assert!(checkpoints(&log) > 80);
}

#[test]
fn a_failure_at_any_call_loses_nothing_that_was_acknowledged() {
    for fail in [(|f: &Faults| &f.syncs) as fn(&Faults) -> &AtomicI64, |f| &f.writes] {
        for nth in 1..60 {
            let disk = Breaking::new();
            fail(&disk.faults).store(nth, Relaxed);
            let mut acknowledged = 0;
            if let Ok(log) = disk.open() {
                let a = log.stream(StreamSpec::new("a")).unwrap();
                let mut writer = log.writer(&[&a]).unwrap();
                for i in 0..40u32 {
                    let appended = writer.append(&a, Op::Insert { key: b"", row: &[i as u8; 3000] });
                    match appended.and_then(|()| writer.commit(Commit::new().stream(&a, &i))) {
                        Ok(committed) => acknowledged = committed.sequence().get(),
                        Err(_) => break,
                    }
                }
            }
            fail(&disk.faults).store(0, Relaxed);
            let log = disk.open().unwrap();
            let found = checkpoints(&log);
            assert!(
                found == acknowledged || found == acknowledged + 1,
                "call {nth}: {acknowledged} acknowledged, {found} found"
            );
        }
    }
}

#[test]
fn a_full_disk_is_an_answer_and_not_the_end() {
    let disk = Breaking::new();
    let log = disk.open().unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    write(&log, 100).unwrap();
    disk.faults.room.store(0, Relaxed);
    let full = write(&log, 1000).unwrap_err();
    assert_eq!(*full.kind(), ErrorKind::Full, "{full}");
    let end = log.end().unwrap().sequence;
    assert_eq!(checkpoints(&log), end.get());
    // Opening, reading, acknowledging and pruning work on a full disk.
    drop((lake, log));
    let log = disk.open().unwrap();
    assert_eq!(log.end().unwrap().sequence, end);
    lake = log.consumer("lake", Start::Earliest).unwrap();
    while let Some(batch) = lake.next_batch(&Limit::default()).unwrap() {
        lake.acknowledge(batch.end()).unwrap();
    }
    let pruned = log.prune(&Retention::default()).unwrap();
    assert!(pruned.segments > 0, "{pruned:?} {:?}", log.status().unwrap());
    write(&log, 5).unwrap();
    assert_eq!(log.end().unwrap().sequence.get(), end.get() + 5);
}

#[test]
fn opening_reads_little_whatever_the_log_weighs() {
    let disk = Breaking::new();
    let cost = |rounds: u32| {
        let log = disk.open().unwrap();
        for _ in 0..rounds {
            write(&log, 100).unwrap();
        }
        log.close().unwrap();
        let (read, written) = (disk.faults.read.load(Relaxed), disk.faults.written.load(Relaxed));
        let log = disk.open().unwrap();
        assert_eq!(disk.faults.written.load(Relaxed), written, "opening a clean log writes nothing");
        drop(log);
        disk.faults.read.load(Relaxed) - read
    };
    let (small, large) = (cost(1), cost(40));
    assert!(large < small + (1 << 20), "{small} bytes for a small log, {large} for one of 8 MB");
}

#[test]
fn an_unreadable_consumer_stops_pruning_and_is_no_absent_one() {
    let disk = Breaking::new();
    let log = disk.open().unwrap();
    drop(log.consumer("lake", Start::Earliest).unwrap());
    write(&log, 200).unwrap();
    let mut bytes = disk.files.content("consumer.lake").unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    disk.files.set_content("consumer.lake", bytes);
    let refused = log.prune(&Retention::default()).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("consumer.lake"), "{refused}");
    assert_eq!(log.first(), Sequence::FIRST);
    log.drop_consumer("lake", None).unwrap();
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
}

#[test]
fn a_rename_or_drop_that_found_no_room_has_not_happened() {
    let disk = Breaking::new();
    let log = disk.open().unwrap();
    write(&log, 20).unwrap();
    disk.faults.room.store(0, Relaxed);
    assert_eq!(*write(&log, 1000).unwrap_err().kind(), ErrorKind::Full);
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut tries = 0;
    while log.reset_stream(&a).is_ok() {
        tries += 1; // small commits still fit for a while
        assert!(tries < 1000);
    }
    let long = "n".repeat(20_000);
    assert_eq!(*log.rename_stream(&a, StreamSpec::new(long.clone())).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(*log.drop_stream(&a).unwrap_err().kind(), ErrorKind::Full);
    disk.faults.room.store(i64::MAX, Relaxed);
    write(&log, 1).unwrap();
    assert_eq!(log.stream(StreamSpec::new("a")).unwrap().id(), a.id());
    assert_ne!(log.stream(StreamSpec::new(long)).unwrap().id(), a.id());
    drop(log);
    assert_eq!(disk.open().unwrap().streams().unwrap().len(), 1);
}

#[test]
fn a_consumer_that_registers_during_a_pruning_takes_it_back() {
    for earlier_pruning in [false, true] {
        let disk = Breaking::new();
        let log = disk.open().unwrap();
        let old = log.stream(StreamSpec::new("old")).unwrap();
        log.writer(&[&old]).unwrap().commit(Commit::new().stream(&old, &"first")).unwrap();
        if earlier_pruning {
            write(&log, 200).unwrap();
            assert!(log.prune(&Retention::default()).unwrap().segments > 0);
            log.writer(&[&old]).unwrap().commit(Commit::new().stream(&old, &"second")).unwrap();
        }
        drop(log.consumer("late", Start::Oldest).unwrap());
        *disk.faults.latecomer.lock().unwrap() = disk.files.content("consumer.late");
        log.drop_consumer("late", None).unwrap();
        write(&log, 200).unwrap();
        let (first, end) = (log.first(), log.end());
        assert_eq!(log.prune(&Retention::default()).unwrap().segments, 0);
        let expected = if earlier_pruning { "\"second\"" } else { "\"first\"" };
        let check = |log: &Log| {
            assert_eq!((log.first(), log.end()), (first, end));
            assert_eq!(log.state().unwrap().get_text(old.name()).unwrap().unwrap().text, expected);
            checkpoints(log);
        };
        check(&log);
        drop(log);
        let log = disk.open().unwrap();
        check(&log);
        let mut late = log.consumer("late", Start::Now).unwrap();
        while let Some(batch) = late.next_batch(&Limit::default()).unwrap() {
            late.acknowledge(batch.end()).unwrap();
        }
        assert!(log.prune(&Retention::default()).unwrap().segments > 0);
        assert_eq!(log.state().unwrap().get_text(old.name()).unwrap().unwrap().text, expected);
        checkpoints(&log);
    }
}

/// A power cut inside a rename may leave both names: the next segment must not be made in the file of a live one.
#[test]
fn a_leftover_that_is_another_name_of_a_live_segment_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { segment_bytes: 64 << 10, ..Config::default() };
    let (log, _) = Log::open(dir.path(), config()).unwrap();
    write(&log, 40).unwrap();
    let last = log.status().unwrap().segments.last().unwrap().id;
    assert!(last > 1);
    log.close().unwrap();
    let live = dir.path().join(format!("{last:08x}.hws"));
    std::fs::hard_link(live, dir.path().join("new.tmp")).unwrap();
    let (log, _) = Log::open(dir.path(), config()).unwrap();
    write(&log, 40).unwrap();
    log.close().unwrap();
    let (log, _) = Log::open(dir.path(), config()).unwrap();
    assert_eq!(checkpoints(&log), 80);
}

/// A flush that failed once may succeed the next time and have flushed nothing: only opening again tells.
#[test]
fn a_consumers_failed_flush_is_final() {
    let disk = Breaking::new();
    let log = disk.open().unwrap();
    write(&log, 5).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 2, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    disk.faults.small_syncs.store(1, Relaxed);
    assert_eq!(*lake.sync().unwrap_err().kind(), ErrorKind::Io);
    disk.faults.small_syncs.store(0, Relaxed);
    assert_eq!(*lake.sync().unwrap_err().kind(), ErrorKind::Failed);
    let batch = lake.next_batch(&Limit::default()).unwrap().unwrap();
    assert_eq!(*lake.acknowledge(batch.end()).unwrap_err().kind(), ErrorKind::Failed);
    drop(lake);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    assert_eq!(lake.acknowledged().get(), 2);
    lake.acknowledge(batch.end()).unwrap();
    lake.sync().unwrap();
}
