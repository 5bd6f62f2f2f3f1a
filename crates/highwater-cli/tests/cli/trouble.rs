//! Bad input is told apart and named, each with its exit code.

use crate::helpers::*;

const READERS: [&str; 7] =
    ["cat", "state get", "checkpoints", "info", "verify", "prune --dry-run", "prune --yes"];

#[test]
fn a_mistyped_path_makes_no_log() {
    for command in READERS {
        let log = Log::new();
        let mut words = command.split(' ');
        let (name, options): (&str, Vec<&str>) = match command {
            "state get" => ("state get", vec![]),
            _ => (words.next().unwrap(), words.collect()),
        };
        log.run(name, &options).exits(6).says("log.hw");
        assert!(!log.path.exists(), "{command}");
    }
}

#[test]
fn a_mistyped_pipeline_is_not_found() {
    let log = Log::new();
    for command in ["run", "check", "status", "serve", "metrics", "schema diff", "dead-letters list"] {
        let ran = log.run(command, &[]).exits(6).says("pipeline file at").says("log.hw");
        assert!(ran.err.contains("try: check the path"), "{ran:?}");
        assert!(!log.path.exists(), "{command}");
    }
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let log = Log::new();
    std::fs::create_dir(&log.path).unwrap();
    std::fs::write(log.path.join("photo.jpg"), "x").unwrap();
    for command in ["ingest", "cat", "verify", "prune"] {
        log.run(command, &[]).exits(1).says("log.hw");
    }
    assert_eq!(std::fs::read_dir(&log.path).unwrap().count(), 1);
}

#[test]
fn a_newer_format_is_named_and_left_alone() {
    let log = Log::of(&[state("a", "1")]);
    let segment = std::fs::read_dir(&log.path).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "hws")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[10] = 9; // the least version of a reader, under the header's checksum
    let crc = crc32fast::hash(&bytes[..124]);
    bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&segment, &bytes).unwrap();
    for command in ["ingest", "cat", "verify", "info", "prune"] {
        log.run(command, &[]).exits(1).says("a reader of version 9").says("--version");
    }
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_locked_log_names_its_holder() {
    let log = Log::new();
    let mut ingest = log.start();
    ingest.send(&[state("a", "1")]);
    ingest.echo();
    log.ingest(&[]).exits(5).says(&ingest.child.id().to_string()).says("--lock-wait");
    log.run("prune", &["--yes"]).exits(0);
    let begun = std::time::Instant::now();
    log.ingest_with(&[], &["--lock-wait", "1"]).exits(5);
    assert!(begun.elapsed().as_secs() >= 1);
    ingest.kill();
    log.ingest(&[]).exits(0);
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let log = Log::new();
    for options in [
        &["--every-records", "5"][..],
        &["--every-seconds", "5"],
        &["--every-bytes", "5"],
        &["--stream", "s"],
        &["--key", "id"],
        &["--format", "jsonl"],
        &["--format", "jsonl", "--stream", "s", "--assume-complete"],
        &["--segment-bytes", "many"],
        &["--segment-bytes", "1KiB"],
        &["--every-bytes", "0", "--format", "jsonl", "--stream", "s"],
        &["--nonsense"],
    ] {
        log.ingest_with(&[], options).exits(2);
    }
    log.run("cat", &["--namespace", "x"]).exits(2);
    log.run("prune", &["--min-age", "soon"]).exits(2);
    assert!(!log.path.exists());
}

#[test]
fn a_missing_catalog_is_named() {
    let log = Log::new();
    log.ingest_with(&[], &["--catalog", "/nowhere/catalog.json"]).exits(6).says("/nowhere/catalog.json");
    let bad = log.file("catalog.json", "{\"streams\":");
    log.ingest_with(&[], &["--catalog", bad.to_str().unwrap()]).exits(1).says("catalog.json");
    assert!(!log.path.exists());
}
