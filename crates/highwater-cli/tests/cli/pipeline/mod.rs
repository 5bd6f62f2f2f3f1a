//! Whole pipelines, from a source's standard output to a destination's files.

mod again;
mod alerts;
mod asking;
mod backups;
mod beginnings;
mod check;
mod columns;
mod compacted;
mod conclusion;
mod dead_letters;
mod diverged;
mod docker;
mod examples;
mod failures;
mod full;
mod gaps;
mod http;
mod imports;
mod kills;
mod measured;
mod memory;
mod misbehaving;
mod named;
mod next;
mod others;
mod place;
mod schemas;
mod status;
mod twice;
mod watched;

use place::Place;

const TWO: &str = r#"{ a = 25, b = 7 }"#;

#[test]
fn a_pipeline_delivers_what_its_source_sends_and_then_goes_on_from_there() {
    let place = Place::new(TWO, "page = 10");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("committed"), "{}", ran.err);
    place.holds(&[("a", 25), ("b", 7)]);
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25), ("b", 7)]);
    // The source has more: only that is sent.
    place.write_file("{ a = 40, b = 7 }", "page = 10", "");
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 40), ("b", 7)]);
}

#[test]
fn global_states_do_the_same() {
    let place = Place::new(TWO, "page = 10\nglobal = true");
    place.run("run", &[]).exits(0);
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25), ("b", 7)]);
}

#[test]
fn streams_are_delivered_in_the_order_that_the_destination_asks_for() {
    let place = Place::new(TWO, "page = 100\nglobal = true");
    place.edit(|text| text.replace("path = 'lake'", "path = 'lake'\norder = ['b', 'c', 'a']"));
    place.edit(|text| text.replace("min_interval = '20ms'", "min_interval = '10s'"));
    place
        .run("check", &[])
        .exits(0)
        .says("destinations.lake.order names c, and the source has no such stream");
    place.run("run", &[]).exits(0).says("destinations.lake.order names c, and the log has no such stream");
    let text = std::fs::read_to_string(
        place
            .files_below("lake")
            .into_iter()
            .find(|file| file.extension().is_some_and(|e| e == "jsonl"))
            .unwrap(),
    )
    .unwrap();
    let streams: Vec<bool> = text.lines().map(|line| line.contains(r#""stream":"a""#)).collect();
    assert!(streams.is_sorted() && streams.len() == 32, "{text}");
}

#[test]
fn a_consumer_whose_destination_decides_is_not_moved_in_vain() {
    let place = Place::new(TWO, "page = 10");
    place.run("run", &[]).exits(0);
    let seek = |to: &str| place.act("consumer", "seek", &["lake", "--to", to, "--yes", "--json"]);
    let said = "goes on behind that, wherever its consumer stands: nothing comes again; emptied, it gets everything again";
    seek("2").exits(2).says(said).does_not_say("gets again");
    // Of the log alone the destination can't be asked.
    let log = place.path("pipe.hw");
    let by_log = ["seek", log.to_str().unwrap(), "lake", "--to", "2", "--yes", "--json"];
    let moved = place.command_of("consumer", &by_log).exits(0).says("where it still holds more than this");
    assert_eq!(moved.json()["destination_decides"], true);
    let back = ["seek", log.to_str().unwrap(), "lake", "--to", "now", "--yes"];
    place
        .command_of("consumer", &back)
        .exits(2)
        .says("what it lacks must stay there")
        .says("the pipeline file");
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25), ("b", 7)]);
    // Emptied, it gets everything again, as that said, or what a person then says.
    std::fs::remove_dir_all(place.path("lake")).unwrap();
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25), ("b", 7)]);
    std::fs::remove_dir_all(place.path("lake")).unwrap();
    let moved = seek("now").exits(0).does_not_say("misses").json();
    assert_eq!(moved["destination_decides"], false);
    place.run("run", &[]).exits(0);
    assert!(place.rows("a").is_empty());
}

