//! Reading a stream again, and resuming hard.

use serde_json::Value;

use super::place::Place;

const WHY: &[&str] = &["--reason", "a test", "--by", "ops"];

fn refresh(place: &Place, options: &[&str]) -> crate::helpers::Ran {
    let options: Vec<&str> = options.iter().chain(WHY).copied().collect();
    place.run_on(&place.path("pipe.hw"), "refresh", &options)
}

/// Ids and generations, in the order in which they came.
fn told(place: &Place, stream: &str) -> Vec<(u64, u64)> {
    let number = |row: &Value, key: &str| row[key].as_u64().unwrap();
    place.rows(stream).iter().map(|row| (number(&row["data"], "id"), number(row, "generation"))).collect()
}

fn generations(ids: u64, generations: &[u64]) -> Vec<(u64, u64)> {
    generations.iter().flat_map(|generation| (0..ids).map(|id| (id, *generation))).collect()
}

#[test]
fn a_stream_is_read_again_when_somebody_asked_and_no_other() {
    let place = Place::new("{ a = 25, b = 7 }", "page = 10");
    place.run("run", &[]).exits(0);
    refresh(&place, &["--stream", "a"]).exits(2).says("as generation 1").says("--yes");
    let plan = refresh(&place, &["--stream", "a", "--truncate", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(
        (&plan["done"], &plan["generation"], &plan["truncate"]),
        (&false.into(), &1.into(), &true.into())
    );
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25), ("b", 7)]);
    refresh(&place, &["--stream", "a", "--truncate", "--yes"]).exits(0);
    refresh(&place, &["--stream", "nope", "--yes"]).exits(6);
    refresh(&place, &["--yes"]).exits(2);
    place.run("run", &[]).exits(0);
    assert_eq!(told(&place, "a"), generations(25, &[0, 1]));
    assert_eq!(told(&place, "b"), generations(7, &[0]));
    // Once, and not with every run.
    place.run("run", &[]).exits(0);
    assert_eq!(told(&place, "a").len(), 50);
    let audit = place.run_on(&place.path("pipe.hw"), "audit", &["--json"]).exits(0).json();
    let asked =
        audit["entries"].as_array().unwrap().iter().find(|entry| entry["event"] == "operation").unwrap();
    assert_eq!(
        (&asked["what"], &asked["who"], &asked["why"]),
        (&"refresh a, replacing what is there".into(), &"ops".into(), &"a test".into())
    );
    // When it was whole is on record, too, with each run that wrote, in the order in which it happened.
    let entries = audit["entries"].as_array().unwrap();
    let of = |event: &str| entries.iter().filter(|entry| entry["event"] == event).collect::<Vec<_>>();
    let [whole] = of("activation")[..] else { panic!("{audit}") };
    assert_eq!(
        (&whole["stream"]["name"], &whole["generation"], &whole["replaces"]),
        (&"a".into(), &1.into(), &true.into())
    );
    assert!(whole["after"].as_u64().unwrap() > asked["after"].as_u64().unwrap(), "{audit}");
    let openings = of("opening");
    assert!(openings.len() >= 4, "{audit}");
    assert!(openings.iter().all(|one| one["who"].as_str().unwrap().contains("(highwater)")), "{audit}");
    let afters: Vec<u64> = entries.iter().map(|entry| entry["after"].as_u64().unwrap()).collect();
    assert!(afters.is_sorted(), "{audit}");
    let shown = place.run_on(&place.path("pipe.hw"), "audit", &[]).exits(0).out;
    assert!(shown.contains("generation 1 of a is whole, in the place of what was there"), "{shown}");
}

#[test]
fn what_no_run_has_begun_can_be_taken_back() {
    let place = Place::new("{ a = 25, b = 7 }", "page = 10");
    place.run("run", &[]).exits(0);
    let none = "nobody has asked for a to be read again";
    refresh(&place, &["--stream", "a", "--cancel", "--yes"]).exits(2).says(none);
    for stream in ["a", "b"] {
        refresh(&place, &["--stream", stream, "--truncate", "--yes"]).exits(0);
    }
    refresh(&place, &["--stream", "a", "--cancel"]).exits(2).says("--yes");
    refresh(&place, &["--stream", "a", "--cancel", "--yes"]).exits(0);
    refresh(&place, &["--stream", "a", "--cancel", "--yes"]).exits(2).says(none);
    let audit = place.run_on(&place.path("pipe.hw"), "audit", &[]).exits(0).out;
    assert!(audit.contains("cancel the refresh of a"), "{audit}");
    place.run("run", &[]).exits(0);
    assert_eq!((told(&place, "a"), told(&place, "b")), (generations(25, &[0]), generations(7, &[0, 1])));
}

/// The first attempts fail after some pages: each goes on where the last one stopped, in the same generation.
#[test]
fn a_refresh_that_fails_goes_on() {
    let place = Place::new("{ a = 60 }", "page = 10");
    place.run("run", &[]).exits(0);
    refresh(&place, &["--stream", "a", "--truncate", "--yes"]).exits(0);
    place.write_file("{ a = 60 }", "page = 10\nfail_after = 2", "");
    place.run("run", &[]).exits(0);
    assert_eq!(told(&place, "a"), generations(60, &[0, 1]));
}

