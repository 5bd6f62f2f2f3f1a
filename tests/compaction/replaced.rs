//! What took the place of other records without a truncate, as the engine is told: the old ones go once the new ones are whole,
//! and no base checkpoint lies in between.

use highwater::{Replacement, ReplacementOutcome};

use super::*;

/// A stream that is replaced, with a key or without, beside one that is not.
struct World {
    fixture: Fixture,
    log: Log,
    stream: Stream,
    has_key: bool,
    other: Stream,
}

impl World {
    fn new(key: &[&str]) -> World {
        let fixture = Fixture::new();
        let log = fixture.open_small();
        let stream = log.stream(StreamSpec::new("rows").key(key.iter().copied())).unwrap();
        let other = users(&log);
        World { fixture, log, stream, has_key: !key.is_empty(), other }
    }

    /// A checkpoint for each of so many rows; their keys count from 0.
    fn rows(&self, count: u32, mark: u8) {
        for i in 0..count {
            commit(&self.log, &self.stream, &[(OpKind::Insert, &self.key(i))], &[mark; 2000]);
        }
    }

    fn key(&self, i: u32) -> String {
        if self.has_key { format!("r{i}") } else { String::new() }
    }

    fn next(&self) -> Sequence {
        self.log.flush().unwrap();
        self.log.end().unwrap().sequence.next()
    }

    fn replacement(&self, began: Sequence, outcome: ReplacementOutcome) -> Compaction {
        let replacements = vec![Replacement { stream: self.stream.id(), began, outcome }];
        Compaction { replacements, ..AT_ONCE }
    }

    /// The first bytes of the stream's rows, from the beginning on.
    fn marks(&self) -> Vec<u8> {
        let mut marks = Vec::new();
        let mut reader = self.log.reader(self.log.first()).unwrap();
        while let Some(checkpoint) = reader.next().unwrap() {
            let records = checkpoint.records_of(self.stream.id()).map(|record| record.unwrap());
            marks.extend(records.filter_map(|record| record.payload.first().copied()));
        }
        assert_eq!(self.log.verify(&mut |_| {}).unwrap().problems, [""; 0]);
        marks
    }
}

const KEYS: [&[&str]; 2] = [&["id"], &[]];

#[test]
fn what_was_replaced_goes_with_a_key_or_without() {
    for key in KEYS {
        let world = World::new(key);
        world.rows(100, 1);
        commit(&world.log, &world.other, &[(OpKind::Upsert, "kept")], b"kept");
        // A tombstone and a truncate of the old ones go, too, however young.
        commit(&world.log, &world.stream, &[(OpKind::Truncate, "")], b"");
        world.rows(100, 2);
        if !key.is_empty() {
            commit(&world.log, &world.stream, &[(OpKind::Delete, "r7")], b"");
        }
        let began = world.next();
        world.rows(30, 3);
        let whole = world.next().previous();
        churn(&world.log, &world.other, 100);
        let young = Duration::from_secs(3600);
        let compaction = Compaction {
            tombstones_min_age: young,
            ..world.replacement(began, ReplacementOutcome::Whole(whole))
        };
        let compacted = compact(&world.log, &compaction);
        assert!(compacted.done && compacted.first > whole, "{compacted:?}");
        let rows = compacted.streams.iter().find(|one| one.stream == world.stream.id()).unwrap();
        assert_eq!((rows.records_before > 230, rows.records_after), (true, 30), "{rows:?}");
        assert_eq!(rows.bytes_after, first(&world.log).streams()[0].bytes);
        assert_eq!(world.marks(), [3; 30]);
        assert!(content(&world.log, &world.other).contains_key(&b"kept"[..]));
        assert_eq!(content(&world.fixture.reader(), &world.other).len(), 21);
    }
}

#[test]
fn no_base_checkpoint_lies_where_old_and_new_are_mixed() {
    for key in KEYS {
        let world = World::new(key);
        world.rows(100, 1);
        let began = world.next();
        world.rows(100, 2);
        let open = world.replacement(began, ReplacementOutcome::Open);
        let first_time = compact(&world.log, &open);
        assert_eq!((first_time.done, first_time.first), (true, began.previous()));
        let held =
            format!("checkpoint {began} and later are held by new rows of stream rows, which are not whole");
        assert_eq!(first_time.held_by, held);
        let whole = world.next();
        commit(&world.log, &world.other, &[(OpKind::Upsert, "a")], b"a");
        churn(&world.log, &world.other, 100);
        // Who needs a checkpoint in between has it, and nobody begins there.
        let closed = world.replacement(began, ReplacementOutcome::Whole(whole));
        let pin = Pin { from: whole, owner: "backup".into(), expires_us: i64::MAX };
        world.log.pin("backup", &pin).unwrap();
        let pinned = compact(&world.log, &closed);
        assert_eq!((pinned.done, pinned.first, pinned.held_by), (false, began.previous(), held));
        assert_eq!(world.marks(), [[1; 100], [2; 100]].concat());
        // Right at its end one may begin.
        world.log.pin("backup", &Pin { from: whole.next(), ..pin }).unwrap();
        let at_its_end = compact(&world.log, &closed);
        assert_eq!((at_its_end.done, at_its_end.first), (true, whole), "{at_its_end:?}");
        assert_eq!(world.marks(), [2; 100], "the old ones stood in a base checkpoint");
    }
}

