//! Sources whose schemas, keys, cursors or configurations change.

use super::place::Place;

const TO_SQLITE: &str = "[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n";
const BEFORE: &str = "columns = { email = { type = 'string' }, card = { type = 'string' } }";
/// One column is new, one is another, one is gone.
const AFTER: &str = "columns = { email = { type = 'integer' }, note = { type = 'string', format = 'date' } }";

/// A place that was read once with the old columns, and has new ones now.
fn changed(policy: &str) -> Place {
    let place = Place::new("{}", "");
    let more = format!("{TO_SQLITE}[schema]\non_change = '{policy}'");
    place.write_file("{ a = 5 }", &format!("page = 5\n{BEFORE}"), &more);
    place.run("run", &[]).exits(0);
    place.write_file("{ a = 9 }", &format!("page = 5\n{AFTER}"), &more);
    place
}

fn columns(place: &Place) -> Vec<String> {
    let columns = "SELECT name, type FROM pragma_table_info('a') WHERE name NOT LIKE '\\_%' ESCAPE '\\'";
    place.sql("base.db", columns)
}

#[test]
fn a_changed_schema_pauses_until_somebody_accepts_it() {
    let place = changed("pause");
    let ran = place.run("run", &[]).exits(8);
    for what in ["- card: string", "~ email: string -> integer", "+ note: string (date)", "schema_changed"] {
        assert!(ran.err.contains(what), "{what}: {}", ran.err);
    }
    assert_eq!(place.rows("a").len(), 5);
    let diff = place.act("schema", "diff", &[]).exits(0);
    assert!(diff.out.contains("a:\n  - card: string\n"), "{}", diff.out);
    let diff = place.act("schema", "diff", &["--json"]).exits(0).json();
    assert_eq!(diff["streams"][0]["changes"][2]["change"], "column_added");
    place.act("schema", "accept", &["--reason", "as agreed"]).exits(2).says("--yes");
    let log = highwater::Log::open(place.path("pipe.hw"), highwater::Config::default()).unwrap();
    let refused = place.act("schema", "accept", &["--reason", "as agreed"]).exits(5);
    refused.says("is being written by").does_not_say("--yes");
    drop(log);
    place.act("schema", "accept", &["--reason", "as agreed", "--dry-run"]).exits(0);
    place.run("run", &[]).exits(8);
    place.act("schema", "accept", &["--stream", "z", "--reason", "as agreed", "--yes"]).exits(6);
    place.act("schema", "accept", &["--reason", "as agreed", "--yes"]).exits(0);
    let audit = place.run_on(&place.path("pipe.hw"), "audit", &[]).exits(0);
    assert!(audit.out.contains("accept schema") && audit.out.contains("as agreed"), "{}", audit.out);
    // Whether a column may hold something else is each destination's to judge: files take all.
    let ran = place.run("run", &[]);
    place.holds(&[("a", 9)]);
    assert!(place.act("schema", "diff", &[]).exits(0).out.contains("nothing differs"), "{}", ran.err);
}

#[test]
fn additions_are_taken_and_the_rest_stays() {
    let place = changed("propagate_additions");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("schema_changed") && ran.err.contains("taken=true"), "{}", ran.err);
    place.holds(&[("a", 9)]);
    assert_eq!(columns(&place), ["id|INTEGER", "card|TEXT", "email|TEXT", "note|TEXT"]);
    assert_eq!(place.sql("base.db", "SELECT card FROM a WHERE id = 8"), ["4111-8"]);
}

#[test]
fn a_change_that_is_ignored_is_told_and_no_record_is_lost() {
    let place = changed("ignore");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("schema_changed") && ran.err.contains("taken=false"), "{}", ran.err);
    place.holds(&[("a", 9)]);
    assert_eq!(columns(&place), ["id|INTEGER", "card|TEXT", "email|TEXT"]);
}

#[test]
fn a_state_of_another_cursor_is_not_used() {
    let place = Place::new("{}", "");
    let streams = |cursor: &str| format!("[[streams]]\nname = 'a'\ncursor = ['{cursor}']");
    place.write_file("{ a = 5 }", "page = 5", &streams("id"));
    place.run("run", &[]).exits(0);
    place.write_file("{ a = 9 }", "page = 5", &streams("email"));
    let ran = place.run("run", &[]).exits(8);
    assert!(ran.err.contains("~ cursor: id -> email"), "{}", ran.err);
    assert_eq!(place.rows("a").len(), 5);
    let log = place.path("pipe.hw");
    place.run_on(&log, "reset", &["--stream", "a", "--reason", "another cursor", "--yes"]).exits(0);
    place.run("run", &[]).exits(0);
    assert_eq!(place.rows("a").len(), 5 + 9);
    place.run("run", &[]).exits(0);
    assert_eq!(place.rows("a").len(), 5 + 9);
    // And somebody who knows better goes on with the state as it is.
    place.write_file("{ a = 12 }", "page = 5", &streams("card"));
    place.run("run", &[]).exits(8);
    place.act("schema", "accept", &["--reason", "the same order", "--yes"]).exits(0);
    place.run("run", &[]).exits(0);
    assert_eq!(place.rows("a").len(), 5 + 9 + 3);
}

