//! Pruning, caps and retention: what goes, what stays, and who holds it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Fixture, drain, insert, payloads, text_of};
use highwater::{
    Commit, Config, ErrorKind, Limit, Log, Retention, Sequence, Start, StreamSpec, WhenFull, storage::Memory,
};

#[test]
fn pruning_keeps_states_streams_and_what_somebody_needs() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let old = log.stream(StreamSpec::new("old").key(["id"]).schema("{}")).unwrap();
    let mut writer = log.writer(&[&old]).unwrap();
    writer.commit(Commit::new().stream(&old, &"never changes")).unwrap();
    drop(writer);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    fixture.write(&log, "a", 0..200);
    assert_eq!(log.prune(&Retention::default()).unwrap().segments, 0, "lake needs everything");
    let batch = lake.next_batch(&Limit { max_checkpoints: 150, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    let plan = log.plan_prune(&Retention::default()).unwrap();
    let pruned = log.prune(&Retention::default()).unwrap();
    assert_eq!(plan, pruned);
    assert!(pruned.segments > 3, "{pruned:?}");
    assert_eq!(pruned.first.get(), 151);
    let gap = ErrorKind::Gap { first: Sequence::FIRST, last: Sequence::new(150) };
    assert_eq!(*log.reader(Sequence::FIRST).unwrap_err().kind(), gap);
    assert_eq!(*log.consumer("late", Start::Earliest).unwrap_err().kind(), gap);
    assert_eq!(log.consumers().unwrap().len(), 1, "a refused consumer leaves nothing");
    assert_eq!(
        log.state_at(Sequence::new(160)).unwrap().get_text(old.name()).unwrap().unwrap().text,
        "\"never changes\""
    );
    let check = |log: &Log| {
        assert_eq!(text_of(log, &old).as_deref(), Some("\"never changes\""));
        assert_eq!(log.find_stream(old.name()).unwrap().schema.as_deref(), Some("{}"));
        assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
    };
    check(&log);
    drop((lake, log));
    // Once more, after opening again: the base file of the first pruning takes part in the second.
    let log = fixture.open_small();
    check(&log);
    fixture.write(&log, "a", 0..200);
    drain(&mut log.consumer("lake", Start::Now).unwrap());
    assert!(log.prune(&Retention { min_count: 7, ..Retention::default() }).unwrap().segments > 3);
    assert_eq!(log.status().unwrap().checkpoints, 7);
    check(&log);
    drop(log);
    check(&fixture.open_small());
}

#[test]
fn pruning_does_not_lose_the_uncommitted_records_of_a_slow_stream() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let slow = log.stream(StreamSpec::new("slow")).unwrap();
    let mut writer = log.writer(&[&slow]).unwrap();
    for i in 0..40u32 {
        writer.append(&slow, insert(&[i as u8; 4000])).unwrap();
    }
    for _ in 0..3 {
        fixture.write(&log, "a", 0..200);
        assert!(log.prune(&Retention::default()).unwrap().segments > 3);
    }
    writer.append(&slow, insert(b"last")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
    drop(writer);
    let mut reader = log.reader(log.end().unwrap().sequence).unwrap();
    let checkpoint = reader.next().unwrap().unwrap();
    let records: Vec<_> = checkpoint.records().map(|r| r.unwrap().payload.to_vec()).collect();
    let mut expected: Vec<Vec<u8>> = (0..40u32).map(|i| vec![i as u8; 4000]).collect();
    expected.push(b"last".to_vec());
    assert_eq!(records, expected);
}

#[test]
fn pruned_segments_are_written_over() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    for _ in 0..5 {
        fixture.write(&log, "a", 0..200);
        log.prune(&Retention::default()).unwrap();
    }
    let status = log.status().unwrap();
    assert!(status.segments_recycled > 0, "{status:?}");
    assert!(status.disk_bytes < 4 << 20, "{status:?}");
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

#[test]
fn a_full_log_says_who_holds_it_and_goes_on_when_there_is_room() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open_with(Config { size_max: Some(600 << 10), ..fixture.small() }).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let full = fixture.try_write(&log, "a", 0..2000).unwrap_err();
    assert_eq!(*full.kind(), ErrorKind::Full);
    assert!(full.to_string().contains("consumer lake"), "{full}");
    drain(&mut lake);
    let before = log.end().unwrap().sequence;
    fixture.write(&log, "a", 0..10);
    assert_eq!(log.end().unwrap().sequence.get(), before.get() + 10);
}

