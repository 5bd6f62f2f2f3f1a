//! Power cuts inside a backup and inside a restore, at every call: what was backed up before can be restored, and running either
//! again ends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::backup;
use highwater::testing::{SimDisk, State};
use highwater::{By, Commit, Config, ErrorKind, Log, LogReader, Op, Retention, Sequence, Start, StreamSpec};

const SEEDS: u64 = 6;
const BY: By<'_> = By { who: "ops", why: "x" };

fn config() -> Config {
    Config { segment_bytes: 64 << 10, ..Config::default() }
}

fn new_disk() -> SimDisk {
    SimDisk::new(State::default(), 1)
}

fn write(log: &Log, numbers: std::ops::Range<u32>) {
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for number in numbers {
        writer.append(&stream, Op::Insert { key: b"", row: &[number as u8; 6000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &number)).unwrap();
    }
}

fn open(disk: &SimDisk) -> Log {
    Log::open_on(Arc::new(disk.clone()), config()).unwrap().0
}

fn end(log: &LogReader) -> u64 {
    log.end().map_or(0, |end| end.sequence.get())
}

/// The numbers that can be read.
fn check(log: &LogReader) -> u64 {
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
    end(log)
}

fn take(from: &SimDisk, to: &SimDisk) -> highwater::Result<backup::Backup> {
    backup::take_on(Arc::new(from.clone()), Arc::new(to.clone()), &mut |_| {})
}

fn restore(from: &SimDisk, to: &SimDisk, at: Option<u64>) -> highwater::Result<backup::Restored> {
    let at = at.map(Sequence::new);
    backup::restore_on(Arc::new(from.clone()), Arc::new(to.clone()), at, BY, config())
}

#[test]
fn an_interrupted_backup_leaves_the_one_before() {
    let source = new_disk();
    let log = open(&source);
    write(&log, 1..25);
    log.consumer("lake", Start::After(Sequence::new(9))).unwrap();
    let first = new_disk();
    take(&source, &first).unwrap();
    // The second one extends a segment, has new ones, a base file, a consumer less, and segments that go; by another opening, whose
    // epoch is no sign that somebody has opened the backup.
    log.close().unwrap();
    let log = open(&source);
    write(&log, 25..60);
    log.drop_consumer("lake", None).unwrap();
    log.prune(&Retention { min_count: 45, ..Retention::default() }).unwrap();
    let before = first.state();
    let whole = SimDisk::new(before.clone(), 2);
    let made = take(&source, &whole).unwrap();
    assert!(made.removed_files > 0 && made.kept_files > 0 && made.copied_files > 2, "{made:?}");
    let calls = whole.calls();
    let mut seen = [0; 2];
    for call in 0..=calls {
        for seed in 0..SEEDS {
            let what = format!("call {call} of {calls}, seed {seed}");
            let cut = SimDisk::new(before.clone(), seed);
            cut.cut_power_after(call);
            let result = take(&source, &cut);
            assert!(result.is_err() || call >= calls, "{what}");
            let disk = cut.after_power_cut(seed);
            // What came to its end can be restored: the old one, or the new one.
            let to = new_disk();
            let restored = restore(&disk, &to, None).unwrap_or_else(|error| panic!("{what}: {error}"));
            let last = restored.to.unwrap().sequence.get();
            assert!(last == 24 || last == 59, "{what}: {last}");
            seen[usize::from(last == 59)] += 1;
            assert_eq!(check(&open(&to)), last + 1, "{what}");
            // As a log it is whole, or refused.
            match LogReader::open_on(Arc::new(disk.clone())) {
                Ok(log) => assert!([24, 59].contains(&check(&log)), "{what}"),
                Err(error) => assert_eq!(*error.kind(), ErrorKind::Locked, "{what}: {error}"),
            }
            // Run again, it ends.
            take(&source, &disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            let log =
                LogReader::open_on(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(check(&log), 59, "{what}");
            assert!(log.consumers().unwrap().is_empty(), "{what}");
        }
    }
    assert!(calls > 20 && seen[0] > 50 && seen[1] > 0, "{calls} {seen:?}");
}

#[test]
fn an_interrupted_restore_is_no_log_and_can_be_run_again() {
    let source = new_disk();
    let log = open(&source);
    write(&log, 1..40);
    log.consumer("lake", Start::After(Sequence::new(9))).unwrap();
    let copy = new_disk();
    take(&source, &copy).unwrap();
    for at in [None, Some(22)] {
        let last = at.unwrap_or(39);
        let whole = new_disk();
        restore(&copy, &whole, at).unwrap();
        let calls = whole.calls();
        let (mut refused, mut whole) = (0, 0);
        for call in 0..=calls {
            for seed in 0..SEEDS {
                let what = format!("to {at:?}, call {call} of {calls}, seed {seed}");
                let cut = new_disk();
                cut.cut_power_after(call);
                let _ = restore(&copy, &cut, at);
                let disk = cut.after_power_cut(seed);
                match LogReader::open_on(Arc::new(disk.clone())) {
                    // Everything is there; that it is on record may not be.
                    Ok(log) => {
                        whole += 1;
                        assert!((last..=last + 1).contains(&check(&log)), "{what}");
                        assert_eq!(check(&open(&disk)), end(&log), "{what}");
                        continue;
                    }
                    Err(error) => {
                        refused += 1;
                        let expected = [ErrorKind::Locked, ErrorKind::NotFound];
                        assert!(expected.contains(error.kind()), "{what}: {error}");
                    }
                }
                restore(&copy, &disk, at).unwrap_or_else(|error| panic!("{what}: {error}"));
                let log = open(&disk);
                assert_eq!(check(&log), last + 1, "{what}");
                write(&log, 100..130);
                log.close().unwrap();
                assert_eq!(check(&open(&disk)), last + 31, "{what}");
            }
        }
        assert!(refused > 50 && whole > 0, "{refused} {whole}");
    }
}
