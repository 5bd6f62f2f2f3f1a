//! What sources say when they are asked, before anything is read.

use super::others::{place, tap};
use super::place::Place;

#[test]
fn a_connector_that_quotes_a_secret_is_not_quoted() {
    let place = Place::new("{ a = 5 }", "quotes = true\npassword = '${file:password}'");
    place.secret_file("password", "hunter2secret\n");
    let asked = [
        place.run("discover", &[]).exits(75),
        place.act("schema", "diff", &[]).exits(75),
        place.act("schema", "accept", &["--reason", "as agreed", "--yes"]).exits(75),
        place.run("run", &[]).exits(75),
    ];
    for ran in asked {
        ran.says("nobody has the password ***").does_not_say("hunter2secret");
    }
    // Also where the file itself is wrong.
    place.edit(|text| text.replace("log = 'pipe.hw'", "log = 'pipe.hw'\nresume = '${file:password}'"));
    place.run("run", &[]).exits(2).says("\"***\" is none of soft, hard");
}

#[test]
fn a_secret_is_shown_and_stored_in_no_spelling() {
    let place = Place::new("{ a = 5 }", "script = 'script'\nexit = 1\npassword = '${file:password}'");
    place.secret_file("password", "pa\"ss\\w&ö rd\n");
    let said = r#"{'password': 'pa"ss\\w&ö rd'} at /v1?k=pa%22ss%5Cw%26%C3%B6+rd&n=1"#;
    let error = serde_json::json!({"message": said, "failure_type": "system_error"});
    let trace =
        serde_json::json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}});
    let script = place.file("script", &format!("{trace}\n"));
    place.edit(|text| text.replace("'script'", &format!("'{}'", script.display())));
    let shown = "{'password': '***'} at /v1?k=***&n=1";
    place.run("run", &[]).exits(75).says(&format!("highwater: source: {shown}"));
    let log = std::fs::read(place.path("pipe.hw/00000001.hws")).unwrap();
    let (status, runs) = (place.run("status", &[]).out, place.run("runs", &["--json"]).out);
    for text in [status, runs, String::from_utf8_lossy(&log).into_owned()] {
        assert!(text.contains(shown) && !text.contains("\\w") && !text.contains("%5Cw"), "{text}");
    }
}

#[test]
fn a_tap_is_asked_what_it_has() {
    let place = place(&tap("streams = { a = 25, b = 7 }\npage = 10"), "");
    place.run("check", &[]).exits(0).says("source: works with its configuration, and has 2 streams to read");
    let listed = place.run("discover", &["--json"]).exits(0).json();
    assert_eq!(listed["streams"][1]["name"], "b");
    assert_eq!(listed["streams"][0]["key"], serde_json::json!([["id"]]));
    // What is chosen is one thing, and what there is another.
    place.edit(|text| format!("{text}[[streams]]\nname = 'b'\n"));
    place.run("check", &[]).exits(0).says("has 1 stream to read");
    let listed = place.run("discover", &["--toml"]).exits(0);
    assert!(listed.out.contains("name = \"a\""), "{}", listed.out);
    place.edit(|text| text.replace("'python3'", "'no-such-tap'"));
    place.run("check", &[]).exits(9).says("no-such-tap can't be started");
    place.run("discover", &[]).exits(2).says("no-such-tap can't be started");
}

#[test]
fn a_directory_is_looked_into() {
    let place = place("type = 'files'\npath = 'in'\nstream = 'a'\nprimary_key = ['id']", "");
    place.run("check", &[]).exits(9).says("listing");
    std::fs::create_dir(place.path("in")).unwrap();
    place.run("check", &[]).exits(0).says("there is no file in").says("(*.jsonl) yet");
    place.file("in/1.jsonl", "\n{\"id\":1,\"at\":2}\n");
    place.run("check", &[]).exits(0).says("1 file in").says("with the columns at, id");
    let json = place.run("check", &["--json"]).exits(0).json();
    assert!(json["parts"][1]["notes"][0].as_str().unwrap().contains("1 file in"), "{json}");
    place.file("in/1.jsonl", "[1]\n");
    place.run("check", &[]).exits(9).says("1.jsonl, line 1: expected an object");
    place.file("in/1.csv", "id,at\n1,2\n");
    place.edit(|text| text.replace("stream = 'a'", "stream = 'a'\nformat = 'csv'"));
    place.run("check", &[]).exits(0).says("with the columns at, id");
    let listed = place.run("discover", &["--json"]).exits(0).json();
    assert!(listed["streams"][0]["schema"]["properties"].get("at").is_some(), "{listed}");
    place.run("discover", &["--toml"]).exits(2).says("names its streams in [source]");
    place.edit(|text| text.replace("['id']", "['idd']"));
    for command in ["check", "run"] {
        place
            .run(command, &[])
            .exits(9)
            .says("primary_key: the source's schema has no column idd; did you mean id?");
    }
}

#[test]
fn an_address_is_tried() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place = place(&format!("type = 'http'\nlisten = '{address}'\n[[source.streams]]\nname = 'a'"), "");
    place.run("check", &[]).exits(9).says(&format!("{address} is taken"));
    drop(taken);
    place.run("check", &[]).exits(0).says(&format!("it can listen on http://{address}"));
    let listed = place.run("discover", &["--json"]).exits(0).json();
    assert_eq!(listed["streams"][0]["name"], "a");
}

#[test]
fn a_sample_has_its_streams() {
    let place = place("type = 'sample'\nrows = 100", "");
    place.run("check", &[]).exits(0).says("has 3 streams to read");
    let listed = place.run("discover", &[]).exits(0);
    assert!(listed.out.contains("customers") && listed.out.contains("orders"), "{}", listed.out);
}

#[test]
fn a_key_or_a_cursor_that_no_record_could_have_is_refused_with_the_nearest() {
    let place = Place::new("{ a = 5 }", "page = 5");
    for (key, text) in [
        (
            "primary_key = ['idd']",
            "stream a: primary_key: the source's schema has no column idd; did you mean id?",
        ),
        (
            "cursor = ['emial']",
            "stream a: cursor: the source's schema has no column emial; did you mean email?",
        ),
    ] {
        place.write_file("{ a = 5 }", "page = 5", &format!("[[streams]]\nname = 'a'\n{key}\n"));
        for command in ["check", "run"] {
            place.run(command, &[]).exits(9).says(text);
        }
    }
    let believed = "[[streams]]\nname = 'a'\ncursor = ['emial']\nallow_undeclared = true\n";
    place.write_file("{ a = 5 }", "page = 5", believed);
    place.run("check", &[]).exits(0);
}
