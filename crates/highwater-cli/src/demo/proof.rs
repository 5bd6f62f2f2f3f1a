//! What the database holds against what the source has, row by row. The log has no say in it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use highwater_connect::quantity::count;
use highwater_connect::source::sample::{KINDS, Kind};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::output;

/// A table, or what a table should be: how many rows, and what they are.
#[derive(PartialEq, Eq)]
struct Content {
    rows: u64,
    digest: blake3::Hash,
}

/// Columns of a row end so, and rows: no value has these in it.
const COLUMN_END: [u8; 1] = [0x1f];
const ROW_END: [u8; 1] = [0x1e];

#[derive(Default)]
struct Digest {
    rows: u64,
    hasher: blake3::Hasher,
}

impl Digest {
    fn column(&mut self, text: &str) {
        self.hasher.update(text.as_bytes()).update(&COLUMN_END);
    }

    fn end_row(&mut self) {
        self.hasher.update(&ROW_END);
        self.rows += 1;
    }

    fn finish(self) -> Content {
        Content { rows: self.rows, digest: self.hasher.finalize() }
    }
}

/// Prints the comparison; whether all is as it should be.
pub(super) fn print(database: &Path, rows: u64, runs: &str) -> Result<bool, Failure> {
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let mut table = output::table(["TABLE", "SHOULD HAVE", "HAS", "SHOULD BE", "IS", ""], &[1, 2]);
    let mut is_proven = true;
    for kind in KINDS {
        let (wanted, found) = (expected(kind, rows)?, held(&connection, kind)?);
        let is_same = wanted == found;
        is_proven &= is_same;
        table.add_row([
            kind.name().to_owned(),
            count(wanted.rows),
            count(found.rows),
            short(&wanted),
            short(&found),
            if is_same { "the same" } else { "DIFFERENT" }.to_owned(),
        ]);
    }
    let mut out = output::buffered();
    writeln!(out, "\n{}\n", table.trim_fmt())?;
    let verdict = match is_proven {
        true => "nothing was lost, nothing was doubled: SQLite holds what the source has, to the byte",
        false => "SQLite does not hold what the source has",
    };
    writeln!(out, "{runs}; {verdict}")?;
    out.flush()?;
    Ok(is_proven)
}

fn short(content: &Content) -> String {
    content.digest.to_hex()[..12].to_owned()
}

fn failed(error: rusqlite::Error) -> Failure {
    Failure::error(format!("reading the database: {error}"))
}

/// From the source alone: of each row the last record counts.
fn expected(kind: Kind, rows: u64) -> Result<Content, Failure> {
    let last: BTreeMap<u64, u64> = (0..kind.records(rows)).map(|n| (kind.id(n), n)).collect();
    let mut digest = Digest::default();
    for n in last.into_values() {
        let row = kind.row(n);
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(&row).map_err(|e| Failure::error(format!("a sample row: {e}")))?;
        for value in members.values() {
            // Texts are what they say; numbers and nested values are as they stand.
            match serde_json::from_str::<String>(value.get()) {
                Ok(text) => digest.column(&text),
                Err(_) => digest.column(value.get()),
            }
        }
        digest.end_row();
    }
    Ok(digest.finish())
}

/// From the database alone, in the same order: columns by their names, rows by the first that is a number of the row.
fn held(connection: &Connection, kind: Kind) -> Result<Content, Failure> {
    let columns = columns(connection, kind)?;
    let order = kind.key().unwrap_or("n");
    let list: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let sql = format!("SELECT {} FROM \"{}\" ORDER BY \"{order}\"", list.join(", "), kind.name());
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let mut found = statement.query([]).map_err(failed)?;
    let mut digest = Digest::default();
    while let Some(row) = found.next().map_err(failed)? {
        for index in 0..columns.len() {
            digest.column(&text(row.get_ref(index).map_err(failed)?));
        }
        digest.end_row();
    }
    Ok(digest.finish())
}

/// The stream's columns: ours begin with an underscore.
fn columns(connection: &Connection, kind: Kind) -> Result<Vec<String>, Failure> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY name").map_err(failed)?;
    let names = statement.query_map([kind.name()], |row| row.get::<_, String>(0)).map_err(failed)?;
    let names = names.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    Ok(names.into_iter().filter(|name| !name.starts_with('_')).collect())
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    }
}
