//! `cat`, `checkpoints`, `info`, `prune`, `completions`, `man`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::helpers::*;

fn three_checkpoints() -> Log {
    let of = |id| [records("a", [id]), records("b", [id]), vec![state("a", "1"), state("b", "1")]].concat();
    Log::of(&[of(1), of(2)].concat())
}

#[test]
fn cat_takes_a_range() {
    let log = three_checkpoints();
    let ids = |options: &[&str]| log.run("cat", options).exits(0).out.lines().count();
    assert_eq!(ids(&[]), 4);
    assert_eq!(ids(&["--from", "3"]), 2);
    assert_eq!(ids(&["--from", "2", "--to", "3"]), 2);
    assert_eq!(ids(&["--from", "3", "--to", "2"]), 0);
    assert_eq!(ids(&["--from", "5"]), 0);
    log.run("cat", &["--from", "6"]).exits(6).says("the last is 4");
    log.run("cat", &["--stream", "c"]).exits(6).says("it has a, b");
    assert_eq!(log.payloads("a"), r#"{"id":1} {"id":2}"#);
}

#[test]
fn cat_writes_what_came_in() {
    let lines = [records("a", 1..3), vec![state("a", "1")]].concat();
    Log::of(&lines).run("cat", &[]).exits(0).prints(&joined(&lines[..2]));
}

#[test]
fn cat_follows() {
    let log = Log::new();
    let mut ingest = log.start();
    ingest.send(&[records("a", [1]), vec![state("a", "1")]].concat());
    ingest.echo();
    let mut follow = Command::new(HIGHWATER);
    follow.arg("cat").arg(&log.path).args(["--follow", "--format", "jsonl"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let lines = lines_of(follow.stdout.take().unwrap());
    let next = || lines.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!(next(), r#"{"id":1}"#);
    ingest.send(&[records("a", [2]), vec![state("a", "2")]].concat());
    assert_eq!(next(), r#"{"id":2}"#);
    ingest.send(&records("a", [3]));
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let log = Log::of(&[records("a", 0..20_000), vec![state("a", "1")]].concat());
    let mut cat = Command::new(HIGHWATER);
    let mut cat =
        cat.arg("cat").arg(&log.path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(cat.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let mut err = String::new();
    cat.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((cat.wait().unwrap().code(), err.as_str()), (Some(0), ""));
    assert!(first.contains(r#"{"id":0}"#));
}

#[test]
fn checkpoints_are_listed() {
    let log = three_checkpoints();
    let json = log.run("checkpoints", &["--json"]).exits(0).json();
    let list = json["checkpoints"].as_array().unwrap();
    assert_eq!(list.iter().map(|c| c["sequence"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(
        (&list[0]["records"], &list[0]["kind"], &list[0]["global"]),
        (&1.into(), &"stream".into(), &false.into())
    );
    assert_eq!(list[0]["streams"][0]["name"]["name"], "a");
    let last = log.run("checkpoints", &["--json", "--last", "1"]).json();
    assert_eq!(last["checkpoints"][0]["sequence"], 4);
    assert_eq!(log.run("checkpoints", &["--from", "3"]).exits(0).out.lines().count(), 3);
    let empty = Log::of(&[]);
    assert_eq!(
        empty.run("checkpoints", &["--json", "--last", "5"]).exits(0).json()["checkpoints"],
        serde_json::json!([])
    );
}

#[test]
fn info_counts() {
    let log = three_checkpoints();
    let json = log.run("info", &["--json"]).exits(0).json();
    assert_eq!((&json["live"], &json["status"]["records"]), (&false.into(), &4.into()));
    assert_eq!(json["streams"][1]["records"], 2);
    let text = log.run("info", &[]).exits(0).out;
    assert!(text.contains("high-water mark  4, "), "{text}");
    Log::of(&[]).run("info", &[]).exits(0);
}

#[test]
fn prune_plans_first() {
    let log = Log::new();
    let big = |id: u64| record("a", &format!(r#"{{"id":{id},"x":"{}"}}"#, "x".repeat(20_000)));
    let lines: Vec<String> = (0..40).flat_map(|id| [big(id), state("a", "1")]).collect();
    log.ingest_with(&lines, &["--segment-bytes", "64KiB"]).exits(0);
    let plan = log.run("prune", &["--dry-run", "--json"]).exits(0).json();
    assert!(plan["segments"].as_u64().unwrap() > 3, "{plan}");
    log.run("prune", &[]).exits(2).says("--yes");
    log.run("prune", &["--min-count", "40", "--yes"]).exits(0);
    assert_eq!(log.run("cat", &[]).out.lines().count(), 40);
    log.run("prune", &["--min-age", "1h", "--yes"]).exits(0);
    assert_eq!(log.run("cat", &[]).out.lines().count(), 40);
    let signed = ["--yes", "--json", "--by", "ops", "--reason", "the disk is full"];
    let done = log.run("prune", &signed).exits(0).json();
    assert_eq!((&done["done"], &done["segments"]), (&true.into(), &plan["segments"]));
    assert!(log.run("cat", &[]).exits(0).out.lines().count() < 20);
    log.run("cat", &["--from", "1"]).exits(6).says("are gone");
    let audit = log.run("audit", &[]).exits(0).out;
    assert_eq!(
        audit.matches("prune, by ops: the disk is full").count(),
        1,
        "only what was done is signed: {audit}"
    );
    assert_eq!(audit.matches("prune, by").count(), 1, "{audit}");
    assert!(audit.find("pruning:").unwrap() < audit.find("prune, by").unwrap(), "{audit}");
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("a", "1")));
    log.run("verify", &[]).exits(0);
}

#[test]
fn compact_leaves_the_last_row_of_each_key() {
    let log = Log::new();
    let catalog = log.file(
        "catalog.json",
        r#"{"streams":[{"stream":{"name":"a","json_schema":{},"supported_sync_modes":["incremental"]},
            "sync_mode":"incremental","destination_sync_mode":"append_dedup","primary_key":[["id"]]}]}"#,
    );
    let big = |i: u64| {
        let id = if i < 3 { i } else { 3 + i % 2 };
        record("a", &format!(r#"{{"id":{id},"i":{i},"x":"{}"}}"#, "x".repeat(10_000)))
    };
    let lines: Vec<String> = (0..60).flat_map(|i| [big(i), state("a", "1")]).collect();
    let catalog = catalog.to_str().unwrap();
    log.ingest_with(&lines, &["--segment-bytes", "64KiB", "--catalog", catalog]).exits(0);
    let plan = log.run("compact", &["--dry-run", "--json"]).exits(0).json();
    assert_eq!((&plan["done"], &plan["from"]), (&true.into(), &1.into()), "{plan}");
    assert_eq!(log.run("cat", &[]).out.lines().count(), 60);
    let held = log.run("compact", &["--min-count", "60"]).exits(0);
    assert!(held.out.contains("nothing can be compacted"), "{}", held.out);
    let done = log.run("compact", &["--json"]).exits(0).json();
    assert_eq!((&done["first"], &done["streams"]), (&plan["first"], &plan["streams"]));
    let left = done["streams"][0]["records_after"].as_u64().unwrap();
    assert_eq!(left, 5, "{done}");
    assert!(log.run("cat", &[]).exits(0).out.lines().count() < 20);
    let listed = log.run("checkpoints", &["--json"]).exits(0).json();
    let base = &listed["checkpoints"][0];
    assert_eq!((&base["kind"], &base["compacted_from"]), (&"compacted".into(), &1.into()));
    log.run("cat", &["--from", "1"]).exits(6).says("compacted into checkpoint");
    assert!(log.run("info", &[]).exits(0).out.contains("compacted        checkpoints 1 to "));
    log.run("verify", &[]).exits(0);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let run = |args: &[&str]| Ran::of(&Command::new(HIGHWATER).args(args).output().unwrap());
    assert!(run(&["completions", "bash"]).exits(0).out.contains("highwater"));
    assert!(run(&["man", "state", "get"]).exits(0).out.contains("highwater"));
    run(&["man", "nope"]).exits(2);
    for command in [
        "ingest",
        "cat",
        "state get",
        "checkpoints",
        "info",
        "verify",
        "prune",
        "compact",
        "completions",
        "man",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        assert!(run(&args).exits(0).out.contains("Examples:"), "{command}");
    }
}
