//! The engine as its users meet it: a few lines each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Fixture, payloads, text_of};
use highwater::{
    Commit, Config, Digest, Durability, ErrorKind, LagPolicy, Limit, Log, LogReader, MaxLag, Op, OpKind,
    Position, Retention, Sequence, Start, StreamName, StreamSpec, WhenFull, storage::Memory,
};

fn insert(row: &[u8]) -> Op<'_> {
    Op::Insert { key: b"", row }
}

#[test]
fn what_was_committed_is_there_after_opening_again_and_nothing_else() {
    let fixture = Fixture::new();
    {
        let log = fixture.open();
        let a = log.stream(StreamSpec::new("a").key(["id"])).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, Op::Upsert { key: b"[1]", row: b"one" }).unwrap();
        writer.append(&a, Op::Delete { key: b"[1]", row: b"" }).unwrap();
        let committed = writer.commit(Commit::new().stream(&a, &7).label("run", "x")).unwrap();
        assert_eq!((committed.sequence().get(), committed.records, committed.durable), (1, 2, true));
        writer.append(&a, insert(b"uncommitted")).unwrap();
    }
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a").key(["id"])).unwrap();
    assert_eq!(log.state().unwrap().get::<u32>(&a).unwrap(), Some(7));
    let checkpoint = log.reader(Sequence::FIRST).unwrap().next().unwrap().unwrap();
    assert_eq!(checkpoint.labels(), [("run".to_owned(), "x".to_owned())]);
    let records: Vec<_> = checkpoint.records().map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|r| r.op).collect::<Vec<_>>(), [OpKind::Upsert, OpKind::Delete]);
    assert_eq!(records[0].key, b"[1]"[..]);
    assert_eq!(log.end().unwrap().sequence.get(), 1);
}

#[test]
fn a_streams_commit_leaves_other_streams_uncommitted() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let [a, b] = ["a", "b"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
    let mut writer = log.writer(&[&a, &b]).unwrap();
    for i in 0..100u32 {
        writer.append(if i % 2 == 0 { &a } else { &b }, insert(&i.to_le_bytes())).unwrap();
    }
    writer.commit(Commit::new().records(&a)).unwrap();
    assert_eq!((writer.uncommitted(&a), writer.uncommitted(&b)), (0, 50));
    assert_eq!(payloads(&log).len(), 50);
    writer.commit(Commit::new().all()).unwrap();
    let all = payloads(&log);
    assert_eq!(all.len(), 100);
    assert_eq!(all[50], 1u32.to_le_bytes());
}

#[test]
fn discarded_and_abandoned_records_are_never_visible() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, insert(&[1; 200_000])).unwrap();
    writer.discard(&a).unwrap();
    writer.append(&a, insert(b"kept")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
    writer.append(&a, insert(&[2; 200_000])).unwrap();
    drop(writer);
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, insert(b"second")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
    assert_eq!(payloads(&log), [b"kept".to_vec(), b"second".to_vec()]);
}

#[test]
fn streams_are_owned_by_one_writer_and_keys_do_not_change_by_mistake() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a").key(["id"])).unwrap();
    let b = log.stream(StreamSpec::new("b")).unwrap();
    let mut first = log.writer(&[&a]).unwrap();
    assert_eq!(*log.writer(&[&a]).unwrap_err().kind(), ErrorKind::StreamBusy);
    let second = log.writer(&[&b]).unwrap();
    assert_eq!(*first.commit(Commit::new().global(&1)).unwrap_err().kind(), ErrorKind::StreamBusy);
    drop(second);
    first.commit(Commit::new().global(&1)).unwrap();
    let refused = log.stream(StreamSpec::new("a").key(["other"])).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::StreamChanged);
    log.stream(StreamSpec::new("a").key(["other"]).allow_key_change()).unwrap();
    assert_ne!(a.id(), log.stream(StreamSpec::new("a").namespace("")).unwrap().id(), "absent is not empty");
    assert!(first.append(&b, insert(b"x")).is_err(), "not its stream");
}

#[test]
fn definitions_keep_their_history_through_opening() {
    let fixture = Fixture::new();
    for (version, schema) in [(1, r#"{"a":1}"#), (2, r#"{"a":2}"#)] {
        let log = fixture.open();
        let a = log.stream(StreamSpec::new("a").schema(schema)).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, insert(b"x")).unwrap();
        writer.commit(Commit::new().all()).unwrap();
        let info = log.find_stream(a.name()).unwrap();
        assert_eq!((info.version, info.schema.as_deref()), (version, Some(schema)));
    }
    let reader = fixture.reader();
    assert_eq!(reader.streams().unwrap().len(), 1);
    let unknown = reader.find_stream(&StreamName { namespace: None, name: "zzz".into() }).unwrap_err();
    assert!(unknown.to_string().contains("it holds: a"), "{unknown}");
}

