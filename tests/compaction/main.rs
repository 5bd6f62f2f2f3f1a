//! Compaction: what stays of each key, who is left as it was, and what a base checkpoint means to whom.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

#[path = "../common/mod.rs"]
mod common;
mod disturbed;
mod readers;
mod replaced;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{Fixture, drain, insert, text_of};
use highwater::testing::{SimDisk, State};
use highwater::{
    Checkpoint, Commit, Compacted, Compaction, Compression, Config, Durability, ErrorKind, Limit, Log,
    LogReader, Op, OpKind, Pin, Retention, Sequence, Start, Stream, StreamSpec,
};

const AT_ONCE: Compaction = Compaction {
    retention: Retention { min_count: 1, min_age: Duration::ZERO },
    tombstones_min_age: Duration::ZERO,
    dead_share_min: 0.0,
    memory_bytes_max: 64 << 20,
    replacements: Vec::new(),
    up_to: None,
};

fn compact(log: &Log, compaction: &Compaction) -> Compacted {
    log.flush().unwrap();
    let plan = log.plan_compact(compaction, &mut |_| ControlFlow::Continue(())).unwrap();
    let done = log.compact(compaction, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(
        (plan.done, plan.first, plan.from, &plan.streams),
        (done.done, done.first, done.from, &done.streams)
    );
    done
}

fn users(log: &Log) -> Stream {
    log.stream(StreamSpec::new("users").key(["id"])).unwrap()
}

/// One checkpoint of these operations; keys are letters, rows are numbered.
fn commit(log: &Log, stream: &Stream, ops: &[(OpKind, &str)], row: &[u8]) -> Sequence {
    let mut writer = log.writer(&[stream]).unwrap();
    for (op, key) in ops {
        let key = key.as_bytes();
        let op = match op {
            OpKind::Insert => Op::Insert { key, row },
            OpKind::Upsert => Op::Upsert { key, row },
            OpKind::Update => Op::Update { key, row },
            OpKind::Delete => Op::Delete { key, row: b"" },
            OpKind::Truncate => Op::Truncate,
        };
        writer.append(stream, op).unwrap();
    }
    let commit = Commit::new().stream(stream, &row.len()).durability(Durability::Buffered);
    writer.commit(commit).unwrap().sequence()
}

/// Upserts of twenty keys in turn, one a checkpoint.
fn churn(log: &Log, stream: &Stream, rounds: u32) {
    for round in 0..rounds {
        let key = format!("k{}", round % 20);
        commit(log, stream, &[(OpKind::Upsert, &key)], &[round as u8; 2000]);
    }
    log.flush().unwrap();
}

fn first(log: &LogReader) -> Checkpoint {
    log.reader(log.first()).unwrap().next().unwrap().unwrap()
}

/// What a destination holds that applies everything from the beginning: rows as lists of what was put into them.
fn content(log: &LogReader, stream: &Stream) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut rows = BTreeMap::new();
    let mut reader = log.reader(log.first()).unwrap();
    while let Some(checkpoint) = reader.next().unwrap() {
        for record in checkpoint.records_of(stream.id()) {
            let record = record.unwrap();
            let key = record.key.to_vec();
            match record.op {
                OpKind::Insert | OpKind::Upsert => drop(rows.insert(key, vec![record.payload.to_vec()])),
                OpKind::Update => rows.entry(key).or_insert_with(Vec::new).push(record.payload.to_vec()),
                OpKind::Delete => drop(rows.remove(&key)),
                OpKind::Truncate => rows.clear(),
            }
        }
    }
    rows
}

