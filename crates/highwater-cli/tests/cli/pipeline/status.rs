//! `highwater status`: where a pipeline stands, and what to do next.

use std::sync::Arc;
use std::time::Duration;

use highwater::environment::Stepped;
use highwater::{Commit, Config, Log, Op, StreamSpec};

use super::failures::wait_for;
use super::place::Place;

/// It says all of this, and names this command at its end.
#[track_caller]
fn says(place: &Place, lines: &[&str], next: &str) {
    let status = place.run("status", &[]).exits(0).out;
    for line in lines {
        assert!(status.contains(line), "{line}: {status}");
    }
    let next = next.replace("PIPELINE", place.path("pipeline.toml").to_str().unwrap());
    assert_eq!(status.lines().last(), Some(format!("next         {next}").as_str()), "{status}");
}

const RUN: &str = "highwater run PIPELINE";
const DONE: &str = "nothing: all is read and delivered; highwater run PIPELINE looks for more";

#[test]
fn a_run_at_work_a_killed_one_and_one_that_ended_are_told_apart() {
    let place = Place::new("{ a = 40 }", "page = 4\npause_ms = 100");
    let mut run = place.start();
    wait_for(|| !place.rows("a").is_empty());
    let holder = format!("process {}", run.id());
    says(&place, &["sync 1 is not at its end", "is under way", &holder], "nothing: it is at work");
    run.kill().unwrap();
    run.wait().unwrap();
    says(&place, &["sync 1 is not at its end", "was killed", "nobody writes it now"], RUN);
    place.run("run", &[]).exits(0);
    says(&place, &["sync 1 has come to its end", "complete", "has everything"], DONE);
}

#[test]
fn a_destination_that_has_not_begun_or_lacks_something_is_to_be_run() {
    let place = Place::new("{ a = 8 }", "page = 4");
    place.run("run", &[]).exits(0);
    place.edit(|text| format!("{text}\n[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n"));
    says(&place, &["destination  base: has not begun"], RUN);
    place.run("run", &[]).exits(0);
    says(&place, &["destination  base: up to checkpoint"], DONE);
    // The log goes on while nobody delivers.
    place.write_file("{ a = 12 }", "page = 4", "");
    let whole = std::fs::read_to_string(place.path("pipeline.toml")).unwrap();
    place.edit(|text| text.split("[destinations.").next().unwrap().to_owned());
    place.run("run", &[]).exits(0);
    place.file("pipeline.toml", &whole);
    says(&place, &["lacks "], RUN);
}

#[test]
fn what_failed_and_what_waits_for_a_person_has_a_command() {
    let columns = |kind: &str| format!("page = 4\ncolumns = {{ email = {{ type = '{kind}' }} }}");
    let place = Place::new("{}", "");
    place.write_file("{ a = 4 }", &columns("string"), "[schema]\non_change = 'pause'");
    place.run("run", &[]).exits(0);
    place.write_file("{ a = 8 }", &columns("integer"), "[schema]\non_change = 'pause'");
    place.run("run", &[]).exits(8);
    says(&place, &["paused", "its schema has changed: ~ email"], "highwater schema diff PIPELINE");
    place.act("schema", "accept", &["--reason", "a test", "--yes"]).exits(0);
    says(&place, &["paused"], RUN);
    place.write_file("{ a = 8 }", "page = 4\nfail_after = 1\nkind = 'config_error'", "");
    place.run("run", &[]).exits(9);
    says(&place, &["config", "the source broke"], "highwater check PIPELINE");
}

#[test]
fn it_tells_when_the_log_will_be_full() {
    let place = Place::new("{ a = 1 }", "page = 1");
    place.edit(|text| format!("{text}\n[storage]\nmax_size = '64MiB'\n"));
    let clock = Arc::new(Stepped::new(1, 1_700_000_000_000_000));
    let config =
        Config { environment: clock.clone(), segment_bytes: 1 << 20, spare_segments: 0, ..Config::default() };
    let (log, _) = Log::open(place.path("pipe.hw"), config).unwrap();
    let stream = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    // 4 MiB in an hour, of 64.
    for quarter in 0..5_u32 {
        let row = vec![b'x'; if quarter == 0 { 1 } else { 1 << 20 }];
        writer.append(&stream, Op::Insert { key: b"", row: &row }).unwrap();
        writer.commit(Commit::new().stream(&stream, &quarter)).unwrap();
        clock.advance(Duration::from_secs(15 * 60));
    }
    drop(writer);
    log.close().unwrap();
    let status = place.run("status", &[]).exits(0).out;
    let hours = status.split("full in ").nth(1).and_then(|left| left.split(" h ").next());
    assert!(hours.is_some_and(|hours| ["13", "14", "15"].contains(&hours)), "{status}");
}

#[test]
fn what_is_wrong_beside_a_run_at_work_comes_first() {
    let place = Place::new("{ a = 400 }", "page = 1\npause_ms = 50");
    place.file("lake", "");
    let mut run = place.start();
    let is_given_up = || place.run("status", &[]).out.contains("given up");
    wait_for(is_given_up);
    says(&place, &["is under way"], "highwater check PIPELINE, then highwater deliver PIPELINE --only lake");
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn a_source_that_may_go_well_the_next_time_is_to_be_run() {
    let place = Place::new("{ a = 25 }", "page = 0\nfail_after = 1");
    place.run("run", &[]).exits(75);
    says(&place, &["transient", "the source broke"], RUN);
}

#[test]
fn of_a_log_alone_it_says_what_the_log_knows() {
    let place = Place::new("{ a = 8 }", "page = 4");
    let log = place.path("pipe.hw");
    let next = || {
        let status = place.run_on(&log, "status", &["--json"]).exits(0).json();
        status["next"].as_str().unwrap().to_owned()
    };
    place.run("run", &[]).exits(0);
    assert_eq!(next(), "nothing: every consumer has everything");
    place.write_file("{ a = 40 }", "page = 4\nfail_after = 2\nkind = 'config_error'", "");
    place.run("run", &[]).exits(9);
    assert_eq!(next(), format!("highwater runs {}", log.display()));
}

#[test]
fn before_the_first_run_it_says_what_makes_the_log() {
    let place = Place::new("{ a = 8 }", "page = 4");
    let file = place.path("pipeline.toml");
    place.run("status", &[]).exits(6).says(&format!("highwater run {}    makes it", file.display()));
}

#[test]
fn before_the_first_run_other_commands_say_that_too() {
    let place = Place::new("{ a = 5 }", "page = 5");
    let file = place.path("pipeline.toml");
    let asked = [place.run("runs", &[]), place.run("deliver", &["--only", "lake", "--until-end"])];
    for ran in asked {
        ran.exits(6).says(&format!("try: highwater run {}", file.display())).does_not_say("ingest");
    }
}

#[test]
fn a_gap_that_a_repair_has_left_keeps_nobody_from_looking() {
    let place = Place::new("{ a = 25 }", "page = 10");
    place.run("run", &[]).exits(0);
    let log = place.path("pipe.hw");
    place.damage("user12@exam");
    place.run_on(&log, "repair", &["--skip-damaged", "--apply"]).exits(0);
    says(&place, &["has everything"], RUN);
    place.run_on(&log, "status", &[]).exits(0);
    let told = place.run("runs", &[]).exits(0).says(" is gone").says("repair 1");
    assert!(told.out.contains("complete"), "{}", told.out);
    let told = place.run("runs", &["--json"]).exits(0).json();
    assert_eq!(
        (&told["attempts"][0]["end"]["records"], told["lost"].as_array().unwrap().len()),
        (&25.into(), 1)
    );
}
