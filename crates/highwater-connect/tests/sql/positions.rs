//! Delivering again, dying in between, and other histories.

use highwater::Sequence;
use highwater_connect::FailureKind;
use highwater_connect::destination::sql::{Deletes, Mode, Settings};

use crate::child;
use crate::modes::{busy_world, check_tables, table_of};
use crate::subject::Subject;
use crate::world::World;

const MODES: [Mode; 3] = [Mode::Append, Mode::Upsert, Mode::History];

pub(crate) fn a_redelivery_from_anywhere_changes_nothing(subject: &dyn Subject) {
    for mode in MODES {
        let world = busy_world(31, 9);
        let name = format!("again {}", mode.name());
        let settings = Settings::new(&name).mode(mode).deletes(Deletes::Soft);
        for (round, size) in [1, 2, 5, 100, 3].into_iter().enumerate() {
            // Another process, which knows nothing, and another grouping. The first round stops half-way.
            let batches = world.batches(&format!("round-{round}"), size);
            let mut destination = subject.open(settings.clone());
            let some = if round == 0 { 4 } else { batches.len() };
            for from in 0..some {
                for batch in &batches[from..some] {
                    assert_eq!(destination.apply(batch).unwrap().rejected, []);
                }
            }
            let stored = destination.stored().unwrap().position().unwrap();
            assert_eq!(stored.sequence, if round == 0 { Sequence::new(4) } else { Sequence::new(9) });
        }
        check_tables(subject, &world, mode, Deletes::Soft, &name);
    }
}

pub(crate) fn a_crash_between_applying_and_acknowledging(subject: &dyn Subject) {
    for mode in MODES {
        let world = busy_world(32, 8);
        let name = format!("crash {}", mode.name());
        let settings = Settings::new(&name).mode(mode).deletes(Deletes::Hard);
        for batch in &world.batches("delivery", 3)[..2] {
            // Applied, and never acknowledged: the consumer knows of nothing.
            subject.open(settings.clone()).apply(batch).unwrap();
        }
        world.deliver(&mut *subject.open(settings)).unwrap();
        check_tables(subject, &world, mode, Deletes::Hard, &name);
    }
}

/// A child process delivers and is killed, again and again, at moments spread over its whole work: inside a transaction, too.
pub(crate) fn killed_at_any_moment(subject: &dyn Subject) {
    for mode in MODES {
        let world = busy_world(33, 60);
        let name = format!("killed {}", mode.name());
        let settings = Settings::new(&name).mode(mode).deletes(Deletes::Soft);
        let (mut killed, mut delay_us) = (0, 2_000);
        while child::is_killed_after(subject, world.path(), &settings, delay_us) {
            killed += 1;
            delay_us += 7_000;
            assert!(killed < 300, "the child never comes to its end");
        }
        eprintln!("{name}: killed {killed} times");
        check_tables(subject, &world, mode, Deletes::Soft, &name);
    }
}

pub(crate) fn another_history_has_diverged(subject: &dyn Subject) {
    let mut world = World::new();
    let orders = world.stream("orders", &[], None);
    for id in 0..3 {
        world.insert(&orders, &format!("{{\"id\":{id}}}"));
        world.commit();
    }
    let (mut world, mut other) = world.fork();
    for (world, id) in [(&mut world, 10), (&mut other, 20)] {
        let orders = world.stream("orders", &[], None);
        for id in id..id + 2 {
            world.insert(&orders, &format!("{{\"id\":{id}}}"));
            world.commit();
        }
    }
    let settings = Settings::new("shop").mode(Mode::Append);
    world.deliver(&mut *subject.open(settings.clone())).unwrap();
    let before = subject.dump("orders");
    assert_eq!(before.len(), 5);

    let mut destination = subject.open(settings.clone());
    // The same numbers, other checkpoints: whole, in parts that were delivered with others, and through the runtime's way.
    let diverged = |failure: highwater_connect::Failure| {
        assert_eq!(failure.kind(), FailureKind::Diverged, "{failure}");
    };
    diverged(destination.apply(&other.batches("a", 100)[0]).unwrap_err());
    diverged(destination.apply(&other.batches("b", 1)[4]).unwrap_err());
    diverged(destination.apply(&other.batches("c", 5)[0]).unwrap_err());
    diverged(other.deliver(&mut *subject.open(settings.clone())).unwrap_err());

    // Another log altogether.
    let mut foreign = World::new();
    let orders = foreign.stream("orders", &[], None);
    foreign.insert(&orders, "{}");
    foreign.commit();
    diverged(destination.apply(&foreign.batches("d", 1)[0]).unwrap_err());
    assert_eq!(subject.dump("orders"), before);
}

