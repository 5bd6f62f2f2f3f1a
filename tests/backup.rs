//! Backups of a log at work, and logs out of backups: what is in them, whom they let go on, and what they refuse.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Fixture, payloads};
use highwater::backup::{self, Backup, Restored};
use highwater::repair::{self, Mode};
use highwater::{
    AuditEvent, By, Commit, Compaction, Config, ErrorKind, Limit, Log, LogReader, Op, Operation, Position,
    Retention, Sequence, Start, StreamName, StreamSpec,
};

const BY: By<'_> = By { who: "ops", why: "the disk broke" };

/// A log to be backed up, and a place for backups and what is restored from them.
struct Place {
    log: Fixture,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { log: Fixture::new(), dir: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn back_up(&self) -> Backup {
        backup::take(self.log.dir(), self.at("copy"), &mut |_| {}).unwrap()
    }

    fn restore(&self, name: &str, at: Option<u64>) -> Restored {
        self.try_restore(name, at).unwrap()
    }

    /// With clocks and ids of its own: a second log that repeats the first one's ids would not be told apart.
    fn try_restore(&self, name: &str, at: Option<u64>) -> highwater::Result<Restored> {
        let at = at.map(Sequence::new);
        backup::restore(self.at("copy"), self.at(name), at, BY, self.log.small_in_real_time())
    }

    fn open(&self, name: &str) -> Log {
        Log::open(self.at(name), self.log.small_in_real_time()).unwrap().0
    }
}

fn is_sound(dir: &Path) -> bool {
    let log = LogReader::open(dir).unwrap();
    let found = log.verify(&mut |_| {}).unwrap();
    assert_eq!((found.problems.as_slice(), &found.torn), (&[][..], &None));
    assert_eq!(log.unconfirmed(), None);
    found.is_sound()
}

fn state(log: &LogReader, stream: &str) -> Option<String> {
    let name = StreamName { namespace: None, name: stream.to_owned() };
    log.state().unwrap().get_text(&name).unwrap().map(|state| state.text)
}

fn end(log: &LogReader) -> u64 {
    log.end().map_or(0, |end| end.sequence.get())
}

#[test]
fn a_backup_of_a_log_at_work_is_that_log() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..100);
    let stream = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    writer.append(&stream, Op::Insert { key: b"", row: b"not committed" }).unwrap();
    let made = place.back_up();
    assert_eq!((made.end, made.since, made.kept_files), (log.end(), None, 0));
    assert!(made.copied_files > 3 && made.copied_bytes > 99 * 2000, "{made:?}");
    assert!(is_sound(&place.at("copy")));
    let copy = LogReader::open(place.at("copy")).unwrap();
    assert_eq!((copy.id(), copy.end()), (log.id(), log.end()));
    assert_eq!(payloads(&copy), payloads(&log));
    assert_eq!(state(&copy, "a").as_deref(), Some("99"));
    // What held it is gone.
    assert_eq!(
        std::fs::read_dir(place.log.dir())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("pin.") })
            .count(),
        0
    );
}

#[test]
fn what_the_log_let_go_leaves_the_backup_and_is_told() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..100);
    assert_eq!(place.back_up().first_before, None);
    assert_eq!(place.back_up().first_before, None);
    log.prune(&Retention::default()).unwrap();
    let made = place.back_up();
    assert_eq!((made.first_before, made.first), (Some(Sequence::FIRST), log.first()));
    assert!(log.first() > Sequence::FIRST);
    assert_eq!(place.back_up().first_before, None);
}

#[test]
fn the_second_backup_copies_what_is_new() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..100);
    let first = place.back_up();
    let again = place.back_up();
    assert_eq!((again.copied_files, again.copied_bytes, again.since), (0, 0, first.end));
    place.log.write(&log, "a", 100..103);
    let small = place.back_up();
    assert!(small.copied_bytes < 100_000 && small.kept_files + 2 > first.copied_files, "{small:?}");
    assert!(is_sound(&place.at("copy")));
    place.log.write(&log, "b", 1..60);
    log.consumer("lake", Start::Earliest).unwrap();
    log.close().unwrap();
    let last = place.back_up();
    assert_eq!(last.consumers, 1);
    assert!(is_sound(&place.at("copy")));
    let copy = LogReader::open(place.at("copy")).unwrap();
    assert_eq!(end(&copy), 161);
    assert_eq!(copy.consumers().unwrap()[0].name, "lake");
}