#[test]
fn what_is_whole_later_has_replaced_nothing_yet() {
    for key in KEYS {
        let world = World::new(key);
        world.rows(100, 1);
        let began = world.next();
        world.rows(100, 2);
        let whole = world.next().previous();
        churn(&world.log, &world.other, 60);
        let pin = Pin { from: Sequence::new(150), owner: "backup".into(), expires_us: i64::MAX };
        world.log.pin("backup", &pin).unwrap();
        let compacted = compact(&world.log, &world.replacement(began, ReplacementOutcome::Whole(whole)));
        assert_eq!((compacted.done, compacted.first), (true, began.previous()), "{compacted:?}");
        assert_eq!(world.marks(), [[1; 100], [2; 100]].concat());
    }
}

#[test]
fn what_was_given_up_replaces_nothing() {
    let world = World::new(&["id"]);
    world.rows(100, 1);
    let began = world.next();
    world.rows(40, 2);
    let given_up = world.next();
    world.rows(20, 3);
    let retention = Retention { min_count: 21, ..Retention::default() };
    let compaction = world.replacement(began, ReplacementOutcome::GivenUp(given_up));
    world.log.flush().unwrap();
    let before = content(&world.log, &world.stream);
    assert_eq!(compact(&world.log, &Compaction { retention, ..compaction.clone() }).first, began.previous());
    churn(&world.log, &world.other, 60);
    assert!(compact(&world.log, &compaction).first > given_up);
    assert_eq!((content(&world.log, &world.stream), before.len()), (before, 100));
}

#[test]
fn a_base_checkpoint_in_its_midst_is_left_as_it_is() {
    let world = World::new(&[]);
    world.rows(100, 1);
    let began = world.next();
    world.rows(100, 2);
    // Somebody did not know.
    let mixed = compact(&world.log, &AT_ONCE).first;
    assert!(mixed > began);
    world.rows(60, 2);
    let whole = world.next().previous();
    churn(&world.log, &world.other, 60);
    assert!(compact(&world.log, &world.replacement(began, ReplacementOutcome::Open)).first > whole);
    assert_eq!(world.marks(), [vec![1; 100], vec![2; 160]].concat(), "what can't be told apart stays");
}

#[test]
fn a_dropped_stream_holds_nothing_and_no_more_is_taken_than_asked_for() {
    let world = World::new(&["id"]);
    world.rows(100, 1);
    let began = world.next();
    world.rows(100, 2);
    let open = world.replacement(began, ReplacementOutcome::Open);
    world.log.drop_stream(&world.stream).unwrap();
    churn(&world.log, &world.other, 100);
    let up_to = Some(Sequence::new(250));
    let compacted = compact(&world.log, &Compaction { up_to, ..open.clone() });
    assert_eq!((compacted.done, compacted.first), (true, Sequence::new(250)));
    assert_eq!(compacted.held_by, "checkpoint 251 and later are held by what was asked for (up_to)");
    assert!(compact(&world.log, &open).first > Sequence::new(250));
    let over = world.replacement(began, ReplacementOutcome::Whole(began.previous()));
    let refused = world.log.plan_compact(&over, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Invalid, "{refused}");
}

/// Whoever does not know of it would bring back what its runtime has replaced.
#[test]
fn a_pipelines_log_is_compacted_by_who_has_asked_its_runtime() {
    let world = World::new(&["id"]);
    let sync = world.log.stream(StreamSpec::new("sync").namespace("_highwater")).unwrap();
    commit(&world.log, &sync, &[], b"");
    churn(&world.log, &world.other, 200);
    let refused = world.log.compact(&AT_ONCE, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("with_generations"), "{refused}");
    let planned = world.log.plan_compact(&AT_ONCE, &mut |_| ControlFlow::Continue(()));
    assert_eq!(*planned.unwrap_err().kind(), ErrorKind::Invalid);
    let up_to = world.log.end().map(|end| end.sequence);
    assert!(compact(&world.log, &Compaction { up_to, ..AT_ONCE }).done);
}
