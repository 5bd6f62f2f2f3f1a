//! The moments that crash tests aim at (`HIGHWATER_DEBUG_PHASE`), and what a kill in them leaves.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::helpers::*;

/// Sends a checkpoint, waits for the moment, kills; what `state get` says then.
fn killed_in(phase: &str) -> (Log, String) {
    let log = Log::new();
    let file = log.file("phase", "");
    let mut command = Command::new(HIGHWATER);
    command.env("HIGHWATER_DEBUG_SLOW", format!("{phase}:500ms")).env("HIGHWATER_DEBUG_PHASE", &file);
    let mut ingest = log.start_as(command);
    // Opening writes, too; it is through when the first checkpoint is echoed.
    ingest.send(&[state("a", "1")]);
    ingest.echo();
    await_phase(&file, "idle");
    ingest.send(&[records("a", [1]), vec![state("a", "2")]].concat());
    await_phase(&file, phase);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 8);
    ingest.kill();
    let ran = log.run("state get", &[]).exits(0);
    (log, ran.out)
}

fn await_phase(file: &Path, phase: &str) {
    let begun = Instant::now();
    while std::fs::read_to_string(file).unwrap().trim() != phase {
        assert!(begun.elapsed() < Duration::from_secs(20), "no {phase}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn before_the_write_nothing_of_it_is_there() {
    let (log, states) = killed_in("write");
    assert_eq!(states, format!("[{}]\n", stream_state("a", "1")));
    assert_eq!(log.payloads("a"), "");
}

#[test]
fn between_write_and_flush_a_kill_takes_nothing() {
    let (log, states) = killed_in("flush");
    assert_eq!(states, format!("[{}]\n", stream_state("a", "2")));
    log.ingest(&[]).exits(0);
    log.run("state get", &[]).prints(&states);
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
}

#[test]
fn before_the_echo_it_is_durable() {
    let (log, states) = killed_in("echo");
    assert_eq!(states, format!("[{}]\n", stream_state("a", "2")));
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
}