pub(crate) fn a_failed_batch_leaves_nothing(subject: &dyn Subject) {
    let mut world = World::new();
    let schema = |kind: &str| format!(r#"{{"properties":{{"c":{{"type":"{kind}"}}}}}}"#);
    let stream = world.stream("a", &[], Some(&schema("string")));
    world.insert(&stream, r#"{"c":"x"}"#);
    world.commit();
    let settings = Settings::new("shop").mode(Mode::Append);
    let mut destination = subject.open(settings);
    world.deliver(&mut *destination).unwrap();
    let other = world.stream("b", &[], None);
    let stream = world.stream("a", &[], Some(&schema("integer")));
    for _ in 0..2 {
        // The first stream's change is refused, the second's new table must not stay behind.
        world.insert(&other, "{}");
        world.commit();
        world.insert(&stream, r#"{"c":1}"#);
        world.commit();
        let batch = &world.batches("again", 100)[0];
        assert_eq!(destination.apply(batch).unwrap_err().kind(), FailureKind::Config);
        assert_eq!(destination.stored().unwrap().position().unwrap().sequence, Sequence::FIRST);
        assert_eq!(subject.dump(&table_of(subject, "shop", "a")).len(), 1);
        assert!(!subject.tables().contains(&"b".to_owned()));
    }
}

pub(crate) fn a_lost_connection_is_no_loss(subject: &dyn Subject) {
    let world = busy_world(34, 8);
    let settings = Settings::new("shop").mode(Mode::Upsert).deletes(Deletes::Hard);
    let mut destination = subject.open(settings);
    for batch in world.batches("delivery", 1) {
        subject.disconnect();
        if let Err(failure) = destination.apply(&batch) {
            assert_eq!(failure.kind(), FailureKind::Transient, "{failure}");
            destination.apply(&batch).unwrap();
        }
    }
    check_tables(subject, &world, Mode::Upsert, Deletes::Hard, "shop");
}

/// What is refused only when the transaction ends: nothing of it may be remembered.
pub(crate) fn a_refused_commit_leaves_nothing(subject: &dyn Subject) {
    if subject.is_sqlite() {
        return;
    }
    let mut world = World::new();
    let first = world.stream("a", &[], None);
    world.insert(&first, "{}");
    world.commit();
    let mut destination = subject.open(Settings::new("shop").mode(Mode::Append));
    world.deliver(&mut *destination).unwrap();
    let (table, refuse) = (subject.table("a"), subject.table("refuse"));
    subject.run(&format!(
        "CREATE FUNCTION {refuse}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$; \
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION {refuse}()"
    ));
    let second = world.stream("b", &[], None);
    world.insert(&first, "{}");
    world.insert(&second, "{}");
    world.commit();
    let failure = world.deliver(&mut *destination).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Permanent);
    assert!(failure.to_string().contains("not today"), "{failure}");
    assert_eq!((subject.count("a"), subject.tables().contains(&"b".to_owned())), (1, false));
    subject.run(&format!("DROP TRIGGER refuse ON {table}"));
    assert_eq!(destination.apply(&world.batches("again", 100)[0]).unwrap().rejected, []);
    assert_eq!((subject.count("a"), subject.count("b")), (2, 1));
}
