//! Sources of other kinds: Singer taps, files; and SQLite.

use super::place::Place;

const TAP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/pipeline/tap.py");

/// A pipeline file with another source.
pub(super) fn place(source: &str, more: &str) -> Place {
    let place = Place::new("{}", "");
    place.file(
        "pipeline.toml",
        &format!(
            "version = 1\nname = 'pipe'\nlog = 'pipe.hw'\nhash_key = 'pepper'\n[source]\n{source}\n\
             [checkpoint]\nmin_interval = '0ms'\nevery = {{ records = 100 }}\n\
             [retry]\nattempts_without_progress = 3\nbackoff = {{ initial = '10ms', max = '50ms' }}\n\
             [destinations.lake]\ntype = 'jsonl'\npath = 'lake'\n{more}\n"
        ),
    );
    place
}

pub(super) fn tap(config: &str) -> String {
    format!("type = 'singer'\ncommand = ['python3', '{TAP}']\n[source.config]\n{config}")
}

#[test]
fn a_tap_is_read_on_from_its_last_state() {
    let place = place(&tap("streams = { a = 25, b = 7 }\npage = 10\nfail_after = 2\npause_ms = 20"), "");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("the tap broke"), "{}", ran.err);
    place.holds(&[("a", 25), ("b", 7)]);
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25), ("b", 7)]);
    let row = &place.rows("a")[3];
    assert_eq!((&row["key"][0], &row["emitted_us"]), (&3.into(), &1_704_067_200_000_000_i64.into()));
}

/// PipelineWise's taps of databases call a stream `orders` in their catalog, and `public-orders` in their messages.
#[test]
fn a_tap_may_call_a_stream_otherwise_than_its_catalog() {
    let source =
        tap("script = 'script'").replace("[source.config]", "catalog = 'catalog.json'\n[source.config]");
    let place = place(&source, "");
    place.file(
        "catalog.json",
        r#"{"streams":[{"tap_stream_id":"db-public-orders","stream":"orders","schema":{},"key_properties":["id"]}]}"#,
    );
    let say = |stream: &str, id: u64| {
        let row = format!(r#"{{"type":"RECORD","stream":"{stream}","record":{{"id":{id}}}}}"#);
        let state = format!(r#"{{"type":"STATE","value":{{"last":{id}}}}}"#);
        place.file("script", &format!("{row}\n{state}\n"));
    };
    say("public-orders", 0);
    place.run("run", &[]).exits(0);
    place.holds(&[("orders", 1)]);
    // Of a stream that nobody knows nothing is committed, and no state behind it.
    say("audit", 1);
    place
        .run("run", &[])
        .exits(9)
        .says("the tap sends stream audit, which its catalog does not have (it has orders)");
    let last = || place.act("state", "get", &["--global", "--format", "text"]).exits(0).out;
    assert!(last().contains("0"), "{}", last());
    place.edit(|text| {
        text.replace("catalog = 'catalog.json'", "catalog = 'catalog.json'\nleave_out = ['audit']")
    });
    place.run("run", &[]).exits(0).says("the tap sends stream audit, which it was not asked for");
    assert!(last().contains("1"), "{}", last());
    place.holds(&[("orders", 1)]);
}

/// A tap whose account was closed says as little as one whose table is empty.
#[test]
fn a_tap_that_says_nothing_empties_no_table() {
    let base = "[[streams]]\nname = 'a'\nsync_mode = 'full_refresh'\n\
                [destinations.base]\ntype = 'sqlite'\npath = 'base.db'\nmode = 'overwrite'";
    let place = place(&tap("streams = { a = 5 }\npage = 10"), base);
    place.run("run", &[]).exits(0);
    let rows = || place.sql("base.db", "SELECT count(*) FROM a");
    assert_eq!(rows(), ["5"]);
    place.file("script", "");
    place.edit(|text| text.replace("[source.config]", "[source.config]\nscript = 'script'"));
    place
        .run("run", &[])
        .exits(75)
        .says("the tap ended well, but sent neither schema nor record of stream a");
    assert_eq!(rows(), ["5"]);
    // A table that is empty now is one that it tells of.
    place.file("script", r#"{"type":"SCHEMA","stream":"a","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}"#);
    place.run("run", &[]).exits(0);
    assert_eq!(rows(), ["0"]);
}

#[test]
fn a_taps_streams_and_columns_are_chosen() {
    let streams = "[[streams]]\nname = 'a'\nexclude = ['email']\n";
    let place = place(&tap("streams = { a = 25, b = 7 }\npage = 10"), streams);
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25)]);
    assert!(place.rows("b").is_empty());
    assert!(place.rows("a").iter().all(|row| row["data"].get("email").is_none()));
}

