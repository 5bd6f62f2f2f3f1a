//! Work by hand: operations, rewinds, moved consumers, and what is on record of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::time::Duration;

use common::{Fixture, drain, text_of};
use highwater::{
    AuditEvent, By, Commit, Durability, ErrorKind, Holder, Log, LogReader, Operation, Retention, Sequence,
    Start, StreamName, StreamSpec,
};

fn name(stream: &str) -> StreamName {
    StreamName { namespace: None, name: stream.to_owned() }
}

fn state(log: &LogReader, stream: &str) -> Option<String> {
    log.state().unwrap().get_text(&name(stream)).unwrap().map(|state| state.text)
}

/// Checkpoints 1 to 4 of `a`, 5 to 6 of `b`: one record each, and a number as state.
fn two_streams(fixture: &Fixture) -> Log {
    let log = fixture.open_small();
    fixture.write(&log, "a", 1..5);
    fixture.write(&log, "b", 1..3);
    log
}

/// A buffered checkpoint is shown to nobody yet; whoever decided without it is told all the same.
#[test]
fn what_was_decided_before_a_buffered_checkpoint_is_outdated() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let (seen, plan) = (log.end(), log.plan_rewind(Sequence::new(2), Some(&name("a"))).unwrap());
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let buffered = Commit::new().stream(&a, &77).durability(Durability::Buffered);
    log.writer(&[&a]).unwrap().commit(buffered).unwrap();
    assert_eq!(log.end(), seen);
    let edit = || Operation::new("edit a", "ops", "it was 4").set(&name("a"), "5");
    let late = log.operate(edit().expecting(seen)).unwrap_err();
    assert_eq!(*late.kind(), ErrorKind::Outdated, "{late}");
    assert_eq!(*log.rewind(&plan, "ops", "x").unwrap_err().kind(), ErrorKind::Outdated);
    // Who looks again sees it.
    assert_eq!(state(&log, "a").as_deref(), Some("77"));
    log.operate(edit().expecting(log.end())).unwrap();
    assert_eq!(state(&log, "a").as_deref(), Some("5"));
}

#[test]
fn an_operation_is_a_checkpoint_that_tells_who_why_and_from_where() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let end = log.end();
    let text = r#"{ "z": 12345678901234567890123, "a": 1.0 }"#;
    let made = log.operate(Operation::new("set a", "ops", "it was wrong").set(&name("a"), text)).unwrap();
    assert_eq!(made.sequence(), Sequence::new(7));
    assert_eq!(state(&log, "a").as_deref(), Some(text));
    assert_eq!(state(&log, "b").as_deref(), Some("2"));
    let checkpoint = log.reader(made.sequence()).unwrap().next().unwrap().unwrap();
    let record = checkpoint.operation().unwrap();
    assert_eq!(
        (record.verb(), record.who.as_deref(), record.why.as_deref()),
        ("set", Some("ops"), Some("it was wrong"))
    );
    assert_eq!(record.from, end);
    assert_eq!(checkpoint.record_count(), 0);
    assert!(log.reader(Sequence::FIRST).unwrap().next().unwrap().unwrap().operation().is_none());
}

#[test]
fn an_operation_says_all_of_it_or_is_refused() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let set = |what, who, why| log.operate(Operation::new(what, who, why).set(&name("a"), "9"));
    for refused in [set("", "ops", "x"), set("set", " ", "x"), set("set", "ops", "")] {
        assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let nothing = log.operate(Operation::new("set", "ops", "x"));
    assert_eq!(*nothing.unwrap_err().kind(), ErrorKind::Invalid);
    let unknown = log.operate(Operation::new("set q", "ops", "x").set(&name("q"), "1"));
    assert_eq!(*unknown.unwrap_err().kind(), ErrorKind::NotFound);
    let junk = log.operate(Operation::new("set a", "ops", "x").set(&name("a"), "{"));
    assert_eq!(*junk.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(log.end().unwrap().sequence, Sequence::new(6));
}

#[test]
fn a_writer_keeps_operations_off_its_streams() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let writer = log.writer(&[&a]).unwrap();
    let busy = log.operate(Operation::new("clear a", "ops", "x").clear(&name("a"))).unwrap_err();
    assert_eq!(*busy.kind(), ErrorKind::StreamBusy);
    let global = log.operate(Operation::new("set", "ops", "x").set_global("1")).unwrap_err();
    assert_eq!(*global.kind(), ErrorKind::StreamBusy);
    log.operate(Operation::new("clear b", "ops", "x").clear(&name("b"))).unwrap();
    assert_eq!((text_of(&log, &a).as_deref(), state(&log, "b")), (Some("4"), None));
    drop(writer);
    log.operate(Operation::new("set", "ops", "x").set_global("1")).unwrap();
}