fn files(fixture: &Fixture) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(fixture.dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_last_row_and_the_updates_after_it_stay() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    use OpKind::*;
    commit(&log, &users, &[(Insert, "a"), (Insert, "b"), (Update, "a"), (Insert, "gone")], b"one");
    commit(&log, &users, &[(Upsert, "a"), (Update, "a"), (Update, "b"), (Delete, "gone")], b"three");
    churn(&log, &users, 200);
    let (before, states) = (content(&log, &users), text_of(&log, &users));
    let compacted = compact(&log, &AT_ONCE);
    assert!(compacted.done && compacted.segments > 3, "{compacted:?}");
    assert_eq!((compacted.from, compacted.first), (Sequence::FIRST, log.first()));
    let (all, left) = compacted.records();
    assert!(left < 30 && all > 150, "{compacted:?}");
    let base = first(&log);
    assert_eq!(base.compacted_from(), Some(Sequence::FIRST));
    assert_eq!(base.record_count(), left);
    let check = |log: &LogReader| {
        assert_eq!(content(log, &users), before);
        assert_eq!(text_of(log, &users), states);
        assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
    };
    check(&log);
    check(&fixture.reader());
    drop(log);
    let log = fixture.open_small();
    check(&log);
    // Once more: the base checkpoint of the first takes part in the second.
    churn(&log, &users, 200);
    let before = content(&log, &users);
    let again = compact(&log, &AT_ONCE);
    assert!(again.done && again.first > compacted.first && again.from == Sequence::FIRST);
    assert_eq!(content(&log, &users), before);
    assert_eq!(files(&fixture).iter().filter(|f| f.to_str().unwrap().contains("base-")).count(), 2);
}

#[test]
fn streams_without_a_key_stay_and_dropped_ones_go() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    let gone = log.stream(StreamSpec::new("gone")).unwrap();
    let events = log.stream(StreamSpec::new("events")).unwrap();
    commit(&log, &gone, &[(OpKind::Insert, "")], b"gone");
    let mut writer = log.writer(&[&events]).unwrap();
    for i in 0..100u8 {
        writer.append(&events, insert(&[i; 1000])).unwrap();
        writer.commit(Commit::new().records(&events)).unwrap();
    }
    log.drop_stream(&gone).unwrap();
    churn(&log, &users, 100);
    let renamed = log.rename_stream(&users, StreamSpec::new("people")).unwrap();
    churn(&log, &renamed, 100);
    assert!(compact(&log, &AT_ONCE).done);
    let base = first(&log);
    let rows: Vec<_> = base.records_of(events.id()).map(|record| record.unwrap().payload[0]).collect();
    assert_eq!(rows, (0..100).collect::<Vec<u8>>());
    assert_eq!(base.records_of(gone.id()).count(), 0);
    assert_eq!(base.records_of(users.id()).count(), 20);
}

#[test]
fn many_keys_in_little_memory_give_the_same() {
    let content_with = |memory_bytes_max: usize| {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        let users = users(&log);
        for round in 0..3000u32 {
            let op = [OpKind::Insert, OpKind::Update, OpKind::Delete][round as usize % 7 % 3];
            commit(&log, &users, &[(op, &format!("k{}", round * 7919 % 501))], &[round as u8; 100]);
        }
        assert!(compact(&log, &Compaction { memory_bytes_max, ..AT_ONCE }).done);
        let records: Vec<_> = first(&log).records().map(|record| record.unwrap()).collect();
        records
    };
    let whole = content_with(64 << 20);
    assert!(whole.len() > 300);
    assert_eq!(content_with(1000), whole);
}

#[test]
fn a_tombstone_ages_from_its_own_checkpoint_on() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    let hour = Duration::from_secs(3600);
    let keep = Compaction { tombstones_min_age: hour * 3, ..AT_ONCE };
    let tombstones = || first(&log).records().filter(|r| r.as_ref().unwrap().op == OpKind::Delete).count();
    commit(&log, &users, &[(OpKind::Insert, "a"), (OpKind::Delete, "a")], b"x");
    for round in 0..5 {
        churn(&log, &users, 60);
        fixture.world.advance(hour);
        assert!(compact(&log, &keep).done);
        assert_eq!(tombstones(), usize::from(round < 2), "round {round}");
    }
}

