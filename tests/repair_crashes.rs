//! Power cuts inside a repair, at every call: either it has not happened or it has, and running it again ends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::repair::{self, Mode};
use highwater::testing::{Content, Random, SimDisk, State};
use highwater::{Commit, Config, ErrorKind, Log, LogReader, Op, Position, Sequence, StreamSpec};

fn config() -> Config {
    Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(3, 1)), ..Config::default() }
}

/// A log of three segments; a record in the second one is damaged.
fn damaged() -> State {
    let disk = SimDisk::new(State::default(), 1);
    let (log, _) = Log::open_on(Arc::new(disk.clone()), config()).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 1..=25u8 {
        writer.append(&stream, Op::Insert { key: b"", row: &[i; 5000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
    drop(writer);
    log.close().unwrap();
    let mut state = disk.state();
    let name = "00000002.hws";
    let mut bytes = state.cached(state.find(name).unwrap()).to_vec();
    let at = bytes.windows(5000).position(|row| row.iter().all(|byte| *byte == row[0] && *byte > 0)).unwrap();
    bytes[at] ^= 1;
    let mut content = Content::default();
    content.write(&bytes, 0);
    state.replace(name, content);
    state
}

/// Checkpoints that can be read, over gaps, and the last state.
fn content(log: &LogReader) -> (Vec<Position>, Option<String>) {
    let mut found = Vec::new();
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    loop {
        match reader.next() {
            Ok(Some(checkpoint)) => {
                assert!(checkpoint.records().all(|record| record.is_ok()));
                found.push(checkpoint.position());
            }
            Ok(None) => break,
            Err(error) => drop(reader.pass_gap().unwrap_or_else(|| panic!("{error}"))),
        }
    }
    let states = log.state().unwrap().all().unwrap();
    (found, states.into_iter().next().map(|(_, state)| state.text))
}

fn open(disk: &SimDisk) -> highwater::Result<Log> {
    Log::open_on(Arc::new(disk.clone()), config()).map(|(log, _)| log)
}

fn crash_everywhere(mode: Mode) {
    let before = damaged();
    let disk = SimDisk::new(before.clone(), 2);
    let plan = repair::apply_on(Arc::new(disk.clone()), mode, config()).unwrap();
    assert!(plan.is_needed() && plan.can_cut && plan.whole_behind > 5, "{plan:?}");
    let operations = disk.operations(0);
    let log = open(&disk).unwrap();
    let repaired = content(&log);
    log.close().unwrap();

    let mut state = before;
    let (mut refused, mut tried) = (0, 0);
    for (call, operation) in operations.iter().enumerate() {
        for seed in 0..3 {
            let found = state.crash(&mut Random::new(seed));
            if !is_possible(&found) {
                continue;
            }
            let crashed = SimDisk::new(found.clone(), seed);
            let what = format!("{mode:?}, call {call}, seed {seed}");
            match LogReader::open_on(Arc::new(crashed.clone())) {
                Ok(log) => drop(log.verify(&mut |_| {}).unwrap_or_else(|e| panic!("{what}: {e}"))),
                Err(error) => {
                    assert_eq!(*error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                    refused += 1;
                }
            }
            // The second one is cut short, too.
            let half = crashed.calls();
            let again = repair::apply_on(Arc::new(crashed.clone()), mode, config());
            again.unwrap_or_else(|error| panic!("{what}: {error}"));
            let mut second = found;
            let done = crashed.operations(half);
            done.iter().take(call * 7 % (done.len() + 1)).for_each(|operation| second.apply(operation));
            let found = second.crash(&mut Random::new(seed + 100));
            if !is_possible(&found) {
                continue;
            }
            let crashed = SimDisk::new(found, seed);
            tried += 1;
            repair::apply_on(Arc::new(crashed.clone()), mode, config())
                .unwrap_or_else(|error| panic!("{what}, and again: {error}"));
            let log = open(&crashed).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(log.verify(&mut |_| {}).unwrap().is_sound(), "{what}");
            assert_eq!(content(&log), repaired, "{what}");
        }
        state.apply(operation);
    }
    assert!(refused > 0, "no crash fell into the repair itself");
    assert!(tried > operations.len(), "{tried} of {} crashes", operations.len() * 3);
}

/// The simulated disk may lose both names of a file that is renamed. A repair moves segments that it can't afford to copy, and
/// relies on what a rename promises: the old name or the new one is there.
fn is_possible(state: &State) -> bool {
    ["00000001.hws", "00000002.hws", "00000003.hws"].iter().all(|segment| {
        let aside = format!("damaged-1.{segment}");
        [*segment, &aside].iter().any(|name| state.find(name).is_some())
    })
}

#[test]
fn a_cut_that_power_cuts_interrupt_is_done_again() {
    crash_everywhere(Mode::Cut);
}

#[test]
fn so_is_a_repair_that_keeps_what_is_behind_the_damage() {
    crash_everywhere(Mode::SkipDamaged);
}