#[test]
fn what_was_decided_by_an_old_look_is_refused() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let seen = log.end();
    let plan = log.plan_rewind(Sequence::new(2), None).unwrap();
    fixture.write(&log, "b", 7..8);
    let late = log.operate(Operation::new("set a", "ops", "x").set(&name("a"), "1").expecting(seen));
    assert_eq!(*late.unwrap_err().kind(), ErrorKind::Outdated);
    assert_eq!(*log.rewind(&plan, "ops", "x").unwrap_err().kind(), ErrorKind::Outdated);
    assert_eq!(state(&log, "a").as_deref(), Some("4"));
}

#[test]
fn a_rewind_brings_all_states_back_and_tells_what_it_means() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    drain(&mut lake);
    drop(lake);
    log.consumer("late", Start::After(Sequence::new(3))).unwrap();
    fixture.write(&log, "a", 9..10);
    let plan = log.plan_rewind(Sequence::new(3), None).unwrap();
    let again: Vec<_> = plan.again.iter().map(|tally| (tally.stream.name.as_str(), tally.records)).collect();
    assert_eq!(again, [("a", 2), ("b", 2)], "checkpoints 4 and 7, 5 and 6");
    let repeats: Vec<_> = plan.repeats.iter().map(|r| (r.consumer.as_str(), r.records)).collect();
    assert_eq!(repeats, [("lake", 3), ("late", 0)]);
    let before = log.end();
    log.rewind(&plan, "ops", "page 4 was wrong").unwrap();
    assert_eq!((state(&log, "a").as_deref(), state(&log, "b")), (Some("3"), None), "b had none then");
    let record = log.reader(Sequence::new(8)).unwrap().next().unwrap().unwrap().operation().unwrap();
    assert_eq!((record.what.as_str(), record.from), ("rewind to 3", Some(plan.to)));
    // Nothing is erased: what was there before can be brought back as well.
    let back = log.plan_rewind(before.unwrap().sequence, None).unwrap();
    log.rewind(&back, "ops", "it was right after all").unwrap();
    assert_eq!((state(&log, "a").as_deref(), state(&log, "b").as_deref()), (Some("9"), Some("2")));
    assert!(log.plan_rewind(Sequence::new(7), None).unwrap().is_empty());
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

#[test]
fn a_rewind_of_one_stream_touches_no_other() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let plan = log.plan_rewind(Sequence::new(1), Some(&name("a"))).unwrap();
    assert_eq!(plan.again.len(), 1);
    assert_eq!(plan.again[0].records, 3);
    log.rewind(&plan, "ops", "x").unwrap();
    assert_eq!((state(&log, "a").as_deref(), state(&log, "b").as_deref()), (Some("1"), Some("2")));
    let nowhere = log.plan_rewind(Sequence::new(99), None).unwrap_err();
    assert_eq!(*nowhere.kind(), ErrorKind::NotFound);
}

/// Its generations must not go back, and its states are no cursors.
#[test]
fn what_a_runtime_keeps_for_itself_is_not_rewound() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let ours = log.stream(StreamSpec::new("sync").namespace("_highwater")).unwrap();
    let keep = |number: u32| {
        let mut writer = log.writer(&[&ours]).unwrap();
        writer.commit(Commit::new().stream(&ours, &number)).unwrap().sequence()
    };
    let first = keep(1);
    fixture.write(&log, "a", 5..6);
    keep(2);
    let plan = log.plan_rewind(first, None).unwrap();
    let names: Vec<_> = plan.states.iter().map(|state| state.stream.clone()).collect();
    assert_eq!(names, [Some(name("a"))]);
    log.rewind(&plan, "ops", "x").unwrap();
    assert_eq!((state(&log, "a").as_deref(), text_of(&log, &ours).as_deref()), (Some("4"), Some("2")));
    // Who names it gets it.
    let plan = log.plan_rewind(first, Some(ours.name())).unwrap();
    assert_eq!(plan.states.len(), 1);
    // The global state is the newest although the runtime's is newer.
    log.writer(&[]).unwrap().commit(Commit::new().global(&7)).unwrap();
    keep(3);
    assert!(log.is_global_newest(&log.state().unwrap()).unwrap());
}

#[test]
fn a_dropped_stream_is_not_brought_back_and_a_renamed_one_is() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let [a, b] = ["a", "b"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
    log.drop_stream(&b).unwrap();
    log.rename_stream(&a, StreamSpec::new("c")).unwrap();
    let plan = log.plan_rewind(Sequence::new(6), None).unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    let plan = log.plan_rewind(Sequence::new(2), None).unwrap();
    log.rewind(&plan, "ops", "x").unwrap();
    assert_eq!(state(&log, "c").as_deref(), Some("2"));
}

