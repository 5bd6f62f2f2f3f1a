use std::time::Duration;

use highwater::{Config, Log, Op};

use super::super::tests::{around, delivered, offer};
use super::super::{Output, Surroundings};
use crate::pipeline::LookbackPolicy;
use crate::source::{Offer, Reading};

/// Syncs are this long apart, at least; the window takes in one of them.
const APART: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(2);

struct World {
    dir: tempfile::TempDir,
    around: Surroundings,
    offers: Vec<Offer>,
}

impl World {
    fn new(records_max: u64) -> World {
        let lookback = Some(LookbackPolicy { window: WINDOW, records_max });
        let around = Surroundings { lookback, ..around(Duration::ZERO) };
        let keyed = || {
            let mut offer = offer("keyed", Reading::Onward);
            offer.definition.key = vec![vec!["id".to_owned()]];
            offer
        };
        World {
            dir: tempfile::tempdir().unwrap(),
            around,
            offers: vec![keyed(), offer("plain", Reading::Onward)],
        }
    }

    fn log(&self) -> Log {
        Log::open(self.dir.path(), Config::default()).unwrap().0
    }

    /// A sync that sends these records and then this state of both streams; the state that it went on from.
    fn sync(&self, keyed: &[(&str, &str)], plain: &[&str], state: &str) -> Option<String> {
        let log = self.log();
        let mut out = Output::begin(&log, &self.offers, &self.around).unwrap();
        let from = out.resume_from().unwrap().of(&self.offers[0].definition.name).map(str::to_owned);
        send(&mut out, keyed, plain);
        let [a, b] = ["keyed", "plain"].map(|name| out.find(None, name).unwrap());
        out.state(a, state).unwrap();
        out.state(b, state).unwrap();
        out.finish().unwrap();
        from
    }

    fn rows(&self) -> Vec<String> {
        delivered(&self.log()).into_iter().map(|(row, _)| row).collect()
    }
}

fn send(out: &mut Output<'_>, keyed: &[(&str, &str)], plain: &[&str]) {
    let [a, b] = ["keyed", "plain"].map(|name| out.find(None, name).unwrap());
    for (key, row) in keyed {
        let op = Op::Upsert { key: key.as_bytes(), row: row.as_bytes() };
        out.record(a, op, highwater::Meta::default()).unwrap();
    }
    for row in plain {
        out.record(b, Op::Insert { key: b"", row: row.as_bytes() }, highwater::Meta::default()).unwrap();
    }
}

#[test]
fn a_sync_goes_on_from_the_newest_state_older_than_the_window_and_repeats_are_left_out() {
    let world = World::new(1000);
    assert_eq!(world.sync(&[("[1]", "one")], &["x"], "1"), None);
    std::thread::sleep(APART);
    assert_eq!(world.sync(&[("[2]", "two")], &["y", "y"], "2").as_deref(), Some("1"));
    // At once: what the last sync brought lies inside the window.
    let from = world.sync(&[("[2]", "two"), ("[3]", "three")], &["y", "y", "y"], "3");
    assert_eq!(from.as_deref(), Some("1"));
    assert_eq!(world.rows(), ["one", "x", "two", "y", "y", "three", "y"]);
}

#[test]
fn a_row_that_changed_back_is_new() {
    let world = World::new(1000);
    world.sync(&[("[1]", "old")], &[], "1");
    world.sync(&[("[1]", "new")], &[], "2");
    world.sync(&[("[1]", "new"), ("[1]", "old")], &[], "3");
    assert_eq!(world.rows(), ["old", "new", "old"]);
}

#[test]
fn an_attempt_within_the_sync_does_not_go_back_again() {
    let world = World::new(1000);
    world.sync(&[("[1]", "one")], &[], "1");
    std::thread::sleep(APART);
    world.sync(&[("[2]", "two")], &[], "2");
    {
        // Killed after its first state.
        let log = world.log();
        let mut out = Output::begin(&log, &world.offers, &world.around).unwrap();
        send(&mut out, &[("[2]", "two"), ("[3]", "three")], &[]);
        let keyed = out.find(None, "keyed").unwrap();
        out.state(keyed, "2.5").unwrap();
    }
    assert_eq!(world.sync(&[("[3]", "three"), ("[4]", "four")], &[], "3").as_deref(), Some("2.5"));
    assert_eq!(world.rows(), ["one", "two", "three", "four"]);
}

#[test]
fn what_was_given_up_is_no_repeat() {
    let world = World::new(1000);
    world.sync(&[("[1]", "one")], &[], "1");
    let log = world.log();
    let mut out = Output::begin(&log, &world.offers, &world.around).unwrap();
    send(&mut out, &[("[1]", "changed")], &[]);
    let keyed = out.find(None, "keyed").unwrap();
    out.discard(keyed).unwrap();
    send(&mut out, &[("[1]", "changed")], &[]);
    out.finish().unwrap();
    drop(out);
    drop(log);
    assert_eq!(world.rows(), ["one", "changed"]);
}

#[test]
fn beyond_what_is_remembered_records_come_again_and_none_is_lost() {
    let world = World::new(1);
    world.sync(&[("[1]", "a"), ("[2]", "b"), ("[1]", "c")], &["x"], "1");
    world.sync(&[("[1]", "a"), ("[1]", "c"), ("[2]", "b")], &["x"], "2");
    // Of key 1 the last content is known, so its first is a change; key 2 was not remembered, nor was x.
    assert_eq!(world.rows(), ["a", "b", "c", "x", "a", "c", "b", "x"]);
}

#[test]
fn nobody_goes_back_behind_a_state_that_was_set_by_hand_inside_the_window() {
    let world = World::new(1000);
    let keyed = world.offers[0].definition.name.clone();
    let by_hand = |text: &str| {
        let log = world.log();
        log.stream(highwater::StreamSpec::new("keyed").key(["id"])).unwrap();
        let import = highwater::Operation::new("import keyed", "ops", "moved here").set(&keyed, text);
        log.operate(import).unwrap();
    };
    by_hand("40");
    assert_eq!(world.sync(&[("[1]", "one")], &[], "41").as_deref(), Some("40"), "as it was imported");
    assert_eq!(
        world.sync(&[("[1]", "one")], &[], "42").as_deref(),
        Some("40"),
        "and as long as the window is"
    );
    by_hand("7");
    assert_eq!(world.sync(&[], &[], "43").as_deref(), Some("7"), "the last word counts");
    std::thread::sleep(APART);
    assert_eq!(
        world.sync(&[], &[], "44").as_deref(),
        Some("43"),
        "older than the window it is one like others"
    );
    assert_eq!(world.rows(), ["one"]);
}