#[test]
fn streams_can_be_renamed_reset_and_dropped() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, insert(b"x")).unwrap();
    writer.commit(Commit::new().stream(&a, &1)).unwrap();
    assert_eq!(*log.reset_stream(&a).unwrap_err().kind(), ErrorKind::StreamBusy);
    drop(writer);
    let b = log.rename_stream(&a, StreamSpec::new("b")).unwrap();
    assert_eq!(a.id(), b.id());
    assert_eq!(log.state().unwrap().get::<u32>(&b).unwrap(), Some(1));
    log.reset_stream(&b).unwrap();
    assert_eq!(log.state().unwrap().get::<u32>(&b).unwrap(), None);
    assert_eq!(log.state_at(Sequence::new(1)).unwrap().get::<u32>(&b).unwrap(), Some(1));
    log.drop_stream(&b).unwrap();
    assert_eq!(*log.writer(&[&b]).unwrap_err().kind(), ErrorKind::NotFound, "a handle of a dropped stream");
    drop(log);
    let log = fixture.open();
    assert!(log.streams().unwrap().is_empty());
    assert_ne!(log.stream(StreamSpec::new("b")).unwrap().id(), b.id(), "a number is not used again");
}

#[test]
fn a_state_is_kept_as_given_and_checked_at_the_call() {
    let fixture = Fixture::new();
    let config = Config { state_bytes_max: 1000, ..fixture.config() };
    let (log, _) = fixture.open_with(config).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    let text = r#"{ "z": 12345678901234567890123, "a": 1.0 }"#;
    writer.commit(Commit::new().stream_text(&a, text)).unwrap();
    assert_eq!(text_of(&log, &a), Some(text.to_owned()));
    for bad in [Commit::new().stream_text(&a, "{"), Commit::new().stream(&a, &f64::NAN)] {
        assert_eq!(*writer.commit(bad).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let large = format!("\"{}\"", "x".repeat(1000));
    let refused = writer.commit(Commit::new().stream_text(&a, large)).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::TooLarge { limit: 1000, actual: 1002 });
    assert_eq!(log.end().unwrap().sequence.get(), 1, "nothing was committed by what was refused");
    writer.commit(Commit::new().clear(&a)).unwrap();
    assert_eq!(text_of(&log, &a), None);
}

#[test]
fn large_states_and_records_go_in_and_come_out() {
    let fixture = Fixture::new();
    let large = format!("\"{}\"", "s".repeat(3 << 20));
    let row = vec![7u8; 5 << 20];
    {
        let log = fixture.open();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, insert(&row)).unwrap();
        writer.append(&a, insert(b"")).unwrap();
        writer.commit(Commit::new().stream_text(&a, large.clone())).unwrap();
        let small = Config { record_bytes_max: 10, ..fixture.config() };
        drop((writer, log));
        let (log, _) = fixture.open_with(small).unwrap();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let refused = log.writer(&[&a]).unwrap().append(&a, insert(&[0; 11])).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::TooLarge { limit: 10, actual: 11 });
    }
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    assert_eq!(text_of(&log, &a), Some(large));
    assert_eq!(payloads(&log), [row, vec![]]);
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

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
fn writers_on_several_threads_share_the_log() {
    let fixture = Fixture::new();
    let log = fixture.open();
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let log = &log;
            scope.spawn(move || {
                let stream = log.stream(StreamSpec::new(name)).unwrap();
                let mut writer = log.writer(&[&stream]).unwrap();
                for i in 0..50u32 {
                    writer.append(&stream, insert(&i.to_le_bytes())).unwrap();
                    writer.commit(Commit::new().stream(&stream, &i)).unwrap();
                }
            });
        }
    });
    assert_eq!(log.end().unwrap().sequence.get(), 200);
    for name in ["a", "b", "c", "d"] {
        let stream = log.stream(StreamSpec::new(name)).unwrap();
        assert_eq!(log.state().unwrap().get::<u32>(&stream).unwrap(), Some(49));
        let mut reader = log.reader(Sequence::FIRST).unwrap();
        let mut seen = Vec::new();
        while let Some(checkpoint) = reader.next().unwrap() {
            seen.extend(checkpoint.records_of(stream.id()).map(|r| r.unwrap().payload.to_vec()));
        }
        assert_eq!(seen, (0..50u32).map(|i| i.to_le_bytes().to_vec()).collect::<Vec<_>>());
    }
}

