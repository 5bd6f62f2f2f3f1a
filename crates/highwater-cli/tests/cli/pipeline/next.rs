//! The next command that `highwater status` names is one that works.

use super::place::Place;

const WHY: &[&str] = &["--reason", "a test", "--by", "ops", "--yes"];

const RUN: &str = "highwater run PIPELINE";
const DONE: &str = "nothing: all is read and delivered; highwater run PIPELINE looks for more";

fn end(place: &Place) -> u64 {
    let info = place.run_on(&place.path("pipe.hw"), "info", &["--json"]).exits(0).json();
    info["status"]["end"]["sequence"].as_u64().unwrap()
}

fn why(options: &[&str]) -> Vec<String> {
    options.iter().chain(WHY).map(|option| (*option).to_owned()).collect()
}

#[test]
fn one_that_has_diverged_goes_back_to_what_both_have_however_far_the_log_went_on() {
    let place = Place::new("{ a = 25 }", "page = 10");
    place.run("run", &[]).exits(0);
    let log = place.path("pipe.hw");
    place.damage("user12@exam");
    place.run_on(&log, "repair", &["--apply"]).exits(0);
    let last = end(&place);
    let next = format!(
        "take out of lake what came behind checkpoint {last}, and set the position back that it stores (docs/runbooks/move.md), then \
         highwater consumer seek PIPELINE lake --to {last} --reason WHY"
    );
    place.next_is(&next);
    place.run("run", &[]).exits(8);
    assert!(end(&place) > last);
    place.next_is(&next);
    // Once it was moved that is over.
    let log = log.to_str().unwrap().to_owned();
    let seek = why(&["seek", &log, "lake", "--to", &last.to_string()]);
    place.command_of("consumer", &seek.iter().map(String::as_str).collect::<Vec<_>>()).exits(0);
    place.next_is(RUN);
}

#[test]
fn after_a_restore_it_goes_back_to_where_that_was() {
    let place = Place::new("{ a = 25 }", "page = 10");
    place.run("run", &[]).exits(0);
    let (log, backup) = (place.path("pipe.hw"), place.path("backup.hw"));
    place.run_on(&log, "backup", &[backup.to_str().unwrap()]).exits(0);
    let last = end(&place);
    place.write_file("{ a = 80 }", "page = 10", "");
    place.run("run", &[]).exits(0);
    let consumer = std::fs::read(log.join("consumer.lake")).unwrap();
    std::fs::remove_dir_all(&log).unwrap();
    place.run_on(&backup, "restore", &[log.to_str().unwrap(), "--reason", "a test"]).exits(0);
    std::fs::write(log.join("consumer.lake"), consumer).unwrap();
    let next = format!(
        "take out of lake what came behind checkpoint {last}, and set the position back that it stores (docs/runbooks/move.md), then \
         highwater consumer seek PIPELINE lake --to {last} --reason WHY"
    );
    place.next_is(&next);
}

#[test]
fn a_destination_that_is_not_in_the_file_any_more_is_dropped() {
    let place = Place::new("{ a = 25 }", "page = 10");
    place.run("run", &[]).exits(0);
    place.write_file("{ a = 80 }", "page = 10", "");
    place.edit(|text| text.replace("destinations.lake", "destinations.pond").replace("'lake'", "'pond'"));
    place.next_is(RUN);
    place.run("run", &[]).exits(0);
    let drop = "highwater consumer drop LOG lake --dry-run, or start what reads it";
    assert!(place.next_is(drop).contains("no destination of this file"));
    let log = place.path("pipe.hw").to_str().unwrap().to_owned();
    let options = why(&["drop", &log, "lake"]);
    place.command_of("consumer", &options.iter().map(String::as_str).collect::<Vec<_>>()).exits(0);
    place.next_is(DONE);
}

const BASE: &str = "[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n";