#[test]
fn a_stream_without_a_state_of_its_own_is_not_read_again_in_vain() {
    let place = Place::new("{ a = 25 }", "page = 10\nglobal = true");
    place.run("run", &[]).exits(0);
    refresh(&place, &["--stream", "a", "--truncate", "--yes"]).exits(2).says("one state for all streams");
    // Its state can't go back by itself either; all of it can, and what is the runtime's own is not read again.
    let log = place.path("pipe.hw");
    for verb in ["reset", "rewind"] {
        let to: &[&str] = if verb == "rewind" { &["--to", "4"] } else { &[] };
        let options = [to, &["--stream", "a", "--yes"], WHY].concat();
        let refused =
            place.run_on(&log, verb, &options).exits(2).says("the source has one state for all streams");
        refused.says("highwater refresh ").says("--stream a, which").does_not_say("nothing to do");
    }
    let options = [&["--to", "2", "--dry-run"], WHY].concat();
    place.run_on(&log, "rewind", &options).exits(0).says("  a: ").does_not_say("_highwater");
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 25)]);
}

#[test]
fn a_hard_resume_finds_damage_before_anything_is_read_or_delivered() {
    // Small segments: what an opening looks at is not where the damage is.
    let small = "[storage]\nsegment_size = '64KiB'";
    let place = Place::new("{ a = 3000 }", "page = 500");
    place.write_file("{ a = 3000 }", "page = 500", small);
    place.run("run", &[]).exits(0);
    place.run("run", &["--resume", "hard"]).exits(0).says("verified: ");
    let path = place.path("pipe.hw").join("00000001.hws");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(10).position(|window| window == b"user3@exam").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    place.write_file("{ a = 3040 }", "page = 500", small);
    place.edit(|text| text.replace("version = 1\n", "version = 1\nresume = 'hard'\n"));
    place.run("run", &[]).exits(3).says("damaged");
    place.holds(&[("a", 3000)]);
    // Softly it goes on from the state: what is damaged was delivered long ago.
    place.run("run", &["--resume", "soft"]).exits(0);
    place.holds(&[("a", 3040)]);
    place.edit(|text| text.replace("'hard'", "'hart'"));
    place.run("run", &[]).exits(2).says("hard");
}

#[test]
fn a_hard_resume_finds_a_destination_that_is_ahead() {
    let place = Place::new("{ a = 25, b = 7 }", "page = 10");
    place.run("run", &[]).exits(0);
    let (log, backup) = (place.path("pipe.hw"), place.path("backup.hw"));
    let backup = backup.to_str().unwrap();
    place.run_on(&log, "backup", &[backup]).exits(0);
    place.write_file("{ a = 40, b = 7 }", "page = 10", "");
    place.run("run", &[]).exits(0);
    std::fs::remove_dir_all(&log).unwrap();
    let new = log.to_str().unwrap();
    let restored = place.run_on(backup.as_ref(), "restore", &[new, "--reason", "a test"]).exits(0);
    restored.does_not_say("lake");
    let end = || place.run_on(&log, "info", &["--json"]).exits(0).json()["status"]["end"]["sequence"].clone();
    let before = end();
    place.run("run", &["--resume", "hard"]).exits(8).says("destination lake").says("holds something else");
    place.holds(&[("a", 40), ("b", 7)]);
    assert_eq!(end(), before, "the source was read before that was known");
    // Softly the rest would go on; of the lake it is said just the same.
    place.run("run", &[]).exits(8).says("lake");
    place.holds(&[("a", 40), ("b", 7)]);
}

#[test]
fn a_state_that_was_imported_counts_although_the_window_takes_it_in() {
    let lookback = "[lookback]\nwindow = '1h'\n";
    let place = Place::new("{}", "");
    place.write_file("{ a = 25 }", "page = 10", lookback);
    let state = r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"n":20}}}]"#;
    let file = place.file("state.json", state);
    let options: Vec<&str> =
        [file.to_str().unwrap(), "--from", "airbyte"].iter().chain(WHY).copied().collect();
    place.run_on(&place.path("pipe.hw"), "import", &options).exits(0);
    let ran = place.run("run", &[]).exits(0);
    let ids = |place: &Place| told(place, "a").iter().map(|(id, _)| *id).collect::<Vec<_>>();
    assert_eq!(ids(&place), [20, 21, 22, 23, 24]);
    ran.says("lookback of").says("set by hand inside it").does_not_say("from the beginning");
    place.write_file("{ a = 27 }", "page = 10", lookback);
    place.run("run", &[]).exits(0).says("set by hand inside it");
    assert_eq!(ids(&place), [20, 21, 22, 23, 24, 25, 26]);
    // Without one, it is said what is read again.
    let place = Place::new("{}", "");
    place.write_file("{ a = 25 }", "page = 10", lookback);
    place.run("run", &[]).exits(0).does_not_say("lookback of");
    place.run("run", &[]).exits(0).says("from the beginning, since no state is older: a");
    place.holds(&[("a", 25)]);
}