#[test]
fn another_key_is_a_persons_to_accept() {
    let place = Place::new("{}", "");
    let streams = |key: &str| format!("[[streams]]\nname = 'a'\nprimary_key = ['{key}']");
    place.write_file("{ a = 5 }", "page = 5", &streams("id"));
    place.run("run", &[]).exits(0);
    place.write_file("{ a = 9 }", "page = 5", &streams("email"));
    let ran = place.run("run", &[]).exits(8);
    assert!(ran.err.contains("~ key: id -> email"), "{}", ran.err);
    place.act("schema", "accept", &["--reason", "as agreed", "--yes"]).exits(0);
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 9)]);
    assert_eq!(place.rows("a")[8]["key"][0], "user8@example.com");
}

#[test]
fn a_stream_that_the_source_has_no_more_is_told_and_stays_in_the_log() {
    let place = Place::new("{ a = 5, b = 5 }", "page = 5");
    place.run("run", &[]).exits(0).does_not_say("stream_gone");
    place.write_file("{ a = 9 }", "page = 5", "[alerts]\ncommand = ['sh', '-c', 'cat >> alerts']");
    for _ in 0..2 {
        place.run("run", &[]).exits(0).says("stream_gone").says(r#"{"name":"b"}"#);
    }
    let alert = std::fs::read_to_string(place.path("alerts")).unwrap();
    assert!(alert.contains(r#""alert":"stream_gone""#), "{alert}");
    let log = place.path("pipe.hw");
    let state = Place::path(&place, "pipe.hw");
    let get = crate::helpers::Ran::of(
        &std::process::Command::new(crate::helpers::HIGHWATER)
            .args(["state", "get"])
            .arg(state)
            .output()
            .unwrap(),
    );
    assert!(get.exits(0).out.contains(r#""name": "b""#));
    place.run_on(&log, "reset", &["--stream", "b", "--reason", "it is gone", "--yes"]).exits(0);
    place.run("run", &[]).exits(0).does_not_say("stream_gone");
    place.holds(&[("a", 9), ("b", 5)]);
}

#[test]
fn another_configuration_is_told_once_before_the_states_are_used() {
    let place = Place::new("{ a = 5 }", "page = 5\npassword = 'first-secret'");
    let told = |place: &Place| {
        let ran = place.run("run", &[]).exits(0);
        let line = ran.err.lines().find(|line| line.contains("source_changed")).map(str::to_owned);
        line.map(|line| line.split_once("keys=").unwrap().1.to_owned())
    };
    assert_eq!(told(&place), None);
    assert_eq!(told(&place), None);
    place.write_file("{ a = 7 }", "page = 5\npassword = 'other-secret'", "");
    assert_eq!(told(&place).as_deref(), Some(r#"["config.password","config.streams"]"#));
    assert_eq!(told(&place), None);
    // Prints of another secret say nothing about what they are prints of.
    std::fs::remove_file(place.path("pipe.hw.connect/fingerprint.key")).unwrap();
    assert_eq!(told(&place), None);
    place.holds(&[("a", 7)]);
}

#[test]
fn a_change_that_a_database_can_not_follow_has_the_documented_way_out() {
    let place = Place::new("{}", "");
    let columns = |kind: &str| format!("page = 5\ncolumns = {{ note = {{ type = '{kind}' }} }}");
    place.write_file("{ a = 5 }", &columns("string"), TO_SQLITE);
    place.run("run", &[]).exits(0);
    place.write_file("{ a = 9 }", &columns("boolean"), TO_SQLITE);
    place
        .run("run", &[])
        .exits(10)
        .says("column \"note\" holds text and the stream's schema now says boolean");
    // As docs/sql-destinations.md says.
    let to_other = TO_SQLITE.replace("base]", "base2]\nstart = 'now'");
    place.write_file("{ a = 9 }", &columns("boolean"), &to_other);
    let log = place.path("pipe.hw");
    place.run_on(&log, "refresh", &["--stream", "a", "--reason", "a new table", "--yes"]).exits(0);
    place.run("run", &[]).exits(0);
    let tables = "SELECT name FROM sqlite_schema WHERE name LIKE 'a\\_%' ESCAPE '\\' AND type = 'table'";
    let new = place.sql("base.db", tables);
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(place.sql("base.db", &format!("SELECT count(*) FROM {}", new[0])), ["9"]);
    assert_eq!(place.sql("base.db", "SELECT count(*) FROM a"), ["5"]);
}