#[test]
fn pruning_keeps_states_streams_and_what_somebody_needs() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let old = log.stream(StreamSpec::new("old").key(["id"]).schema("{}")).unwrap();
    let mut writer = log.writer(&[&old]).unwrap();
    writer.commit(Commit::new().stream(&old, &"never changes")).unwrap();
    drop(writer);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    fixture.write(&log, "a", 0..200);
    assert_eq!(log.prune(&Retention::default()).unwrap().segments, 0, "lake needs everything");
    let batch = lake.next_batch(&Limit { max_checkpoints: 150, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    let plan = log.plan_prune(&Retention::default()).unwrap();
    let pruned = log.prune(&Retention::default()).unwrap();
    assert_eq!(plan, pruned);
    assert!(pruned.segments > 3, "{pruned:?}");
    assert_eq!(pruned.first.get(), 151);
    let gap = ErrorKind::Gap { first: Sequence::FIRST, last: Sequence::new(150) };
    assert_eq!(*log.reader(Sequence::FIRST).unwrap_err().kind(), gap);
    assert_eq!(*log.consumer("late", Start::Earliest).unwrap_err().kind(), gap);
    assert_eq!(log.consumers().unwrap().len(), 1, "a refused consumer leaves nothing");
    assert_eq!(
        log.state_at(Sequence::new(160)).unwrap().get_text(old.name()).unwrap().unwrap().text,
        "\"never changes\""
    );
    let check = |log: &Log| {
        assert_eq!(text_of(log, &old).as_deref(), Some("\"never changes\""));
        assert_eq!(log.find_stream(old.name()).unwrap().schema.as_deref(), Some("{}"));
        assert_eq!(log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
    };
    check(&log);
    drop((lake, log));
    // Once more, after opening again: the base file of the first pruning takes part in the second.
    let log = fixture.open_small();
    check(&log);
    fixture.write(&log, "a", 0..200);
    drain(&mut log.consumer("lake", Start::Now).unwrap());
    assert!(log.prune(&Retention { min_count: 7, ..Retention::default() }).unwrap().segments > 3);
    assert_eq!(log.status().unwrap().checkpoints, 7);
    check(&log);
    drop(log);
    check(&fixture.open_small());
}

/// Takes and acknowledges everything; returns the end of it.
fn drain(lake: &mut highwater::Consumer) -> Position {
    let mut end = None;
    while let Some(batch) = lake.next_batch(&Limit::default()).unwrap() {
        lake.acknowledge(batch.end()).unwrap();
        end = Some(batch.end());
    }
    end.unwrap()
}

#[test]
fn pruning_does_not_lose_the_uncommitted_records_of_a_slow_stream() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let slow = log.stream(StreamSpec::new("slow")).unwrap();
    let mut writer = log.writer(&[&slow]).unwrap();
    for i in 0..40u32 {
        writer.append(&slow, insert(&[i as u8; 4000])).unwrap();
    }
    for _ in 0..3 {
        fixture.write(&log, "a", 0..200);
        assert!(log.prune(&Retention::default()).unwrap().segments > 3);
    }
    writer.append(&slow, insert(b"last")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
    drop(writer);
    let mut reader = log.reader(log.end().unwrap().sequence).unwrap();
    let checkpoint = reader.next().unwrap().unwrap();
    let records: Vec<_> = checkpoint.records().map(|r| r.unwrap().payload.to_vec()).collect();
    let mut expected: Vec<Vec<u8>> = (0..40u32).map(|i| vec![i as u8; 4000]).collect();
    expected.push(b"last".to_vec());
    assert_eq!(records, expected);
}

#[test]
fn pruned_segments_are_written_over() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    for _ in 0..5 {
        fixture.write(&log, "a", 0..200);
        log.prune(&Retention::default()).unwrap();
    }
    let status = log.status().unwrap();
    assert!(status.segments_recycled > 0, "{status:?}");
    assert!(status.disk_bytes < 4 << 20, "{status:?}");
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

#[test]
fn a_full_log_says_who_holds_it_and_goes_on_when_there_is_room() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open_with(Config { size_max: Some(600 << 10), ..fixture.small() }).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let full = fixture.try_write(&log, "a", 0..2000).unwrap_err();
    assert_eq!(*full.kind(), ErrorKind::Full);
    assert!(full.to_string().contains("consumer lake"), "{full}");
    drain(&mut lake);
    let before = log.end().unwrap().sequence;
    fixture.write(&log, "a", 0..10);
    assert_eq!(log.end().unwrap().sequence.get(), before.get() + 10);
}

#[test]
fn at_the_cap_an_append_waits_for_the_consumer() {
    let fixture = Fixture::new();
    let config = Config {
        size_max: Some(600 << 10),
        when_full: WhenFull::Wait(Duration::from_secs(30)),
        ..fixture.small_in_real_time()
    };
    let (log, _) = fixture.open_with(config).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    std::thread::scope(|scope| {
        let log = &log;
        let fixture = &fixture;
        let writing = scope.spawn(move || fixture.try_write(log, "a", 0..1000));
        let mut seen = 0;
        while seen < 1000 {
            let wait = Limit { wait: Duration::from_secs(30), ..Limit::default() };
            let batch = lake.next_batch(&wait).unwrap().expect("the writer goes on");
            seen += batch.records().count();
            lake.acknowledge(batch.end()).unwrap();
        }
        writing.join().unwrap().unwrap();
    });
    assert!(log.status().unwrap().disk_bytes < 2 << 20);
}

#[test]
fn a_checkpoint_larger_than_the_cap_fails_at_once() {
    let fixture = Fixture::new();
    let config = Config {
        size_max: Some(600 << 10),
        when_full: WhenFull::Wait(Duration::from_secs(600)),
        ..fixture.small_in_real_time()
    };
    let (log, _) = fixture.open_with(config).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    let error = (0..1000).find_map(|_| writer.append(&a, insert(&[1; 4000])).err()).expect("it can't fit");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. } | ErrorKind::Full), "{error}");
    writer.discard(&a).unwrap();
    writer.append(&a, insert(b"small")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
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
                log.drop_consumer("lake").unwrap();
                log.consumer("lake", Start::Oldest).unwrap();
            }
        }
    }
}