#[test]
fn what_was_pruned_and_compacted_is_backed_up_as_it_is() {
    let place = Place::new();
    let log = place.log.open_small();
    let users = log.stream(StreamSpec::new("users").key(["id"])).unwrap();
    let churn = |from: u32| {
        let mut writer = log.writer(&[&users]).unwrap();
        for n in from..from + 150 {
            let key = format!("k{}", n % 10);
            writer.append(&users, Op::Upsert { key: key.as_bytes(), row: &[n as u8; 2000] }).unwrap();
            writer.commit(Commit::new().stream(&users, &n)).unwrap();
        }
    };
    churn(0);
    place.back_up();
    log.prune(&Retention { min_count: 40, min_age: Duration::ZERO }).unwrap();
    let pruned = place.back_up();
    assert!(pruned.removed_files > 0 && pruned.first > Sequence::FIRST, "{pruned:?}");
    assert!(is_sound(&place.at("copy")));
    churn(150);
    let compaction = Compaction {
        retention: Retention { min_count: 20, min_age: Duration::ZERO },
        tombstones_min_age: Duration::ZERO,
        dead_share_min: 0.0,
        ..Compaction::default()
    };
    let done = log.compact(&compaction, &mut |_| ControlFlow::Continue(())).unwrap();
    let compacted = place.back_up();
    assert_eq!(compacted.first, done.first);
    assert!(is_sound(&place.at("copy")));
    place.restore("new.hw", None);
    assert!(is_sound(&place.at("new.hw")));
    let new = place.open("new.hw");
    assert_eq!(payloads(&new), payloads(&log));
    // Who begins at the beginning gets the base checkpoint, as from the log itself.
    let mut lake = new.consumer("lake", Start::Oldest).unwrap();
    let batch = lake.next_batch(&Limit::default()).unwrap().unwrap();
    assert!(batch.checkpoints()[0].is_compacted());
    // The base checkpoint itself is nowhere to end behind.
    let refused = place.try_restore("x.hw", Some(done.first.get())).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Gap { .. }), "{refused}");
    let refused = place.try_restore("x.hw", Some(1)).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Gap { .. }), "{refused}");
    place.restore("then.hw", Some(done.first.get() + 1));
    assert!(is_sound(&place.at("then.hw")));
}

#[test]
fn a_restored_log_goes_on_and_says_so() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..80);
    place.back_up();
    place.log.write(&log, "a", 80..85);
    let restored = place.restore("new.hw", None);
    assert_eq!((restored.to.unwrap().sequence.get(), restored.left_out, &*restored.ahead), (79, 0, &[][..]));
    assert!(is_sound(&place.at("new.hw")));
    let new = place.open("new.hw");
    assert_eq!((new.id(), new.end()), (log.id(), restored.end));
    assert_eq!(end(&new), 80);
    let mut records = Vec::new();
    new.audit(&mut |entry| records.push(entry)).unwrap();
    let AuditEvent::Operation { record, .. } = &records.last().unwrap().event else { panic!("{records:?}") };
    assert_eq!(
        (&*record.what, record.who.as_deref(), record.from),
        ("restore to 79", Some("ops"), restored.to)
    );
    place.log.write(&new, "a", 80..200);
    assert_eq!(payloads(&new).len(), 79 + 120);
    new.close().unwrap();
    assert!(is_sound(&place.at("new.hw")));
}

#[test]
fn what_happened_before_a_restore_is_told_before_it() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..40);
    log.consumer("lake", Start::Earliest).unwrap();
    log.seek_consumer("lake", Start::After(Sequence::new(30)), None).unwrap();
    place.back_up();
    place.restore("new.hw", Some(20));
    let new = place.open("new.hw");
    new.seek_consumer("lake", Start::Now, None).unwrap();
    let mut events = Vec::new();
    new.audit(&mut |entry| events.push(entry.event)).unwrap();
    let tail: Vec<_> =
        events.iter().rev().take(3).map(|e| matches!(e, AuditEvent::Consumer { .. })).collect();
    assert_eq!(tail, [true, false, true], "moved, restored, moved: {events:?}");
}

/// So many are on record.
fn prunings(log: &LogReader) -> usize {
    let mut prunings = 0;
    log.audit(&mut |entry| prunings += usize::from(matches!(entry.event, AuditEvent::Pruning { .. })))
        .unwrap();
    prunings
}

