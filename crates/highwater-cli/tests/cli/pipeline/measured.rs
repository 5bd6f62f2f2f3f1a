//! What a run tells while it lasts, and what it leaves.

use std::time::{Duration, Instant};

use super::place::Place;
use crate::watching::Server;

/// The value of the first sample whose line starts so.
fn value(text: &str, start: &str) -> Option<f64> {
    text.lines().find(|line| line.starts_with(start))?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_run_tells_what_it_measures_while_it_lasts_and_leaves_it_behind() {
    let place = Place::new("{ a = 40 }", "page = 2\npause_ms = 100");
    let metrics = "[metrics]\nlisten = '127.0.0.1:0'\ntextfile = 'pipe.prom'";
    place.write_file("{ a = 40 }", "page = 2\npause_ms = 100", metrics);
    let mut server = Server::start(&mut place.command("run"));
    let begun = Instant::now();
    let told = loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "the run does not tell its commits");
        let text = server.get("/metrics");
        if value(&text, "highwater_commits_total{").is_some_and(|commits| commits >= 3.0) {
            break text;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(told.contains("highwater_commit_duration_seconds_bucket{log="), "{told}");
    assert!(told.contains(",pipeline=\"pipe\"}"), "{told}");
    assert_eq!(value(&told, "highwater_writer_up{"), Some(1.0));
    let page = server.get("/api/overview");
    assert!(page.contains("\"now\":true") && page.contains("\"writable\":false"), "{page}");

    assert!(server.child.wait().unwrap().success());
    place.holds(&[("a", 40)]);
    let left = std::fs::read_to_string(place.path("pipe.prom")).unwrap();
    assert_eq!(value(&left, "highwater_source_records_total{"), Some(40.0), "{left}");
    assert_eq!(value(&left, "highwater_run_last_success{"), Some(1.0), "{left}");
    assert_eq!(value(&left, "highwater_writer_up{"), Some(0.0), "{left}");
    let later = place.run("metrics", &[]).exits(0).out;
    assert_eq!(
        value(&later, "highwater_commits_total{"),
        value(&left, "highwater_commits_total{"),
        "{later}"
    );
    assert_eq!(value(&later, "highwater_writer_up{"), Some(0.0));
    assert_eq!(value(&later, "highwater_uncommitted_bytes"), None, "what is no more is not told");
    assert_eq!(place.mode_of("pipe.hw.connect/measured.json"), 0o600);
}

/// What is told of the destination `side`.
fn of_side(text: &str, name: &str) -> Option<f64> {
    let is_its = |line: &&str| line.starts_with(name) && line.contains("=\"side\"");
    text.lines().find(is_its)?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_breaker_is_seen_to_open_and_to_close() {
    let place = Place::new("{}", "");
    let more = "[destinations.side]\ntype = 'jsonl'\npath = 'side'\n\
                circuit_breaker = { failures = 2, cooldown = '100ms' }\n[metrics]\nlisten = '127.0.0.1:0'";
    place.write_file("{ a = 120 }", "page = 2\npause_ms = 100", more);
    place.file("side", "a file where its directory was to be");
    let mut server = Server::start(&mut place.command("run"));
    let until = |is_open: f64| loop {
        let text = server.get("/metrics");
        if of_side(&text, "highwater_breaker_open{") == Some(is_open) {
            break text;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    until(1.0);
    std::fs::remove_file(place.path("side")).unwrap();
    let told = until(0.0);
    assert!(of_side(&told, "highwater_breaker_opened_total{").unwrap() >= 1.0, "{told}");
    assert!(of_side(&told, "highwater_restarts_succeeded_total{").unwrap() >= 1.0, "{told}");
    assert!(server.child.wait().unwrap().success());
    place.holds(&[("a", 120)]);
    assert!(!place.files_below("side").is_empty());
}

#[test]
fn what_cant_be_had_is_said_before_anything_starts() {
    let place = Place::new("{ a = 1 }", "page = 1");
    let with = |metrics: &str| {
        place.write_file("{ a = 1 }", "page = 1", &format!("[metrics]\n{metrics}"));
        place.run("run", &[])
    };
    with("listen = 'everywhere'").exits(2).says("metrics.listen");
    with("listen = '0.0.0.0:0'").exits(1).says("that needs a token");
    with("textfile = 'no/such/folder/x.prom'").exits(6).says("[metrics] textfile");
    assert!(!place.path("pipe.hw").exists());
}