/// Its catalog lists no columns, its SCHEMA messages do.
#[test]
fn a_taps_columns_are_looked_up_before_its_first_record() {
    let catalog = r#"{"streams":[{"stream":"a","schema":{},"metadata":[]}]}"#;
    let of = |exclude: &str| {
        let source = tap("streams = { a = 25 }\npage = 10")
            .replace("[source.config]", "catalog = 'catalog.json'\n[source.config]");
        let place = place(&source, &format!("[[streams]]\nname = 'a'\nexclude = ['{exclude}']\n"));
        place.file("catalog.json", catalog);
        place
    };
    let typo = of("emial");
    typo.run("check", &[]).exits(0);
    typo.run("run", &[]).exits(9).says("stream a: exclude: ").says("did you mean email?");
    assert!(typo.rows("a").is_empty());
    let right = of("email");
    right.run("run", &[]).exits(0);
    right.holds(&[("a", 25)]);
    assert!(right.rows("a").iter().all(|row| row["data"].get("email").is_none()));
}

#[test]
fn files_are_read_in_order_and_may_grow() {
    let source = "type = 'files'\npath = 'in'\nstream = 'a'\nprimary_key = ['id']";
    let place = place(source, "[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\nmode = 'append'");
    std::fs::create_dir(place.path("in")).unwrap();
    let lines =
        |ids: std::ops::Range<u64>| -> String { ids.map(|id| format!("{{\"id\":{id}}}\n")).collect() };
    place.file("in/1.jsonl", &lines(0..250));
    place.file("in/2.jsonl", &lines(250..300));
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 300)]);
    // The last one is in the middle of being written.
    place.file("in/2.jsonl", &(lines(250..320) + "{\"id\":32"));
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 320)]);
    place.file("in/2.jsonl", &lines(250..321));
    place.file("in/3.jsonl", &lines(321..330));
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 330)]);
    place.file("in/3.jsonl", "{}\n");
    let ran = place.run("run", &[]).exits(8);
    assert!(ran.err.contains("is not the file that was read"), "{}", ran.err);
    assert!(place.path("base.db").exists());
}

#[test]
fn a_file_that_comes_too_late_is_told_by_its_name_once() {
    let place = place("type = 'files'\npath = 'in'\nstream = 'a'", "");
    std::fs::create_dir(place.path("in")).unwrap();
    place.file("in/1.jsonl", "{\"id\":0}\n");
    place.file("in/2.jsonl", "{\"id\":1}\n");
    place.run("run", &[]).exits(0).does_not_say("file_skipped");
    place.run("run", &[]).exits(0).does_not_say("file_skipped");
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.file("in/0.jsonl", "{\"id\":7}\n");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("file_skipped behind=2.jsonl file=0.jsonl"), "{}", ran.err);
    place.run("run", &[]).exits(0).does_not_say("file_skipped");
    // What is written on behind the cursor is not read, either; what the cursor's file gets is.
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.file("in/1.jsonl", "{\"id\":0}\n{\"id\":8}\n");
    place.file("in/2.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    let ran = place.run("run", &["--json"]).exits(0);
    let skipped = ran.out.lines().filter(|line| line.contains("\"event\":\"file_skipped\""));
    assert_eq!(skipped.filter(|line| line.contains("\"file\":\"1.jsonl\"")).count(), 1, "{}", ran.out);
    place.run("run", &[]).exits(0).does_not_say("file_skipped");
    place.holds(&[("a", 3)]);
}

#[test]
fn rows_without_their_key_are_told_and_do_not_fall_together() {
    let place = place("type = 'files'\npath = 'in'\nstream = 'a'\nprimary_key = ['id']", "");
    std::fs::create_dir(place.path("in")).unwrap();
    place.file("in/1.jsonl", "{\"id\":0}\n{\"id\":null,\"x\":1}\n{\"x\":2}\n");
    place
        .run("run", &[])
        .exits(9)
        .says("in/1.jsonl, byte 9: stream a: a record has nothing in the stream's key (id)");
    place.file("in/1.jsonl", "{\"id\":0}\n{\"id\":1}\n");
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 2)]);
}
