//! Sources and destinations that fail.

use std::time::{Duration, Instant};

use super::place::Place;

const TWO: &str = r#"{ a = 25, b = 7 }"#;

#[test]
fn a_source_that_fails_is_read_on_from_its_last_state() {
    // Each process sends two pages and breaks; with progress it is always worth another attempt.
    let place = Place::new("{ a = 60, b = 50 }", "page = 5\nfail_after = 2\npause_ms = 30");
    let ran = place.run("run", &[]).exits(0);
    assert!(ran.err.contains("the source broke"), "{}", ran.err);
    place.holds(&[("a", 60), ("b", 50)]);
    let log = place.path("pipe.hw");
    let runs = place.run_on(&log, "runs", &["--last", "1000", "--json"]).exits(0);
    let runs: serde_json::Value = serde_json::from_str(&runs.out).unwrap();
    let attempts = runs["attempts"].as_array().unwrap();
    assert_eq!(attempts.last().unwrap()["end"]["outcome"], "complete");
    assert_eq!(attempts[0]["end"]["error"], "the source broke");
    let records: u64 = attempts.iter().map(|attempt| attempt["end"]["records"].as_u64().unwrap()).sum();
    assert_eq!(records, 110);
    let status = place.run("status", &[]).exits(0);
    for line in ["sync 1 has come to its end", "destination  lake", "has everything"] {
        assert!(status.out.contains(line), "{}", status.out);
    }
    place.run_on(&log, "runs", &[]).exits(0);
    place.run_on(&log, "status", &["--json"]).exits(0);
}

#[test]
fn a_source_without_progress_is_given_up_and_what_there_is_gets_delivered() {
    let place = Place::new("{ a = 25, b = 7 }", "page = 0\nfail_after = 1");
    let ran = place.run("run", &[]).exits(75);
    assert_eq!(ran.err.matches("the source broke").count() / 2, 3, "{}", ran.err);
    place.write_file(TWO, "page = 10\nfail_after = 2\nkind = 'config_error'\npause_ms = 30", "");
    let ran = place.run("run", &[]).exits(9);
    assert!(ran.err.contains("the source broke"), "{}", ran.err);
    assert!(!place.rows("a").is_empty());
}

#[test]
fn what_to_do_about_a_damaged_log_names_it() {
    use std::os::unix::fs::FileExt;

    let place = Place::new("{ a = 25 }", "page = 10");
    place.run("run", &[]).exits(0);
    let log = place.path("pipe.hw");
    let segment = std::fs::File::options().write(true).open(log.join("00000001.hws")).unwrap();
    segment.write_all_at(&[0xff; 64], 0).unwrap();
    let next = format!("try: cp -a {} ", log.display());
    for command in ["run", "status", "metrics"] {
        place.run(command, &[]).exits(3).says(&next).does_not_say("LOG");
    }
}

#[test]
fn a_silent_source_is_ended_with_its_children() {
    let place = Place::new(TWO, "page = 0\nsilent = true\nchild = 'child'");
    place.edit(|text| {
        let text = text.replace("silence_timeout = '20s'", "silence_timeout = '4s'");
        text.replace("attempts_without_progress = 3", "attempts_without_progress = 1")
    });
    let ran = place.run("run", &[]).exits(75);
    assert!(ran.err.contains("highwater: source: it said nothing for"), "{}", ran.err);
    let child = std::fs::read_to_string(place.path("child")).unwrap();
    wait_for(|| !is_alive(&child));
}

#[test]
fn a_source_read_once_while_the_destination_is_down_is_delivered_later_without_it() {
    let place = Place::new(TWO, "page = 10");
    // A file where the directory should be.
    place.file("lake", "");
    let ran = place.run("run", &[]).exits(75);
    assert!(ran.err.contains("destination lake was given up"), "{}", ran.err);
    // Why it is stuck can be asked later, and by others.
    let status = place.run("status", &[]).exits(0);
    for line in ["3 attempts failed since", "File exists", "given up", "next         highwater check"] {
        assert!(status.out.contains(line), "{line}: {}", status.out);
    }
    std::fs::remove_file(place.path("lake")).unwrap();
    place.edit(|text| text.replace("'python3'", "'/no/such/program'"));
    place.run("deliver", &["--only", "lake", "--until-end"]).exits(0);
    let status = place.run("status", &["--json"]).exits(0).json();
    assert!(status["consumers"][0].get("trouble").is_none(), "{status}");
    place.holds(&[("a", 25), ("b", 7)]);
}

#[test]
fn a_destination_of_another_log_is_left_alone() {
    let place = Place::new(TWO, "page = 10");
    place.run("run", &[]).exits(0);
    std::fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    let ran = place.run("run", &[]).exits(8);
    assert!(ran.err.contains("holds something else than this log"), "{}", ran.err);
    place.holds(&[("a", 25), ("b", 7)]);
}

#[test]
fn one_run_at_a_time() {
    let place = Place::new(TWO, "page = 1\npause_ms = 50");
    let mut first = place.start();
    wait_for(|| !place.rows("a").is_empty());
    let ran = place.run("run", &[]).exits(5);
    assert!(ran.err.contains(&format!("{}", first.id())), "{}", ran.err);
    first.kill().unwrap();
    first.wait().unwrap();
}

pub(super) fn wait_for(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !what() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn is_alive(process: &str) -> bool {
    // A zombie is dead, whoever has to collect it.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_destination_that_falls_too_far_behind_is_left_behind_with_its_gap_on_record() {
    let place = Place::new("{}", "");
    let more = "max_lag = { size = '100KiB', then = 'detach' }\n[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n\
                [storage]\nsegment_size = '64KiB'\nretain = { min_count = 1 }";
    place.write_file("{ a = 9000 }", "page = 500", more);
    place.file("lake", "");
    place.run("run", &[]).exits(75);
    let audit = place.run_on(&place.path("pipe.hw"), "audit", &[]).exits(0);
    assert!(audit.out.contains("left behind: lake"), "{}", audit.out);
    assert_eq!(place.sql("base.db", "SELECT count(*) FROM a"), ["9000"]);
    // Nobody pretends that it has everything.
    std::fs::remove_file(place.path("lake")).unwrap();
    let ran = place.run("deliver", &["--only", "lake", "--until-end"]).exits(8);
    assert!(ran.err.contains("checkpoints 1 to") && ran.err.contains("lake"), "{}", ran.err);
}
