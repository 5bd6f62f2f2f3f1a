//! Consumers and readers: what they are given, what they acknowledge, where they go on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Fixture, drain, insert, payloads};
use highwater::{
    Commit, Durability, ErrorKind, Holder, LagPolicy, Limit, MaxLag, Position, Retention, Sequence, Start,
    StreamSpec,
};

#[test]
fn a_consumer_gets_everything_once_and_goes_on_after_opening() {
    let fixture = Fixture::new();
    let log = fixture.open();
    fixture.write(&log, "a", 0..10);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    assert_eq!(*log.consumer("lake", Start::Earliest).unwrap_err().kind(), ErrorKind::ConsumerBusy);
    let limit = Limit { max_checkpoints: 4, ..Limit::default() };
    let batch = lake.next_batch(&limit).unwrap().unwrap();
    assert_eq!((batch.checkpoints().len(), batch.records().count(), batch.end().sequence.get()), (4, 4, 4));
    lake.acknowledge(batch.end()).unwrap();
    lake.next_batch(&limit).unwrap().unwrap(); // delivered, not acknowledged
    drop(lake);
    assert_eq!(log.consumers().unwrap()[0].lag_checkpoints, 6);
    let mut lake = log.consumer("lake", Start::Now).unwrap();
    let batch = lake.next_batch(&Limit::default()).unwrap().unwrap();
    assert_eq!((batch.checkpoints()[0].sequence().get(), batch.end().sequence.get()), (5, 10));
    lake.acknowledge(batch.end()).unwrap();
    assert!(lake.next_batch(&limit).unwrap().is_none());
}

#[test]
fn acknowledgements_per_stream_move_the_consumer_when_all_are_there() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let [a, b] = ["a", "b"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
    let mut writer = log.writer(&[&a, &b]).unwrap();
    for stream in [&a, &b, &a] {
        writer.append(stream, insert(b"x")).unwrap();
        writer.commit(Commit::new().records(stream)).unwrap();
    }
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit::default()).unwrap().unwrap();
    let at = |i: usize| batch.checkpoints()[i].position();
    lake.acknowledge_stream(&a, at(2)).unwrap();
    assert_eq!(lake.acknowledged().get(), 1, "b's checkpoint 2 is missing");
    drop(lake);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let again = lake.next_batch(&Limit::default()).unwrap().unwrap();
    assert_eq!(again.records().count(), 1, "a's third is not delivered twice");
    lake.acknowledge_stream(&b, at(1)).unwrap();
    assert_eq!(lake.acknowledged().get(), 3);
}

#[test]
fn a_destination_on_another_history_has_diverged() {
    let fixture = Fixture::new();
    let log = fixture.open();
    fixture.write(&log, "a", 0..3);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let end = log.end().unwrap();
    lake.align(None).unwrap();
    let ahead = Position { sequence: Sequence::new(4), ..end };
    let other_checkpoint = Position { sequence: Sequence::new(2), ..end };
    let other_log: Position = format!("{}/3/{}", end.checkpoint, end.checkpoint).parse().unwrap();
    for diverged in [ahead, other_checkpoint, other_log] {
        assert_eq!(*lake.align(Some(diverged)).unwrap_err().kind(), ErrorKind::Diverged, "{diverged}");
        assert_eq!(*lake.acknowledge(diverged).unwrap_err().kind(), ErrorKind::Diverged, "{diverged}");
    }
    lake.align(Some(end)).unwrap();
    assert!(lake.next_batch(&Limit::default()).unwrap().is_none(), "the destination holds it all");
}

#[test]
fn following_wakes_up_at_the_commit() {
    let fixture = Fixture::new();
    let log = Arc::new(fixture.open());
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    assert!(reader.next().unwrap().is_none());
    assert!(!reader.wait(Duration::from_millis(1)).unwrap());
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            assert!(reader.wait(Duration::from_secs(60)).unwrap());
            reader.next().unwrap().unwrap().record_count()
        });
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, insert(b"x")).unwrap();
        writer.commit(Commit::new().all()).unwrap();
        assert_eq!(follower.join().unwrap(), 1);
    });
}

#[test]
fn buffered_checkpoints_are_shown_once_they_are_durable() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.commit(Commit::new().stream(&a, &1)).unwrap();
    writer.append(&a, insert(b"x")).unwrap();
    let committed = writer.commit(Commit::new().stream(&a, &2).durability(Durability::Buffered)).unwrap();
    assert!(!committed.durable);
    assert_eq!(log.end().unwrap().sequence.get(), 1);
    assert_eq!(log.state().unwrap().get::<u32>(&a).unwrap(), Some(1));
    log.flush().unwrap();
    assert_eq!(log.end().unwrap().sequence.get(), 2);
    assert_eq!(log.state().unwrap().get::<u32>(&a).unwrap(), Some(2));
}

