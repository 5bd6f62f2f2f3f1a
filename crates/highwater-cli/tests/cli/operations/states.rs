//! `state set`, `merge`, `copy`, `clear`, `history`, `diff`.

use super::*;

const ODD: &str = r#"{ "z": 12345678901234567890123,"a" :1.0, "u": "\u0041" }"#;

#[test]
fn what_get_prints_set_takes_back_to_the_letter() {
    let odd = format!(
        r#"{{"type":"STREAM","stream":{{"stream_state":{ODD}, "stream_descriptor" : {{"name":"a"}}}}}}"#
    );
    for format in ["airbyte", "json", "text"] {
        let log = Log::of(&[state("a", "1"), state("b", "1"), state_of(&odd), state("b", "2")]);
        let options: &[&str] =
            if format == "text" { &["--format", format, "--stream", "a"] } else { &["--format", format] };
        let before = log.run("state get", options).exits(0).out;
        log.run("state set", &sure(&["--stream", "a", "--format", "text", "{}"])).exits(0);
        assert_ne!(log.run("state get", options).out, before);
        log.run_with("state set", &sure(options), &before).exits(0);
        let text = log.run("state get", &["--format", "text", "--stream", "a"]).exits(0).out;
        assert_eq!(text, format!("{odd}\n"), "{format}");
        assert_eq!(sequence(&log), 6, "one checkpoint each, and b was not written again");
        let again = log.run("state get", options).exits(0).out;
        log.run_with("state set", &sure(options), &again).exits(0).says("nothing changes");
        assert_eq!(sequence(&log), 6);
    }
}