#[test]
fn checkpoints_are_found_by_time_and_id() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let mut reader = log.reader(Sequence::new(3)).unwrap();
    let third = reader.next().unwrap().unwrap();
    assert_eq!(log.checkpoint_at(third.time_us()).unwrap(), Some(third.position()));
    assert_eq!(log.checkpoint_at(third.time_us() - 1).unwrap().unwrap().sequence, Sequence::new(2));
    assert_eq!(log.checkpoint_at(0).unwrap(), None);
    assert_eq!(log.find_checkpoint(third.position().checkpoint).unwrap(), Some(third.position()));
    assert_eq!(log.find_checkpoint("0190a5c0-0000-7000-8000-00000000002a".parse().unwrap()).unwrap(), None);
}

#[test]
fn a_consumer_is_moved_when_nobody_uses_it() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    let lake = log.consumer("lake", Start::Now).unwrap();
    let busy = log.seek_consumer("lake", Start::Earliest, None).unwrap_err();
    assert_eq!(*busy.kind(), ErrorKind::ConsumerBusy);
    if cfg!(target_os = "linux") {
        let planned = log.plan_seek("lake", Start::Earliest).unwrap_err();
        assert_eq!(planned.to_string(), busy.to_string());
    }
    drop(lake);
    let unknown = log.seek_consumer("sea", Start::Earliest, None).unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::NotFound);
    assert_eq!(log.consumers().unwrap().len(), 1, "looking makes none");
    let beyond = log.seek_consumer("lake", Start::After(Sequence::new(7)), None).unwrap_err();
    assert_eq!(*beyond.kind(), ErrorKind::NotFound);
    // What would be refused is told before; and where it would stand, without moving it.
    for (name, to) in
        [("sea", Start::Earliest), ("lake", Start::After(Sequence::new(7))), ("../lake", Start::Now)]
    {
        let (planned, moved) = (log.plan_seek(name, to), log.seek_consumer(name, to, None));
        assert_eq!(planned.unwrap_err().to_string(), moved.unwrap_err().to_string());
    }
    assert_eq!(log.plan_seek("lake", Start::After(Sequence::new(2))).unwrap(), Sequence::new(2));
    assert_eq!(log.plan_seek("lake", Start::Earliest).unwrap(), Sequence::NONE);
    assert_eq!(log.consumers().unwrap()[0].acknowledged, Sequence::new(6));
    // As another process would, many times: the slots go round.
    for n in (0..=6).chain([2]) {
        let at = fixture.reader().seek_consumer("lake", Start::After(Sequence::new(n)), None).unwrap();
        assert_eq!(at, Sequence::new(n));
        let lake = log.consumer("lake", Start::Now).unwrap();
        assert_eq!(lake.acknowledged(), at);
    }
    let mut lake = log.consumer("lake", Start::Now).unwrap();
    let batch = lake.next_batch(&highwater::Limit::default()).unwrap().unwrap();
    assert_eq!(batch.checkpoints().len(), 4);
}

#[test]
fn a_consumer_is_not_moved_into_what_is_gone() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..100);
    log.consumer("lake", Start::Now).unwrap();
    log.prune(&Retention::default()).unwrap();
    let gap = log.seek_consumer("lake", Start::Earliest, None).unwrap_err();
    assert!(matches!(gap.kind(), ErrorKind::Gap { first: Sequence::FIRST, .. }), "{gap}");
    assert_eq!(log.consumer("lake", Start::Now).unwrap().acknowledged(), Sequence::new(100));
    log.seek_consumer("lake", Start::Oldest, None).unwrap();
}

#[test]
fn growth_is_told_by_what_was_committed_and_when() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..1);
    assert_eq!(log.space(&Retention::default()).unwrap().growth, None);
    for hour in 1..=48 {
        fixture.world.advance(Duration::from_secs(3600));
        fixture.write(&log, "a", hour..hour + 10);
    }
    let growth = log.space(&Retention::default()).unwrap().growth.unwrap();
    assert_eq!((growth.from.get(), growth.to.get(), growth.seconds), (1, 481, 48 * 3600));
    // 240 records of 2,000 bytes a day, each in a block of its own; a quarter of such small segments is kept free.
    assert!((240 * 4096..240 * 4096 * 3 / 2).contains(&growth.bytes_per_day), "{growth:?}");
    assert_eq!(growth.seconds_until(growth.bytes * 10), Some(480 * 3600));
    // What was pruned does not count, and that says nothing else.
    assert!(log.prune(&Retention { min_count: 240, ..Retention::default() }).unwrap().segments > 0);
    let later = log.space(&Retention::default()).unwrap().growth.unwrap();
    assert!(later.from > growth.from && later.seconds < growth.seconds, "{later:?}");
    assert!(later.bytes_per_day.abs_diff(growth.bytes_per_day) < growth.bytes_per_day / 5, "{later:?}");
}