#[test]
fn a_pin_holds_until_it_expires() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..200);
    let pin = highwater::Pin { from: Sequence::FIRST, owner: "backup".into(), expires_us: i64::MAX };
    log.pin("nightly", &pin).unwrap();
    let pruned = log.prune(&Retention::default()).unwrap();
    assert_eq!(pruned.segments, 0);
    assert!(pruned.held_by.contains("pin nightly of backup"), "{}", pruned.held_by);
    log.pin("nightly", &highwater::Pin { expires_us: 0, ..pin }).unwrap();
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
    log.unpin("nightly").unwrap();
    assert_eq!(*log.unpin("nightly").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn retention_by_age_survives_a_clock_that_steps_back() {
    let fixture = Fixture::new();
    let world = fixture.world.clone();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..200);
    world.advance(Duration::from_secs(3600));
    fixture.write(&log, "a", 0..200);
    let hour = Retention { min_age: Duration::from_secs(1800), ..Retention::default() };
    world.step_back(Duration::from_secs(7200));
    assert_eq!(log.prune(&hour).unwrap().segments, 0, "by this clock everything is younger");
    fixture.write(&log, "a", 0..1);
    world.advance(Duration::from_secs(7200));
    let pruned = log.prune(&hour).unwrap();
    assert!(pruned.segments > 0 && pruned.first.get() > 100 && pruned.first.get() <= 201, "{pruned:?}");
    let mut reader = log.reader(log.first()).unwrap();
    let mut last = i64::MIN;
    while let Some(checkpoint) = reader.next().unwrap() {
        assert!(checkpoint.time_us() >= last);
        last = checkpoint.time_us();
    }
}

#[test]
fn opening_a_clean_log_writes_nothing() {
    let files = Memory::new();
    let config =
        || Config { environment: Arc::new(highwater::environment::Stepped::new(1, 0)), ..Config::default() };
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    log.writer(&[&a]).unwrap().commit(Commit::new().stream(&a, &1)).unwrap();
    log.close().unwrap();
    let before = files.image();
    let (log, recovery) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    assert!(recovery.is_clean(), "{recovery}");
    drop(log);
    for name in ["00000001.hws", "mark", "reserve"] {
        assert_eq!(files.content(name), before.content(name), "{name}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let make = || {
        let files = Memory::new();
        let config = Config {
            environment: Arc::new(highwater::environment::Stepped::new(9, 0)),
            digest: Digest::Blake3,
            ..Config::default()
        };
        let (log, _) = Log::open_on(Arc::new(files.clone()), config).unwrap();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        for i in 0..500u32 {
            writer.append(&a, insert(&vec![i as u8; i as usize * 7])).unwrap();
            if i % 50 == 0 {
                writer.commit(Commit::new().stream(&a, &i)).unwrap();
            }
        }
        drop(writer);
        assert!(log.verify(&mut |_| {}).unwrap().is_sound());
        log.close().unwrap();
        files.content("00000001.hws")
    };
    assert_eq!(make(), make());
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

#[test]
fn a_second_writer_is_told_who_holds_the_log() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let refused = fixture.open_with(fixture.config()).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Locked);
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    drop(log);
    fixture.open();
}

