//! Who reads a compacted log: from its beginning, from the base checkpoint, and from in between.

use super::*;

#[test]
fn who_starts_at_the_beginning_gets_the_content_and_then_the_changes() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    churn(&log, &users, 300);
    let base = compact(&log, &AT_ONCE).first;
    for start in [Start::Earliest, Start::Oldest, Start::After(base)] {
        let mut consumer = log.consumer("lake", start).unwrap();
        let batch = consumer.next_batch(&Limit::default()).unwrap().unwrap();
        let expected = if start == Start::After(base) { base.next() } else { base };
        assert_eq!(batch.checkpoints()[0].sequence(), expected, "{start:?}");
        consumer.acknowledge(batch.end()).unwrap();
        assert_eq!(batch.end(), log.end().unwrap());
        drop((consumer, batch));
        log.drop_consumer("lake", None).unwrap();
    }
    let gap = ErrorKind::Gap { first: base, last: base };
    let refused = log.consumer("lake", Start::After(base.previous())).unwrap_err();
    assert_eq!(*refused.kind(), gap, "a base checkpoint does not tell what was deleted: {refused}");
    let gap = ErrorKind::Gap { first: Sequence::FIRST, last: base.previous() };
    assert_eq!(*log.reader(Sequence::FIRST).unwrap_err().kind(), gap);
}

#[test]
fn who_began_with_the_base_checkpoint_can_do_so_again() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    churn(&log, &users, 300);
    let base = compact(&log, &AT_ONCE).first;
    let mut consumer = log.consumer("lake", Start::Earliest).unwrap();
    assert!(!consumer.has_acknowledged(), "it stands behind what it never got");
    let batch = consumer.next_batch(&Limit::default()).unwrap().unwrap();
    consumer.acknowledge(batch.end()).unwrap();
    assert!(consumer.has_acknowledged());
    consumer.restart(consumer.start()).unwrap();
    let again = consumer.next_batch(&Limit::default()).unwrap().unwrap();
    assert_eq!((again.checkpoints()[0].sequence(), again.end()), (base, batch.end()));
}

#[test]
fn a_destination_aligns_at_the_base_checkpoint_and_not_before() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    churn(&log, &users, 300);
    let mut positions = BTreeMap::new();
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    while let Some(checkpoint) = reader.next().unwrap() {
        positions.insert(checkpoint.sequence(), checkpoint.position());
    }
    let base = compact(&log, &AT_ONCE).first;
    let mut consumer = log.consumer("lake", Start::Now).unwrap();
    consumer.align(Some(positions[&base])).unwrap();
    let batch = consumer.next_batch(&Limit::default()).unwrap().unwrap();
    assert_eq!(batch.checkpoints()[0].sequence(), base.next());
    let error = consumer.align(Some(positions[&base.previous()])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Gap { .. }), "{error}");
}

#[test]
fn a_reader_under_way_is_told_and_never_given_a_base_checkpoint() {
    for beside in [false, true] {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        let users = users(&log);
        churn(&log, &users, 300);
        let base = log.plan_compact(&AT_ONCE, &mut |_| ControlFlow::Continue(())).unwrap().first;
        let other = if beside { fixture.reader() } else { (*log).clone() };
        let mut reader = other.reader(base.previous()).unwrap();
        let (mut begun, mut late) = (other.reader(base).unwrap(), other.reader(base.next()).unwrap());
        reader.next().unwrap().unwrap();
        compact(&log, &AT_ONCE);
        other.refresh().unwrap();
        let gap = ErrorKind::Gap { first: base, last: base };
        assert_eq!(*reader.next().unwrap_err().kind(), gap);
        assert_eq!(reader.pass_gap(), None, "no damage made it");
        assert_eq!(*begun.next().unwrap_err().kind(), gap, "it was another one when it was asked for");
        assert_eq!(late.next().unwrap().unwrap().sequence(), base.next());
    }
}

