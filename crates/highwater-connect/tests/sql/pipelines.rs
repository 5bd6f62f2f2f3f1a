//! Several deliveries into one database.

use highwater::{OpKind, StreamSpec};
use highwater_connect::destination::sql::{Deletes, Mode, Settings};
use highwater_connect::{FailureKind, Stored};

use crate::modes::{busy_world, check_tables, table_of};
use crate::subject::Subject;
use crate::world::{Definition, World};

pub(crate) fn two_pipelines_do_not_meet(subject: &dyn Subject) {
    let worlds = [busy_world(41, 6), busy_world(42, 6)];
    let settings = ["one", "two"].map(|name| Settings::new(name).mode(Mode::Upsert).deletes(Deletes::Hard));
    let mut destinations = settings.map(|settings| subject.open(settings));
    for i in 0..6 {
        for (world, destination) in worlds.iter().zip(&mut destinations) {
            destination.apply(&world.batches(&format!("feed-{i}"), 1)[i]).unwrap();
        }
    }
    for (world, name) in worlds.iter().zip(["one", "two"]) {
        check_tables(subject, world, Mode::Upsert, Deletes::Hard, name);
    }
    // And a third, of the same log as the first, in another mode.
    let third = Settings::new("three").mode(Mode::History).deletes(Deletes::Soft);
    worlds[0].deliver(&mut *subject.open(third)).unwrap();
    check_tables(subject, &worlds[0], Mode::History, Deletes::Soft, "three");
    check_tables(subject, &worlds[0], Mode::Upsert, Deletes::Hard, "one");
}

/// The way out that the refusal names: what was renamed keeps its rows, and the table is made anew.
pub(crate) fn a_table_that_was_renamed_by_hand_is_made_anew(subject: &dyn Subject) {
    for mode in [Mode::Upsert, Mode::History, Mode::Overwrite] {
        let mut world = World::new();
        let write = |world: &mut World, key: &str, value: u64| {
            let stream = world.log.stream(StreamSpec::new("s").key([key]).allow_key_change()).unwrap();
            world.add(&stream);
            let row = format!("{{\"id\":{value},\"no\":{value}}}");
            world.append(&stream, OpKind::Upsert, &format!("[{value}]"), &row);
            let schema = r#"{"properties":{"id":{"type":"integer"},"no":{"type":"integer"}}}"#;
            world.commit_defined(&[Definition { name: "s", key: &[key], schema, generation: (0, 0, false) }]);
        };
        write(&mut world, "id", 1);
        let settings = Settings::new(mode.name()).mode(mode);
        let mut destination = subject.open(settings.clone());
        world.deliver(&mut *destination).unwrap();
        let name = table_of(subject, mode.name(), "s");
        write(&mut world, "no", 2);
        let failure = world.deliver(&mut *destination).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Config);
        assert!(failure.to_string().contains("rename the table by hand"), "{failure}");
        let before = format!("before_{}", mode.name());
        subject.run(&format!("ALTER TABLE {} RENAME TO {before}", subject.table(&name)));
        world.deliver(&mut *destination).unwrap();
        assert_eq!(table_of(subject, mode.name(), "s"), name, "it has the name that it had");
        write(&mut world, "no", 3);
        world.deliver(&mut *subject.open(settings)).unwrap();
        assert_eq!((subject.count(&name), subject.count(&before)), (2, 1), "{mode:?}");
    }
}

pub(crate) fn a_table_that_was_dropped_by_hand_is_told_with_the_way_out(subject: &dyn Subject) {
    let mut world = World::new();
    let stream = world.stream("s", &["id"], None);
    world.append(&stream, OpKind::Upsert, "[1]", r#"{"id":1}"#);
    world.commit();
    let settings = Settings::new("shop");
    world.deliver(&mut *subject.open(settings.clone())).unwrap();
    let table = subject.table(&table_of(subject, "shop", "s"));
    subject.run(&format!("DROP TABLE {table}"));
    world.append(&stream, OpKind::Upsert, "[2]", r#"{"id":2}"#);
    world.commit();
    let failure = world.deliver(&mut *subject.open(settings.clone())).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Permanent);
    assert!(failure.to_string().contains("delete its row in _highwater_streams"), "{failure}");
    subject.run(&format!("DELETE FROM {}", subject.table("_highwater_streams")));
    world.deliver(&mut *subject.open(settings)).unwrap();
    assert_eq!(subject.count(&table_of(subject, "shop", "s")), 1);
}

pub(crate) fn a_table_keeps_its_mode_and_its_key(subject: &dyn Subject) {
    let mut world = World::new();
    let orders = world.stream("orders", &["id"], None);
    world.append(&orders, OpKind::Upsert, "[1]", r#"{"id":1}"#);
    world.commit();
    // A table of the user's is not touched.
    let destination = &mut *subject.open(Settings::new("shop"));
    assert_eq!(destination.stored().unwrap(), Stored::Nothing);
    subject.run(&format!("CREATE TABLE {} (x text)", subject.table("orders")));
    world.deliver(destination).unwrap();
    assert_eq!(subject.texts(&format!("SELECT 'x' FROM {}", subject.table("orders"))).len(), 0);

    world.append(&orders, OpKind::Upsert, "[2]", r#"{"id":2}"#);
    world.commit();
    let failure = world.deliver(&mut *subject.open(Settings::new("shop").mode(Mode::Append))).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Config);
    assert!(failure.to_string().contains("upsert"), "{failure}");
    world.deliver(destination).unwrap();
}
