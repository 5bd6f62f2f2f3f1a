//! `state get LOG | state set LOG`, with the defaults, whatever the source.

use super::*;

/// Sets what was printed, in full; then everything is as it was.
#[track_caller]
fn goes_round(log: &Log, change: &[&str]) {
    let printed = log.run("state get", &[]).exits(0).out;
    let states = |log: &Log| {
        let json = log.run("state get", &["--json"]).exits(0).json();
        let streams = json["streams"].as_array().unwrap().iter();
        let mut texts: Vec<_> =
            streams.map(|stream| (stream["name"].clone(), stream["state"].clone())).collect();
        texts.push(("global".into(), json["global"].clone()));
        texts
    };
    let before = states(log);
    log.run_with("state set", &by_hand(&[]), &printed).exits(0).says("nothing changes");
    log.run("state set", &sure(&[change, &["--format", "text"]].concat())).exits(0);
    assert_ne!(states(log), before);
    log.run_with("state set", &by_hand(&[]), &printed).exits(2).says("--yes");
    log.run_with("state set", &sure(&[]), &printed).exits(0);
    assert_eq!(states(log), before);
}

#[test]
fn of_airbyte() {
    let global = r#"{"type":"GLOBAL","global":{"shared_state":{"lsn":1.0},"stream_states":[]}}"#;
    goes_round(&two_streams(), &["--stream", "a", &stream_state("a", "7")]);
    goes_round(&Log::of(&[state_of(global)]), &["--global", &global.replace("1.0", "2")]);
    let legacy = r#"{"type":"LEGACY","data":{"a": 1.0}}"#;
    goes_round(&Log::of(&[state_of(legacy)]), &["--global", &legacy.replace("1.0", "2")]);
}

#[test]
fn of_lines() {
    let log = Log::new();
    log.jsonl("{}\n", &[]).exits(0);
    goes_round(&log, &["--stream", "s", r#"{"lines":0}"#]);
    goes_round(&log, &["--stream", "s", r#"{"version":1,"streams":[]}"#]);
}

#[test]
fn of_singer_and_of_a_mixture() {
    let log = two_streams();
    let singer = log.file("state.json", r#"{"bookmarks":{"users":{"id": 1.0}}}"#);
    log.run("import", &sure(&[singer.to_str().unwrap(), "--from", "singer"])).exits(0);
    goes_round(&log, &["--global", r#"{"bookmarks":{}}"#]);
    log.run("state set", &sure(&["--stream", "a", "--format", "text", r#"{"mine":1}"#])).exits(0);
    goes_round(&log, &["--stream", "b", &stream_state("b", "0")]);
}

#[test]
fn what_is_not_meant_is_refused() {
    let log = Log::new();
    log.jsonl("{}\n", &[]).exits(0);
    let printed = log.run("state get", &[]).exits(0).out;
    let twice = printed.replace("\"streams\":[", "\"streams\":[{\"name\":\"s\",\"state\":{}},");
    log.run_with("state set", &sure(&[]), &twice).exits(1).says("s is in it twice");
    let other = printed.replace("\"name\":\"s\"", "\"name\":\"t\"");
    log.run_with("state set", &sure(&["--stream", "s"]), &other).exits(6).says("s is not in it");
    let list = log.run("state get", &["--format", "airbyte"]).exits(0).says("not Airbyte's").out;
    log.run_with("state set", &sure(&[]), &list).exits(2).says("--stream");
}

/// As rewind, reset and clear: a state that is given is a state that is lost from sight.
#[test]
fn who_sets_merges_or_copies_is_asked() {
    let log = two_streams();
    log.run("state set", &by_hand(&["--stream", "a", "--format", "text", "[1,2]"])).exits(2).says("--yes");
    log.run("state merge", &by_hand(&["--stream", "a", r#"{"x":1}"#])).exits(2).says("--yes");
    log.run("state copy", &by_hand(&["--stream", "a", "--at", "1"])).exits(2).says("--yes");
    assert_eq!(sequence(&log), 3);
}
