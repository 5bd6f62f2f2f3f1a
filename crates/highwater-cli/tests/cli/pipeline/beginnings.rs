//! Where destinations begin: new ones, and ones that have lost what they got.

use std::fs;

use super::place::Place;

const WHY: &[&str] = &["--reason", "a test", "--by", "ops", "--yes"];

const FILE: &str = "version = 1\nname = 'p'\nlog = 'pipe.hw'\n\
    [source]\ntype = 'files'\nformat = 'jsonl'\npath = 'in'\nstream = 'x'\nprimary_key = [['id']]\n\
    [storage]\nsegment_size = '64KiB'\nretain = { min_count = 1, min_age = '0s' }\n\
    [checkpoint]\nmin_interval = '0s'\nevery = { records = 20 }\n";

const DB: &str = "[destinations.db]\ntype = 'sqlite'\npath = 'db.sqlite'\n";

/// A pipeline that reads files into these destinations.
fn place(destinations: &str) -> Place {
    let place = Place::new("{}", "");
    place.file("pipeline.toml", &format!("{FILE}{destinations}"));
    fs::create_dir(place.path("in")).unwrap();
    place
}

/// Another file at the source, with these ids.
fn more(place: &Place, ids: std::ops::Range<u64>) {
    let row = |id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "x".repeat(400));
    let text: String = ids.clone().map(row).collect();
    place.file(&format!("in/{:06}.jsonl", ids.start), &text);
}

fn count(place: &Place, database: &str) -> String {
    place.sql(database, "select count(*) from x").concat()
}

/// Adds a destination to the file.
fn add(place: &Place, section: &str) {
    place.edit(|text| text + section);
}

#[test]
fn emptied_destinations_get_everything_again_and_check_says_so() {
    let all = format!(
        "{DB}[destinations.lake]\ntype = 'jsonl'\npath = 'lake'\n[destinations.files]\ntype = 'parquet'\npath = 'files'\n"
    );
    let place = place(&all);
    place.edit(|text| text.replace("min_count = 1,", "min_count = 100,"));
    more(&place, 0..50);
    place.run("check", &[]).exits(0).says("destination db: well, and holds nothing yet");
    place.run("run", &[]).exits(0);
    place.run("check", &[]).exits(0).says("destination lake: holds the log up to checkpoint");
    let wipe = || {
        for name in ["db.sqlite", "db.sqlite-wal", "db.sqlite-shm"] {
            let _ = fs::remove_file(place.path(name));
        }
        ["lake", "files"].iter().for_each(|name| fs::remove_dir_all(place.path(name)).unwrap());
    };
    wipe();
    for name in ["db", "lake", "files"] {
        let said = format!("destination {name}: holds nothing, although checkpoints up to");
        place.run("check", &[]).exits(0).says(&said);
    }
    more(&place, 50..60);
    let ran = place.run("run", &["--resume", "hard"]).exits(0);
    for name in ["db", "lake", "files"] {
        assert!(ran.err.contains(&format!("{name}: holds nothing, although")), "{}", ran.err);
        assert!(ran.err.contains(&format!("{name}: the destination holds nothing, and")), "{}", ran.err);
    }
    let ids = |place: &Place| place.rows("x").iter().map(|row| row["data"]["id"].as_u64().unwrap()).collect();
    let found: Vec<u64> = ids(&place);
    assert_eq!((count(&place, "db.sqlite").as_str(), found), ("60", (0..60).collect()));
    wipe();
    for name in ["db", "lake", "files"] {
        place.run("deliver", &["--only", name, "--until-end"]).exits(0).says("holds nothing, and");
    }
    let found: Vec<u64> = ids(&place);
    assert_eq!((count(&place, "db.sqlite").as_str(), found), ("60", (0..60).collect()));
}

#[test]
fn one_that_was_emptied_when_its_beginning_was_gone_waits_for_a_person() {
    let place = place(DB);
    more(&place, 0..1000);
    place.run("run", &[]).exits(0);
    fs::remove_file(place.path("db.sqlite")).unwrap();
    more(&place, 1000..1010);
    for (command, options) in [("check", &[][..]), ("run", &["--resume", "hard"]), ("run", &[])] {
        let ran = place.run(command, options).exits(8);
        for part in ["it holds nothing, although", "highwater consumer seek", "--stream x"] {
            assert!(ran.err.contains(part), "{command}: {part} in {}", ran.err);
        }
    }
    place
        .run("run", &[])
        .exits(8)
        .does_not_say("is not of this log")
        .says("a person has to decide how it goes on");
    let status = place.run("status", &[]).exits(0).out;
    assert!(status.contains("it holds nothing, although"), "{status}");
    let next = status.lines().last().unwrap();
    assert!(next.contains("what the failure of db says (above), then highwater run"), "{status}");
    let log = place.path("pipe.hw");
    let seek = ["seek", log.to_str().unwrap(), "db", "--to", "oldest"];
    let seek: Vec<&str> = seek.iter().chain(WHY).copied().collect();
    place.command_of("consumer", &seek).exits(0).does_not_say("empty it");
    place.run("run", &[]).exits(0);
    let first = place.sql("db.sqlite", "select min(id), max(id) from x").concat();
    assert!(first.ends_with("|1009") && !first.starts_with("0|"), "{first}");
}

