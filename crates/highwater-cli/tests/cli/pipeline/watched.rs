//! What somebody sees who watches a run on a terminal, and who waits for another's end.

use std::process::Command;
use std::time::{Duration, Instant};

use super::failures::wait_for;
use super::place::Place;
use crate::helpers::{HIGHWATER, Ran};

/// What a run writes to a terminal: `script` gives it one.
fn on_a_terminal(place: &Place) -> String {
    let run = format!("{HIGHWATER} run {}", place.path("pipeline.toml").display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &run, "/dev/null"]).env("TERM", "xterm");
    let ran = match script.output() {
        Ok(output) => Ran::of(&output).exits(0),
        Err(e) => panic!("script (of util-linux) gives the run a terminal: {e}"),
    };
    ran.out
}

/// Each checkpoint that is named, in the order of the frames: whether it was delivered, and its number.
fn checkpoints(shown: &str) -> Vec<(bool, u64)> {
    let mut named = Vec::new();
    let mut pieces = shown.split("checkpoint ");
    let mut before = pieces.next().unwrap_or_default();
    for piece in pieces {
        let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
        let is_delivered = before.ends_with("up to ");
        if let Ok(number) = digits.parse()
            && (is_delivered || piece[digits.len()..].starts_with(" in the log"))
        {
            named.push((is_delivered, number));
        }
        before = piece;
    }
    named
}

#[test]
fn moving_lines_tell_how_far_it_is() {
    let place = Place::new("{ a = 40, b = 7 }", "page = 5\npause_ms = 120");
    let shown = on_a_terminal(&place);
    let rates = shown.matches(" records/s").count();
    assert!(rates > 3, "{shown}");
    // 152.5294/s is no rate that a person reads.
    let is_odd = |word: &str| word.trim_end_matches(',').ends_with("/s") && word.contains('.');
    assert_eq!(shown.split_whitespace().find(|word| is_odd(word)), None, "{shown}");
    // The log is never told to be behind what was delivered of it.
    let (mut last, mut compared) = (0, 0);
    for (is_delivered, number) in checkpoints(&shown) {
        if is_delivered {
            assert!(number <= last, "{number} of {last}: {shown}");
            compared += 1;
        } else {
            last = number;
        }
    }
    assert!(compared > 0 && shown.contains("a: 40 records, 40 committed"), "{shown}");
    place.holds(&[("a", 40), ("b", 7)]);
}

#[test]
fn a_run_waits_for_another_if_that_is_asked_for() {
    let place = Place::new("{ a = 30 }", "page = 1\npause_ms = 100");
    let mut first = place.start();
    wait_for(|| !place.rows("a").is_empty());
    let begun = Instant::now();
    let ran = place.run("run", &["--wait", "1"]).exits(5);
    assert!(ran.err.contains(&first.id().to_string()), "{}", ran.err);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // It goes on where the first was, as soon as that has ended.
    let waiting = place.command("run").args(["--wait", "60", "--json"]).output();
    assert!(first.try_wait().unwrap().is_some_and(|status| status.success()));
    let ran = Ran::of(&waiting.unwrap()).exits(0);
    assert!(ran.out.contains("\"event\":\"sync_ended\""), "{}", ran.out);
    place.holds(&[("a", 30)]);
}