#[test]
fn a_consumer_too_far_behind_blocks_or_is_detached_as_it_was_asked() {
    for then in [LagPolicy::Block, LagPolicy::Detach] {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        let lag = MaxLag { bytes: 300 << 10, then };
        drop(log.consumer_with_max_lag("lake", Start::Earliest, lag).unwrap());
        let written = fixture.try_write(&log, "a", 0..1000);
        match then {
            LagPolicy::Block => {
                let error = written.unwrap_err();
                assert!(error.to_string().contains("consumer lake"), "{error}");
            }
            LagPolicy::Detach => {
                written.unwrap();
                let pruned = log.prune(&Retention::default()).unwrap();
                assert_eq!(pruned.detached, ["lake"]);
                assert!(pruned.segments > 0);
                assert!(matches!(
                    log.consumer("lake", Start::Now).unwrap_err().kind(),
                    ErrorKind::Gap { .. }
                ));
                log.drop_consumer("lake", None).unwrap();
                log.consumer("lake", Start::Oldest).unwrap();
            }
        }
    }
}

#[test]
fn a_reader_beside_a_living_writer_sees_what_is_durable_and_follows_it() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..3);
    let other = fixture.reader();
    assert!(other.is_live().unwrap() && other.unconfirmed().is_none());
    assert_eq!(payloads(&other).len(), 3);
    let mut reader = other.reader(Sequence::FIRST).unwrap();
    let mut records = 0;
    for round in 0..5 {
        fixture.write(&log, "a", 0..100);
        log.prune(&Retention { min_count: 150, ..Retention::default() }).unwrap();
        while let Some(checkpoint) = reader.next().unwrap() {
            records += checkpoint.records().map(Result::unwrap).count();
        }
        assert_eq!(records, 3 + (round + 1) * 100);
    }
    fixture.write(&log, "a", 0..400);
    log.prune(&Retention::default()).unwrap();
    assert!(matches!(reader.next().unwrap_err().kind(), ErrorKind::Gap { .. }), "it slept too long");
    assert!(other.verify(&mut |_| {}).unwrap().is_sound());
    let stream = highwater::StreamName { namespace: None, name: "a".into() };
    assert_eq!(other.state().unwrap().get_text(&stream).unwrap().unwrap().text, "399");
}

#[test]
fn a_consumer_in_another_process_holds_back_pruning() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..100);
    let other = fixture.reader();
    let mut lake = other.consumer("lake", Start::Earliest).unwrap();
    fixture.write(&log, "a", 0..200);
    assert_eq!(log.prune(&Retention::default()).unwrap().segments, 0);
    assert_eq!(drain(&mut lake).sequence.get(), 300);
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
}

/// A destination that has exactly what was pruned goes on with what is left, though its consumer is new.
#[test]
fn a_destination_may_stand_exactly_where_the_log_begins() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..200);
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    let positions: Vec<Position> =
        std::iter::from_fn(|| reader.next().unwrap()).map(|checkpoint| checkpoint.position()).collect();
    // Wherever the oldest checkpoint lies in its segment.
    for min_count in (90..120).rev() {
        log.prune(&Retention { min_count, ..Retention::default() }).unwrap();
        let first = log.first();
        assert!(first > Sequence::FIRST);
        let last_pruned = positions[first.get() as usize - 2];
        let mut lake = log.consumer("lake", Start::Oldest).unwrap();
        lake.align(Some(last_pruned)).unwrap();
        assert_eq!(lake.next_batch(&Limit::default()).unwrap().unwrap().checkpoints()[0].sequence(), first);
        let other = Position { checkpoint: positions[0].checkpoint, ..last_pruned };
        assert_eq!(*lake.align(Some(other)).unwrap_err().kind(), ErrorKind::Diverged);
        let before = positions[first.get() as usize - 3];
        assert!(matches!(lake.align(Some(before)).unwrap_err().kind(), ErrorKind::Gap { .. }));
        drop(lake);
        log.drop_consumer("lake", None).unwrap();
    }
}

