//! What is on record of a log: who opened it, what that cost, what was let go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::sync::Arc;

use common::Fixture;
use highwater::environment::{Environment, Stepped, System};
use highwater::storage::Memory;
use highwater::{
    AuditEntry, AuditEvent, Commit, Config, Durability, Log, LogReader, Op, Operation, Retention, StreamName,
    StreamSpec,
};

fn entries(log: &LogReader) -> Vec<AuditEntry> {
    let mut entries = Vec::new();
    log.audit(&mut |entry| entries.push(entry)).unwrap();
    entries
}

/// Each entry in a word, with the checkpoint before it.
fn words(log: &LogReader) -> Vec<String> {
    let word = |event: &AuditEvent| match event {
        AuditEvent::Opening { who } => format!("opened by {who}"),
        AuditEvent::Recovery { who, .. } => format!("recovered by {who}"),
        AuditEvent::Pruning { .. } => "pruned".to_owned(),
        AuditEvent::Operation { record, .. } => record.what.clone(),
        other => format!("{other:?}"),
    };
    entries(log).iter().map(|entry| format!("{} {}", entry.after, word(&entry.event))).collect()
}

/// A world of its own for each process.
#[derive(Debug)]
struct Process(Stepped, &'static str);

impl Environment for Process {
    fn now_us(&self) -> i64 {
        self.0.now_us()
    }

    fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }

    fn random(&self) -> u128 {
        self.0.random()
    }

    fn boot(&self) -> Option<u128> {
        self.0.boot()
    }

    fn process(&self) -> String {
        self.1.to_owned()
    }
}

fn open_as(files: &Memory, who: &'static str) -> Log {
    let seed = who.bytes().map(u64::from).sum();
    let environment = Arc::new(Process(Stepped::new(seed, 1_700_000_000_000_000), who));
    let config = Config { segment_bytes: 256 << 10, environment, ..Config::default() };
    Log::open_on(Arc::new(files.clone()), config).unwrap().0
}

fn commit(log: &Log, number: u32) {
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, Op::Insert { key: b"", row: &[7; 3000] }).unwrap();
    writer.commit(Commit::new().stream(&a, &number)).unwrap();
}

#[test]
fn every_opening_that_writes_is_on_record_with_who_it_was() {
    let files = Memory::new();
    let log = open_as(&files, "one");
    commit(&log, 1);
    commit(&log, 2);
    log.close().unwrap();
    // One that writes nothing leaves the log as it was.
    open_as(&files, "nobody").close().unwrap();
    let log = open_as(&files, "two");
    let a = StreamName { namespace: None, name: "a".to_owned() };
    log.operate(Operation::new("edit a", "ops", "x").set(&a, "1")).unwrap();
    log.close().unwrap();
    // A pruning is the first that this one writes.
    let log = open_as(&files, "three");
    (3..300).for_each(|number| commit(&log, number));
    drop(log);
    let log = open_as(&files, "four");
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
    log.close().unwrap();
    let log = open_as(&files, "five");
    let found = words(&log);
    assert_eq!(found.last().unwrap(), "300 pruned", "{found:?}");
    assert_eq!(found[found.len() - 2], "300 opened by four", "{found:?}");
    commit(&log, 300);
    assert_eq!(words(&log).last().unwrap(), "300 opened by five");
}

#[test]
fn the_first_openings_are_told_in_their_order() {
    let files = Memory::new();
    for (number, who) in [(1, "one"), (2, "two"), (3, "three")] {
        let log = open_as(&files, who);
        commit(&log, number);
        log.close().unwrap();
    }
    let log = LogReader::open_on(Arc::new(files)).unwrap();
    assert_eq!(words(&log), ["0 opened by one", "1 opened by two", "2 opened by three"]);
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

/// What an opening drops it says itself, and with it who it was; killed openings are told, too.
#[test]
fn an_opening_that_drops_something_is_told_once() {
    let files = Memory::new();
    let log = open_as(&files, "one");
    commit(&log, 1);
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    // So much that some of it has gone to the kernel, though nobody has committed it.
    (0..50).for_each(|_| writer.append(&a, Op::Insert { key: b"", row: &[7; 9000] }).unwrap());
    let killed = files.image();
    drop((writer, log));
    let log = open_as(&killed, "two");
    commit(&log, 2);
    assert_eq!(words(&log), ["0 opened by one", "1 recovered by two"]);
    drop(log);
    assert!(open_as(&killed, "three").verify(&mut |_| {}).unwrap().is_sound());
}

#[test]
fn a_process_is_told_by_its_number_its_program_and_its_machine() {
    let fixture = Fixture::new();
    let log = fixture.open();
    fixture.write(&log, "a", 1..2);
    let found = words(&fixture.reader());
    let process = format!("0 opened by process {} (audit-", std::process::id());
    assert!(found[0].starts_with(&process) && found[0].contains(") on "), "{found:?}");
    assert_eq!(found[0], format!("0 opened by {}", System.process()));
}

/// Who opened the log stands between records and their commit, and vouches for nothing: where the commit is torn, they are dropped, and
/// that is told.
#[test]
fn who_opened_the_log_does_not_make_records_count() {
    let files = Memory::new();
    let log = open_as(&files, "one");
    commit(&log, 1);
    log.close().unwrap();
    let log = open_as(&files, "two");
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, Op::Insert { key: b"", row: &[7; 9000] }).unwrap();
    writer.commit(Commit::new().stream(&a, &2).durability(Durability::Buffered)).unwrap();
    let killed = files.image();
    drop((writer, log));
    let mut bytes = killed.content("00000001.hws").unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 8..=end].fill(0);
    killed.set_content("00000001.hws", bytes);
    let (log, recovery) = Log::open_on(Arc::new(killed), Config::default()).unwrap();
    assert!(recovery.torn && recovery.dropped_frames >= 1 && recovery.dropped_bytes > 9000, "{recovery}");
    assert_eq!(log.end().unwrap().sequence.get(), 1);
}

/// Its checkpoint goes with its segment, and who did it, and why, does not.
#[test]
fn what_people_did_stays_on_record_when_its_checkpoint_is_pruned() {
    let files = Memory::new();
    let log = open_as(&files, "A");
    commit(&log, 0);
    let edit = Operation::new("edit the global state", "ops", "page 41 was empty").set_global("40");
    let made = log.operate(edit).unwrap().position;
    // The note is made a moment later, so its time is not looked at.
    let told = |log: &LogReader| -> Vec<(u64, AuditEvent)> {
        let is_edit = |entry: &AuditEntry| {
            matches!(&entry.event, AuditEvent::Operation { position, record }
                if *position == made && record.who.as_deref() == Some("ops") && record.from.is_some())
        };
        entries(log).into_iter().filter(is_edit).map(|entry| (entry.after.get(), entry.event)).collect()
    };
    let before = told(&log);
    assert_eq!((before.len(), before[0].0), (1, 1), "by its checkpoint, and not by its note as well");
    for number in 1..200 {
        commit(&log, number);
    }
    let first = log.prune(&Retention { min_count: 1, ..Retention::default() }).unwrap().first;
    assert!(first > made.sequence.next(), "{first}");
    assert_eq!(told(&log), before);
    log.close().unwrap();
    assert_eq!(told(&open_as(&files, "B")), before);
}