#[test]
fn consumers_pins_and_retention_stay_as_they_are() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    churn(&log, &users, 300);
    assert!(!compact(&log, &AT_ONCE).done, "lake needs everything");
    let batch = lake.next_batch(&Limit { max_checkpoints: 100, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    let first = compact(&log, &AT_ONCE);
    assert!(first.done && first.first <= Sequence::new(100), "{first:?}");
    let next = lake.next_batch(&Limit::default()).unwrap().unwrap();
    assert_eq!(next.checkpoints()[0].sequence(), Sequence::new(101));
    lake.acknowledge(next.end()).unwrap();
    let pin = Pin { from: Sequence::new(150), owner: "backup".into(), expires_us: i64::MAX };
    log.pin("backup", &pin).unwrap();
    let second = compact(&log, &AT_ONCE);
    assert!(second.first < Sequence::new(150) && second.first > first.first, "{second:?}");
    log.unpin("backup").unwrap();
    let retention = Retention { min_count: 60, ..Retention::default() };
    let third = compact(&log, &Compaction { retention, ..AT_ONCE });
    assert!(third.first <= Sequence::new(240) && third.first > second.first, "{third:?}");
}

#[test]
fn pruning_drops_a_base_checkpoint_that_nobody_needs() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let users = users(&log);
    churn(&log, &users, 300);
    let base = compact(&log, &AT_ONCE).first;
    let pin = Pin { from: base, owner: "backup".into(), expires_us: i64::MAX };
    log.pin("backup", &pin).unwrap();
    assert_eq!(log.prune(&Retention::default()).unwrap().segments, 0);
    assert!(first(&log).is_compacted());
    log.unpin("backup").unwrap();
    let pruned = log.prune(&Retention::default()).unwrap();
    assert!(pruned.bytes > 0 && !first(&log).is_compacted(), "{pruned:?}");
    churn(&log, &users, 100);
    let compacted = compact(&log, &AT_ONCE);
    assert!(compacted.done && compacted.from == pruned.first, "what was pruned is not in it: {compacted:?}");
    assert!(matches!(log.consumer("late", Start::Earliest).unwrap_err().kind(), ErrorKind::Gap { .. }));
    assert!(log.consumer("late", Start::Oldest).is_ok());
}

#[test]
fn who_comes_meanwhile_and_needs_what_goes_takes_it_back() {
    for by_pin in [false, true] {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        let users = users(&log);
        churn(&log, &users, 300);
        let base = log.plan_compact(&AT_ONCE, &mut |_| ControlFlow::Continue(())).unwrap().first;
        let mut late = None;
        let pin = Pin { from: base, owner: "backup".into(), expires_us: i64::MAX };
        let compacted = log.compact(&AT_ONCE, &mut |_| {
            if by_pin {
                log.pin("backup", &pin).unwrap();
            } else if late.is_none() {
                late = Some(log.consumer("late", Start::After(base.previous())).unwrap());
            }
            ControlFlow::Continue(())
        });
        assert!(!compacted.unwrap().done);
        assert_eq!(log.first(), Sequence::FIRST);
        assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
        if let Some(late) = &mut late {
            let batch = late.next_batch(&Limit::default()).unwrap().unwrap();
            assert_eq!(batch.checkpoints()[0].sequence(), base);
            assert!(!batch.checkpoints()[0].is_compacted());
        }
        drop(late);
        let _ = (log.drop_consumer("late", None), log.unpin("backup"));
        let before = content(&log, &users);
        assert!(compact(&log, &AT_ONCE).done);
        assert_eq!(content(&log, &users), before);
    }
}

#[test]
fn a_base_checkpoint_is_acknowledged_stream_by_stream() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let (users, items) = (users(&log), log.stream(StreamSpec::new("items").key(["id"])).unwrap());
    commit(&log, &items, &[(OpKind::Insert, "a")], b"item");
    churn(&log, &users, 300);
    let base = compact(&log, &AT_ONCE).first;
    let one = Limit { max_checkpoints: 1, ..Limit::default() };
    let streams = |consumer: &mut highwater::Consumer| {
        let batch = consumer.next_batch(&one).unwrap().unwrap();
        let mut streams: Vec<_> = batch.records().map(|record| record.unwrap().stream).collect();
        streams.dedup();
        (streams, batch.end())
    };
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let (mut all, end) = streams(&mut lake);
    all.sort();
    let mut both = vec![users.id(), items.id()];
    both.sort();
    assert_eq!((all, end.sequence), (both, base));
    lake.acknowledge_stream(&users, end).unwrap();
    assert_eq!(lake.acknowledged(), base.previous());
    drop(lake);
    churn(&log, &users, 100);
    assert!(!compact(&log, &AT_ONCE).done, "lake has not all of the base checkpoint");
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let (rest, end) = streams(&mut lake);
    assert_eq!((rest, end.sequence), (vec![items.id()], base));
    lake.acknowledge_stream(&items, end).unwrap();
    assert_eq!(lake.acknowledged(), base);
    assert_eq!(streams(&mut lake).1.sequence, base.next());
}
