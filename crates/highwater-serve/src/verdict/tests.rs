use super::*;
use crate::measured::{Failed, Writer};
use highwater::Sequence;
use highwater_connect::runs::End;

const NOW_US: i64 = 1_795_000_000_000_000;
const MINUTE_US: i64 = 60_000_000;

fn facts() -> Facts<'static> {
    Facts {
        now_us: NOW_US,
        log: "shop.hw".to_owned(),
        argument: "pipeline.toml".to_owned(),
        is_pipeline: true,
        is_live: true,
        last_checkpoint_us: Some(NOW_US - MINUTE_US),
        late_after: Duration::from_secs(1800),
        ..Facts::default()
    }
}

fn attempt(error: Option<&str>) -> Attempt {
    let end = End {
        ended_us: NOW_US,
        outcome: "transient".to_owned(),
        error: error.map(str::to_owned),
        sync: 1,
        records: 0,
        first: Sequence::NONE,
        last: Sequence::NONE,
    };
    Attempt { run: "r".to_owned(), attempt: 1, started_us: NOW_US, end: Some(end) }
}

#[track_caller]
fn says(facts: &Facts<'_>, level: Level, text: &str) {
    let verdict = facts.judge();
    assert_eq!(verdict.level, level, "{verdict:?}");
    let has = verdict.reasons.iter().any(|reason| reason.text.contains(text)) || verdict.text.contains(text);
    assert!(has, "{text:?} is not in {verdict:?}");
}

#[test]
fn nothing_to_say_is_well() {
    says(&facts(), Level::Well, "at work");
    says(&Facts { is_live: false, ..facts() }, Level::Well, "nobody writes");
    says(&Facts { last_checkpoint_us: None, ..facts() }, Level::Well, "empty");
}

#[test]
fn damage_that_the_history_meets_is_told() {
    let met = Facts { trouble: Some("1.hws byte 7: damaged".to_owned()), ..facts() };
    says(&met, Level::Act, "can't be read on: 1.hws byte 7");
    assert_eq!(met.judge().reasons[0].next.as_deref(), Some("highwater verify shop.hw"));
}

#[test]
fn each_trouble_is_told_with_the_next_command() {
    let late = Facts { last_checkpoint_us: Some(NOW_US - 40 * MINUTE_US), ..facts() };
    says(&late, Level::Look, "committed nothing for 40 min");
    says(&Facts { is_live: false, ..late }, Level::Well, "");
    says(&Facts { max_size: Some(100), size_bytes: 95, ..facts() }, Level::Look, "at most 100 B");
    says(&Facts { disk: Some((1 << 30, 100 << 30)), ..facts() }, Level::Look, "1.0 GiB are free");
    says(&Facts { disk: Some((1 << 30, 2 << 30)), ..facts() }, Level::Well, "");
    let diverged = Facts { diverged: vec![("lake".to_owned(), 67)], ..facts() };
    says(&diverged, Level::Act, "lake has diverged: it has acknowledged checkpoint 67");
    assert_eq!(diverged.judge().reasons[0].next.as_deref(), Some("highwater status pipeline.toml"));
    let lags = vec![("lake".to_owned(), Some(2 * 60 * MINUTE_US)), ("new".to_owned(), None)];
    says(&Facts { lags, ..facts() }, Level::Look, "lake lacks what was committed 2 h ago");
    let failed = attempt(Some("wrong password"));
    says(&Facts { last_attempt: Some(&failed), ..facts() }, Level::Look, "tried again: wrong password");
    let still = Facts { last_attempt: Some(&failed), is_live: false, ..facts() };
    says(&still, Level::Act, "nobody tries it again");
    assert_eq!(still.judge().reasons[0].next.as_deref(), Some("highwater check pipeline.toml"));
    let killed = Attempt { end: None, ..attempt(None) };
    says(&Facts { last_attempt: Some(&killed), ..facts() }, Level::Well, "");
    says(&Facts { last_attempt: Some(&killed), is_live: false, ..facts() }, Level::Look, "was killed");
}

#[test]
fn what_the_writer_measured_counts_while_it_lives() {
    let mut measured = Measured {
        writer: Some(Writer { failed: true, full: true, ..Writer::default() }),
        ..Measured::default()
    };
    says(&Facts { measured: Some(&measured), ..facts() }, Level::Act, "takes no more");
    says(&Facts { measured: Some(&measured), is_live: false, ..facts() }, Level::Well, "");
    measured.writer = None;
    measured.destinations.insert("lake".to_owned(), Part { given_up: true, ..Part::default() });
    let (of, kind, text) = ("lake".to_owned(), "config".to_owned(), "no such table".to_owned());
    measured.failures.push(Failed { time_us: NOW_US, of, kind, text });
    let lags = vec![("lake".to_owned(), Some(2 * 60 * MINUTE_US))];
    let facts = Facts { measured: Some(&measured), lags, ..facts() };
    says(&facts, Level::Act, "lake was given up: no such table");
    assert_eq!(facts.judge().reasons.len(), 1, "the lag follows from it");
    let left_alone = Part { failing: 5, breaker_open: true, ..Part::default() };
    measured.destinations.insert("lake".to_owned(), left_alone);
    let facts = Facts { measured: Some(&measured), ..self::facts() };
    says(&facts, Level::Look, "failed 5 times in a row, and is left alone for a while: no such table");
}
