//! Sources that do not keep to their protocol, or end well and are not done.

use serde_json::Value;

use super::place::Place;
use crate::helpers::{Ran, joined, record, state, status};

const TWO: &str = "{ a = 0, b = 0 }";

/// A place whose source sends these bytes, whenever it is started.
fn playing(script: impl AsRef<[u8]>, config: &str) -> Place {
    let place = Place::new(TWO, &format!("script = 'script'\n{config}"));
    std::fs::write(place.path("script"), script).unwrap();
    place
}

/// A record and the state behind it.
fn of_a(id: u64) -> [String; 2] {
    [record("a", &format!(r#"{{"id":{id}}}"#)), state("a", &id.to_string())]
}

fn failures(ran: &Ran) -> Vec<Value> {
    let events = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "failed").collect()
}

#[test]
fn a_rate_limit_is_waited_for_although_the_source_gives_up_with_other_words() {
    // As the CDK does: the limit, then that it gives up, a state, and an error without a wait.
    let limit = status("a", "RUNNING").replace(
        r#""status":"RUNNING""#,
        r#""status":"RUNNING","reasons":[{"type":"RATE_LIMITED","rate_limited":{"quota_reset":NOW+1500}}]"#,
    );
    let error = r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"slow down","failure_type":"transient_error"}}}"#;
    let [_, state] = of_a(1);
    let said = [limit, status("b", "RUNNING"), status("a", "INCOMPLETE"), state, error.to_owned()];
    let place = playing(joined(&said), "exit = 1");
    place.edit(|text| text.replace("attempts_without_progress = 3", "attempts_without_progress = 2"));
    let failed = failures(&place.run("run", &["--json"]).exits(75));
    assert_eq!(failed.len(), 2, "{failed:?}");
    let wait = failed[0]["retry_ms"].as_u64().unwrap();
    assert!(failed[0]["kind"] == "rate_limit" && (500..=1500).contains(&wait), "{failed:?}");
}

