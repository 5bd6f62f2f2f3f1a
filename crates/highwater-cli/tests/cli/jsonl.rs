//! `ingest --format jsonl`.

use std::io::Write;

use crate::helpers::*;

fn rows(range: std::ops::Range<u32>) -> String {
    range.map(|id| format!("{{\"id\":{id}}}\n")).collect()
}

#[test]
fn checkpoints_by_count_and_by_size() {
    let log = Log::new();
    log.jsonl(&rows(0..25), &["--every-records", "10"])
        .exits(0)
        .prints("")
        .says("committed 3 checkpoints with 25 records");
    let log = Log::new();
    log.jsonl(&rows(0..10), &["--every-bytes", "24"])
        .exits(0)
        .says("committed 4 checkpoints with 10 records");
    let log = Log::new();
    log.jsonl(&rows(0..25_000), &[]).exits(0).says("committed 3 checkpoints with 25,000 records");
}

#[test]
fn it_skips_what_is_committed() {
    let log = Log::new();
    log.jsonl(&rows(0..3), &[]).exits(0);
    log.jsonl(&rows(0..3), &[]).exits(0).says("skipped 3 lines").says("0 checkpoints");
    log.jsonl(&rows(0..5), &[]).exits(0).says("committed 1 checkpoint with 2 records");
    assert_eq!(log.payloads("s"), rows(0..5).trim_end().replace('\n', " "));
    log.jsonl(&rows(0..2), &[]).exits(1).says("holds 5 lines of stream s already, but the input has only 2");
}

#[test]
fn blank_lines_are_skipped_and_counted() {
    let log = Log::new();
    log.jsonl("{}\n\n  \n{}\n\n", &[]).exits(0).says("with 2 records");
    assert_eq!(log.run("state get", &["--json"]).json()["streams"][0]["state"]["lines"], 5);
}

#[test]
fn an_invalid_line_is_named_and_what_came_before_it_is_kept() {
    for (bad, column) in [("{\"id\":}", 7), ("[1]", 1), ("{} x", 4)] {
        let log = Log::new();
        let input = format!("{}{bad}\n{}", rows(0..2), rows(3..4));
        log.jsonl(&input, &[]).exits(1).says(&format!("line 3: column {column}"));
        assert_eq!(log.payloads("s"), r#"{"id":0} {"id":1}"#);
        // With the line corrected it goes on behind what is committed.
        log.jsonl(&rows(0..4), &[]).exits(0);
        assert_eq!(log.payloads("s"), rows(0..4).trim_end().replace('\n', " "));
    }
}

#[test]
fn keys_make_upserts_and_belong_to_the_stream() {
    let log = Log::new();
    log.jsonl(&rows(0..2), &["--key", "id,x"]).exits(0);
    let info = log.run("info", &["--json"]).json();
    assert_eq!(info["streams"][0]["key"], serde_json::json!([["id"], ["x"]]));
    log.jsonl(&rows(0..3), &[]).exits(0);
    log.jsonl(&rows(0..4), &["--key", "id"]).exits(1).says("has the key");
}

#[test]
fn a_checkpoint_by_time_needs_no_line() {
    let log = Log::new();
    let mut command = std::process::Command::new(HIGHWATER);
    command.arg("ingest").arg(&log.path).args(["--format", "jsonl", "--stream", "s", "--every-seconds", "1"]);
    let mut ingest =
        command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    ingest.stdin.as_mut().unwrap().write_all(b"{\"id\":0}\n").unwrap();
    let mut found = String::new();
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        found = log.run("cat", &["--format", "jsonl"]).out;
        if !found.is_empty() {
            break;
        }
    }
    ingest.kill().unwrap();
    ingest.wait().unwrap();
    assert_eq!(found, "{\"id\":0}\n");
}

#[test]
fn compression_saves_room_and_is_told() {
    let rows: String =
        (0..2000).map(|i| format!("{{\"id\":{i},\"city\":\"Berlin\",\"paid\":true}}\n")).collect();
    for codec in ["lz4", "zstd", "zstd:9"] {
        let log = Log::new();
        log.jsonl(&rows, &["--compression", codec]).exits(0);
        assert_eq!(log.run("cat", &["--format", "jsonl"]).out, rows);
        let info = log.run("info", &["--json"]).json();
        let (records, disk) =
            (info["streams"][0]["bytes"].as_u64(), info["streams"][0]["disk_bytes"].as_u64());
        assert!(disk.unwrap() * 2 < records.unwrap(), "{codec}: {disk:?} of {records:?}");
        assert!(log.run("info", &[]).out.contains("(1/"), "{codec}");
    }
    Log::new().jsonl(&rows, &["--compression", "gzip"]).exits(2).says("expected none, lz4, zstd");
    Log::new().jsonl(&rows, &["--compression", "zstd:23"]).exits(2).says("-7 to 22");
}

#[test]
fn a_stream_that_airbyte_filled_is_refused() {
    let log = Log::of(&[state("s", "1")]);
    log.jsonl("{}\n", &[]).exits(1).says("did not write");
}
