//! What comes between: damage, a full disk, a person who cancels, a kill.

use super::*;

#[test]
fn damage_in_what_is_read_stops_it_and_changes_nothing() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    churn(&log, &users, 300);
    log.close().unwrap();
    let segment = fixture.dir().join("00000002.hws");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[30_000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let log = fixture.open_small();
    let before = files(&fixture);
    let error = log.compact(&AT_ONCE, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!((error.kind(), error.file()), (&ErrorKind::Corrupt, Some("00000002.hws".as_ref())), "{error}");
    assert_eq!((files(&fixture), log.first()), (before, Sequence::FIRST));
}

#[test]
fn a_full_disk_stops_it_and_nothing_is_left_behind() {
    use highwater::storage::Storage;
    let fixture = Fixture::new();
    let disk = SimDisk::new(State::default(), 1);
    let log = Log::open_on(Arc::new(disk.clone()), fixture.small()).unwrap().0;
    let users = users(&log);
    // All rows are alive: what is written anew is as large as what there is.
    for i in 0..300 {
        commit(&log, &users, &[(OpKind::Insert, &format!("k{i}"))], &[1; 2000]);
    }
    log.flush().unwrap();
    let before = content(&log, &users);
    for room in [0, 100 << 10, 400 << 10] {
        disk.limit_room(room);
        let names = || disk.names().unwrap().into_iter().filter(|name| name.contains("base")).count();
        let error = log.compact(&AT_ONCE, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!((error.kind(), names(), log.first()), (&ErrorKind::Full, 0, Sequence::FIRST), "{error}");
        disk.heal();
        commit(&log, &users, &[(OpKind::Insert, "more")], b"the log goes on");
    }
    assert!(compact(&log, &AT_ONCE).done);
    assert_eq!(content(&log, &users).len(), before.len() + 1);
}

#[test]
fn cancelling_changes_nothing_and_leaves_nothing() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    churn(&log, &users, 300);
    let before = files(&fixture);
    let mut steps = 0;
    log.plan_compact(&AT_ONCE, &mut |_| {
        steps += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    for stop in [1, steps / 2, steps - 1] {
        let mut left = stop;
        let compacted = log.compact(&AT_ONCE, &mut |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let compacted = compacted.unwrap();
        assert!(compacted.cancelled && !compacted.done, "{compacted:?}");
        assert_eq!((files(&fixture), log.first()), (before.clone(), Sequence::FIRST));
    }
}

#[test]
fn what_a_killed_compaction_left_is_removed_by_the_next() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    churn(&log, &users, 300);
    for left in ["new-base.tmp", "base-00000077.hws"] {
        std::fs::write(fixture.dir().join(left), b"half").unwrap();
    }
    assert!(compact(&log, &AT_ONCE).done);
    let names = || files(&fixture).into_iter().filter(|file| file.to_str().unwrap().contains("base")).count();
    assert_eq!(names(), 2);
    std::fs::write(fixture.dir().join("new-base.tmp"), b"half").unwrap();
    assert!(!compact(&log, &AT_ONCE).done);
    assert_eq!(names(), 2);
}

#[test]
fn damage_in_a_base_checkpoint_costs_that_checkpoint_only() {
    use highwater::repair::{self, Mode};
    for mode in [Mode::Cut, Mode::SkipDamaged] {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        let users = users(&log);
        churn(&log, &users, 300);
        let base = compact(&log, &AT_ONCE).first;
        let (end, state) = (log.end(), text_of(&log, &users));
        log.close().unwrap();
        let data = fixture.dir().join("base-00000001.hws");
        let mut bytes = std::fs::read(&data).unwrap();
        bytes[6000] ^= 1;
        std::fs::write(&data, bytes).unwrap();
        let log = fixture.open_small();
        assert!(!log.verify(&mut |_| {}).unwrap().is_sound());
        assert!(first(&log).records().any(|record| record.is_err()));
        drop(log);
        let plan = repair::apply(fixture.dir(), mode, fixture.small()).unwrap();
        assert_eq!((plan.lost.len(), plan.lost[0].first, plan.lost[0].last), (1, base, base), "{plan:?}");
        assert!(fixture.dir().join("damaged-1.base-00000001.hws").exists(), "what is given up is kept aside");
        let log = fixture.open_small();
        assert_eq!((log.first(), log.end()), (base.next(), end));
        assert_eq!(text_of(&log, &users), state);
        assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
    }
}
