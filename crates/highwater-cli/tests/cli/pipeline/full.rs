//! A pipeline at its log's cap.

use serde_json::Value;

use super::place::Place;
use crate::helpers::Killed;

const SMALL: &str = "[storage]\nmax_size = '512KiB'\nsegment_size = '64KiB'";
/// States are merged for as long as the cap lets them.
const NEVER: (&str, &str) = ("min_interval = '20ms'", "min_interval = '1h'");
const ONE_TRY: (&str, &str) = ("attempts_without_progress = 3", "attempts_without_progress = 1");

fn full(streams: &str, config: &str, more: &str) -> Place {
    let place = Place::new("{}", "");
    place.write_file(streams, config, &format!("{more}{SMALL}"));
    place.edit(|text| text.replace(ONE_TRY.0, ONE_TRY.1).replace(NEVER.0, NEVER.1));
    place
}

fn attempts(place: &Place) -> Vec<Value> {
    let runs = place.run_on(&place.path("pipe.hw"), "runs", &["--json", "--last", "100"]).exits(0).json();
    runs["attempts"].as_array().unwrap().clone()
}

#[test]
fn it_ends_with_7_when_nobody_can_make_room_any_more_and_goes_on_when_somebody_does() {
    let place = full("{ a = 9000 }", "page = 300", "");
    place.file("lake", "");
    let ran = place.run("run", &["--json"]).exits(7);
    let ran = ran.says("destination lake has to take more first").says("no room: the log occupies");
    let ended: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!((&ended["event"], &ended["exit_code"]), (&"ended".into(), &7.into()), "{ended}");
    assert_eq!(ended["failures"][0]["kind"], "full", "{ended}");
    // What was committed is told right, and how it ended is on record, beyond the cap.
    let committed = ended["records"].as_u64().unwrap();
    let first = attempts(&place);
    let end = &first.last().unwrap()["end"];
    assert_eq!((&end["outcome"], &end["records"]), (&"full".into(), &committed.into()), "{end}");
    assert!(committed > 0 && first.len() == 1);

    let next = "highwater check PIPELINE, then highwater deliver PIPELINE --only lake --until-end";
    let status = place.next_is(next);
    for words in ["full: no further file fits; ", "held by consumer lake", " of at most 512.0 KiB ("] {
        assert!(status.contains(words), "{words}: {status}");
    }
    let percent = status.split(" %)").next().unwrap().rsplit('(').next().unwrap();
    // What is on record beyond it counts, too.
    assert!((80..=125).contains(&percent.parse::<u32>().unwrap()), "{status}");

    // Another run is on record, too, though it could not even begin there; its source is not believed to be well.
    place.run("run", &[]).exits(7);
    let second = attempts(&place);
    assert_eq!((second.len(), &second[1]["end"]["outcome"]), (2, &"full".into()));
    let metrics = place.run("metrics", &[]).exits(0).out;
    let told = |start: &str, label: &str, value: &str| {
        metrics.lines().any(|line| line.starts_with(start) && line.contains(label) && line.ends_with(value))
    };
    assert!(told("highwater_run_last_success{", "", " 0"), "{metrics}");
    assert!(told("highwater_given_up{", "part=\"source\"", " 1"), "{metrics}");

    std::fs::remove_file(place.path("lake")).unwrap();
    place.run("deliver", &["--only", "lake", "--until-end"]).exits(0);
    // The next run lets go what everybody has.
    place.next_is("highwater run PIPELINE");
    place.run("prune", &["--min-count", "1", "--min-age", "0s", "--yes"]).exits(0);
    place.next_is("highwater run PIPELINE");
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 9000)]);
}

#[test]
fn what_fills_the_cap_alone_is_told() {
    let place = full("{ a = 9000 }", "page = 9000", "");
    place.run("run", &[]).exits(7).says("everything is delivered").says("raise storage.max_size");
    place.next_is("raise storage.max_size in PIPELINE: what is kept fills it; then highwater run PIPELINE");
    place.edit(|text| text.replace("512KiB", "8MiB"));
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 9000)]);
}

#[test]
fn a_source_waits_for_a_destination_that_another_process_delivers() {
    let place = full("{ a = 3000 }", "page = 300", "");
    place.run("run", &[]).exits(0);
    place.edit(|text| text.replace("a = 3000", "a = 9000"));
    let elsewhere = Killed(place.command("deliver").args(["--only", "lake"]).spawn().unwrap());
    let log = place.path("pipe.hw");
    let user = || place.run_on(&log, "status", &["--json"]).json()["consumers"][0]["used_by"].clone();
    super::failures::wait_for(|| user() == elsewhere.0.id());
    let ran = place.run("run", &[]).exits(0);
    ran.says(&format!(
        "lake is delivered by another process: consumer lake is in use by process {}",
        elsewhere.0.id()
    ));
    let end = place.run_on(&log, "info", &["--json"]).json()["status"]["end"]["sequence"].clone();
    super::failures::wait_for(|| {
        let status = place.run_on(&log, "status", &["--json"]).json();
        status["consumers"][0]["acknowledged"] == end
    });
    drop(elsewhere);
    place.holds(&[("a", 9000)]);
}
