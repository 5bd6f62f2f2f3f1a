//! Records that a destination refuses.

use std::time::Duration;

use super::place::Place;
use crate::helpers::Ran;

const TO_SQLITE: &str =
    "[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\nbatch = { max_checkpoints = 3 }";

fn place(config: &str) -> Place {
    let place = Place::new("{}", "");
    place.write_file("{ a = 60 }", &format!("page = 4\nbad = [3, 41]\n{config}"), TO_SQLITE);
    place
}

fn letters(place: &Place, action: &str, options: &[&str]) -> Ran {
    place.act("dead-letters", action, options)
}

/// Number, record's id and how often it was refused, of each letter.
fn listed(place: &Place) -> Vec<(u64, u64, u64)> {
    let list = letters(place, "list", &["--json"]).exits(0).json();
    let each = list["letters"].as_array().unwrap().iter().map(|letter| {
        assert_eq!((&letter["destination"], &letter["stream"]["name"]), (&"base".into(), &"a".into()));
        assert!(letter["reason"].as_str().unwrap().contains("\"day\" is not a date"), "{letter}");
        let number = letter["number"].as_u64().unwrap();
        let shown = letters(place, "show", &[&number.to_string(), "--json"]).exits(0).json();
        let id = shown["payload"]["json"]["id"].as_u64().unwrap();
        (number, id, letter["attempts"].as_u64().unwrap())
    });
    each.collect()
}

#[test]
fn what_is_refused_is_kept_shown_tried_again_and_dropped() {
    let place = place("");
    place.run("run", &[]).exits(0).says("base got 60 records and refused 2");
    assert_eq!(place.sql("base.db", "SELECT count(*) FROM a"), ["58"]);
    assert_eq!(listed(&place), [(1, 3, 1), (2, 41, 1)]);
    let status = place.run("status", &[]).exits(0).out;
    assert!(status.contains("2 dead letters") && status.contains("highwater dead-letters list"), "{status}");
    letters(&place, "show", &["2"]).exits(0);
    letters(&place, "list", &["--destination", "bass"]).exits(6).says("there is no destination bass");
    // By the log alone, as if the pipeline file were gone.
    let log = place.path("pipe.hw");
    let words = ["dead-letters".as_ref(), "show".as_ref(), log.as_os_str(), "1".as_ref()];
    let shown = std::process::Command::new(crate::helpers::HIGHWATER).args(words).output().unwrap();
    assert!(Ran::of(&shown).exits(0).out.contains("\"day\" is not a date"));
    let raw = letters(&place, "show", &["2", "--raw"]).exits(0);
    assert!(raw.out.starts_with("{\"id\": 41,"), "{}", raw.out);
    letters(&place, "retry", &["--all"]).exits(2).says("--yes");
    letters(&place, "retry", &["--all", "--dry-run"]).exits(0).says("checkpoint");
    letters(&place, "retry", &["--all", "--yes"]).exits(10);
    assert_eq!(listed(&place), [(1, 3, 2), (2, 41, 2)]);
    letters(&place, "drop", &["9", "--yes", "--reason", "no"]).exits(6);
    letters(&place, "drop", &["1", "--yes", "--reason", "no such day"]).exits(0);
    assert_eq!(listed(&place), [(2, 41, 2)]);
    // Nothing of it comes back.
    place.run("run", &[]).exits(0);
    assert_eq!(listed(&place), [(2, 41, 2)]);
}

#[test]
fn what_a_table_comes_to_take_is_taken_when_it_is_given_again() {
    let place = place("");
    place.edit(|text| text.replace("bad = [3, 41]", ""));
    place.run("run", &[]).exits(0);
    place.sql(
        "base.db",
        "CREATE TRIGGER strict BEFORE INSERT ON a WHEN new.id = 70 BEGIN SELECT RAISE(ABORT, 'not 70'); END",
    );
    place.edit(|text| text.replace("a = 60", "a = 80"));
    place.run("run", &[]).exits(0).says("not 70");
    letters(&place, "retry", &["1", "--yes"]).exits(10);
    place.sql("base.db", "DROP TRIGGER strict");
    let told = letters(&place, "retry", &["1", "--yes", "--json"]).exits(0).json();
    assert_eq!((&told["taken"], &told["refused"]), (&1.into(), &0.into()));
    assert_eq!(place.sql("base.db", "SELECT count(*), count(DISTINCT id) FROM a"), ["80|80"]);
    letters(&place, "list", &[]).exits(0);
    letters(&place, "show", &["1"]).exits(6);
}

#[test]
fn where_nothing_may_be_refused_the_delivery_stops_before_it() {
    let place = place("");
    place.edit(|text| text + "on_reject = 'fail'\n");
    place.run("run", &[]).exits(10).says("record 3 of stream a in checkpoint");
    // The first batches may have been before it; nothing behind it.
    let there = place.sql("base.db", "SELECT count(*) FROM sqlite_schema WHERE name = 'a'");
    if there == ["1"] {
        assert_eq!(place.sql("base.db", "SELECT count(*) FROM a WHERE id >= 3"), ["0"]);
    }
    place.edit(|text| text.replace("'fail'", "'dead_letter'"));
    place.run("deliver", &["--only", "base", "--until-end"]).exits(0);
    assert_eq!(listed(&place), [(1, 3, 1), (2, 41, 1)]);
}

#[test]
fn kills_lose_no_refusal_and_double_none() {
    let place = place("pause_ms = 3");
    place.edit(|text| text.replace("a = 60", "a = 400").replace("[3, 41]", "[3, 41, 90, 91, 200, 333, 399]"));
    for kill in 0..6_u64 {
        let mut run = place.start();
        std::thread::sleep(Duration::from_millis(200 + 61 * kill));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    place.run("run", &[]).exits(0);
    let ids: Vec<u64> = listed(&place).iter().map(|(_, id, _)| *id).collect();
    assert_eq!(ids, [3, 41, 90, 91, 200, 333, 399]);
    assert_eq!(place.sql("base.db", "SELECT count(*), count(DISTINCT id) FROM a"), ["393|393"]);
}
