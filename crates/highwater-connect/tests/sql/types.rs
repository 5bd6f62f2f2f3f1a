//! Columns: their types, their values, and how they change.

use highwater::OpKind;
use highwater_connect::FailureKind;
use highwater_connect::destination::sql::{Mode, Settings};

use crate::model::canonical;
use crate::modes::table_of;
use crate::subject::{Row, Subject};
use crate::world::{Definition, World};

fn schema(columns: &[(&str, &str)]) -> String {
    let columns: Vec<String> = columns.iter().map(|(name, schema)| format!("\"{name}\":{schema}")).collect();
    format!("{{\"properties\":{{{}}}}}", columns.join(","))
}

const INTEGER: &str = r#"{"type":"integer"}"#;
const NUMBER: &str = r#"{"type":["null","number"]}"#;
const STRING: &str = r#"{"type":"string"}"#;
const DATE: &str = r#"{"type":"string","format":"date"}"#;
const UNION: &str = r#"{"type":["string","integer"]}"#;
const OBJECT: &str = r#"{"type":"object"}"#;

/// A column, its schema, and values: as JSON, and as they come back.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

fn values(rows: &[Row], column: &str) -> Vec<String> {
    rows.iter().map(|row| row[column].clone().unwrap_or_else(|| "NULL".to_owned())).collect()
}

