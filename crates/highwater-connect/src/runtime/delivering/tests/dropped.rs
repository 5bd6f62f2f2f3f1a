//! Destinations that hold something, and whose consumer was dropped.

use highwater::Retention;

use super::lost::{begin_generations, deliver_from, held, open, write};
use super::*;

/// The lake holds checkpoints 1 to `holds` of 400; its consumer was dropped, and what nobody needs was pruned.
fn dropped(dir: &Path, holds: u64) -> Log {
    let log = open(dir);
    write(&log, 0..holds);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(dir.join("lake"))).0.unwrap();
    write(&log, holds..400);
    log.drop_consumer("lake", None).unwrap();
    log.prune(&Retention { min_count: 100, ..Retention::default() }).unwrap();
    assert!(log.first() > Sequence::new(6) && log.first() < Sequence::new(399));
    log
}

#[test]
fn it_goes_on_behind_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (dropped(dir.path(), 399), dir.path().join("lake"));
    for start in [Start::Earliest, Start::Now] {
        let (delivered, warnings) = deliver_from(start, &log, &mut JsonLines::new(&lake));
        delivered.unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(held(&lake), (0..400).collect::<Vec<_>>());
        log.drop_consumer("lake", None).unwrap();
    }
    // It did not begin there: emptied, it lacks what is gone.
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    write(&log, 400..401);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    std::fs::remove_dir_all(&lake).unwrap();
    let failure = deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Diverged, "{failure}");
}

#[test]
fn where_what_follows_is_gone_each_way_out_that_is_named_is_one() {
    for is_from_now_on in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (log, lake) = (dropped(dir.path(), 5), dir.path().join("lake"));
        for start in [Start::Earliest, Start::Now] {
            let failure = deliver_from(start, &log, &mut JsonLines::new(&lake)).0.unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Diverged, "{failure}");
            let text = failure.to_string();
            for part in ["holds checkpoints up to 5", "6 to", "an empty place", "refresh", "start = \"now\""]
            {
                assert!(text.contains(part), "{part} in {text}");
            }
            // A consumer that can't go on would hold the log.
            assert!(log.consumers().unwrap().is_empty());
        }
        let empty = dir.path().join("empty");
        let (start, new) = match is_from_now_on {
            true => (Start::Now, vec![]),
            false => (Start::Earliest, vec![400, 401]),
        };
        if !is_from_now_on {
            begin_generations(&log, [1, 1]);
            write(&log, 400..402);
        }
        deliver_from(start, &log, &mut JsonLines::new(&empty)).0.unwrap();
        assert_eq!(held(&empty), new);
    }
}
