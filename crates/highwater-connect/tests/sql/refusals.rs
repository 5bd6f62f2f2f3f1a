//! Records that can't be written, among others that can.

use highwater::{OpKind, Sequence};
use highwater_connect::destination::sql::{Deletes, Mode, Settings};

use crate::modes::table_of;
use crate::subject::Subject;
use crate::world::World;

const SCHEMA: &str = r#"{"properties":{"id":{"type":"integer"},"day":{"type":"string","format":"date"},"text":{"type":"string"}}}"#;

pub(crate) fn one_refused_record_does_not_fail_the_others(subject: &dyn Subject) {
    for mode in [Mode::Append, Mode::Upsert, Mode::History] {
        let mut world = World::new();
        let stream = world.stream("s", &["id"], Some(SCHEMA));
        let keyless = world.stream("k", &[], Some(SCHEMA));
        let rows = [
            r#"{"id":1,"day":"2024-01-31"}"#,
            r#"{"id":2,"day":"2024-02-31"}"#,
            r#"{"id":3,"day":"2024-01-31","text":"x"}"#,
            r#"[1]"#,
            r#"{"id":4,"day":20240131}"#,
            r#"{"id":5,"text":"\ud800"}"#,
            r#"{"id":6}"#,
        ];
        for (id, row) in (1..).zip(rows) {
            world.append(&stream, OpKind::Upsert, &format!("[{id}]"), row);
        }
        world.insert(&keyless, "{}");
        world.append(&keyless, OpKind::Delete, "", "{}");
        world.insert(&keyless, "{}");
        world.commit();
        let name = mode.name();
        let applied = world.deliver(&mut *subject.open(Settings::new(name).mode(mode))).unwrap();
        let refused: Vec<(String, u64)> =
            applied.rejected.iter().map(|record| (record.stream.name.clone(), record.index)).collect();
        let mut expected: Vec<(String, u64)> = [1, 3, 4, 5].map(|index| ("s".to_owned(), index)).into();
        if mode != Mode::Append {
            expected.push(("k".to_owned(), 1));
        }
        assert_eq!(refused, expected);
        assert!(
            applied.rejected[0].reason.contains("\"day\" is not a date"),
            "{}",
            applied.rejected[0].reason
        );
        assert!(applied.rejected.iter().all(|record| record.sequence == Sequence::FIRST));
        let ids: Vec<Option<String>> =
            subject.dump(&table_of(subject, name, "s")).iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, ["1", "3", "6"].map(|id| Some(id.to_owned())));
        assert_eq!(subject.count(&table_of(subject, name, "k")), 2 + usize::from(mode == Mode::Append));
    }
}

/// What only the database knows: a constraint that somebody added to the table.
pub(crate) fn what_a_constraint_refuses_is_found_among_many(subject: &dyn Subject) {
    for mode in [Mode::Append, Mode::Upsert, Mode::History] {
        let mut world = World::new();
        let stream = world.stream("s", &["id"], Some(SCHEMA));
        world.append(&stream, OpKind::Upsert, "[1]", r#"{"id":1,"text":"first"}"#);
        world.commit();
        let name = mode.name();
        let mut destination = subject.open(Settings::new(name).mode(mode).deletes(Deletes::Hard));
        world.deliver(&mut *destination).unwrap();
        let table = subject.table(&table_of(subject, name, "s"));
        match subject.is_sqlite() {
            true => subject.run(&format!(
                "CREATE TRIGGER \"t{name}\" BEFORE INSERT ON {table} WHEN new.text = 'bad' BEGIN SELECT RAISE(ABORT, 'no bad rows'); END"
            )),
            false => subject.run(&format!("ALTER TABLE {table} ADD CHECK (text <> 'bad')")),
        }
        // A refused row that follows a good one of the same key leaves that as it was.
        let bad = [(7, 70), (500, 80), (999, 90)];
        for id in 1..=1000 {
            world.append(
                &stream,
                OpKind::Upsert,
                &format!("[{id}]"),
                &format!("{{\"id\":{id},\"text\":\"good\"}}"),
            );
            if bad.iter().any(|(bad, _)| *bad == id) {
                world.append(
                    &stream,
                    OpKind::Upsert,
                    &format!("[{id}]"),
                    &format!("{{\"id\":{id},\"text\":\"bad\"}}"),
                );
            }
        }
        world.commit();
        let rejected = world.deliver(&mut *destination).unwrap().rejected;
        let indexes: Vec<u64> = rejected.iter().map(|record| record.index).collect();
        assert_eq!(indexes, [7, 501, 1001], "{mode:?}");
        let good = subject.texts(&format!("SELECT 'x' FROM {table} WHERE text = 'good'"));
        assert_eq!(good.len(), 1000, "{mode:?}");
        if mode == Mode::History {
            let current =
                subject.texts(&format!("SELECT 'x' FROM {table} WHERE _highwater_valid_to IS NULL"));
            assert_eq!(current.len(), 1000);
        }
    }
}

pub(crate) fn refusals_survive_a_crash(subject: &dyn Subject) {
    let mut world = World::new();
    let stream = world.stream("s", &[], Some(SCHEMA));
    for row in ["{}", r#"{"day":"no"}"#, "{}", r#"{"id":"no"}"#] {
        world.insert(&stream, row);
        world.commit();
    }
    let settings = Settings::new("shop").mode(Mode::Append);
    let first = subject.open(settings.clone()).apply(&world.batches("a", 100)[0]).unwrap();
    assert_eq!(first.rejected.len(), 2);
    // Whoever was killed before it heard of them hears of them again, in whatever grouping.
    let mut again = Vec::new();
    for batch in world.batches("b", 1) {
        again.extend(subject.open(settings.clone()).apply(&batch).unwrap().rejected);
    }
    assert_eq!(again, first.rejected);
}