#[test]
fn whether_it_has_acknowledged_is_known_and_it_can_begin_anew() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..10);
    let two = Limit { max_checkpoints: 2, ..Limit::default() };
    for (start, first) in [(Start::Earliest, 1), (Start::After(Sequence::new(4)), 5)] {
        let mut lake = log.consumer("lake", start).unwrap();
        assert_eq!((lake.start(), lake.has_acknowledged()), (start, false));
        let batch = lake.next_batch(&two).unwrap().unwrap();
        assert!(!lake.has_acknowledged(), "given out is not acknowledged");
        lake.acknowledge(batch.end()).unwrap();
        assert!(lake.has_acknowledged());
        drop(lake);
        assert!(log.consumers().unwrap()[0].has_acknowledged);
        let mut lake = log.consumer("lake", Start::Now).unwrap();
        lake.restart(lake.start()).unwrap();
        assert!(!lake.has_acknowledged());
        let again = lake.next_batch(&two).unwrap().unwrap();
        assert_eq!((again.checkpoints()[0].sequence().get(), again.end()), (first, batch.end()));
        drop(lake);
        log.drop_consumer("lake", None).unwrap();
    }
}

#[test]
fn a_consumer_moved_by_hand_has_acknowledged_nothing_there() {
    let fixture = Fixture::new();
    let log = fixture.open();
    fixture.write(&log, "a", 0..10);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 6, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    drop(lake);
    log.seek_consumer("lake", Start::Now, None).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    assert_eq!((lake.start(), lake.has_acknowledged()), (Start::After(Sequence::new(10)), false));
    // What it is found to hold was delivered before: from where on nobody knows.
    lake.align(Some(batch.end())).unwrap();
    assert_eq!((lake.start(), lake.has_acknowledged()), (Start::Earliest, true));
}

#[test]
fn a_consumer_whose_beginning_is_gone_does_not_begin_anew() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..200);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 150, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    log.prune(&Retention { min_count: 1, ..Retention::default() }).unwrap();
    let (first, start) = (log.first(), lake.start());
    assert!(first > Sequence::FIRST);
    let gap = ErrorKind::Gap { first: Sequence::FIRST, last: first.previous() };
    assert_eq!(*lake.restart(start).unwrap_err().kind(), gap);
    let next = lake.next_batch(&Limit::default()).unwrap().unwrap();
    assert_eq!(next.checkpoints()[0].sequence().get(), 151, "it stays where it is");
    lake.restart(Start::Oldest).unwrap();
    assert_eq!(lake.next_batch(&Limit::default()).unwrap().unwrap().checkpoints()[0].sequence(), first);
}

/// It costs neither the others nor anybody who looks at the log; what it stops is pruning. Moving or dropping it mends that.
#[test]
fn a_consumer_whose_file_is_damaged_is_told_and_mended_by_moving_it() {
    for damaged in [Vec::new(), vec![7; 64 << 10], vec![0; 100]] {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        fixture.write(&log, "a", 0..100);
        for name in ["lake", "sea"] {
            log.consumer(name, Start::Now).unwrap();
        }
        std::fs::write(fixture.dir().join("consumer.lake"), damaged).unwrap();
        let [lake, sea] = &log.consumers().unwrap()[..] else { panic!() };
        assert!(lake.damage.as_ref().unwrap().contains("consumer.lake"), "{lake:?}");
        assert_eq!((lake.lag_checkpoints, sea.damage.as_ref(), sea.lag_checkpoints), (100, None, 0));
        assert_eq!(log.status().unwrap().consumers.len(), 2);
        let verification = fixture.reader().verify(&mut |_| {}).unwrap();
        assert_eq!(verification.damaged_consumers, ["lake"]);
        assert!(verification.problems[0].contains("consumer.lake"), "{verification:?}");

        // It holds everything, as far as is known.
        let space = log.space(&Retention::default()).unwrap();
        let holder = Holder::Consumer { name: "lake".into() };
        let held = space.holders.iter().find(|held| held.holder == holder).unwrap();
        assert_eq!((held.from, space.reclaimable_segments), (Sequence::FIRST, 0));
        assert_eq!(*log.prune(&Retention::default()).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(*log.consumer("lake", Start::Now).unwrap_err().kind(), ErrorKind::Corrupt);

        assert_eq!(log.seek_consumer("lake", Start::After(Sequence::new(90)), None).unwrap().get(), 90);
        assert!(fixture.reader().verify(&mut |_| {}).unwrap().is_sound());
        assert!(log.prune(&Retention::default()).unwrap().segments > 0);
        let mut lake = log.consumer("lake", Start::Now).unwrap();
        let batch = lake.next_batch(&Limit::default()).unwrap().unwrap();
        assert_eq!(batch.checkpoints()[0].sequence().get(), 91);
    }
}