#[test]
fn what_a_table_cant_follow_is_told_with_the_way_out_by_whoever_is_asked() {
    let columns = |kind: &str| format!("page = 4\ncolumns = {{ email = {{ type = '{kind}' }} }}");
    let place = Place::new("{}", "");
    place.write_file("{ a = 4 }", &columns("string"), BASE);
    place.run("run", &[]).exits(0);
    place.write_file("{ a = 8 }", &columns("integer"), BASE);
    place.run("run", &[]).exits(10).says("what it lacks is in the log").says("highwater check");
    let way_out = "rename that column by hand";
    place.run("check", &[]).exits(0).says("it was given up").says(way_out);
    let told = place.run("check", &["--json"]).exits(0).json();
    assert_eq!(told["parts"][2]["trouble"]["kind"], "config", "{told}");
    let status = place.next_is("mend what base failed with (above), then highwater run PIPELINE");
    assert!(status.contains(way_out), "{status}");
    // And that is a way out.
    rename(&place);
    place.run("run", &[]).exits(0);
    // What the source sends there is no number.
    place.next_is("highwater dead-letters list PIPELINE");
    place.run("check", &[]).exits(0).does_not_say("it was given up");
}

/// A person renames the column.
fn rename(place: &Place) {
    let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute('ALTER TABLE a RENAME COLUMN email TO old')";
    let ran = std::process::Command::new("python3").args(["-c", script]).arg(place.path("base.db")).status();
    assert!(ran.unwrap().success());
}

const FILES: &str = "version = 1\nname = 'p'\nlog = 'pipe.hw'\n\
    [source]\ntype = 'files'\nformat = 'jsonl'\npath = 'in'\nstream = 'x'\nprimary_key = [['id']]\n\
    [retry]\nattempts_without_progress = 1\n\
    [destinations.lake]\ntype = 'jsonl'\npath = 'lake'\n";

#[test]
fn a_source_that_cant_go_on_from_the_state_is_given_another() {
    let place = Place::new("{}", "");
    place.file("pipeline.toml", FILES);
    std::fs::create_dir(place.path("in")).unwrap();
    place.file("in/1.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    place.run("run", &[]).exits(0);
    place.file("in/1.jsonl", "{\"id\":7}\n");
    place.run("run", &[]).exits(8);
    let next = "what the failure says (above), or a state that the source goes on from: highwater state history LOG, and \
                highwater rewind PIPELINE --to SEQ --reason WHY; then highwater run PIPELINE";
    assert!(place.next_is(next).contains("another, later name"));
    // Once somebody has done so it is to be run.
    let log = place.path("pipe.hw");
    let clear: Vec<String> = why(&["--stream", "x"]);
    let clear: Vec<&str> = clear.iter().map(String::as_str).collect();
    place.act("state", "clear", &clear).exits(0);
    place.next_is(RUN);
    place.run("run", &[]).exits(0);
    drop(log);
}

#[test]
fn a_sample_that_did_not_write_its_state_says_so() {
    let place = Place::new("{}", "");
    place.file(
        "pipeline.toml",
        "version = 1\nname = 'p'\nlog = 'pipe.hw'\n[source]\ntype = 'sample'\nrows = 300\npage = 100\n\
         [destinations.lake]\ntype = 'jsonl'\npath = 'lake'\n",
    );
    place.run("run", &[]).exits(0);
    let set: Vec<String> = why(&["--stream", "orders", "{\"a\":1}"]);
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    place.act("state", "set", &set).exits(0);
    place.run("run", &[]).exits(8).says("it did not write the state of orders").says("highwater status");
    assert!(place.run("status", &[]).exits(0).out.contains("highwater rewind"));
}

#[test]
fn the_worst_trouble_is_looked_at_first_and_a_past_time_is_no_promise() {
    let place = Place::new("{}", "");
    place.write_file("{ a = 25 }", "page = 10", "[destinations.zoo]\ntype = 'jsonl'\npath = 'zoo'");
    place.run("run", &[]).exits(0);
    std::fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    std::fs::remove_dir_all(place.path("lake")).unwrap();
    place.file("lake", "");
    let ran = place.run("run", &[]).exits(8);
    ran.does_not_say("they lack is in the log").says("a person has to decide how it goes on");
    place.next_is("what the failure of zoo says (above), then highwater run PIPELINE");
    let path = place.path("pipe.hw.connect/trouble.lake");
    let trouble = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, trouble.replace("\"next_us\":null", "\"next_us\":1")).unwrap();
    let status = place.run("status", &[]).exits(0).out;
    assert!(status.contains("tried again by the next run") && !status.contains("1970"), "{status}");
}

#[test]
fn a_destination_that_nobody_has_named_is_a_mistake_of_who_asks() {
    let place = Place::new("{ a = 5 }", "page = 5");
    place.run("run", &[]).exits(0);
    place.run("deliver", &["--only", "lakes", "--until-end"]).exits(2).says("did you mean lake?");
}
