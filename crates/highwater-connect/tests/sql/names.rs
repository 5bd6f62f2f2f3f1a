//! Names of streams and members that databases do not like.

use highwater_connect::destination::sql::{Mode, Settings};

use crate::modes::table_of;
use crate::subject::Subject;
use crate::world::World;

pub(crate) fn names_are_long_reserved_or_alike(subject: &dyn Subject) {
    let long = "x".repeat(100);
    let streams = [
        "select",
        "Orders",
        "orders",
        "ORDERS",
        "orders_pkey",
        "sqlite_master",
        "pg_class",
        "a\\\"b; DROP TABLE orders; --",
        "",
        &long,
        &format!("{long}y"),
        "_highwater_positions",
        "größe",
        "nul\\u0000",
        "Größe",
    ];
    let members = [
        "id",
        "ID",
        "Id",
        "select",
        "xmin",
        "ctid",
        "oid",
        "rowid",
        "_highwater_key",
        "_highwater_row",
        "a\\\"b",
        "a'b",
        "%s",
        "",
        &long,
        &format!("{long}y"),
        "ünï",
        "nul\\u0000",
        "tab\\t",
        "_highwater_copy",
        "$1",
        "?1",
    ];
    let mut world = World::new();
    let quoted = |name: &str, value: &str| format!("\"{name}\":{value}");
    let properties: Vec<String> = members.iter().map(|name| quoted(name, r#"{"type":"integer"}"#)).collect();
    let schema = format!("{{\"properties\":{{{}}}}}", properties.join(","));
    let row: Vec<String> = members.iter().enumerate().map(|(i, name)| quoted(name, &i.to_string())).collect();
    for (i, name) in streams.iter().enumerate() {
        let name: String = serde_json::from_str(&format!("\"{name}\"")).unwrap();
        let stream = world.stream(&name, &[], Some(&schema));
        for _ in 0..=i {
            world.insert(&stream, &format!("{{{}}}", row.join(",")));
        }
    }
    world.commit();
    for mode in [Mode::Append, Mode::Upsert, Mode::History] {
        let name = mode.name();
        let mut destination = subject.open(Settings::new(name).mode(mode));
        for batch in world.batches(name, 100) {
            assert_eq!(destination.apply(&batch).unwrap().rejected, []);
        }
        let mut tables = Vec::new();
        for (i, stream) in streams.iter().enumerate() {
            let stream: String = serde_json::from_str(&format!("\"{stream}\"")).unwrap();
            // As it stands between the quotes of JSON.
            let stream = serde_json::to_string(&stream).unwrap();
            let table = table_of(subject, name, &stream[1..stream.len() - 1]);
            let rows = subject.dump(&table);
            assert_eq!(rows.len(), i + 1, "{table}");
            let columns = subject.columns(&table);
            let values: Vec<_> =
                columns[..members.len()].iter().map(|(name, _)| rows[0][name].clone()).collect();
            let expected: Vec<_> = (0..members.len()).map(|i| Some(i.to_string())).collect();
            assert_eq!(values, expected, "{columns:?}");
            assert!(table.len() <= if subject.is_sqlite() { 255 } else { 63 });
            tables.push(table.to_lowercase());
        }
        tables.sort();
        tables.dedup();
        assert_eq!(tables.len(), streams.len());
    }
}