#[test]
fn a_log_is_restored_as_of_any_checkpoint() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..40);
    place.log.write(&log, "b", 1..40);
    log.operate(
        Operation::new("set a", "ops", "x").set(log.stream(StreamSpec::new("a")).unwrap().name(), "7"),
    )
    .unwrap();
    let all = payloads(&log);
    place.back_up();
    for at in [1, 2, 29, 30, 31, 39, 40, 41, 60, 77, 78, 79] {
        let name = format!("{at}.hw");
        let restored = place.restore(&name, Some(at));
        assert_eq!((restored.to.unwrap().sequence.get(), restored.left_out), (at, 79 - at));
        assert!(is_sound(&place.at(&name)));
        let new = place.open(&name);
        assert_eq!(end(&new), at + 1);
        assert_eq!(payloads(&new), all[..(at as usize).min(78)]);
        let a = if at == 79 { 7 } else { at.min(39) };
        assert_eq!(state(&new, "a"), Some(a.to_string()));
        let b = (at > 39).then(|| (at - 39).min(39).to_string());
        assert_eq!(state(&new, "b"), b);
        place.log.write(&new, "b", 50..90);
        assert_eq!(prunings(&new), 0, "{name}: what a restore says again of what is kept lets nothing go");
        let pruned = new.prune(&Retention { min_count: 10, min_age: Duration::ZERO }).unwrap();
        assert_eq!(prunings(&new), usize::from(pruned.segments > 0), "{name}");
        new.close().unwrap();
        assert!(is_sound(&place.at(&name)));
    }
    let refused = place.try_restore("x.hw", Some(80)).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
    assert!(!place.at("x.hw").exists(), "nothing is left of it");
}

/// Destinations and consumers that have what the restored log has go on; those that have more never mistake its checkpoints for
/// theirs, neither at once nor when its numbers have passed theirs.
#[test]
fn who_is_ahead_of_a_restored_log_is_diverged() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..30);
    let positions: Vec<Position> = {
        let mut reader = log.reader(Sequence::FIRST).unwrap();
        std::iter::from_fn(|| reader.next().unwrap()).map(|checkpoint| checkpoint.position()).collect()
    };
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    while let Some(batch) = lake.next_batch(&Limit::default()).unwrap() {
        lake.acknowledge(batch.end()).unwrap();
    }
    drop(lake);
    log.consumer("slow", Start::After(Sequence::new(7))).unwrap();
    place.back_up();
    let restored = place.restore("new.hw", Some(10));
    assert_eq!(restored.ahead.iter().map(|ahead| &*ahead.consumer).collect::<Vec<_>>(), ["lake"]);
    let new = place.open("new.hw");
    let diverges = |new: &Log| {
        for (n, position) in positions.iter().enumerate() {
            let checked = new.check_position(*position).map_err(|error| error.kind().clone());
            let expected = if n < 10 { Ok(()) } else { Err(ErrorKind::Diverged) };
            assert_eq!(checked, expected, "{position}");
            let mut slow = new.consumer("slow", Start::Earliest).unwrap();
            assert_eq!(slow.align(Some(*position)).map_err(|error| error.kind().clone()), expected);
        }
        assert_eq!(*new.consumer("lake", Start::Earliest).unwrap_err().kind(), ErrorKind::Diverged);
    };
    diverges(&new);
    place.log.write(&new, "a", 11..60);
    diverges(&new);
    // A person decides.
    new.seek_consumer("lake", Start::After(Sequence::new(10)), None).unwrap();
    let mut lake = new.consumer("lake", Start::Earliest).unwrap();
    assert_eq!(lake.next_batch(&Limit::default()).unwrap().unwrap().checkpoints()[0].sequence().get(), 11);
}

