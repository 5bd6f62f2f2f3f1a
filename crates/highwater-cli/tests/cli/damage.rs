//! `verify`, on logs that something happened to.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::helpers::*;

fn log_of_ten() -> Log {
    let of = |id| [records("a", [id]), vec![state("a", &id.to_string())]].concat();
    Log::of(&(100..110).flat_map(of).collect::<Vec<_>>())
}

/// The segments of a log, in order.
fn segments(log: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "hws")).collect();
    segments.sort();
    segments
}

#[test]
fn a_whole_log_is_whole() {
    let log = log_of_ten();
    log.run("verify", &[])
        .exits(0)
        .prints("10 records (100 B), 10 checkpoints in 1 segment: everything is whole\n");
    let json = log.run("verify", &["--json"]).exits(0).json();
    assert_eq!((&json["sound"], &json["checkpoints"]), (&true.into(), &10.into()));
}

#[test]
fn damage_is_named_by_file_and_byte() {
    let log = log_of_ten();
    let segment = &segments(&log.path)[0];
    let mut bytes = fs::read(segment).unwrap();
    let at = bytes.windows(8).position(|window| window == b"{\"id\":10").unwrap();
    bytes[at + 2] ^= 1;
    fs::write(segment, bytes).unwrap();
    let ran = log.run("verify", &[]).exits(3).says("highwater");
    assert!(ran.out.contains(".hws byte "), "{ran:#?}");
    let json = log.run("verify", &["--json"]).exits(3).json();
    assert_eq!(json["problems"].as_array().unwrap().len(), 1, "{json}");
    log.run("cat", &[]).exits(3).says(".hws byte").says("cp -a");
}

#[test]
fn damage_that_keeps_it_from_opening_is_a_finding_too() {
    let log = log_of_ten();
    let segment = fs::File::options().write(true).open(&segments(&log.path)[0]).unwrap();
    segment.write_all_at(&[0xff; 64], 0).unwrap();
    log.run("verify", &[]).exits(3);
    assert_eq!(log.run("verify", &["--json"]).exits(3).json()["sound"], false);
    log.ingest(&[]).exits(3);
}

#[test]
fn a_repair_of_an_empty_file_tells_what_it_can() {
    let log = Log::new();
    let of = |id: u64| {
        [
            record("a", &format!("{{\"id\":{id},\"text\":\"{}\"}}", "x".repeat(20_000))),
            state("a", &id.to_string()),
        ]
    };
    let lines: Vec<String> = (100..110).flat_map(of).collect();
    log.ingest_with(&lines, &["--segment-bytes", "64KiB"]).exits(0);
    fs::write(&segments(&log.path)[1], "").unwrap();
    let told = log.run("repair", &["--skip-damaged"]).exits(3);
    assert!(told.out.contains("to its end") && !told.out.contains("4294967296"), "{told:?}");
    assert!(!told.out.contains("at least 0 records"), "{told:?}");
}

#[test]
fn who_repaired_a_log_and_why_is_on_record() {
    let log = log_of_ten();
    let segment = &segments(&log.path)[0];
    let mut bytes = fs::read(segment).unwrap();
    let at = bytes.windows(9).position(|window| window == b"{\"id\":105").unwrap();
    bytes[at + 2] ^= 1;
    fs::write(segment, bytes).unwrap();
    let signed = ["--apply", "--by", "ops", "--reason", "a bad cable"];
    log.run("repair", &signed).exits(0);
    let audit = log.run("audit", &[]).exits(0).out;
    assert_eq!(audit.matches("repair 1, by ops: a bad cable").count(), 1, "{audit}");
    log.run("repair", &signed).exits(0);
    assert_eq!(log.run("audit", &[]).exits(0).out, audit, "nothing was to be done");
}

#[test]
fn what_to_do_next_can_be_pasted_as_it_is() {
    let log = log_of_ten();
    let copy = log.path.with_extension("copy");
    log.run("backup", &[copy.to_str().unwrap()]).exits(0);
    let segment = fs::File::options().write(true).open(&segments(&log.path)[0]).unwrap();
    segment.write_all_at(&[0xff; 64], 0).unwrap();
    let path = log.path.to_str().unwrap();
    let commands: &[(&str, &[&str])] = &[
        ("ingest", &[]),
        ("cat", &[]),
        ("state get", &[]),
        ("state history", &[]),
        ("checkpoints", &[]),
        ("info", &[]),
        ("prune", &["--yes"]),
        ("compact", &[]),
        ("rewind", &["--to", "1", "--reason", "x"]),
        ("refresh", &["--stream", "a", "--reason", "x"]),
        ("consumer list", &[]),
        ("du", &[]),
        ("audit", &[]),
        ("runs", &[]),
        ("export", &[]),
        ("backup", &["elsewhere"]),
        ("metrics", &[]),
        ("status", &[]),
        ("dead-letters list", &[]),
    ];
    for (command, options) in commands {
        let ran = log.run(command, options).exits(3);
        assert!(ran.err.contains(&format!("try: cp -a {path} ")), "{command}: {ran:#?}");
        assert!(!ran.err.contains("LOG"), "{command}: {ran:#?}");
    }
    // Of two logs, the one that it is about.
    let copy_name = copy.to_str().unwrap();
    let new = log.path.with_extension("new");
    let restore = |to: &str| log.run("restore", &[new.to_str().unwrap(), "--reason", "x", "--to", to]);
    restore("1").exits(3).says(&format!("try: cp -a {path} "));
    fs::remove_dir_all(&log.path).unwrap();
    fs::rename(&copy, &log.path).unwrap();
    restore("99").exits(6).says(&format!("try: highwater checkpoints {path} --last 5"));
    log.run("state copy", &["--from", copy_name, "--reason", "x"]).exits(6).does_not_say("LOG");
    log.run("state copy", &["--from", path, "--at", "99", "--reason", "x"]).exits(6).says(path);
}

