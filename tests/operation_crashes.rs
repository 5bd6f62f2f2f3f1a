//! Power cuts inside operations by hand, at every call: each is there whole or not at all, and the log goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::backup;
use highwater::environment::Stepped;
use highwater::repair::{self, Mode};
use highwater::testing::{Content, Random, SimDisk, State};
use highwater::{
    By, Commit, Config, ErrorKind, Limit, Log, LogReader, Op, Operation, Sequence, Start, StreamName,
    StreamSpec,
};

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

/// Runs `steps` on a log, and cuts the power at every call of it. `look` is told how many steps had returned by then.
fn cut_everywhere(mut state: State, steps: &[&dyn Fn(&Log)], look: impl Fn(&SimDisk, usize, &str)) {
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
        log.rewind(&plan, "ops", "x").map(drop).unwrap();
    };
    let set = |log: &Log| {
        let set = Operation::new("set both", "ops", "x").set(&name("a"), "8").set(&name("b"), "9");
        log.operate(set).map(drop).unwrap();
    };
    let steps = [expected("3", Some("4")), expected("1", None), expected("8", Some("9"))];
    cut_everywhere(before(), &[&rewind, &set], |disk, done, what| {
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
        log.rewind(&plan, "ops", "back").unwrap();
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
            let at = log.seek_consumer("lake", Start::After(Sequence::new(to)), None).unwrap();
            assert_eq!(at.get(), to);
        }
    };
    let places = [4, 1, 3, 0, 2, 1];
    let (a, b, c, d, e) = (seek(1), seek(3), seek(0), seek(2), seek(1));
    cut_everywhere(before(), &[&a, &b, &c, &d, &e], |disk, done, what| {
        let log = open(disk);
        let found = log.consumer("lake", Start::Earliest).unwrap().acknowledged().get();
        // The call that was cut may have come to its end.
        let may = &places[done..places.len().min(done + 2)];
        assert!(may.contains(&found), "{what}: expected one of {may:?}, found {found}");
    });
}

/// A log on which everything was done that can be done by hand: rewound, edited, a consumer moved, damaged and repaired, backed
/// up, and restored from that as of its last checkpoint but one.
fn after_everything() -> State {
    let mut state = before();
    let disk = SimDisk::new(state, 3);
    let log = open(&disk);
    let plan = log.plan_rewind(Sequence::new(2), None).unwrap();
    log.rewind(&plan, "ops", "x").unwrap();
    log.operate(Operation::new("set a", "ops", "x").set(&name("a"), "20")).unwrap();
    log.seek_consumer("lake", Start::After(Sequence::new(3)), None).unwrap();
    (21..=50).for_each(|number| commit(&log, "a", number));
    log.close().unwrap();
    state = disk.state();
    let segment = "00000002.hws";
    let mut bytes = state.cached(state.find(segment).unwrap()).to_vec();
    let at = bytes.windows(3000).position(|row| row.iter().all(|byte| *byte == 1)).unwrap();
    bytes[at] ^= 1;
    let mut content = Content::default();
    content.write(&bytes, 0);
    state.replace(segment, content);
    let disk = SimDisk::new(state, 4);
    repair::apply_on(Arc::new(disk.clone()), Mode::SkipDamaged, config()).unwrap();
    let (copy, restored) = (SimDisk::new(State::default(), 5), SimDisk::new(State::default(), 6));
    let made = backup::take_on(Arc::new(disk), Arc::new(copy.clone()), &mut |_| {}).unwrap();
    let last = made.end.unwrap().sequence;
    let by = By { who: "ops", why: "x" };
    backup::restore_on(Arc::new(copy), Arc::new(restored.clone()), Some(last.previous()), by, fresh())
        .unwrap();
    restored.state()
}

/// With ids of its own: numbers that are given out again are told apart by them.
fn fresh() -> Config {
    Config { environment: Config::default().environment, ..config() }
}

#[test]
fn after_everything_that_is_done_by_hand_crashes_are_survived_as_ever() {
    let set = |log: &Log| {
        log.operate(Operation::new("set b", "ops", "x").set(&name("b"), "9")).map(drop).unwrap();
    };
    let seek = |log: &Log| {
        log.seek_consumer("lake", Start::After(Sequence::new(4)), None).map(drop).unwrap();
    };
    let write = |log: &Log| (51..=70).for_each(|number| commit(log, "a", number));
    let state = after_everything();
    let log = open(&SimDisk::new(state.clone(), 1));
    assert_eq!(states(&log), expected("49", None));
    let end = log.end().unwrap().sequence.get();
    drop(log);
    cut_everywhere(state, &[&set, &seek, &write], |disk, done, what| {
        let log = Log::open_on(Arc::new(disk.clone()), fresh()).unwrap().0;
        assert!(log.verify(&mut |_| {}).unwrap().is_sound(), "{what}");
        let found = states(&log);
        assert!(done < 1 || found.1.as_deref() == Some("9"), "{what}: {found:?}");
        let last = log.end().unwrap().sequence.get() - end;
        assert!(
            last >= [0, 1, 1, 21][done],
            "{what}: {done} steps had returned, {last} checkpoints are there"
        );
        // Delivered to the end, over the gap that the repair has left.
        let mut lake = log.consumer("lake", Start::Earliest).unwrap();
        loop {
            match lake.next_batch(&Limit::default()) {
                Ok(Some(batch)) => {
                    assert!(batch.records().all(|record| record.is_ok()), "{what}");
                    lake.acknowledge(batch.end()).unwrap();
                }
                Ok(None) => break,
                Err(error) => match *error.kind() {
                    ErrorKind::Gap { last, .. } => lake.pass_gap(last).unwrap(),
                    _ => panic!("{what}: {error}"),
                },
            }
        }
        assert_eq!(lake.acknowledged(), log.end().unwrap().sequence, "{what}");
        commit(&log, "a", 99);
        drop(lake);
        log.close().unwrap();
        let log = LogReader::open_on(Arc::new(disk.clone())).unwrap();
        assert!(log.verify(&mut |_| {}).unwrap().is_sound(), "{what}");
        assert_eq!(states(&log).0.as_deref(), Some("99"), "{what}");
    });
}