#[test]
fn at_the_cap_an_append_waits_for_the_consumer() {
    let fixture = Fixture::new();
    let config = Config {
        size_max: Some(600 << 10),
        when_full: WhenFull::Wait(Duration::from_secs(30)),
        ..fixture.small_in_real_time()
    };
    let (log, _) = fixture.open_with(config).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    std::thread::scope(|scope| {
        let log = &log;
        let fixture = &fixture;
        let writing = scope.spawn(move || fixture.try_write(log, "a", 0..1000));
        let mut seen = 0;
        while seen < 1000 {
            let wait = Limit { wait: Duration::from_secs(30), ..Limit::default() };
            let batch = lake.next_batch(&wait).unwrap().expect("the writer goes on");
            seen += batch.records().count();
            lake.acknowledge(batch.end()).unwrap();
        }
        writing.join().unwrap().unwrap();
    });
    assert!(log.status().unwrap().disk_bytes < 2 << 20);
}

#[test]
fn a_checkpoint_larger_than_the_cap_fails_at_once() {
    let fixture = Fixture::new();
    let config = Config {
        size_max: Some(600 << 10),
        when_full: WhenFull::Wait(Duration::from_secs(600)),
        ..fixture.small_in_real_time()
    };
    let (log, _) = fixture.open_with(config).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    let error = (0..1000).find_map(|_| writer.append(&a, insert(&[1; 4000])).err()).expect("it can't fit");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. } | ErrorKind::Full), "{error}");
    writer.discard(&a).unwrap();
    writer.append(&a, insert(b"small")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
}

#[test]
fn a_pin_holds_until_it_expires() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..200);
    let pin = highwater::Pin { from: Sequence::FIRST, owner: "backup".into(), expires_us: i64::MAX };
    log.pin("nightly", &pin).unwrap();
    let pruned = log.prune(&Retention::default()).unwrap();
    assert_eq!(pruned.segments, 0);
    assert!(pruned.held_by.contains("pin nightly of backup"), "{}", pruned.held_by);
    log.pin("nightly", &highwater::Pin { expires_us: 0, ..pin }).unwrap();
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
    log.unpin("nightly").unwrap();
    assert_eq!(*log.unpin("nightly").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn retention_by_age_survives_a_clock_that_steps_back() {
    let fixture = Fixture::new();
    let world = fixture.world.clone();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..200);
    world.advance(Duration::from_secs(3600));
    fixture.write(&log, "a", 0..200);
    let hour = Retention { min_age: Duration::from_secs(1800), ..Retention::default() };
    world.step_back(Duration::from_secs(7200));
    assert_eq!(log.prune(&hour).unwrap().segments, 0, "by this clock everything is younger");
    fixture.write(&log, "a", 0..1);
    world.advance(Duration::from_secs(7200));
    let pruned = log.prune(&hour).unwrap();
    assert!(pruned.segments > 0 && pruned.first.get() > 100 && pruned.first.get() <= 201, "{pruned:?}");
    let mut reader = log.reader(log.first()).unwrap();
    let mut last = i64::MIN;
    while let Some(checkpoint) = reader.next().unwrap() {
        assert!(checkpoint.time_us() >= last);
        last = checkpoint.time_us();
    }
}

#[test]
fn maps_give_the_same_records_and_survive_pruning() {
    let fixture = Fixture::new();
    let (log, _) =
        fixture.open_with(Config { read_mode: highwater::ReadMode::Map, ..fixture.small() }).unwrap();
    fixture.write(&log, "a", 0..100);
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    let kept = reader.next().unwrap().unwrap().records().next().unwrap().unwrap();
    let copy = kept.payload.to_vec();
    fixture.write(&log, "a", 0..300);
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
    fixture.write(&log, "a", 0..300);
    assert_eq!(kept.payload, copy, "a record outlives its segment");
}

#[test]
fn a_unit_of_very_many_extents_lists_them_in_the_log_and_still_moves() {
    let fixture = Fixture::new();
    // In memory: it rolls through hundreds of segments.
    let config = Config { buffer_bytes_max: 4 << 10, ..fixture.small() };
    let (log, _) = Log::open_on(Arc::new(Memory::new()), config).unwrap();
    let [a, b] = ["slow", "other"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
    let mut writer = log.writer(&[&a, &b]).unwrap();
    let count = 10_000u32;
    for i in 0..count {
        let mut row = [0; 2100];
        row[..4].copy_from_slice(&i.to_le_bytes());
        writer.append(&a, insert(&row)).unwrap();
        writer.append(&b, insert(&row)).unwrap();
    }
    writer.commit(Commit::new().records(&b)).unwrap();
    fixture.write(&log, "c", 0..100);
    // Everything of b goes; a's uncommitted frames move to the head, with the frames that list them.
    assert!(log.prune(&Retention::default()).unwrap().segments > 100);
    let committed = writer.commit(Commit::new().records(&a)).unwrap();
    assert_eq!(committed.records, u64::from(count));
    drop(writer);
    let mut reader = log.reader(committed.sequence()).unwrap();
    let checkpoint = reader.next().unwrap().unwrap();
    let numbers =
        checkpoint.records().map(|r| u32::from_le_bytes(r.unwrap().payload[..4].try_into().unwrap()));
    assert!(numbers.eq(0..count));
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

/// The log's segments, by name.
fn segments(dir: &std::path::Path) -> Vec<String> {
    let names =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".hws") && !name.starts_with("base")).collect();
    names.sort();
    names
}