#[test]
fn columns_are_left_out_or_hashed_before_anything_reaches_the_disk() {
    let place = Place::new(TWO, "page = 10");
    let streams = "[[streams]]\nname = 'a'\nexclude = ['card']\nhash = ['email']\n";
    place.write_file(TWO, "page = 10", streams);
    place.run("run", &[]).exits(0);
    let rows = place.rows("a");
    assert_eq!((rows.len(), place.rows("b").len()), (25, 0));
    assert!(rows.iter().all(|row| row["data"]["email"].as_str().unwrap().len() == 64));
    for file in place.files_below("") {
        let bytes = std::fs::read(&file).unwrap();
        for secret in ["4111-", "user1@"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", file.display());
        }
    }
}

#[test]
fn a_secret_is_in_no_output_and_no_file_but_its_own() {
    let place = Place::new(TWO, "page = 10\npassword = '${file:password}'");
    place.secret_file("password", "hunter2secret\n");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("reading with password ***"), "{}", ran.err);
    assert!(!ran.err.contains("hunter2secret") && !ran.out.contains("hunter2secret"));
    for file in place.files_below("") {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let has = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("hunter2secret");
        assert_eq!(has, matches!(name.as_str(), "password" | "source.config.json"), "{name}");
    }
    assert_eq!(place.mode_of("pipe.hw.connect/source.config.json"), 0o600);
}

#[test]
fn a_configuration_that_the_source_sends_is_used_from_then_on() {
    let place = Place::new(TWO, "page = 10\npassword = 'first'\nrotate = 'second-token'");
    place.run("run", &[]).exits(0);
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("reading with password ***"), "{}", ran.err);
    assert_eq!(place.mode_of("pipe.hw.connect/source.rotated.json"), 0o600);
    // A person's change wins.
    place.write_file(TWO, "page = 10\npassword = 'third'", "");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("reading with password third"), "{}", ran.err);
}

#[test]
fn check_and_discover_ask_the_source() {
    let place = Place::new(TWO, "page = 10");
    let ran = place.run("check", &[]).exits(0);
    assert!(ran.err.contains("works with its configuration"), "{}", ran.err);
    let listed = place.run("discover", &["--toml"]).exits(0);
    assert!(listed.out.contains("name = \"a\"") && listed.out.contains("primary_key = [[\"id\"]]"));
    place.write_file(TWO, "page = 10\npassword = 'wrong'", "");
    let ran = place.run("check", &[]).exits(9);
    assert!(ran.err.contains("password is wrong"), "{}", ran.err);
    place.file("pipeline.toml", "version = 1\nname = 'x'\nlog = 'x'\nstroage = {}\n");
    let ran = place.run("check", &[]).exits(2);
    assert!(ran.err.contains("stroage: unknown key; did you mean storage?"), "{}", ran.err);
}

#[test]
fn events_are_json_where_that_is_asked_for() {
    let place = Place::new(TWO, "page = 10");
    let ran = place.run("run", &["--json"]).exits(0);
    let events: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("opened"), of("reading"), of("sync_ended")), (1, 1, 1));
    assert!(of("committed") > 0 && of("delivered") > 0);
    assert!(events.iter().all(|event| event["version"] == 1));
}

#[test]
fn cat_leaves_out_what_the_runtime_writes_for_itself() {
    let place = Place::new(TWO, "page = 10");
    place.run("run", &[]).exits(0);
    let log = place.path("pipe.hw");
    let plain = place.run_on(&log, "cat", &[]).exits(0);
    assert!(plain.out.lines().count() == 32 && !plain.out.contains("_highwater"), "{}", plain.out);
    let all = place.run_on(&log, "cat", &["--all"]).exits(0);
    assert!(all.out.lines().count() > 32 && all.out.contains("\"namespace\":\"_highwater\""), "{}", all.out);
    let runs = place.run_on(&log, "cat", &["--stream", "runs", "--namespace", "_highwater"]).exits(0);
    assert!(!runs.out.is_empty());
}

#[test]
fn init_writes_over_nothing() {
    let place = Place::new(TWO, "page = 10");
    let file = place.path("pipeline.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    place
        .run("init", &[])
        .exits(1)
        .says("is there already, and is left as it is")
        .says("highwater init NAME.toml");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}
