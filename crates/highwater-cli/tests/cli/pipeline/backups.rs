//! What lies beside a pipeline's log, in a backup of the log and out of it again.

use std::fs;

use serde_json::json;

use super::place::Place;
use crate::helpers::Ran;

const TO_SQLITE: &str = "[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n";

fn place() -> Place {
    let place = Place::new("{}", "");
    write(&place, 60, "first-secret");
    place.run("run", &[]).exits(0).says("refused 2");
    place
}

/// Two records are refused, and a third where there are 80.
fn write(place: &Place, records: u64, password: &str) {
    let config = format!("page = 4\nbad = [3, 41, 70]\npassword = '{password}'");
    place.write_file(&format!("{{ a = {records} }}"), &config, TO_SQLITE);
}

fn back_up(place: &Place) -> serde_json::Value {
    let copy = place.path("copy.hw");
    place.run_on(&place.path("pipe.hw"), "backup", &[copy.to_str().unwrap(), "--json"]).exits(0).json()
}

fn restore(place: &Place) -> serde_json::Value {
    let log = place.path("pipe.hw");
    let options = [log.to_str().unwrap(), "--reason", "a test", "--json"];
    place.run_on(&place.path("copy.hw"), "restore", &options).exits(0).json()
}

/// The numbers of the letters, and how often each was refused.
fn letters(place: &Place) -> Vec<(u64, u64)> {
    let list = place.act("dead-letters", "list", &["--json"]).exits(0).json();
    let each = list["letters"].as_array().unwrap().iter();
    each.map(|letter| (letter["number"].as_u64().unwrap(), letter["attempts"].as_u64().unwrap())).collect()
}

fn says_of_configuration(ran: Ran) -> bool {
    ran.exits(0).err.contains("source_changed")
}

#[test]
fn a_restored_pipeline_has_its_dead_letters_and_knows_how_it_was_configured() {
    let place = place();
    let beside = &back_up(&place)["beside"];
    assert_eq!(
        (&beside["dead_letters"], &beside["files"]),
        (&json!(["base"]), &json!(["fingerprint.key", "rules.json"]))
    );
    // What comes later comes with the next backup.
    write(&place, 80, "first-secret");
    place.run("run", &[]).exits(0).says("refused 1");
    back_up(&place);
    for (name, mode) in [("copy.hw.connect", 0o700), ("copy.hw.connect/fingerprint.key", 0o600)] {
        assert_eq!(place.mode_of(name), mode, "{name}");
    }
    assert!(!place.path("copy.hw.connect/measured.json").exists());
    // The machine is gone.
    fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    fs::remove_dir_all(place.path("pipe.hw.connect")).unwrap();
    let beside = &restore(&place)["beside"];
    assert_eq!((&beside["dead_letters"], &beside["kept"]), (&json!(["base"]), &json!([])));
    for (name, mode) in [("pipe.hw.connect", 0o700), ("pipe.hw.connect/fingerprint.key", 0o600)] {
        assert_eq!(place.mode_of(name), mode, "{name}");
    }
    assert_eq!(letters(&place), [(1, 1), (2, 1), (3, 1)]);
    place.act("dead-letters", "retry", &["--all", "--yes"]).exits(10);
    assert_eq!(letters(&place), [(1, 2), (2, 2), (3, 2)]);
    assert!(!says_of_configuration(place.run("run", &[])));
    write(&place, 80, "other-secret");
    assert!(says_of_configuration(place.run("run", &[])));
}

#[test]
fn what_is_still_there_is_newer_than_a_backup() {
    let place = place();
    back_up(&place);
    place.act("dead-letters", "drop", &["1", "--yes", "--reason", "no such day"]).exits(0);
    let key = fs::read(place.path("pipe.hw.connect/fingerprint.key")).unwrap();
    fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    let beside = &restore(&place)["beside"];
    assert_eq!(beside["kept"], json!(["fingerprint.key", "rules.json", "dead-letters/base"]));
    assert_eq!(letters(&place), [(2, 1)]);
    assert_eq!(fs::read(place.path("pipe.hw.connect/fingerprint.key")).unwrap(), key);
}

