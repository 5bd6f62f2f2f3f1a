//! `state get`, and what a source makes of it.

use crate::helpers::*;

const GLOBAL: &str = r#"{"type":"GLOBAL","global":{"shared_state":{"lsn":1.0},"stream_states":[]}}"#;

#[test]
fn the_states_of_streams_are_a_list_of_what_was_sent() {
    let log = Log::of(&[state("b", "1.0"), state("a", r#"{"x": [1]}"#), state("b", "2")]);
    let expected = format!("[{},{}]\n", stream_state("b", "2"), stream_state("a", r#"{"x": [1]}"#));
    log.run("state get", &[]).exits(0).prints(&expected);
    log.run("state get", &["--stream", "a"])
        .exits(0)
        .prints(&format!("[{}]\n", stream_state("a", r#"{"x": [1]}"#)));
    log.run("state get", &["--stream", "nope"]).exits(6).says("has no stream nope; it has b, a");
}

#[test]
fn an_earlier_checkpoint_has_its_own_states() {
    let log = Log::of(&[state("a", "1"), state("b", "1"), state("a", "2")]);
    log.run("state get", &["--at", "1"]).exits(0).prints(&format!("[{}]\n", stream_state("a", "1")));
    let json = log.run("state get", &["--at", "2", "--json"]).exits(0).json();
    assert_eq!(json["sequence"], 2);
    assert_eq!(json["streams"][1]["since"], 2);
    assert_eq!(json["streams"][0]["state"]["stream"]["stream_state"]["cursor"], 1);
    log.run("state get", &["--at", "9"]).exits(6).says("9");
    log.run("state get", &["--at", "0"]).exits(6).says("there is no checkpoint 0").does_not_say("pruned");
}

#[test]
fn a_global_state_commits_everything() {
    let log = Log::new();
    let lines = [records("a", [1]), records("b", [2]), vec![state_of(GLOBAL)]].concat();
    log.ingest(&lines).exits(0).prints(&format!("{}\n", state_of(GLOBAL)));
    assert_eq!((log.payloads("a"), log.payloads("b")), (r#"{"id":1}"#.into(), r#"{"id":2}"#.into()));
    log.run("state get", &[]).exits(0).prints(&format!("[{GLOBAL}]\n"));
}

#[test]
fn a_legacy_state_comes_back_bare() {
    for legacy in [r#"{"type":"LEGACY","data":{"a": 1.0}}"#, r#"{"data":{"a": 1.0}}"#] {
        let log = Log::of(&[records("a", [1]), vec![state_of(legacy)]].concat());
        log.run("state get", &[]).exits(0).prints("{\"a\": 1.0}\n");
        let json = log.run("state get", &["--format", "json"]).json();
        assert_eq!(json["global"]["data"]["a"], 1.0);
    }
}

#[test]
fn a_change_of_kind_is_said_and_the_newer_one_counts() {
    let log = Log::of(&[state("a", "1")]);
    log.ingest(&[state_of(GLOBAL)]).exits(0).says("were STREAM and are GLOBAL");
    log.run("state get", &[]).exits(0).prints(&format!("[{GLOBAL}]\n")).says("left out");
    log.ingest(&[state_of(GLOBAL)]).exits(0).does_not_say("from now on");
    log.ingest(&[state("a", "2")]).exits(0).says("were GLOBAL and are STREAM");
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("a", "2"))).says("left out");
    log.ingest(&[state("a", "3"), state("a", "4")]).exits(0).does_not_say("from now on");
}

#[test]
fn a_log_without_states_gives_an_empty_list() {
    let log = Log::of(&[]);
    log.run("state get", &[]).exits(0).prints("[]\n");
    assert_eq!(log.run("state get", &["--json"]).exits(0).json()["sequence"], 0);
}

#[test]
fn a_state_that_is_not_airbytes_is_shown_with_a_warning() {
    let log = Log::new();
    log.jsonl("{}\n", &[]).exits(0);
    log.run("state get", &["--format", "airbyte"])
        .exits(0)
        .prints("[{\"lines\":1}]\n")
        .says("1 state is not Airbyte's");
    let json = log.run("state get", &[]).exits(0).does_not_say("Airbyte").json();
    assert_eq!(
        (&json["streams"][0]["name"], &json["streams"][0]["state"]["lines"]),
        (&"s".into(), &1.into())
    );
}

#[test]
fn a_state_over_the_limit_stops_it_before_its_echo() {
    let huge = state("a", &format!("\"{}\"", "x".repeat(11 << 20)));
    let log = Log::new();
    let lines = [records("a", [1]), vec![state("a", "1")], records("a", [2]), vec![huge]].concat();
    let ran = log.ingest(&lines).exits(1).says("the limit is 10485760").says("line 4");
    assert_eq!(ran.out, format!("{}\n", state("a", "1")));
    assert_eq!(log.payloads("a"), r#"{"id":1}"#);
}

#[test]
fn a_state_that_is_none_stops_it() {
    for bad in [r#"{"type":"STREAM"}"#, r#"{"type":"MOON","data":{}}"#, "{}"] {
        Log::new().ingest(&[state_of(bad)]).exits(1).says("line 1: a STATE message can't be stored");
    }
}
