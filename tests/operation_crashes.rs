//! Power cuts inside operations by hand, at every call: each is there whole or not at all, and the log goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::{Commit, Config, Log, LogReader, Op, Operation, Sequence, Start, StreamName, StreamSpec};
use highwater_sim::{Random, SimDisk, State};

const SEEDS: u64 = 16;

fn config() -> Config {
    Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(5, 1)), ..Config::default() }
}

fn open(disk: &SimDisk) -> Log {
    Log::open_on(Arc::new(disk.clone()), config()).unwrap().0
}

fn name(stream: &str) -> StreamName {
    StreamName { namespace: None, name: stream.to_owned() }
}

/// Appends a record and commits a number as a stream's state.
fn commit(log: &Log, stream: &str, number: u32) {
    let stream = log.stream(StreamSpec::new(stream)).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    writer.append(&stream, Op::Insert { key: b"", row: &[1; 3000] }).unwrap();
    writer.commit(Commit::new().stream(&stream, &number)).unwrap();
}

/// Checkpoints 1 to 3 of `a`, 4 of `b`; a consumer behind 4.
fn before() -> State {
    let disk = SimDisk::new(State::default(), 1);
    let log = open(&disk);
    (1..=3).for_each(|number| commit(&log, "a", number));
    commit(&log, "b", 4);
    log.consumer("lake", Start::Now).unwrap();
    log.close().unwrap();
    disk.state()
}

type States = (Option<String>, Option<String>);

fn states(log: &LogReader) -> States {
    let states = log.state().unwrap();
    let text = |stream| states.get_text(&name(stream)).unwrap().map(|state| state.text);
    (text("a"), text("b"))
}

fn expected(a: &str, b: Option<&str>) -> States {
    (Some(a.to_owned()), b.map(str::to_owned))
}

/// Runs `steps`, and cuts the power at every call of it. `look` is told how many steps had returned by then.
fn cut_everywhere(steps: &[&dyn Fn(&Log)], look: impl Fn(&SimDisk, usize, &str)) {
    let mut state = before();
    let disk = SimDisk::new(state.clone(), 2);
    let log = open(&disk);
    let mut returned = Vec::new();
    for step in steps {
        step(&log);
        returned.push(disk.operations(0).len());
    }
    log.close().unwrap();
    let operations = disk.operations(0);
    for call in 0..=operations.len() {
        let done = returned.iter().filter(|at| **at <= call).count();
        for seed in 0..SEEDS {
            let crashed = SimDisk::new(state.crash(&mut Random::new(seed)), seed);
            look(&crashed, done, &format!("call {call} of {}, seed {seed}", operations.len()));
        }
        if let Some(operation) = operations.get(call) {
            state.apply(operation);
        }
    }
    assert!(operations.len() > steps.len() * 2, "{}", operations.len());
}

#[test]
fn an_operation_is_there_whole_or_not_at_all() {
    let rewind = |log: &Log| {
        let plan = log.plan_rewind(Sequence::new(1), None).unwrap();
        log.rewind(&plan, "ada", "x").map(drop).unwrap();
    };
    let set = |log: &Log| {
        let set = Operation::new("set both", "ada", "x").set(&name("a"), "8").set(&name("b"), "9");
        log.operate(set).map(drop).unwrap();
    };
    let steps = [expected("3", Some("4")), expected("1", None), expected("8", Some("9"))];
    cut_everywhere(&[&rewind, &set], |disk, done, what| {
        let log = open(disk);
        let found = states(&log);
        let at =
            steps.iter().position(|states| *states == found).unwrap_or_else(|| panic!("{what}: {found:?}"));
        assert!(at >= done, "{what}: {done} operations had returned, {at} are there");
        assert!(log.verify(&mut |_| {}).unwrap().is_sound(), "{what}");
        let mut audited = 0;
        log.audit(&mut |entry| {
            audited += usize::from(matches!(entry.event, highwater::AuditEvent::Operation { .. }));
        })
        .unwrap();
        assert_eq!(audited, at, "{what}");
        // It goes on, and what was there before can still be brought back.
        commit(&log, "a", 77);
        let plan = log.plan_rewind(Sequence::new(4), None).unwrap();
        log.rewind(&plan, "ada", "back").unwrap();
        log.close().unwrap();
        let log = open(disk);
        assert_eq!(states(&log), steps[0], "{what}");
        assert!(log.verify(&mut |_| {}).unwrap().is_sound(), "{what}");
    });
}

#[test]
fn a_consumer_that_was_moved_stays_so() {
    let seek = |to| {
        move |log: &Log| {
            let at = log.seek_consumer("lake", Start::After(Sequence::new(to))).unwrap();
            assert_eq!(at.get(), to);
        }
    };
    let places = [4, 1, 3, 0, 2, 1];
    let (a, b, c, d, e) = (seek(1), seek(3), seek(0), seek(2), seek(1));
    cut_everywhere(&[&a, &b, &c, &d, &e], |disk, done, what| {
        let log = open(disk);
        let found = log.consumer("lake", Start::Earliest).unwrap().acknowledged().get();
        // The call that was cut may have come to its end.
        let may = &places[done..places.len().min(done + 2)];
        assert!(may.contains(&found), "{what}: expected one of {may:?}, found {found}");
    });
}
