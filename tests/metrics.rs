//! What the writing process measures: counters that only go up, gauges that are what is there.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::sync::Arc;

use common::{Fixture, drain, insert};
use highwater::storage::{Memory, Storage};
use highwater::{Commit, Config, Durability, ErrorKind, Log, Retention, Sequence, Start, StreamSpec};

#[test]
fn commits_and_flushes_are_timed_in_the_process_that_writes() {
    let fixture = Fixture::new();
    let log = fixture.open();
    fixture.write(&log, "a", 0..5);
    let a = log.stream(StreamSpec::new("a")).unwrap();
    log.writer(&[&a]).unwrap().commit(Commit::new().durability(Durability::Buffered)).unwrap();
    let metrics = log.metrics().unwrap();
    assert_eq!(metrics.commit_duration.count(), 6);
    assert_eq!(metrics.flush_duration.count(), log.status().unwrap().flushes);
    assert!(metrics.flush_duration.count() >= 5, "{metrics:?}");
    assert!(metrics.errors.is_empty() && metrics.opening.unwrap().created);
    assert!(fixture.reader().metrics().is_none());
}

#[test]
fn maintenance_flushes_what_was_committed_or_is_much() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    let flushes = || log.status().unwrap().flushes;
    let append = |writer: &mut highwater::Writer| {
        // So many that some are written before their commit.
        (0..300).for_each(|_| writer.append(&a, insert(&[7; 2000])).unwrap());
    };
    append(&mut writer);
    let before = flushes();
    log.maintain().unwrap();
    assert_eq!(flushes(), before, "nobody waits for records without a commit");
    let committed = writer.commit(Commit::new().all().durability(Durability::Buffered)).unwrap();
    append(&mut writer);
    log.maintain().unwrap();
    assert_eq!(flushes(), before + 1);
    assert_eq!(log.end(), Some(committed.position), "what is delivered is durable");
    log.maintain().unwrap();
    assert_eq!(flushes(), before + 1);
    (0..3).for_each(|_| append(&mut writer));
    log.maintain().unwrap();
    assert_eq!(flushes(), before + 2, "their writer would have to flush so many soon");
}

#[test]
fn a_full_log_is_told_until_there_is_room() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open_with(Config { size_max: Some(600 << 10), ..fixture.small() }).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    assert!(!log.status().unwrap().full);
    let error = fixture.try_write(&log, "a", 0..2000).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Full);
    assert!(log.status().unwrap().full);
    assert_eq!(log.metrics().unwrap().errors.get("full"), Some(&1));
    drain(&mut lake);
    fixture.write(&log, "a", 0..60);
    assert!(!log.status().unwrap().full);
    assert_eq!(log.metrics().unwrap().errors.get("full"), Some(&1), "a counter does not go down");
}

#[test]
fn damage_that_a_reader_met_is_counted() {
    let files = Memory::new();
    let (log, _) = Log::open_on(Arc::new(files.clone()), Config::default()).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, insert(&[7; 9000])).unwrap();
    writer.commit(Commit::new().all()).unwrap();
    let file = files.open("00000001.hws", highwater::storage::Access::Write).unwrap();
    file.write_at(&[std::io::IoSlice::new(&[9; 8])], 9000).unwrap();
    let checkpoint = log.reader(Sequence::FIRST).unwrap().next().unwrap().unwrap();
    let error = checkpoint.records().find_map(Result::err).unwrap();
    assert_eq!(*error.kind(), ErrorKind::Corrupt);
    assert_eq!(log.metrics().unwrap().errors.get("corrupt"), Some(&1));
}

#[test]
fn what_an_opening_dropped_stays_known() {
    let fixture = Fixture::new();
    let files = Memory::new();
    let config = Config { buffer_bytes_max: 4 << 10, ..fixture.small() };
    let (log, _) = Log::open_on(Arc::new(files.clone()), config).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.commit(Commit::new().stream(&a, &1)).unwrap();
    (0..200).for_each(|_| writer.append(&a, insert(&[1; 3000])).unwrap());
    let crashed = files.image();
    let (log, recovery) = Log::open_on(Arc::new(crashed), fixture.small()).unwrap();
    assert!(recovery.dropped_bytes > 0);
    assert_eq!(log.metrics().unwrap().opening, Some(recovery));
}

#[test]
fn the_time_of_the_last_checkpoint_is_the_commits_own() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    assert_eq!(log.status().unwrap().last_checkpoint_us, None);
    fixture.write(&log, "a", 0..3);
    let last = log.reader(Sequence::new(3)).unwrap().next().unwrap().unwrap();
    assert_eq!(log.status().unwrap().last_checkpoint_us, Some(last.time_us()));
    assert_eq!(fixture.reader().status().unwrap().last_checkpoint_us, Some(last.time_us()));
}

#[test]
fn segments_tell_what_is_in_them_and_who_holds_them() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..60);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    drain(&mut lake);
    fixture.write(&log, "a", 60..120);
    let space = log.space(&Retention::default()).unwrap();
    let list = &space.segment_list;
    assert_eq!(list.len() as u64, space.segments);
    for of in list {
        let parts = of.record_bytes + of.dead_bytes + of.bookkeeping_bytes + of.free_bytes;
        assert_eq!(parts, of.bytes, "{of:?}");
    }
    let commits = list.iter().filter_map(|of| Some((of.first?.get(), of.last?.get())));
    let mut next = 1;
    for (first, last) in commits {
        assert_eq!(first, next);
        next = last + 1;
    }
    assert_eq!(next, 121);
    let lake = space.holders.iter().find(|held| held.holder.to_string() == "consumer lake").unwrap();
    let first = list.iter().find(|of| of.id == lake.first_segment).unwrap();
    assert!(first.last.is_some_and(|last| last.get() >= 61), "{first:?}");
    assert_eq!(u64::from(lake.first_segment - list[0].id), space.reclaimable_segments);
    assert!(space.reclaimable_segments > 0);
}
