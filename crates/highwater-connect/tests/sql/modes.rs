//! What tables hold, by mode.

use highwater::OpKind;
use highwater_connect::destination::sql::{Deletes, Mode, Settings};

use crate::model::{Model, assert_same, normal};
use crate::subject::Subject;
use crate::world::{Definition, Random, World};

const DELETES: [Deletes; 3] = [Deletes::Hard, Deletes::Soft, Deletes::Ignore];
pub(crate) const COLUMNS: [&str; 5] = ["id", "name", "amount", "flag", "tags"];
const SCHEMA: &str = r#"{"properties":{"id":{"type":"integer"},"name":{"type":["null","string"]},
    "amount":{"type":"number"},"flag":{"type":"boolean"},"tags":{"type":"array"}}}"#;

/// Orders by key and events without one; every operation, keys that come again and again, members that are missing, null or
/// not in the schema.
pub(crate) fn busy_world(seed: u64, checkpoints: u64) -> World {
    let mut world = World::new();
    let orders = world.stream("orders", &["id"], Some(SCHEMA));
    let events = world.stream("events", &[], Some(SCHEMA));
    let mut random = Random::new(seed);
    for _ in 0..checkpoints {
        for _ in 0..random.below(14) {
            let id = random.below(6);
            let (op, row) = match random.below(20) {
                0..=5 => (OpKind::Upsert, row(&mut random, Some(id))),
                6..=8 => (OpKind::Insert, row(&mut random, Some(id))),
                9..=14 => (OpKind::Update, row(&mut random, None)),
                15..=16 => (OpKind::Delete, String::new()),
                17..=18 => (OpKind::Delete, row(&mut random, Some(id))),
                _ => (OpKind::Truncate, String::new()),
            };
            let key = if op == OpKind::Truncate { String::new() } else { format!("[{id}]") };
            world.append(&orders, op, &key, &row);
        }
        for _ in 0..random.below(5) {
            let id = random.below(6);
            let row = row(&mut random, Some(id));
            world.insert(&events, &row);
        }
        if random.below(8) == 0 {
            world.append(&events, OpKind::Truncate, "", "");
        }
        world.commit();
    }
    world
}

fn row(random: &mut Random, id: Option<u64>) -> String {
    let mut members: Vec<String> = id.iter().map(|id| format!("\"id\":{id}")).collect();
    for (name, values) in [
        ("name", &["\"a\\tb\\\\\"", "null", "\"é\\n\"", "\"\\\\N\""][..]),
        ("amount", &["1.5", "-7", "12345678901234567890123", "null"]),
        ("flag", &["true", "false"]),
        ("tags", &["[]", "[1,{\"a\":null}]", "null"]),
        ("other", &["1", "\"x\""]),
        ("more", &["[\"\\t\"]", "null"]),
    ] {
        if random.below(3) > 0 {
            members.push(format!("\"{name}\":{}", random.pick(values)));
        }
    }
    format!("{{{}}}", members.join(","))
}

/// Delivers a busy world, and compares both tables with the model.
fn compare(subject: &dyn Subject, mode: Mode, deletes: Deletes, seed: u64) {
    let world = busy_world(seed, 12);
    let name = format!("{} {deletes:?} {seed}", mode.name());
    let settings = Settings::new(&name).mode(mode).deletes(deletes);
    let applied = world.deliver(&mut *subject.open(settings)).unwrap();
    assert_eq!(applied.rejected, [], "{name}");
    check_tables(subject, &world, mode, deletes, &name);
}

pub(crate) fn check_tables(subject: &dyn Subject, world: &World, mode: Mode, deletes: Deletes, name: &str) {
    let refused =
        format!("SELECT reason FROM {} WHERE name = '{name}'", subject.table("_highwater_rejected"));
    assert_eq!(subject.texts(&refused), Vec::<Vec<_>>::new(), "{name}");
    let batches = world.batches("model", 100);
    for (stream, key) in [("orders", Some("id")), ("events", None)] {
        let table = table_of(subject, name, stream);
        let mut model = Model::new(mode, deletes, &COLUMNS, key);
        model.take(&batches, stream);
        assert_same(normal(subject.dump(&table)), model.rows(), &format!("{name}: {stream}"));
    }
}

/// The table of a stream, of which several deliveries may have one.
pub(crate) fn table_of(subject: &dyn Subject, name: &str, stream: &str) -> String {
    find_table(subject, name, stream).unwrap()
}

