//! Records that were refused, given again.

use highwater::{OpKind, Record, Sequence};
use highwater_connect::destination::sql::{Deletes, Mode, Settings};
use highwater_connect::{Again, Retried, StreamDefinition};

use crate::modes::table_of;
use crate::subject::Subject;
use crate::world::World;

const SCHEMA: &str = r#"{"properties":{"id":{"type":"integer"},"text":{"type":"string"}}}"#;

/// A log whose first checkpoint makes the table, and a table that does not take `bad`.
fn guarded(subject: &dyn Subject, settings: &Settings) -> (World, highwater::Stream) {
    let mut world = World::new();
    let stream = world.stream("s", &["id"], Some(SCHEMA));
    put(&mut world, &stream, 1, "first");
    world.deliver(&mut *subject.open(settings.clone())).unwrap();
    let table = subject.table(&table_of(subject, &settings.name, "s"));
    subject.run(&match subject.is_sqlite() {
        true => format!(
            "CREATE TRIGGER \"t{}\" BEFORE INSERT ON {table} WHEN new.text = 'bad' BEGIN SELECT RAISE(ABORT, 'no bad rows'); END",
            settings.name
        ),
        false => format!("ALTER TABLE {table} ADD CONSTRAINT good CHECK (text <> 'bad')"),
    });
    (world, stream)
}

fn unguard(subject: &dyn Subject, settings: &Settings) {
    let table = subject.table(&table_of(subject, &settings.name, "s"));
    subject.run(&match subject.is_sqlite() {
        true => format!("DROP TRIGGER \"t{}\"", settings.name),
        false => format!("ALTER TABLE {table} DROP CONSTRAINT good"),
    });
}

fn put(world: &mut World, stream: &highwater::Stream, id: u64, text: &str) {
    let row = format!("{{\"id\":{id},\"text\":\"{text}\"}}");
    world.append(stream, OpKind::Upsert, &format!("[{id}]"), &row);
    world.commit();
}

/// Gives the first record of these checkpoints again, as another process would.
fn give(subject: &dyn Subject, settings: &Settings, world: &World, sequences: &[u64]) -> Vec<Retried> {
    let mut definition =
        StreamDefinition::new(highwater::StreamName { namespace: None, name: "s".to_owned() });
    (definition.key, definition.schema) = (vec![vec!["id".to_owned()]], Some(SCHEMA.to_owned()));
    let read = |sequence: &u64| -> (Sequence, i64, Record) {
        let sequence = Sequence::new(*sequence);
        let checkpoint = world.log.reader(sequence).unwrap().next().unwrap().unwrap();
        let record = checkpoint.records().next().unwrap().unwrap();
        (sequence, checkpoint.time_us(), record)
    };
    let records: Vec<_> = sequences.iter().map(read).collect();
    let letters: Vec<Again<'_>> = records
        .iter()
        .map(|(sequence, committed_us, record)| Again {
            definition: &definition,
            sequence: *sequence,
            index: 0,
            generation: 0,
            committed_us: *committed_us,
            record,
        })
        .collect();
    subject.open(settings.clone()).retry(&letters).unwrap()
}

pub(crate) fn a_refused_record_is_taken_later_and_once(subject: &dyn Subject) {
    for mode in [Mode::Append, Mode::Upsert, Mode::History] {
        let settings = Settings::new(format!("later {}", mode.name())).mode(mode);
        let (mut world, stream) = guarded(subject, &settings);
        for (id, text) in [(2, "bad"), (3, "good"), (4, "bad")] {
            put(&mut world, &stream, id, text);
        }
        assert_eq!(world.deliver(&mut *subject.open(settings.clone())).unwrap().rejected.len(), 2);
        for outcome in give(subject, &settings, &world, &[2, 4]) {
            assert!(matches!(&outcome, Retried::Refused(why) if !why.is_empty()), "{outcome:?}");
        }
        assert_eq!(subject.open(settings.clone()).rejected_after(Sequence::NONE).unwrap().len(), 2);
        unguard(subject, &settings);
        // The second time stands for who was killed before it had written down what became of the first.
        for _ in 0..2 {
            assert_eq!(give(subject, &settings, &world, &[2, 4]), [Retried::Taken, Retried::Taken]);
        }
        let rows = subject.dump(&table_of(subject, &settings.name, "s"));
        let ids: Vec<_> = rows.iter().map(|row| row["id"].clone().unwrap()).collect();
        assert_eq!(ids, ["1", "2", "3", "4"], "{mode:?}");
        assert_eq!(rows[1]["_highwater_checkpoint"].as_deref(), Some("2"));
        assert_eq!(subject.open(settings.clone()).rejected_after(Sequence::NONE).unwrap(), []);
        // The delivery goes on where it was.
        put(&mut world, &stream, 5, "good");
        world.deliver(&mut *subject.open(settings.clone())).unwrap();
        assert_eq!(subject.count(&table_of(subject, &settings.name, "s")), 5);
    }
}

pub(crate) fn what_is_newer_is_not_undone(subject: &dyn Subject) {
    for mode in [Mode::Upsert, Mode::History] {
        let settings = Settings::new(format!("newer {}", mode.name())).mode(mode).deletes(Deletes::Soft);
        let (mut world, stream) = guarded(subject, &settings);
        put(&mut world, &stream, 1, "bad");
        put(&mut world, &stream, 1, "newest");
        world.deliver(&mut *subject.open(settings.clone())).unwrap();
        unguard(subject, &settings);
        assert_eq!(give(subject, &settings, &world, &[2]), [Retried::Superseded], "{mode:?}");
        let table = subject.table(&table_of(subject, &settings.name, "s"));
        let bad = subject.texts(&format!("SELECT 'x' FROM {table} WHERE text = 'bad'"));
        assert_eq!(bad.len(), 0);
        let newest = subject.texts(&format!("SELECT 'x' FROM {table} WHERE text = 'newest'"));
        assert_eq!(newest.len(), 1);
    }
}