pub(crate) fn values_come_back_exactly(subject: &dyn Subject) {
    let date_time = r#"{"type":"string","format":"date-time"}"#;
    let cases: [Case; 10] = [
        ("i", INTEGER, &[("9223372036854775807", "9223372036854775807"), ("-5.0", "-5"), ("null", "NULL")]),
        (
            "big",
            r#"{"type":"integer","airbyte_type":"big_integer"}"#,
            &[
                ("18446744073709551615", "18446744073709551615"),
                ("123456789012345678901234567890", "123456789012345678901234567890"),
            ],
        ),
        (
            "n",
            NUMBER,
            &[
                ("0.1", "0.1"),
                ("12345678901234567890.123456789", "12345678901234567890.123456789"),
                ("3.141592653589793", "3.141592653589793"),
            ],
        ),
        ("s", STRING, &[(r#""\t\\N\"é\ud83d\ude00\r\n""#, "\t\\N\"é😀\r\n"), (r#""""#, ""), ("5", "5")]),
        ("d", DATE, &[(r#""2024-02-29""#, "2024-02-29")]),
        ("t", date_time, &[(r#""2024-02-29T12:00:00.123456Z""#, "2024-02-29T12:00:00.123456Z")]),
        (
            "l",
            r#"{"type":"string","airbyte_type":"timestamp_without_timezone"}"#,
            &[(r#""2024-02-29 12:00:00""#, "2024-02-29 12:00:00")],
        ),
        (
            "c",
            r#"{"type":"string","format":"time","airbyte_type":"time_without_timezone"}"#,
            &[(r#""12:30:00""#, "12:30:00")],
        ),
        ("u", UNION, &[("1", "1"), (r#""1""#, r#""1""#)]),
        ("o", OBJECT, &[(r#"{"b":[1,null],"a":"\n"}"#, r#"{"a":"\n","b":[1,null]}"#)]),
    ];
    let mut world = World::new();
    let columns: Vec<(&str, &str)> = cases.iter().map(|(name, schema, _)| (*name, *schema)).collect();
    let stream = world.stream("s", &[], Some(&schema(&columns)));
    for (name, _, values) in &cases {
        for (raw, _) in *values {
            world.insert(&stream, &format!("{{\"{name}\":{raw}}}"));
        }
    }
    world.commit();
    let applied = world.deliver(&mut *subject.open(Settings::new("shop"))).unwrap();
    assert_eq!(applied.rejected, []);
    let rows = subject.dump("s");
    let mut at = 0;
    for (name, _, values) in &cases {
        for (raw, expected) in *values {
            let found = rows[at][*name].clone().unwrap_or_else(|| "NULL".to_owned());
            let found = if *name == "o" { canonical(&found) } else { found };
            assert_eq!(found, *expected, "{name} {raw}");
            at += 1;
        }
    }
    let types: Vec<String> = subject.columns("s").into_iter().take(10).map(|(_, kind)| kind).collect();
    let expected = match subject.is_sqlite() {
        true => ["INTEGER", "ANY", "ANY", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT"],
        false => [
            "bigint",
            "numeric",
            "numeric",
            "text",
            "date",
            "timestamp with time zone",
            "timestamp without time zone",
            "time without time zone",
            "jsonb",
            "jsonb",
        ],
    };
    assert_eq!(types, expected);
}

/// A schema's columns, and a record's members.
type Stage = (&'static [(&'static str, &'static str)], &'static str);

const STAGES: [Stage; 5] = [
    (
        &[("a", INTEGER), ("b", DATE), ("c", r#"{"type":"boolean"}"#), ("n", NUMBER), ("s", STRING)],
        r#""a":1,"b":"2024-01-31","c":true,"n":0.1,"s":"x\"y","later":[1]"#,
    ),
    // An integer beyond 64 bits widens its column by itself.
    (&[("a", INTEGER)], r#""a":18446744073709551616"#),
    (&[("a", NUMBER), ("b", STRING), ("later", OBJECT)], r#""a":2.5,"b":"no date","later":{}"#),
    (
        &[("a", UNION), ("b", OBJECT), ("c", UNION), ("n", UNION), ("s", UNION)],
        r#""a":"three","b":{},"c":"c""#,
    ),
    (&[("a", INTEGER)], r#""a":4"#),
];

/// Stage by stage, and all in one batch, where rows wait while their table changes.
pub(crate) fn columns_are_added_and_widened(subject: &dyn Subject) {
    let keyed = &["k"][..];
    for (mode, key) in
        [(Mode::Append, &[][..]), (Mode::Overwrite, &[]), (Mode::Upsert, keyed), (Mode::History, keyed)]
    {
        for at_once in [false, true] {
            let name = format!("{} {at_once}", mode.name());
            let mut destination = subject.open(Settings::new(&name).mode(mode));
            let mut world = World::new();
            let stream = world.stream("s", key, None);
            for (k, (columns, members)) in STAGES.into_iter().enumerate() {
                let columns: Vec<(&str, &str)> = [("k", INTEGER)].iter().chain(columns).copied().collect();
                let schema = schema(&columns);
                let key_of = |k: usize| if key.is_empty() { String::new() } else { format!("[{k}]") };
                world.append(&stream, OpKind::Insert, &key_of(k), &format!("{{\"k\":{k},{members}}}"));
                // Built aside in mode overwrite, so both tables change.
                let generation = (1, 1, k + 1 == STAGES.len());
                world.commit_defined(&[Definition { name: "s", key, schema: &schema, generation }]);
                if !at_once {
                    assert_eq!(world.deliver(&mut *destination).unwrap().rejected, [], "{members}");
                }
            }
            if at_once {
                let applied = destination.apply(&world.batches("all", 100)[0]).unwrap();
                assert_eq!(applied.rejected, []);
            }
            check_stages(&subject.dump(&crate::modes::table_of(subject, &name, "s")));
        }
    }
}

fn check_stages(rows: &[Row]) {
    assert_eq!(values(rows, "a"), ["1", "18446744073709551616", "2.5", "\"three\"", "4"]);
    assert_eq!(values(rows, "b"), ["\"2024-01-31\"", "NULL", "\"no date\"", "{}", "NULL"]);
    assert_eq!(values(rows, "c"), ["true", "NULL", "NULL", "\"c\"", "NULL"]);
    assert_eq!(values(rows, "n")[0], "0.1");
    assert_eq!(values(rows, "s")[0], "\"x\\\"y\"");
    assert_eq!(values(rows, "later"), ["NULL", "NULL", "{}", "NULL", "NULL"]);
    assert_eq!(canonical(&values(rows, "_highwater_extra")[0]), r#"{"later":[1]}"#);
}

pub(crate) fn a_change_that_would_lose_values_is_refused_by_name(subject: &dyn Subject) {
    let mut world = World::new();
    let stream = world.stream("s", &[], Some(&schema(&[("price", STRING)])));
    world.insert(&stream, r#"{"price":"cheap"}"#);
    world.commit();
    let mut destination = subject.open(Settings::new("shop"));
    world.deliver(&mut *destination).unwrap();
    let stream = world.stream("s", &[], Some(&schema(&[("price", INTEGER)])));
    world.insert(&stream, r#"{"price":5}"#);
    world.commit();
    let failure = world.deliver(&mut *destination).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Config);
    assert!(
        failure.to_string().contains("\"price\" holds text") && failure.to_string().contains("\"s\""),
        "{failure}"
    );
    // A schema that tells of both is taken, and what waited arrives.
    let stream = world.stream("s", &[], Some(&schema(&[("price", UNION)])));
    world.insert(&stream, r#"{"price":6}"#);
    world.commit();
    world.deliver(&mut *destination).unwrap();
    assert_eq!(values(&subject.dump("s"), "price"), ["\"cheap\"", "5", "6"]);
}

/// The way out that the refusal names: what was renamed keeps its values, and the column is made anew.
pub(crate) fn a_column_that_was_renamed_by_hand_is_made_anew(subject: &dyn Subject) {
    for mode in [Mode::Append, Mode::Upsert, Mode::History] {
        let mut world = World::new();
        let key: &[&str] = if mode == Mode::Append { &[] } else { &["id"] };
        let insert = |world: &mut World, kind: &str, id: u64, price: &str| {
            let stream = world.stream("s", key, Some(&schema(&[("id", INTEGER), ("price", kind)])));
            let key = if mode == Mode::Append { String::new() } else { format!("[{id}]") };
            let row = format!("{{\"id\":{id},\"price\":{price}}}");
            world.append(&stream, OpKind::Upsert, &key, &row);
            world.commit();
        };
        insert(&mut world, INTEGER, 1, "5");
        let settings = Settings::new(mode.name()).mode(mode);
        let mut destination = subject.open(settings);
        world.deliver(&mut *destination).unwrap();
        let name = table_of(subject, mode.name(), "s");
        insert(&mut world, STRING, 2, "\"cheap\"");
        let failure = world.deliver(&mut *destination).unwrap_err();
        assert!(failure.to_string().contains("rename that column by hand"), "{failure}");
        let table = subject.table(&name);
        subject.run(&format!("ALTER TABLE {table} RENAME COLUMN price TO price_before"));
        world.deliver(&mut *destination).unwrap();
        let rows = subject.dump(&name);
        let of = |column: &str| rows.iter().map(|row| row[column].clone()).collect::<Vec<_>>();
        assert_eq!(of("price_before"), [Some("5".to_owned()), None]);
        assert_eq!(of("price"), [None, Some("cheap".to_owned())]);
        // It goes on, and so does another process.
        insert(&mut world, STRING, 3, "\"dear\"");
        world.deliver(&mut *subject.open(Settings::new(mode.name()).mode(mode))).unwrap();
        assert_eq!(subject.count(&name), 3);
    }
}

pub(crate) fn row_identity_survives_added_columns(subject: &dyn Subject) {
    let mut world = World::new();
    let settings = Settings::new("shop").mode(Mode::Upsert);
    for columns in [&[("a", INTEGER)][..], &[("a", INTEGER), ("b", STRING)]] {
        let schema = schema(columns);
        let stream = world.stream("s", &[], Some(&schema));
        for _ in 0..3 {
            // The very same record, thrice.
            world.append(&stream, OpKind::Insert, "", r#"{"a":1,"b":"x"}"#);
        }
        world.commit_defined(&[Definition {
            name: "s",
            key: &[],
            schema: &schema,
            generation: (0, 0, false),
        }]);
        for size in [1, 100] {
            for batch in world.batches(&format!("{size}-{}", columns.len()), size) {
                subject.open(settings.clone()).apply(&batch).unwrap();
            }
        }
    }
    let rows = subject.dump("s");
    assert_eq!(values(&rows, "_highwater_row"), ["0", "1", "2", "0", "1", "2"]);
    assert_eq!(values(&rows, "b"), ["NULL", "NULL", "NULL", "x", "x", "x"]);
}