pub(crate) fn find_table(subject: &dyn Subject, name: &str, stream: &str) -> Option<String> {
    let streams = subject.table("_highwater_streams");
    let name = name.replace('\'', "''");
    let sql =
        format!("SELECT table_name FROM {streams} WHERE name = '{name}' AND stream = '[null,\"{stream}\"]'");
    subject.texts(&sql).first()?.first()?.clone()
}

pub(crate) fn append_holds_what_the_log_holds(subject: &dyn Subject) {
    for seed in 1..4 {
        compare(subject, Mode::Append, Deletes::Hard, seed);
    }
}

pub(crate) fn upsert_holds_what_the_source_holds(subject: &dyn Subject) {
    for deletes in DELETES {
        for seed in 10..14 {
            compare(subject, Mode::Upsert, deletes, seed);
        }
    }
}

pub(crate) fn history_holds_every_version(subject: &dyn Subject) {
    for deletes in DELETES {
        for seed in 20..23 {
            compare(subject, Mode::History, deletes, seed);
        }
    }
}

fn ids(subject: &dyn Subject, table: &str) -> Vec<String> {
    let mut ids: Vec<String> = subject.dump(table).iter().map(|row| row["id"].clone().unwrap()).collect();
    ids.sort();
    ids
}

const IDS: &str = r#"{"properties":{"id":{"type":"integer"}}}"#;

pub(crate) fn a_generation_is_shown_when_it_is_complete(subject: &dyn Subject) {
    for key in [&["id"][..], &[]] {
        let mut world = World::new();
        let orders = world.stream("orders", key, Some(IDS));
        let name = format!("overwrite by {key:?}");
        let settings = Settings::new(&name).mode(Mode::Overwrite).deletes(Deletes::Hard);
        let mut destination = subject.open(settings);
        let mut step = |ids_sent: &[u64], generation: (u64, u64, bool), shown: &[&str]| {
            for id in ids_sent {
                let key = if key.is_empty() { String::new() } else { format!("[{id}]") };
                world.append(&orders, OpKind::Insert, &key, &format!("{{\"id\":{id}}}"));
            }
            world.commit_defined(&[Definition { name: "orders", key, schema: IDS, generation }]);
            world.deliver(&mut *destination).unwrap();
            assert_eq!(ids(subject, &table_of(subject, &name, "orders")), shown, "{generation:?} {key:?}");
        };
        step(&[1, 2], (1, 1, false), &[]);
        step(&[3], (1, 1, true), &["1", "2", "3"]);
        // The same generation goes on: an incremental reading after a refresh.
        step(&[4], (1, 1, true), &["1", "2", "3", "4"]);
        // A refresh that does not replace is added at once.
        step(&[5], (2, 0, true), &["1", "2", "3", "4", "5"]);
        // A source that fails in the middle takes nothing away, however often it tries.
        step(&[6], (3, 3, false), &["1", "2", "3", "4", "5"]);
        step(&[7], (4, 4, false), &["1", "2", "3", "4", "5"]);
        step(&[], (4, 4, false), &["1", "2", "3", "4", "5"]);
        step(&[8], (4, 4, true), &["7", "8"]);
        // A generation that is complete without a record: the source is empty now.
        step(&[], (5, 5, true), &[]);
        assert!(subject.tables().iter().all(|table| !table.starts_with("_highwater_next")));
    }
}

pub(crate) fn a_refresh_sweeps_what_it_did_not_bring(subject: &dyn Subject) {
    for (deletes, left, marked) in [(Deletes::Hard, 2, 0), (Deletes::Soft, 3, 1), (Deletes::Ignore, 3, 0)] {
        let mut world = World::new();
        let orders = world.stream("orders", &["id"], Some(IDS));
        let name = format!("refresh {deletes:?}");
        let mut destination = subject.open(Settings::new(&name).deletes(deletes));
        for (ids, generation) in [(&[1, 2, 3][..], (1, 0, true)), (&[2], (2, 2, false)), (&[3], (2, 2, true))]
        {
            for id in ids {
                world.append(&orders, OpKind::Upsert, &format!("[{id}]"), &format!("{{\"id\":{id}}}"));
            }
            world.commit_defined(&[Definition { name: "orders", key: &["id"], schema: IDS, generation }]);
            world.deliver(&mut *destination).unwrap();
            if !generation.2 {
                assert_eq!(subject.count(&table_of(subject, &name, "orders")), 3);
            }
        }
        let rows = subject.dump(&table_of(subject, &name, "orders"));
        let is_marked = |row: &&crate::subject::Row| row["_highwater_deleted"].as_deref() == Some("true");
        assert_eq!((rows.len(), rows.iter().filter(is_marked).count()), (left, marked), "{deletes:?}");
    }
}
