//! Runs that are stopped, or killed.

use std::process::{Child, Command};
use std::time::Duration;

use super::failures::{is_alive, wait_for};
use super::place::Place;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_killed_run_goes_on_and_nothing_is_lost_or_doubled() {
    let place = Place::new("{ a = 400, b = 300 }", "page = 7\npause_ms = 4");
    for kill in 0..8_u64 {
        let mut run = place.start();
        std::thread::sleep(Duration::from_millis(250 + 37 * kill));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    place.run("run", &[]).exits(0);
    place.holds(&[("a", 400), ("b", 300)]);
}

#[test]
fn a_killed_run_leaves_a_source_that_its_successor_ends() {
    let place = Place::new("{ a = 25 }", "page = 10\nsilent = true\nchild = 'child'");
    let mut run = place.start();
    wait_for(|| {
        place.path("child").exists() && !std::fs::read_to_string(place.path("child")).unwrap().is_empty()
    });
    let child = std::fs::read_to_string(place.path("child")).unwrap();
    wait_for(|| !place.rows("a").is_empty());
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(is_alive(&child));
    place.write_file("{ a = 25 }", "page = 10", "");
    place.run("run", &[]).exits(0);
    wait_for(|| !is_alive(&child));
    place.holds(&[("a", 25)]);
}

#[test]
fn a_request_to_stop_ends_a_run_at_a_checkpoint() {
    let place = Place::new("{ a = 100000 }", "page = 10\npause_ms = 10\nchild = 'child'");
    let mut run = place.start();
    wait_for(|| !place.rows("a").is_empty());
    signal(&run, "TERM");
    assert_eq!(run.wait().unwrap().code(), Some(75));
    let child = std::fs::read_to_string(place.path("child")).unwrap();
    wait_for(|| !is_alive(&child));
    place.write_file("{ a = 1000 }", "page = 500", "");
    place.run("run", &[]).exits(0);
    let count = place.rows("a").len() as u64;
    assert!(count >= 1000);
    place.holds(&[("a", count)]);
}

#[test]
fn a_second_request_stops_at_once() {
    // Silent in the middle of a page: no state will come.
    let place = Place::new("{ a = 25 }", "page = 10\nsilent = true\nchild = 'child'");
    let mut run = place.start();
    wait_for(|| place.path("child").exists());
    signal(&run, "INT");
    std::thread::sleep(Duration::from_millis(50));
    signal(&run, "INT");
    assert_eq!(run.wait().unwrap().code(), Some(75));
    let child = std::fs::read_to_string(place.path("child")).unwrap();
    wait_for(|| !is_alive(&child));
}