#[test]
fn legacy_global_and_foreign_states_go_round_too() {
    for kept in [r#"{"type":"LEGACY","data":{"a": 1.0}}"#, r#"{"x":1,"data":1}"#] {
        let log = Log::of(&[state_of(kept)]);
        let bare = log.run("state get", &[]).exits(0).out;
        log.run_with("state set", &sure(&[]), r#"{"a":2}"#).exits(0);
        log.run("state get", &[]).exits(0).prints("{\"a\":2}\n");
        log.run_with("state set", &sure(&[]), &bare).exits(0);
        log.run("state get", &["--global", "--format", "text"]).exits(0).prints(&format!("{kept}\n"));
    }
    let log = Log::new();
    log.jsonl("{}\n", &[]).exits(0);
    let before = log.run("state get", &["--stream", "s"]).exits(0).out;
    log.run("state set", &sure(&["--stream", "s", r#"{"lines":0}"#])).exits(0);
    log.run_with("state set", &sure(&["--stream", "s"]), &before).exits(0);
    log.run("state get", &["--stream", "s", "--format", "text"]).exits(0).prints("{\"lines\":1}\n");
}

#[test]
fn a_state_for_the_wrong_stream_or_of_the_wrong_shape_is_refused() {
    let log = two_streams();
    let refused =
        |options: &[&str], input: &str, code| log.run_with("state set", &by_hand(options), input).exits(code);
    refused(&[], &format!("[{}]", stream_state("nope", "1")), 6)
        .says("no stream nope")
        .says("highwater info");
    refused(&["--stream", "b"], &format!("[{}]", stream_state("a", "1")), 2)
        .says("it is a state of a, not of b");
    refused(&["--stream", "a"], r#"{"cursor":1}"#, 1).says("a source would not take it");
    refused(&["--stream", "a", "--format", "text"], "{", 1).says("not JSON");
    refused(&["--format", "text"], "{}", 2).says("--stream NAME or --global");
    refused(&["--stream", "zzz"], "[]", 6).says("it has a, b");
    log.run("state set", &["--stream", "a", "[]"]).exits(2).says("--reason");
    log.run("state set", &["--stream", "a", "--reason", " ", "[]"]).exits(2);
    assert_eq!(sequence(&log), 3);
}

#[test]
fn every_write_says_who_why_and_from_where_and_erases_nothing() {
    let log = two_streams();
    let patch = r#"{"stream":{"stream_state":{"cursor":0,"page":7}}}"#;
    let merged = log.run("state merge", &sure(&["--stream", "a", patch, "--json"])).exits(0);
    assert_eq!(merged.json()["sequence"], 4);
    assert_eq!(merged.json()["states"][0]["patch"][1]["path"], "/stream/stream_state/page");
    log.run("state clear", &by_hand(&["--stream", "b"])).exits(2).says("--yes");
    log.run("state clear", &by_hand(&["--stream", "b", "--yes"])).exits(0);
    let history = log.run("state history", &["--json"]).exits(0).json();
    let changes = history["changes"].as_array().unwrap();
    let sequences: Vec<_> = changes.iter().map(|change| change["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [5, 4, 3, 2, 1]);
    let operation = &changes[1]["operation"];
    assert_eq!(operation["what"], "merge a");
    assert_eq!((&operation["who"], &operation["why"]), (&"ops".into(), &"a test".into()));
    assert_eq!(operation["from"]["sequence"], 3);
    assert_eq!(changes[0]["states"][0]["cleared"], true);
    assert!(changes[2]["operation"].is_null());
    let one = log.run("state history", &["--stream", "a", "--last", "2"]).exits(0).out;
    assert!(
        one.contains("merge a, ops, a test") && one.contains("pipeline") && one.lines().count() == 3,
        "{one}"
    );
    log.run("state get", &["--at", "3", "--stream", "b"])
        .exits(0)
        .prints(&format!("[{}]\n", stream_state("b", "3")));
    log.run("verify", &[]).exits(0);
}

#[test]
fn a_difference_is_a_json_patch_and_lines_for_people() {
    let log = two_streams();
    log.run("state diff", &["--from", "1"]).exits(0).prints(&format!(
        "a\n  ~ /stream/stream_state/cursor: 1 -> 2\nb\n  + (all): {}\n",
        stream_state("b", "3")
    ));
    log.run("state diff", &["--stream", "a"]).exits(0).prints("");
    let json = log.run("state diff", &["--from", "1", "--to", "2", "--json"]).exits(0).json();
    assert_eq!(json["states"][0]["patch"][0]["op"], "replace");
    assert_eq!(json["states"][0]["patch"][0]["value"], 2);
    log.run("state diff", &["--from", "0", "--to", "1", "--json"]).exits(0);
    log.run("state diff", &["--to", "9"]).exits(6);
}

#[test]
fn states_are_copied_between_logs_streams_and_times() {
    let (old, new) = (two_streams(), Log::of(&[state("a", "0"), state("b", "0")]));
    let from = old.path.to_str().unwrap();
    new.run("state copy", &sure(&["--from", from])).exits(0);
    let both = format!("[{},{}]\n", stream_state("a", "2"), stream_state("b", "3"));
    new.run("state get", &[]).exits(0).prints(&both);
    let copied = new.run("state history", &["--json", "--last", "1"]).json();
    let id = old.run("info", &["--json"]).json()["status"]["log"].clone();
    assert_eq!(copied["changes"][0]["operation"]["from"]["log"], id);
    old.run("state copy", &sure(&["--at", "1", "--stream", "a"])).exits(0);
    old.run("state get", &["--stream", "a"]).exits(0).prints(&format!("[{}]\n", stream_state("a", "1")));
    old.run("state copy", &sure(&["--stream", "a", "--to-stream", "b"])).exits(0);
    old.run("state get", &["--stream", "b"]).exits(0).prints(&format!("[{}]\n", stream_state("b", "1")));
    old.run("state copy", &by_hand(&["--stream", "a", "--to-stream", "c"])).exits(6);
    Log::of(&[state("z", "0")]).run("state copy", &by_hand(&["--from", from])).exits(6).says("no stream a");
}

#[test]
fn while_a_writer_runs_it_is_named_and_nothing_is_written() {
    let log = two_streams();
    let mut running = log.start();
    running.send(&[state("a", "5")]);
    running.echo();
    let holder = format!("process {}", running.child.id());
    let set = log.run("state set", &by_hand(&["--stream", "a", "--format", "text", "{}"])).exits(5);
    set.says(&holder);
    log.run("state merge", &by_hand(&["--stream", "a", r#"{"x":1}"#])).exits(5).says(&holder);
    log.run("state clear", &by_hand(&["--stream", "a", "--yes"])).exits(5).says(&holder);
    log.run("state clear", &by_hand(&["--stream", "a"])).exits(5).says(&holder);
    log.run("state edit", &by_hand(&["--stream", "a"])).exits(5).says(&holder);
    log.run("rewind", &by_hand(&["--to", "1", "--yes"])).exits(5).says(&holder);
    log.run("reset", &by_hand(&["--stream", "a", "--yes"])).exits(5).says(&holder);
    log.run("rewind", &by_hand(&["--to", "1", "--dry-run"])).exits(0);
    running.kill();
    assert_eq!(sequence(&log), 4);
    log.run("state set", &sure(&["--stream", "a", "--format", "text", "{}"])).exits(0);
    log.run("verify", &[]).exits(0);
}

#[test]
fn what_the_runtime_keeps_for_itself_is_written_by_no_hand() {
    let log = two_streams();
    let sync = highwater::StreamSpec::new("sync").namespace("_highwater");
    let (open, _) = highwater::Log::open(&log.path, highwater::Config::default()).unwrap();
    let sync = open.stream(sync).unwrap();
    open.writer(&[&sync]).unwrap().commit(highwater::Commit::new().stream(&sync, &7)).unwrap();
    open.close().unwrap();
    let ours = ["--stream", "_highwater.sync"];
    let document = r#"{"version":1,"streams":[{"namespace":"_highwater","name":"sync","state":{"x":1}}]}"#;
    let refused = |command: &str, options: &[&str], input: &str| {
        let options: Vec<&str> = by_hand(options).into_iter().chain(["--yes"]).collect();
        log.run_with(command, &options, input).exits(2).says("_highwater.sync is the runtime's own");
    };
    refused("state set", &[&ours[..], &["--format", "text"]].concat(), "{}");
    refused("state set", &["--format", "json"], document);
    refused("state merge", &ours, "{\"x\":1}");
    refused("state clear", &ours, "");
    refused("state edit", &ours, "");
    refused("state copy", &[&ours[..], &["--at", "4"]].concat(), "");
    refused("state copy", &["--stream", "a", "--to-stream", "sync", "--to-namespace", "_highwater"], "");
    refused("rewind", &[&ours[..], &["--to", "3"]].concat(), "");
    refused("reset", &ours, "");
    assert_eq!(sequence(&log), 4);
    // It can be looked at, and is not offered to who asks for something else.
    log.run("state get", &["--stream", "_highwater.sync", "--format", "text"]).exits(0).prints("7\n");
    log.run("state get", &["--stream", "zzz"]).exits(6).says("it has a, b").does_not_say("_highwater");
    let list = format!("[{}]", stream_state("nope", "1"));
    log.run_with("state set", &by_hand(&[]), &list)
        .exits(6)
        .says("no stream nope")
        .does_not_say("_highwater");
}