#[test]
fn a_new_one_whose_beginning_is_gone_holds_nobody_up_and_a_refresh_fills_it() {
    let place = place(DB);
    more(&place, 0..1000);
    place.run("run", &[]).exits(0);
    add(&place, "[destinations.late]\ntype = 'sqlite'\npath = 'late.sqlite'\n");
    more(&place, 1000..1100);
    let ran = place.run("run", &[]).exits(10);
    let log = place.path("pipe.hw");
    let command = format!("highwater refresh {} --stream x", log.display());
    for part in ["destination late: checkpoints 1 to", &command, "start = \"now\""] {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
    assert!(!ran.err.contains(": :"), "{}", ran.err);
    assert_eq!(count(&place, "db.sqlite"), "1100", "the others go on");
    ran.does_not_say("lacks is in the log");
    // Whoever is asked says so.
    place.run("check", &[]).exits(10).says("destination late: checkpoints 1 to").says(&command);
    let status = place.run("status", &[]).exits(0).out;
    for part in ["late: has not begun", &command, "mend what late failed with (above), then highwater run"] {
        assert!(status.contains(part), "{part} in {status}");
    }
    place.run("deliver", &["--only", "late", "--until-end"]).exits(10).says(&command);
    let refresh: Vec<&str> = ["--stream", "x", "--truncate"].iter().chain(WHY).copied().collect();
    place.run_on(&log, "refresh", &refresh).exits(0);
    place.run("run", &[]).exits(0).says("late: checkpoints 1 to");
    assert_eq!(
        (count(&place, "db.sqlite").as_str(), count(&place, "late.sqlite").as_str()),
        ("1100", "1100")
    );
    // It goes on from there as any other.
    more(&place, 1100..1110);
    place.run("run", &[]).exits(0);
    assert_eq!(count(&place, "late.sqlite"), "1110");
}

#[test]
fn a_new_one_begins_where_what_is_left_was_read_anew() {
    let place = place(DB);
    more(&place, 0..1000);
    place.run("run", &[]).exits(0);
    let refresh: Vec<&str> = ["--stream", "x"].iter().chain(WHY).copied().collect();
    place.run_on(&place.path("pipe.hw"), "refresh", &refresh).exits(0);
    // What is read anew stays: another consumer waits for it.
    let add_consumer =
        ["add", place.path("pipe.hw").to_str().unwrap(), "kept", "--from", "now"].map(str::to_owned);
    place.command_of("consumer", &add_consumer.each_ref().map(String::as_str)).exits(0);
    place.run("run", &[]).exits(0);
    add(&place, "[destinations.late]\ntype = 'sqlite'\npath = 'late.sqlite'\n");
    place.run("run", &[]).exits(0).says("where every stream is read from its beginning");
    assert_eq!(count(&place, "late.sqlite"), "1000");
}

#[test]
fn check_notices_that_a_destination_is_of_another_log() {
    let place = place(DB);
    more(&place, 0..50);
    place.run("run", &[]).exits(0);
    for name in ["pipe.hw", "pipe.hw.connect"] {
        fs::rename(place.path(name), place.path(&format!("old.{name}"))).unwrap();
    }
    let ways_out = "give it an empty place (another path, schema or database)";
    place.run("check", &[]).exits(8).says("holds what another log has delivered").says(ways_out);
    place.run("run", &[]).exits(8).says("is of another log").says(ways_out);
    place.run("check", &[]).exits(8).says("is of another log").says(ways_out);
    // And that is a way out.
    place.edit(|text| text.replace("'db.sqlite'", "'new.sqlite'"));
    place.run("check", &[]).exits(0);
    place.run("run", &[]).exits(0);
    assert_eq!(count(&place, "new.sqlite"), "50");
}

/// A destination that holds some of what the log had, and whose consumer was dropped to make room.
#[test]
fn after_a_drop_each_way_out_that_is_named_is_one() {
    for is_from_now_on in [true, false] {
        let place = place(&format!("[destinations.other]\ntype = 'jsonl'\npath = 'other'\n{DB}"));
        more(&place, 0..100);
        place.run("run", &[]).exits(0);
        place.edit(|text| text.replace(DB, ""));
        place.act("consumer", "drop", &["db", "--reason", "a test", "--by", "ops", "--yes"]).exits(0);
        more(&place, 100..1000);
        place.run("run", &[]).exits(0);
        place.run("prune", &["--yes"]).exits(0);
        add(&place, DB);
        let log = place.path("pipe.hw");
        let refresh = format!("highwater refresh {} --stream x", log.display());
        for command in ["run", "check", "run"] {
            let ran = place.run(command, &[]).exits(8).says("holds checkpoints up to").says(&refresh);
            ran.says("an empty place").says("start = \"now\"");
        }
        place.edit(|text| text.replace("'db.sqlite'", "'new.sqlite'"));
        if is_from_now_on {
            place.edit(|text| text + "start = 'now'\n");
            more(&place, 1000..1010);
            place.run("run", &[]).exits(0);
            assert_eq!(count(&place, "new.sqlite"), "10");
        } else {
            let refresh: Vec<&str> = ["--stream", "x"].iter().chain(WHY).copied().collect();
            place.run_on(&log, "refresh", &refresh).exits(0);
            place.run("run", &[]).exits(0);
            assert_eq!(count(&place, "new.sqlite"), "1000");
        }
    }
}