#[test]
fn a_log_that_was_closed_or_crashed_is_backed_up_too() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..20);
    log.close().unwrap();
    place.back_up();
    assert!(is_sound(&place.at("copy")));
    let log = place.log.open_small();
    let stream = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    writer.append(&stream, Op::Insert { key: b"", row: b"20" }).unwrap();
    writer.commit(Commit::new().stream(&stream, &20).durability(highwater::Durability::Buffered)).unwrap();
    writer.append(&stream, Op::Insert { key: b"", row: &[1; 400_000] }).unwrap();
    std::mem::forget((writer, log)); // as a killed process leaves it, but for the lock
    std::fs::remove_file(place.log.dir().join("lock")).unwrap();
    place.back_up();
    assert!(is_sound(&place.at("copy")));
    place.restore("new.hw", None);
    let new = place.open("new.hw");
    assert_eq!(state(&new, "a").as_deref(), Some("20"));
    place.log.write(&new, "a", 21..60);
    new.close().unwrap();
    assert!(is_sound(&place.at("new.hw")));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_changed() {
    let place = Place::new();
    let refused = |what: highwater::Result<Backup>| what.unwrap_err();
    let take = |from: &Path, to: &Path| backup::take(from, to, &mut |_| {});
    assert_eq!(*refused(take(&place.at("none"), &place.at("copy"))).kind(), ErrorKind::NotFound);
    assert!(!place.at("copy").exists());
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..50);
    std::fs::create_dir(place.at("photos")).unwrap();
    std::fs::write(place.at("photos").join("cat.jpg"), "x").unwrap();
    assert_eq!(*refused(take(place.log.dir(), &place.at("photos"))).kind(), ErrorKind::NotALog);
    let other = place.open("other.hw");
    assert_eq!(*refused(take(place.log.dir(), &place.at("other.hw"))).kind(), ErrorKind::Invalid);
    place.back_up();
    place.log.write(&other, "a", 1..5);
    assert_eq!(*refused(take(&place.at("other.hw"), &place.at("copy"))).kind(), ErrorKind::Diverged);
    // Restoring writes over nothing: neither a log, nor a backup, nor anything else.
    for name in ["other.hw", "copy", "photos"] {
        let error = place.try_restore(name, None).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotALog), "{name}: {error}");
    }
    // A backup that goes its own way is one no more.
    let copy = place.open("copy");
    place.log.write(&copy, "a", 50..52);
    copy.close().unwrap();
    let error = refused(take(place.log.dir(), &place.at("copy")));
    assert_eq!(*error.kind(), ErrorKind::Diverged, "{error}");
    assert!(is_sound(&place.at("copy")));
}

/// A log that was cut and goes on otherwise has nothing to do with the end of its backup.
#[test]
fn a_backup_is_not_continued_with_another_history() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..60);
    log.close().unwrap();
    place.back_up();
    // Restored as of 40, the log in the same place goes on, past where the backup ends.
    place.restore("new.hw", Some(40));
    let new = place.open("new.hw");
    let refused = |new: &Log| {
        let error = backup::take(new.path(), place.at("copy"), &mut |_| {}).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Diverged, "{error}");
    };
    refused(&new);
    place.log.write(&new, "a", 41..100);
    refused(&new);
    assert!(is_sound(&place.at("copy")));
    assert_eq!(end(&LogReader::open(place.at("copy")).unwrap()), 59);
    // Restored whole, it is the continuation.
    place.restore("whole.hw", None);
    let whole = place.open("whole.hw");
    place.log.write(&whole, "a", 60..70);
    backup::take(whole.path(), place.at("copy"), &mut |_| {}).unwrap();
    assert!(is_sound(&place.at("copy")));
}

/// The segment in which the backup ends is the log's own, and holds something else there.
#[test]
fn a_backup_is_not_continued_with_another_end_of_its_segment() {
    let place = Place::new();
    let log = Log::open(place.log.dir(), Config::default()).unwrap().0;
    place.log.write(&log, "a", 1..60);
    log.close().unwrap();
    place.back_up();
    place.restore("new.hw", Some(40));
    let new = Log::open(place.at("new.hw"), Config::default()).unwrap().0;
    place.log.write(&new, "a", 41..100);
    let error = backup::take(new.path(), place.at("copy"), &mut |_| {}).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Diverged, "{error}");
    assert!(is_sound(&place.at("copy")));
}

#[test]
fn what_is_being_copied_is_held_and_no_longer() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 0..60);
    let first = log.first();
    let prune = || {
        log.prune(&Retention::default()).unwrap();
        log.first()
    };
    let made = backup::take(log.path(), place.at("copy"), &mut |_| assert_eq!(prune(), first)).unwrap();
    assert_eq!(made.first, first);
    assert!(prune() > first);
}

#[test]
fn damage_does_not_get_into_a_backup() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..60);
    log.close().unwrap();
    let path = place.log.dir().join("00000001.hws");
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let at = bytes.windows(500).position(|row| row.iter().all(|byte| *byte == 9)).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = backup::take(place.log.dir(), place.at("copy"), &mut |_| {}).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.file().unwrap(), Path::new("00000001.hws"));
    assert_eq!(*LogReader::open(place.at("copy")).unwrap_err().kind(), ErrorKind::Locked);
    // The same directory serves once that is mended.
    std::fs::write(&path, &whole).unwrap();
    place.back_up();
    assert!(is_sound(&place.at("copy")));
    // Nor is a damaged backup restored.
    std::fs::write(place.at("copy").join("00000001.hws"), &bytes).unwrap();
    assert_eq!(*place.try_restore("new.hw", None).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(*LogReader::open(place.at("new.hw")).unwrap_err().kind(), ErrorKind::Locked);
    std::fs::write(place.at("copy").join("00000001.hws"), &whole).unwrap();
    place.restore("new.hw", None);
    assert!(is_sound(&place.at("new.hw")));
}