/// Something else is where these letters are to go.
fn obstruct(place: &Place, work: &str) -> std::path::PathBuf {
    let letters = place.path(work).join("dead-letters");
    if letters.exists() {
        fs::rename(&letters, place.path("aside")).unwrap();
    }
    fs::create_dir_all(place.path(work)).unwrap();
    fs::write(&letters, "x").unwrap();
    letters
}

#[test]
fn a_backup_that_stops_at_the_letters_is_the_one_before() {
    let place = place();
    back_up(&place);
    let before = place.run_on(&place.path("copy.hw"), "info", &["--json"]).exits(0).json();
    write(&place, 80, "first-secret");
    place.run("run", &[]).exits(0).says("refused 1");
    let letters = obstruct(&place, "copy.hw.connect");
    let copy = place.path("copy.hw");
    place.run_on(&place.path("pipe.hw"), "backup", &[copy.to_str().unwrap()]).exits(75).says("dead-letters");
    fs::remove_file(&letters).unwrap();
    fs::rename(place.path("aside"), &letters).unwrap();
    // Everything is gone but what is there of the backup: the third record is refused once more, and not lost.
    fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    fs::remove_dir_all(place.path("pipe.hw.connect")).unwrap();
    fs::remove_file(place.path("base.db")).unwrap();
    fs::remove_dir_all(place.path("lake")).unwrap();
    let restored = restore(&place);
    assert_eq!(restored["to"]["sequence"], before["status"]["end"]["sequence"]);
    assert_eq!(self::letters(&place), [(1, 1), (2, 1)]);
    // The destination is empty: it gets all that the restored log has, and then what the source sends again.
    place.run("run", &[]).exits(0).says("refused 3");
    assert_eq!(self::letters(&place), [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn a_restore_that_stops_at_the_letters_can_be_run_again() {
    let place = place();
    back_up(&place);
    fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    fs::remove_dir_all(place.path("pipe.hw.connect")).unwrap();
    let obstacle = obstruct(&place, "pipe.hw.connect");
    let log = place.path("pipe.hw");
    let options = [log.to_str().unwrap(), "--reason", "a test"];
    place.run_on(&place.path("copy.hw"), "restore", &options).exits(1).says("dead letters of base");
    // Nobody takes it for a log meanwhile.
    place.run_on(&log, "info", &[]).exits(5);
    fs::remove_file(obstacle).unwrap();
    let beside = &restore(&place)["beside"];
    assert_eq!(
        (&beside["dead_letters"], &beside["kept"]),
        (&json!(["base"]), &json!(["fingerprint.key", "rules.json"]))
    );
    assert_eq!(letters(&place), [(1, 1), (2, 1)]);
}

#[test]
fn a_log_alone_leaves_nothing_beside_its_backup() {
    let log = crate::helpers::Log::of(&[]);
    let copy = log.path.with_extension("copy");
    let made = log.run("backup", &[copy.to_str().unwrap(), "--json"]).exits(0).json();
    assert_eq!((&made["beside"]["files"], &made["beside"]["dead_letters"]), (&json!([]), &json!([])));
    assert!(!copy.with_extension("copy.connect").exists());
}

/// Not in the log, nor in what lies beside it, by whatever name; and a hint names the directory that it is about.
#[test]
fn a_backup_inside_of_what_it_is_a_backup_of_is_refused() {
    let place = place();
    std::os::unix::fs::symlink(place.path("pipe.hw"), place.path("link")).unwrap();
    let back_up = |to: &str| {
        let to = place.path(to);
        place.run_on(&place.path("pipe.hw"), "backup", &[to.to_str().unwrap()])
    };
    for to in ["pipe.hw/in", "pipe.hw.connect/in", "link/in", "link", "."] {
        back_up(to).exits(1).says("has to lie apart");
    }
    assert!(!place.path("pipe.hw/in").exists() && !place.path("pipe.hw.connect/in").exists());
    back_up("copy.hw").exits(0);
    let inside = place.path("copy.hw.connect/new.hw");
    let options = [inside.to_str().unwrap(), "--reason", "a test"];
    place.run_on(&place.path("copy.hw"), "restore", &options).exits(1).says("has to lie apart");
    assert!(!inside.exists());
    fs::create_dir(place.path("other")).unwrap();
    fs::write(place.path("other/file"), "mine").unwrap();
    back_up("other").exits(1).says(&format!("ls -la {}", place.path("other").display()));
}