#[test]
fn what_is_no_log_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let config = || Config { create: false, ..Config::default() };
    assert_eq!(*Log::open(&missing, config()).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!missing.exists());
    assert_eq!(*LogReader::open(&missing).unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    assert_eq!(*Log::open(dir.path(), Config::default()).unwrap_err().kind(), ErrorKind::NotALog);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let file = dir.path().join("letter.txt");
    assert_eq!(*Log::open(&file, Config::default()).unwrap_err().kind(), ErrorKind::NotALog);
}

#[test]
fn files_are_for_their_owner_alone() {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let fixture = Fixture::new();
        let log = fixture.open();
        drop(log.consumer("lake", Start::Earliest).unwrap());
        for entry in std::fs::read_dir(fixture.dir()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
    }
}

#[test]
fn maps_give_the_same_records_and_survive_pruning() {
    let fixture = Fixture::new();
    let (log, _) =
        fixture.open_with(Config { read_mode: highwater::ReadMode::Map, ..fixture.small() }).unwrap();
    fixture.write(&log, "a", 0..100);
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    let kept = reader.next().unwrap().unwrap().records().next().unwrap().unwrap();
    let copy = kept.payload.to_vec();
    fixture.write(&log, "a", 0..300);
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
    fixture.write(&log, "a", 0..300);
    assert_eq!(kept.payload, copy, "a record outlives its segment");
}

#[test]
fn a_hundred_thousand_streams_open_and_commit() {
    let fixture = Fixture::new();
    {
        let log = fixture.open();
        let streams: Vec<_> =
            (0..20_000).map(|i| log.stream(StreamSpec::new(format!("s{i}"))).unwrap()).collect();
        let mut writer = log.writer(&streams.iter().collect::<Vec<_>>()).unwrap();
        let mut commit = Commit::new();
        for stream in &streams {
            commit = commit.stream_text(stream, "1");
        }
        writer.commit(commit).unwrap();
        for stream in streams.iter().step_by(1000) {
            writer.commit(Commit::new().stream(stream, &2)).unwrap();
        }
        assert!(log.status().unwrap().flushes < 40);
    }
    let log = fixture.open();
    assert_eq!(log.state().unwrap().all().unwrap().len(), 20_000);
    assert_eq!(log.streams().unwrap().len(), 20_000);
}

#[test]
fn a_unit_of_very_many_extents_lists_them_in_the_log_and_still_moves() {
    let fixture = Fixture::new();
    // In memory: it rolls through hundreds of segments.
    let config = Config { buffer_bytes_max: 4 << 10, ..fixture.small() };
    let (log, _) = Log::open_on(Arc::new(Memory::new()), config).unwrap();
    let [a, b] = ["slow", "other"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
    let mut writer = log.writer(&[&a, &b]).unwrap();
    let count = 10_000u32;
    for i in 0..count {
        let mut row = [0; 2100];
        row[..4].copy_from_slice(&i.to_le_bytes());
        writer.append(&a, insert(&row)).unwrap();
        writer.append(&b, insert(&row)).unwrap();
    }
    writer.commit(Commit::new().records(&b)).unwrap();
    fixture.write(&log, "c", 0..100);
    // Everything of b goes; a's uncommitted frames move to the head, with the frames that list them.
    assert!(log.prune(&Retention::default()).unwrap().segments > 100);
    let committed = writer.commit(Commit::new().records(&a)).unwrap();
    assert_eq!(committed.records, u64::from(count));
    drop(writer);
    let mut reader = log.reader(committed.sequence()).unwrap();
    let checkpoint = reader.next().unwrap().unwrap();
    let numbers =
        checkpoint.records().map(|r| u32::from_le_bytes(r.unwrap().payload[..4].try_into().unwrap()));
    assert!(numbers.eq(0..count));
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

#[test]
#[cfg(unix)]
fn the_lock_does_not_survive_exec() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    drop(log);
    fixture.open();
    child.kill().unwrap();
    child.wait().unwrap();
}
