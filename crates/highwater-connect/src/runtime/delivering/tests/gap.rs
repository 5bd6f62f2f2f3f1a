//! A log in whose middle damage took checkpoints: nobody goes on behind them before a person has decided.

use highwater::repair::{self, Mode};

use super::lost::{KINDS, deliver_from, held, open, write};
use super::*;
use crate::runtime::compare;

/// Checkpoints 1 to 10 of a row each, of which damage took 4 and 5; and what is delivered before that.
fn damaged(dir: &Path, before: impl FnOnce(&Log)) -> Log {
    let log = open(dir);
    write(&log, 0..10);
    before(&log);
    log.close().unwrap();
    let path = dir.join("log.hw/00000001.hws");
    let mut bytes = std::fs::read(&path).unwrap();
    for lost in ["{\"n\":3,", "{\"n\":4,"] {
        let at = bytes.windows(7).position(|window| window == lost.as_bytes()).unwrap();
        bytes[at + 5] ^= 0x40;
    }
    std::fs::write(&path, bytes).unwrap();
    repair::apply(dir.join("log.hw"), Mode::SkipDamaged, Config::default()).unwrap();
    let log = open(dir);
    assert_eq!(log.lost_behind(Sequence::new(3)).unwrap(), Some(Sequence::new(5)));
    log
}

fn seek(log: &Log, to: u64) {
    log.seek_consumer("lake", Start::After(Sequence::new(to)), None).unwrap();
}

/// As a process does that is killed before it acknowledges.
fn give(lake: &Path, batch: &Batch) {
    let mut lake = JsonLines::new(lake);
    lake.stored().unwrap();
    lake.apply(batch).unwrap();
}

#[track_caller]
fn refused(delivered: Result<()>) -> String {
    let failure = delivered.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Diverged, "{failure}");
    failure.to_string()
}

#[test]
fn it_is_told_what_is_missing_and_goes_on_when_a_person_says_so() {
    for make in KINDS {
        let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let log = damaged(dir.path(), |_| {});
        for _ in 0..2 {
            let (delivered, _) = deliver_from(Start::Earliest, &log, &mut *make(place.path()));
            let said = refused(delivered);
            assert!(said.contains("checkpoints 4 to 5 are gone"), "{said}");
            assert!(said.contains("highwater consumer seek") && said.ends_with(" lake --to 5"), "{said}");
        }
        let stored = make(place.path()).stored().unwrap();
        assert_eq!(stored.position().unwrap().sequence.get(), 3);
        assert!(compare(Some(&log), "lake", stored).is_err());
        seek(&log, 5);
        compare(Some(&log), "lake", stored).unwrap();
        for _ in 0..2 {
            let (delivered, warnings) = deliver_from(Start::Earliest, &log, &mut *make(place.path()));
            delivered.unwrap();
            assert_eq!(warnings, [""; 0]);
        }
        assert_eq!(make(place.path()).stored().unwrap().position(), log.end());
    }
}

#[test]
fn what_the_log_still_holds_is_left_out_by_no_seek() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (damaged(dir.path(), |_| {}), dir.path().join("lake"));
    refused(deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0);
    for to in [4, 6, 10] {
        seek(&log, to);
        refused(deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0);
        assert_eq!(held(&lake), [0, 1, 2], "after a seek to {to}");
    }
    seek(&log, 5);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    assert_eq!(held(&lake), [0, 1, 2, 5, 6, 7, 8, 9]);
    // Emptied, it gets what it had, too, and a person decides once more.
    std::fs::remove_dir_all(&lake).unwrap();
    refused(deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0);
    assert_eq!(held(&lake), [0, 1, 2]);
}

#[test]
fn one_that_holds_some_of_what_was_lost_goes_on_behind_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let log = damaged(dir.path(), |log| {
        let one = Limit { max_checkpoints: 4, ..Limit::default() };
        let mut feed = Feed::open(log, "lake", Start::Earliest, None).unwrap();
        give(&lake, &feed.next(&one).unwrap().unwrap());
    });
    let said = refused(deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0);
    assert!(said.ends_with(" lake --to 5"), "{said}");
    seek(&log, 5);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    assert_eq!(held(&lake), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
}

/// One that holds checkpoints 1 to 5, as was acknowledged, and one that was restored to 3 since.
#[test]
fn one_that_was_restored_to_before_the_gap_waits_for_a_person() {
    for is_restored in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let lake = dir.path().join("lake");
        let log = damaged(dir.path(), |log| {
            let mut feed = Feed::open(log, "lake", Start::Earliest, None).unwrap();
            for max_checkpoints in [3, 2] {
                let limit = Limit { max_checkpoints, ..Limit::default() };
                let batch = feed.next(&limit).unwrap().unwrap();
                if max_checkpoints == 3 || !is_restored {
                    give(&lake, &batch);
                }
                feed.acknowledge(batch.end()).unwrap();
            }
            feed.sync().unwrap();
        });
        let (delivered, _) = deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake));
        if is_restored {
            refused(delivered);
            assert_eq!(held(&lake), [0, 1, 2]);
        } else {
            delivered.unwrap();
            assert_eq!(held(&lake), (0..10).collect::<Vec<_>>());
        }
    }
}

#[test]
fn one_that_stores_no_positions_waits_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let log = damaged(dir.path(), |_| {});
    let mut later = Later { has_failed: true, ..Later::default() };
    let said = refused(deliver_from(Start::Earliest, &log, &mut later).0);
    assert!(said.ends_with(" lake --to 5"), "{said}");
    assert!(compare(Some(&log), "lake", Stored::NoPositions).is_err());
    seek(&log, 5);
    compare(Some(&log), "lake", Stored::NoPositions).unwrap();
    deliver_from(Start::Earliest, &log, &mut later).0.unwrap();
    let taken: Vec<u64> = later.taken.iter().map(|end| end.sequence.get()).collect();
    assert_eq!(taken, [2, 3, 7, 9, 10]);
}