#[test]
fn a_torn_tail_is_its_own_exit_code() {
    let log = Log::new();
    let mut ingest = log.start();
    ingest.send(&[records("a", [1]), vec![state("a", "1")]].concat());
    ingest.echo();
    ingest.kill();
    // What a torn write leaves: junk in the block after the last one written.
    let path = &segments(&log.path)[0];
    let end = fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let segment = fs::File::options().write(true).open(path).unwrap();
    segment.write_all_at(&[0xa5; 100], (end + 1).next_multiple_of(4096)).unwrap();

    let ran = log.run("verify", &[]).exits(4);
    assert!(ran.out.contains("torn tail"), "{ran:#?}");
    log.run("verify", &["--json"]).exits(4).json();
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("a", "1"))).says("unconfirmed");
    log.ingest(&[]).exits(0).says("torn");
    log.run("verify", &[]).exits(0);
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
}

/// Flips a byte of the record with this id.
fn damage_record(log: &Log, id: u32) {
    let segment = &segments(&log.path)[0];
    let mut bytes = fs::read(segment).unwrap();
    let text = format!("{{\"id\":{id}");
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    bytes[at + 2] ^= 1;
    fs::write(segment, bytes).unwrap();
}

#[test]
fn a_repair_shows_its_plan_and_changes_nothing() {
    let log = log_of_ten();
    log.run("repair", &[]).exits(0).prints("nothing is damaged\n");
    damage_record(&log, 104);
    let before = fs::read(&segments(&log.path)[0]).unwrap();
    let ran = log.run("repair", &[]).exits(3).says("--apply");
    for text in [".hws byte", "would end with checkpoint 4", "checkpoints 5 to 10", "stream a: 6 records"] {
        assert!(ran.out.contains(text), "{text}: {ran:#?}");
    }
    let json = log.run("repair", &["--skip-damaged", "--json"]).exits(3).json();
    assert_eq!((&json["done"], &json["lost_checkpoints"]), (&false.into(), &1.into()), "{json}");
    assert_eq!(fs::read(&segments(&log.path)[0]).unwrap(), before);
    let ran = log.run("verify", &[]).exits(3);
    assert!(ran.out.contains("lost: 1 checkpoint (5 to 5)"), "{ran:#?}");
    assert!(ran.out.contains("up to checkpoint 4, and 5 checkpoints behind it"), "{ran:#?}");
}

#[test]
fn a_cut_goes_back_to_before_the_damage() {
    let log = log_of_ten();
    damage_record(&log, 104);
    log.run("repair", &["--apply"]).exits(0);
    log.run("verify", &[]).exits(0);
    let ran = log.run("cat", &[]).exits(0);
    assert_eq!(ran.out.lines().count(), 4, "{ran:#?}");
    assert!(log.run("state get", &[]).exits(0).out.contains("103"));
    // The source sends the rest again.
    let of = |id| [records("a", [id]), vec![state("a", &id.to_string())]].concat();
    log.ingest(&(104..110).flat_map(of).collect::<Vec<_>>()).exits(0);
    assert_eq!(log.run("cat", &[]).exits(0).out.lines().count(), 10);
    assert!(log.path.join("damaged-1.mark").exists());
}

#[test]
fn what_is_whole_behind_the_damage_can_be_kept() {
    let log = log_of_ten();
    damage_record(&log, 104);
    log.run("repair", &["--apply", "--skip-damaged"]).exits(0);
    log.run("verify", &[]).exits(0);
    let ran = log.run("cat", &[]).exits(0).says("checkpoint 5 is gone").says("repair 1");
    assert_eq!(ran.out.lines().count(), 9, "{ran:#?}");
    assert!(log.run("state get", &[]).exits(0).out.contains("109"));
    assert_eq!(
        log.run("checkpoints", &["--json"]).exits(0).json()["checkpoints"].as_array().unwrap().len(),
        9
    );
    log.run("info", &[]).exits(0);
}

#[test]
fn a_repair_of_nothing_makes_nothing() {
    let log = Log::new();
    for options in [&[][..], &["--apply"], &["--skip-damaged", "--apply"]] {
        log.run("repair", options).exits(6);
    }
    assert!(!log.path.exists());
}