#[test]
fn space_is_told_by_holder() {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    fixture.write(&log, "a", 0..40);
    log.consumer("behind", Start::After(Sequence::new(2))).unwrap();
    log.consumer("ahead", Start::Now).unwrap();
    {
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, common::insert(&[1; 20_000])).unwrap();
        writer.append(&a, common::insert(&[2; 20_000])).unwrap();
        writer.append(&a, common::insert(&[3; 20_000])).unwrap();
        writer.discard(&a).unwrap();
        writer.commit(Commit::new().stream(&a, &41)).unwrap();
    }
    let space = log.space(&Retention::default()).unwrap();
    assert!(space.segments > 1 && space.record_bytes >= 80_000, "{space:#?}");
    assert!(space.dead_bytes >= 40_000 && space.dead_bytes < 80_000, "{space:#?}");
    let parts = space.record_bytes + space.dead_bytes + space.bookkeeping_bytes + space.free_bytes;
    assert_eq!(parts, space.segment_bytes);
    let first = &space.holders[0];
    assert_eq!(first.holder, Holder::Consumer { name: "behind".into() });
    assert_eq!((first.from, first.bytes), (Sequence::new(3), space.segment_bytes));
    assert!(first.alone_bytes > 0 && space.reclaimable_bytes == 0, "{space:#?}");
    assert!(space.holders[1..].iter().all(|held| held.alone_bytes == 0));
    // What it says comes true.
    log.drop_consumer("behind", None).unwrap();
    let freed = log.prune(&Retention::default()).unwrap();
    assert_eq!(freed.bytes, first.alone_bytes);
}

/// Those who move a consumer do not write the log: what they did is on record beside it, in its place.
#[test]
fn moved_consumers_are_on_record() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    log.consumer("lake", Start::Now).unwrap();
    let by = By { who: "ops", why: "delivered twice" };
    log.seek_consumer("lake", Start::After(Sequence::new(2)), Some(by)).unwrap();
    log.operate(Operation::new("edit a", "ops", "x").set(&name("a"), "1")).unwrap();
    fixture.reader().drop_consumer("lake", None).unwrap();
    let nobody = By { who: " ", why: "x" };
    assert_eq!(*log.seek_consumer("lake", Start::Now, Some(nobody)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(*log.drop_consumer("lake", Some(nobody)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(*log.drop_consumer("lake", Some(by)).unwrap_err().kind(), ErrorKind::NotFound);
    let mut found = Vec::new();
    log.audit(&mut |entry| {
        found.push(match entry.event {
            AuditEvent::Consumer { consumer, from, to, who, why } => {
                let number = |sequence: Option<Sequence>| sequence.map(Sequence::get);
                format!("{} {consumer} {:?} {:?} {who:?} {why:?}", entry.after, number(from), number(to))
            }
            AuditEvent::Operation { record, .. } => format!("{} {}", entry.after, record.what),
            AuditEvent::Opening { .. } => format!("{} opened", entry.after),
            other => panic!("{other:?}"),
        });
    })
    .unwrap();
    let expected = [
        "0 opened",
        r#"6 lake Some(6) Some(2) Some("ops") Some("delivered twice")"#,
        "6 edit a",
        "7 lake Some(2) None None None",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_happened_is_on_record() {
    let fixture = Fixture::new();
    let log = two_streams(&fixture);
    log.operate(Operation::new("edit a", "ops", "x").set(&name("a"), "1")).unwrap();
    let b = log.stream(StreamSpec::new("b")).unwrap();
    log.reset_stream(&b).unwrap();
    fixture.write(&log, "a", 0..100);
    log.consumer("lake", Start::Now).unwrap();
    let first = log.plan_prune(&Retention { min_count: 50, ..Retention::default() }).unwrap().first;
    let entries = |log: &LogReader| {
        let mut entries = Vec::new();
        log.audit(&mut |entry| entries.push(entry)).unwrap();
        entries
    };
    let both = entries(&fixture.reader());
    let whats: Vec<_> = both
        .iter()
        .filter(|entry| !matches!(entry.event, AuditEvent::Opening { .. }))
        .map(|entry| match &entry.event {
            AuditEvent::Operation { record, .. } => (entry.after.get(), record.what.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(whats, [(6, "edit a"), (7, "reset b")]);
    assert!(both.windows(2).all(|pair| pair[0].time_us <= pair[1].time_us));
    log.prune(&Retention { min_count: 50, ..Retention::default() }).unwrap();
    let pruned = entries(&log);
    assert!(
        matches!(pruned.last().unwrap().event, AuditEvent::Pruning { first: kept, .. } if kept == first),
        "{pruned:#?}"
    );
}