#[test]
fn an_attempt_that_ends_where_another_has_ended_is_one_without_progress() {
    let said = [of_a(1), of_a(2)].concat();
    let place = playing(joined(&said), "exit = 1");
    let failed = failures(&place.run("run", &["--json"]).exits(75));
    let attempts: Vec<u64> = failed.iter().map(|event| event["attempt"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [1, 2, 3], "{failed:?}");
}

#[test]
fn a_state_that_holds_the_time_is_no_progress() {
    let said = [record("a", r#"{"id":1}"#), state("a", r#"{"n":1,"at":NOW+0}"#)];
    let place = playing(joined(&said), "exit = 1");
    let failed = failures(&place.run("run", &["--json"]).exits(75));
    assert_eq!(failed.len(), 3, "{failed:?}");
}

#[test]
fn a_stream_is_complete_when_its_source_has_said_so() {
    let anew = "[[streams]]\nname = 'a'\nsync_mode = 'full_refresh'\n[[streams]]\nname = 'b'\nsync_mode = 'full_refresh'\n\
                [destinations.base]\ntype = 'sqlite'\npath = 'base.db'\nmode = 'overwrite'\n";
    let row = |stream: &str, id: u64| record(stream, &format!(r#"{{"id":{id}}}"#));
    let play = |said: &[String]| {
        let place = playing(joined(said), "");
        place.write_file(TWO, "script = 'script'", anew);
        place
    };
    let whole = [row("a", 1), row("a", 2), status("a", "COMPLETE"), row("b", 1), status("b", "COMPLETE")];
    let place = play(&whole);
    place.run("run", &[]).exits(0);
    let ids = || place.sql("base.db", "SELECT id FROM a ORDER BY id");
    assert_eq!(ids(), ["1", "2"]);
    let began = [status("a", "STARTED"), row("a", 3), status("b", "COMPLETE")];
    let silent = [status("a", "COMPLETE"), row("a", 3)];
    let strange = [status("z", "COMPLETE"), row("a", 3), row("b", 3)];
    for (said, why) in [
        (&began[..], "did not say that stream a is complete"),
        (&silent, "said nothing of stream b"),
        (&strange, "said nothing of stream a"),
        (&[], "said nothing of stream a"),
    ] {
        std::fs::write(place.path("script"), joined(said)).unwrap();
        place.run("run", &[]).exits(75).says(why);
        assert_eq!(ids(), ["1", "2"]);
    }
    // One that says of none how far it is is believed, where something came.
    std::fs::write(place.path("script"), joined(&[row("a", 4), row("b", 4)])).unwrap();
    place.run("run", &[]).exits(0);
    assert_eq!(ids(), ["4"]);
}

#[test]
fn nan_becomes_null_and_is_told() {
    let [_, state] = of_a(1);
    let nan = record("a", r#"{"id":1,"v":[NaN,-Infinity],"t":"NaN"}"#);
    let place = playing(joined(&[nan, state]), "");
    place.run("run", &[]).exits(0).says("null is kept for them");
    assert_eq!(place.rows("a")[0]["data"].to_string(), r#"{"id":1,"t":"NaN","v":[null,null]}"#);
}

#[test]
fn a_record_that_cant_be_read_is_never_passed_over() {
    let [record, state] = of_a(1);
    let torn = &record[..record.len() - 1];
    let latin: Vec<u8> = record.bytes().map(|byte| if byte == b'1' { 0xe9 } else { byte }).collect();
    for (line, code, why) in [
        (torn.as_bytes(), 75, "line 1 of the source's output: a RECORD message is broken JSON"),
        (&latin, 9, "a RECORD message is not UTF-8"),
        (format!("10%|##{record}").as_bytes(), 9, "a RECORD message begins at byte 7 of its line"),
    ] {
        let script = [line, b"\n", state.as_bytes(), b"\n"].concat();
        let place = playing(script, "");
        let ran = place.run("run", &[]).exits(code).says(why);
        assert!(!ran.err.contains("stream_descriptor"), "no row is shown: {}", ran.err);
        assert!(place.rows("a").is_empty());
    }
    // The last line, torn: who wrote it says whether all is well.
    let place = playing(torn, "exit = 3");
    place.run("run", &[]).exits(75).says("exit code 3").does_not_say("broken JSON");
    let place = playing(torn, "");
    place.run("run", &[]).exits(75).says("a RECORD message is broken JSON");
}

#[test]
fn the_same_of_a_tap() {
    let tap = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/pipeline/tap.py");
    let place = playing("", "");
    place.edit(|text| {
        let text = text.replace("type = 'airbyte'", "type = 'singer'");
        let begin = text.find("command = ['").unwrap();
        let end = begin + text[begin..].find('\n').unwrap();
        format!("{}command = ['python3', '{tap}']{}", &text[..begin], &text[end..])
    });
    let row = |data: &str| format!(r#"{{"type":"RECORD","stream":"a","record":{data}}}"#);
    let state = r#"{"type":"STATE","value":{"bookmarks":{"a":1}}}"#.to_owned();
    let play = |said: &[String]| std::fs::write(place.path("script"), joined(said)).unwrap();
    play(&[row(r#"{"id":1,"v":NaN}"#), state.clone()]);
    place.run("run", &[]).exits(0).says("null is kept for them");
    assert_eq!(place.rows("a")[0]["data"].to_string(), r#"{"id":1,"v":null}"#);
    play(&[row(r#"{"id":2"#), state]);
    place.run("run", &[]).exits(75).says("line 1 of the tap's output: a RECORD message is broken JSON");
    std::fs::write(place.path("script"), row(r#"{"id":2"#)).unwrap();
    place.run("run", &[]).exits(75).says("a RECORD message is broken JSON");
    assert_eq!(place.rows("a").len(), 1);
}
