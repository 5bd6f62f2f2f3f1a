//! `ingest --format airbyte`.

use crate::helpers::*;

#[test]
fn a_state_is_a_checkpoint_and_is_echoed_as_it_came() {
    let log = Log::new();
    let odd = r#" {"type":"STATE", "x":1.0,"state":{"b":1,"type":"STREAM","stream":{"stream_descriptor":{"name":"a"}}}} "#;
    let input = [records("a", 1..3), vec![odd.to_owned()], records("a", 3..5)].concat();
    log.ingest(&input)
        .exits(0)
        .prints(&format!("{odd}\n"))
        .says("2 records stay uncommitted and are dropped (a 2)");
    assert_eq!(log.payloads("a"), r#"{"id":1} {"id":2}"#);
}

#[test]
fn a_stream_state_commits_its_own_stream_only() {
    let log = Log::of(&[records("a", [1]), records("b", [2]), vec![state("a", "1")]].concat());
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
    let log =
        Log::of(&[records("a", [1]), records("b", [2]), vec![state("b", "1"), state("a", "1")]].concat());
    assert_eq!((log.payloads("a"), log.payloads("b")), (r#"{"id":1}"#.into(), r#"{"id":2}"#.into()));
}

#[test]
fn the_echo_comes_after_the_commit() {
    let log = Log::new();
    let mut ingest = log.start();
    ingest.send(&[records("a", [1]), vec![state("a", "1")]].concat());
    assert_eq!(ingest.echo(), state("a", "1"));
    // Another process sees it while this one goes on.
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
    assert_eq!(log.run("info", &["--json"]).exits(0).json()["live"], true);
    log.run("verify", &[]).exits(0);
    ingest.send(&records("a", [2]));
    ingest.kill();
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("a", "1")));
}

#[test]
fn complete_streams_get_a_last_checkpoint() {
    let lines = |last: &str| {
        [records("a", [1]), vec![state("a", "1")], records("a", [2]), vec![status("a", last)]].concat()
    };
    let both = r#"{"id":1} {"id":2}"#;
    assert_eq!(Log::of(&lines("COMPLETE")).payloads("a"), both);
    assert_eq!(Log::of(&lines("INCOMPLETE")).payloads("a"), r#"{"id":1}"#);
    assert_eq!(Log::of(&lines("RUNNING")).payloads("a"), r#"{"id":1}"#);
    let log = Log::new();
    log.ingest_with(&lines("INCOMPLETE"), &["--assume-complete"]).exits(0);
    assert_eq!(log.payloads("a"), both);
    // The records, and no other state than the source's.
    log.run("state get", &[]).prints(&format!("[{}]\n", stream_state("a", "1")));
}

#[test]
fn without_any_state_it_says_what_that_means() {
    let log = Log::new();
    log.ingest(&[records("a", 1..3), vec![status("a", "COMPLETE")]].concat()).exits(0).says("sent no STATE");
    assert_eq!(log.payloads("a"), r#"{"id":1} {"id":2}"#);
    log.run("state get", &[]).exits(0).prints("[]\n");
}

#[test]
fn the_payload_is_the_exact_text() {
    let data = r#"{"z": 12345678901234567890123, "a":1.0,"a":"\u00e9\ud800","n":null}"#;
    let log = Log::of(&[record("a", data), state("a", "1")]);
    assert_eq!(log.payloads("a"), data);
}

#[test]
fn times_and_meta_come_out_again() {
    let meta = r#"{"changes":[{"field":"x","change":"NULLED"}]}"#;
    let line = format!(
        r#"{{"type":"RECORD","record":{{"stream":"a","data":{{}},"emitted_at":1700000000123,"meta":{meta}}}}}"#
    );
    let log = Log::of(&[line.clone(), state("a", "1")]);
    log.run("cat", &[]).exits(0).prints(&format!("{line}\n"));
}

#[test]
fn an_empty_namespace_is_not_an_absent_one() {
    let spaced = r#"{"type":"RECORD","record":{"namespace":"","stream":"a","data":{"id":2},"emitted_at":1}}"#
        .to_owned();
    let null = r#"{"type":"RECORD","record":{"namespace":null,"stream":"a","data":{"id":3},"emitted_at":1}}"#
        .to_owned();
    let log =
        Log::of(&[record("a", r#"{"id":1}"#), spaced, null, state_of(r#"{"type":"GLOBAL","global":{}}"#)]);
    assert_eq!(log.payloads("a"), r#"{"id":1} {"id":3}"#);
    log.run("cat", &["--stream", "a", "--namespace", "", "--format", "jsonl"])
        .exits(0)
        .prints("{\"id\":2}\n");
}

#[test]
fn the_catalog_gives_keys_and_schemas() {
    let log = Log::new();
    let catalog = log.file("catalog.json", &catalog("a", "id"));
    let catalog = ["--catalog", catalog.to_str().unwrap()];
    let deleted = record("a", r#"{"id":2,"_ab_cdc_deleted_at":"2026-01-01"}"#);
    let lines = [records("a", [1]), vec![deleted], records("b", [7]), vec![state("a", "1"), state("b", "1")]]
        .concat();
    log.ingest_with(&lines, &catalog).exits(0).says("stream b is not in the catalog");
    let info = log.run("info", &["--json"]).exits(0).json();
    assert_eq!(info["streams"][0]["key"], serde_json::json!([["id"]]));
    assert_eq!(info["streams"][0]["schema"], r#"{"type":"object"}"#);
    assert_eq!(info["streams"][1]["key"], serde_json::json!([]));
    // A delete keeps its last image.
    assert_eq!(log.payloads("a"), r#"{"id":1} {"id":2,"_ab_cdc_deleted_at":"2026-01-01"}"#);
    // Without the catalog the log's own key holds.
    log.ingest(&[records("a", [3]), vec![state("a", "2")]].concat()).exits(0);
    // Another key is an error, unless it is meant.
    let other = log.file("other.json", &self::catalog("a", "no"));
    let other = ["--catalog", other.to_str().unwrap()];
    log.ingest_with(&lines, &other).exits(1).says("--allow-key-change");
    log.ingest_with(&lines, &[other[0], other[1], "--allow-key-change"]).exits(0);
}

#[test]
fn deletes_are_counted() {
    let deleted = record("a", r#"{"id":2,"_ab_cdc_deleted_at":"2026-01-01"}"#);
    let alive = record("a", r#"{"id":2,"_ab_cdc_deleted_at":null}"#);
    let ran = Log::new().ingest(&[deleted, alive, state("a", "1")]).exits(0);
    let row: Vec<&str> =
        ran.err.lines().find(|line| line.starts_with("a ")).unwrap().split_whitespace().collect();
    assert_eq!(row[1..3], ["2", "1"], "{}", ran.err);
}

#[test]
fn what_is_no_message_does_not_stop_it() {
    let noise =
        ["Traceback (most recent call last):\u{1b}[31m", "{\"type\":\"LOG\",\"log\":{\"mess", "[1]", "{}"];
    let lines = [records("a", [1]), noise.map(str::to_owned).to_vec(), vec![state("a", "1")]].concat();
    let log = Log::new();
    let ran = log
        .ingest(&lines)
        .exits(0)
        .says("line 2 is not a message: Traceback (most recent call last):\\u{1b}[31m");
    ran.says("4 lines in the input are not messages");
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
}

#[test]
fn a_record_that_would_be_lost_stops_it() {
    let lost = r#"{"type":"RECORD","record":{"stream":"a"}}"#.to_owned();
    let log = Log::new();
    let lines = [records("a", [1]), vec![state("a", "1"), lost, state("a", "2")]].concat();
    log.ingest(&lines)
        .exits(1)
        .says("line 3: a RECORD message can't be stored")
        .prints(&format!("{}\n", state("a", "1")));
}

#[test]
fn a_record_that_is_no_json_stops_it_unless_it_is_the_torn_end() {
    let torn = r#"{"type":"RECORD","record":{"stream":"a","da"#;
    let log = Log::new();
    let lines = [records("a", [1]), vec![state("a", "1"), torn.to_owned(), state("a", "2")]].concat();
    log.ingest(&lines).exits(1).says("line 3: a RECORD message is broken JSON");
    let whole = joined(&[records("a", [1]), vec![state("a", "1")]].concat());
    let log = Log::new();
    log.run_with("ingest", &[], &format!("{whole}{torn}")).exits(0).says("line 3, the last, is torn");
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
    let nan = [record("a", r#"{"id":NaN}"#), state("a", "1")];
    let log = Log::new();
    log.ingest(&nan).exits(0).says("1 line had NaN or Infinity");
    assert_eq!(log.payloads("a"), r#"{"id":null}"#);
}

#[test]
fn counts_are_compared() {
    let counted = |n: &str| {
        format!(
            r#"{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"a"}}}},"sourceStats":{{"recordCount":{n}}}}}"#
        )
    };
    let lines = |n: &str| [records("a", 1..4), vec![state_of(&counted(n))]].concat();
    Log::new().ingest(&lines("3.0")).exits(0).does_not_say("counted other");
    let ran =
        Log::new().ingest(&lines("4.0")).exits(0).says("the STATE of a counts 4 records, but 3 arrived");
    ran.says("1 STATE message counted other records");
    Log::new().ingest(&lines("0.0")).exits(0).does_not_say("but 3 arrived").says("1 of them said 0");
}

#[test]
fn other_messages_go_to_standard_error_without_their_secrets() {
    let lines = [
        r#"{"type":"LOG","log":{"level":"WARN","message":"two\nlines"}}"#,
        r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"no access","internal_message":"token=1","failure_type":"config_error"}}}"#,
        r#"{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","connectorConfig":{"config":{"token":"hunter2"}}}}"#,
        r#"{"type":"SPEC","spec":{}}"#,
    ];
    let ran = Log::new().ingest(&lines.map(str::to_owned)).exits(0).prints("");
    let ran = ran
        .says("WARN two\\nlines")
        .says("the source's error (config_error): no access")
        .says("SPEC message");
    ran.does_not_say("hunter2").does_not_say("token=1");
}

#[test]
fn the_last_line_may_lack_its_end() {
    let log = Log::new();
    log.run_with("ingest", &[], &format!("{}\n{}", record("a", "{}"), state("a", "1"))).exits(0);
    assert_eq!(log.payloads("a"), "{}");
}

#[test]
fn many_streams_and_large_records() {
    let big = |id: usize| {
        record(&format!("s{}", id % 50), &format!(r#"{{"id":{id},"x":"{}"}}"#, "x".repeat(100_000)))
    };
    let lines: Vec<String> = (0..200).map(big).chain((0..50).map(|n| state(&format!("s{n}"), "1"))).collect();
    let log = Log::new();
    log.ingest_with(&lines, &["--segment-bytes", "1MiB"]).exits(0);
    let found = log.run("cat", &["--stream", "s7"]).exits(0);
    assert_eq!(found.out.lines().count(), 4);
    log.run("verify", &[]).exits(0);
}