#[test]
fn backups_beside_a_writer_that_prunes_and_compacts() {
    let place = Place::new();
    let log = place.log.open_with(place.log.small_in_real_time()).unwrap().0;
    place.log.write(&log, "a", 0..20);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let users = log.stream(StreamSpec::new("users").key(["id"])).unwrap();
            let mut n = 0u32;
            while !over.load(Ordering::Relaxed) {
                let mut writer = log.writer(&[&users]).unwrap();
                for _ in 0..10 {
                    let key = format!("k{}", n % 7);
                    writer.append(&users, Op::Upsert { key: key.as_bytes(), row: &[n as u8; 3000] }).unwrap();
                    writer.commit(Commit::new().stream(&users, &n)).unwrap();
                    n += 1;
                }
                let retention = Retention { min_count: 20, min_age: Duration::ZERO };
                match n % 30 {
                    0 => drop(log.prune(&retention).unwrap()),
                    10 => {
                        let compaction =
                            Compaction { retention, dead_share_min: 0.0, ..Compaction::default() };
                        log.compact(&compaction, &mut |_| ControlFlow::Continue(())).unwrap();
                    }
                    _ => {}
                }
            }
        });
        let mut last = 0;
        for round in 0..25 {
            let made = place.back_up();
            let now = made.end.unwrap().sequence.get();
            assert!(now >= last, "{made:?}");
            last = now;
            assert!(is_sound(&place.at("copy")), "round {round}");
        }
        over.store(true, Ordering::Relaxed);
        writing.join().unwrap();
    });
    log.close().unwrap();
    place.back_up();
    place.restore("new.hw", None);
    let new = place.open("new.hw");
    let log = place.log.reader();
    assert_eq!(payloads(&new), payloads(&log));
}

/// Rewound, edited, repaired, backed up and restored, it is a log like any other.
#[test]
fn after_everything_that_is_done_by_hand_a_log_is_sound_and_delivers() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..80);
    let plan = log.plan_rewind(Sequence::new(20), None).unwrap();
    log.rewind(&plan, "ops", "x").unwrap();
    let name = StreamName { namespace: None, name: "a".to_owned() };
    log.operate(Operation::new("edit a", "ops", "x").set(&name, "21")).unwrap();
    place.log.write(&log, "a", 80..120);
    log.close().unwrap();
    let path = place.log.dir().join("00000002.hws");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(500).position(|row| row.iter().all(|byte| *byte == row[0] && *byte > 0)).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let repaired = repair::apply(place.log.dir(), Mode::SkipDamaged, place.log.small()).unwrap();
    assert!((1..=2).contains(&repaired.lost_checkpoints), "{repaired}");
    assert!(is_sound(place.log.dir()));
    place.back_up();
    assert!(is_sound(&place.at("copy")));
    let restored = place.restore("new.hw", None);
    assert!(is_sound(&place.at("new.hw")));
    // Delivered from the beginning, over the gap that the repair has left: every record once, in order.
    let new = place.open("new.hw");
    place.log.write(&new, "a", 120..130);
    let mut lake = new.consumer("lake", Start::Earliest).unwrap();
    let mut delivered = Vec::new();
    loop {
        match lake.next_batch(&Limit { max_bytes: 5000, ..Limit::default() }) {
            Ok(Some(batch)) => {
                delivered.extend(batch.records().map(|record| record.unwrap().payload.to_vec()));
                lake.acknowledge(batch.end()).unwrap();
            }
            Ok(None) => break,
            Err(error) => match *error.kind() {
                ErrorKind::Gap { last, .. } => lake.pass_gap(last).unwrap(),
                _ => panic!("{error}"),
            },
        }
    }
    assert_eq!(delivered.len() as u64, 129 - repaired.lost_checkpoints);
    assert_eq!(lake.acknowledged(), new.end().unwrap().sequence);
    assert!(restored.end.is_some());
}

/// It would go with the log that it is to save, and a restored log with its backup.
#[test]
fn a_backup_inside_of_the_log_is_refused_and_makes_nothing() {
    let place = Place::new();
    let log = place.log.open_small();
    place.log.write(&log, "a", 1..5);
    let inside = place.log.dir().join("in/deep");
    let refused = backup::take(place.log.dir(), &inside, &mut |_| {}).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(!place.log.dir().join("in").exists());
    place.back_up();
    assert_eq!(*place.try_restore("copy/in", None).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!place.at("copy/in").exists() && is_sound(&place.at("copy")));
}