/// Prunes nearly everything of a new log with such a background thread; returns its first segment from then on.
fn pruned(fixture: &Fixture, background: Duration) -> (Log, String) {
    let config = Config { background: Some(background), spare_segments: 0, ..fixture.small_in_real_time() };
    let (log, _) = fixture.open_with(config).unwrap();
    fixture.write(&log, "a", 0..400);
    let before = segments(fixture.dir());
    let went = log.prune(&Retention::default()).unwrap().segments as usize;
    assert!(went > 3);
    (log, before[went].clone())
}

#[test]
fn what_a_pruning_leaves_is_removed_in_the_background() {
    let fixture = Fixture::new();
    let (log, first) = pruned(&fixture, Duration::from_millis(1));
    let begun = std::time::Instant::now();
    while segments(fixture.dir())[0] != first {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", segments(fixture.dir()));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
}

#[test]
fn neither_a_close_nor_an_opening_leaves_what_a_pruning_was_about_to_remove() {
    let fixture = Fixture::new();
    let (log, first) = pruned(&fixture, Duration::from_secs(3600));
    assert!(segments(fixture.dir())[0] < first, "nobody was there to remove it");
    // As a killed process leaves it.
    let copy = Fixture::new();
    for entry in std::fs::read_dir(fixture.dir()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.dir().join(path.file_name().unwrap())).unwrap();
    }
    let opened = copy.open_with(Config { spare_segments: 0, ..copy.small_in_real_time() }).unwrap().0;
    assert_eq!(segments(copy.dir())[0], first);
    assert_eq!(opened.verify(&mut |_| {}).unwrap().problems, [""; 0]);
    log.close().unwrap();
    assert_eq!(segments(fixture.dir())[0], first);
}

/// A checkpoint of some segments, and a small one behind it in the segment in which that one's commit lies.
fn a_large_and_a_small(log: &Log, records: u8, state: &str) {
    let stream = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for number in 0..records {
        writer.append(&stream, insert(&[number; 2000])).unwrap();
    }
    writer.commit(Commit::new().stream(&stream, &state)).unwrap();
    writer.append(&stream, insert(b"small")).unwrap();
    writer.commit(Commit::new().records(&stream)).unwrap();
}

#[test]
fn what_nobody_keeps_goes_although_its_commit_lies_among_what_is_kept() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    a_large_and_a_small(&log, 200, "x");
    drain(&mut lake);
    // The segment of the commits was not sealed, and on a full disk could not be.
    let pruned = log.prune(&Retention::default()).unwrap();
    assert!(pruned.segments > 3 && pruned.first.get() == 2, "{pruned:?}");
    let check = |log: &Log| {
        assert_eq!(payloads(log), [b"small"]);
        assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
        assert_eq!(log.state_at(Sequence::new(2)).unwrap().all().unwrap()[0].1.text, "\"x\"");
    };
    check(&log);
    drop((lake, log));
    let log = fixture.open_small();
    check(&log);
    // What was left behind does not hold anything later, either.
    a_large_and_a_small(&log, 200, "x");
    drain(&mut log.consumer("lake", Start::Earliest).unwrap());
    assert!(log.prune(&Retention::default()).unwrap().segments > 3);
    assert_eq!(payloads(&log), [b"small"]);
    assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
}

#[test]
fn a_state_that_lies_before_its_commits_segment_lives_on() {
    let state = "s".repeat(20_000);
    // At some of these the commit finds no room behind the state's frame.
    for records in 30..64 {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        a_large_and_a_small(&log, records, &state);
        log.prune(&Retention::default()).unwrap();
        drop(log);
        let log = fixture.open_small();
        let found = log.state().unwrap().all().unwrap();
        assert_eq!(found[0].1.text.len(), state.len() + 2, "{records}");
        assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
    }
}