#[test]
fn little_to_gain_is_no_reason() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    for i in 0..300 {
        commit(&log, &users, &[(OpKind::Insert, &format!("k{i}"))], &[1; 2000]);
    }
    log.flush().unwrap();
    assert!(!compact(&log, &Compaction { dead_share_min: 0.5, ..AT_ONCE }).done);
    churn(&log, &users, 600);
    assert!(compact(&log, &Compaction { dead_share_min: 0.5, ..AT_ONCE }).done);
}

#[test]
fn what_was_compressed_stays_compressed() {
    let fixture = Fixture::new();
    let compressed = Config { compression: Compression::Lz4, ..fixture.small() };
    let log = fixture.open_with(compressed).unwrap().0;
    let users = users(&log);
    for i in 0..600u32 {
        commit(&log, &users, &[(OpKind::Upsert, &format!("k{i}"))], &[i as u8; 3000]);
    }
    // Enough to fill segments.
    churn(&log, &users, 600);
    drop(log);
    let log = fixture.open_small();
    assert!(compact(&log, &AT_ONCE).done);
    let base = first(&log);
    let stream = base.streams()[0].clone();
    assert!(base.disk_bytes_of(stream.stream).unwrap() < stream.bytes / 4, "{stream:?}");
}

#[test]
fn uncommitted_records_of_a_slow_stream_survive() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let (users, slow) = (users(&log), log.stream(StreamSpec::new("slow").key(["id"])).unwrap());
    let mut writer = log.writer(&[&slow]).unwrap();
    for i in 0..40u8 {
        writer.append(&slow, Op::Upsert { key: &[i], row: &[i; 4000] }).unwrap();
    }
    churn(&log, &users, 200);
    assert!(compact(&log, &AT_ONCE).done);
    writer.commit(Commit::new().all()).unwrap();
    assert_eq!(content(&log, &slow).len(), 40);
}

#[test]
fn checkpoints_that_are_larger_than_segments_are_compacted_too() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    for round in 0..6u8 {
        let ops: Vec<_> = (0..80).map(|i| (OpKind::Upsert, format!("k{i}"))).collect();
        let ops: Vec<_> = ops.iter().map(|(op, key)| (*op, key.as_str())).collect();
        commit(&log, &users, &ops, &[round; 2000]);
        commit(&log, &users, &[(OpKind::Delete, "k7")], b"");
    }
    log.flush().unwrap();
    let before = content(&log, &users);
    let compacted = compact(&log, &AT_ONCE);
    assert_eq!((compacted.first, compacted.records()), (Sequence::new(11), (485, 80)), "{compacted:?}");
    assert_eq!(content(&log, &users), before);
    assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
}

#[test]
fn maintenance_compacts_when_enough_is_dead() {
    let fixture = Fixture::new();
    let by_itself = Compaction { dead_share_min: 0.5, ..AT_ONCE };
    let config = Config { compaction: Some(by_itself), ..fixture.small() };
    let log = fixture.open_with(config).unwrap().0;
    let users = users(&log);
    for i in 0..300 {
        commit(&log, &users, &[(OpKind::Insert, &format!("k{i}"))], &[1; 2000]);
        log.maintain().unwrap();
    }
    assert_eq!(log.first(), Sequence::FIRST, "nothing is dead");
    for i in 0..600 {
        commit(&log, &users, &[(OpKind::Upsert, &format!("k{}", i % 100))], &[1; 2000]);
        log.maintain().unwrap();
    }
    log.flush().unwrap();
    assert!(log.first() > Sequence::FIRST && content(&log, &users).len() == 300);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    drain(&mut lake);
    // What somebody holds is looked at again with each segment, and not only when the log is twice as large.
    let (first, held) =
        (log.first(), Pin { from: log.first(), owner: "backup".into(), expires_us: i64::MAX });
    log.pin("backup", &held).unwrap();
    let mut more = |log: &Log, rounds: u32| {
        for _ in 0..rounds {
            churn(log, &users, 10);
            drain(&mut lake);
            lake.sync().unwrap();
            log.maintain().unwrap();
        }
    };
    more(&log, 60);
    assert_eq!(log.first(), first);
    log.unpin("backup").unwrap();
    more(&log, 8);
    assert!(log.first() > first);
}
