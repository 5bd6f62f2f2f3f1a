//! The statements by which rows get into one table. Parameters are numbered as the table's columns are.

use std::collections::HashMap;

use super::functions::MERGE;
use crate::destination::sql::names::quote;
use crate::destination::sql::statements::list;
use crate::destination::sql::table::{Own, Shape, Table};

/// A table's statements, made once.
#[derive(Debug)]
pub(super) struct Plan {
    /// Puts a row.
    pub(super) put: String,
    /// Takes the row of a key away, or ends its current version.
    pub(super) remove: String,
    /// Marks the row of a key as deleted.
    pub(super) bury: String,
    /// Ends the versions of a key before the one just put.
    pub(super) supersede: String,
    /// By which columns the record has; the last tells of the members without a column.
    patches: HashMap<Vec<bool>, String>,
}

impl Plan {
    pub(super) fn new(table: &Table<'_>) -> Plan {
        let has_key = table.shape.own_columns().contains(&Own::Key);
        let only_keyed = |sql: &dyn Fn() -> String| if has_key { sql() } else { String::new() };
        Plan {
            put: put(table),
            remove: only_keyed(&|| remove(table)),
            bury: only_keyed(&|| bury(table)),
            supersede: if table.shape == Shape::Versions { supersede(table) } else { String::new() },
            patches: HashMap::new(),
        }
    }

    /// Changes the columns that the record has.
    pub(super) fn patch(&mut self, table: &Table<'_>, has: Vec<bool>) -> &str {
        self.patches.entry(has).or_insert_with_key(|has| match table.shape {
            Shape::Versions => patch_version(table, has),
            _ => patch_row(table, has),
        })
    }
}

fn name(own: Own) -> String {
    quote(own.name())
}

/// The number of one of our columns' parameter.
fn param(table: &Table<'_>, own: Own) -> String {
    let index = table.column_names().position(|column| column == own.name()).unwrap_or_default();
    format!("?{}", index + 1)
}

fn insert(table: &Table<'_>) -> String {
    let params: Vec<String> = (1..=table.column_names().count()).map(|number| format!("?{number}")).collect();
    let (table, columns) = (quote(table.name), list(table.column_names()));
    format!("INSERT INTO {table} ({columns}) VALUES ({})", params.join(", "))
}

/// What follows an insertion that meets its key.
fn on_key(table: &Table<'_>, value: impl Fn(usize, &str) -> Option<String>) -> String {
    let set = table.column_names().enumerate().filter(|(_, column)| *column != Own::Key.name());
    let set: Vec<String> = set
        .filter_map(|(index, column)| Some(format!("{} = {}", quote(column), value(index, column)?)))
        .collect();
    format!(" ON CONFLICT ({}) DO UPDATE SET {}", name(Own::Key), set.join(", "))
}

fn excluded(column: &str) -> String {
    format!("excluded.{}", quote(column))
}

fn put(table: &Table<'_>) -> String {
    match table.shape {
        Shape::Rows => insert(table) + &on_key(table, |_, column| Some(excluded(column))),
        Shape::Log | Shape::Bag | Shape::Versions => insert(table),
    }
}

/// A row that was marked as deleted has nothing to keep.
fn patch_row(table: &Table<'_>, has: &[bool]) -> String {
    let kept =
        |column: &str| format!("CASE WHEN {} THEN NULL ELSE {} END", name(Own::Deleted), quote(column));
    let set = on_key(table, |index, column| {
        let is_there = has.get(index).copied().unwrap_or(true);
        Some(match is_there {
            false => kept(column),
            true if column == Own::Extra.name() => format!("{MERGE}({}, {})", kept(column), excluded(column)),
            true => excluded(column),
        })
    });
    insert(table) + &set
}

fn patch_version(table: &Table<'_>, has: &[bool]) -> String {
    let values: Vec<String> = table
        .column_names()
        .enumerate()
        .map(|(index, column)| {
            let (old, new) = (format!("old.{}", quote(column)), format!("?{}", index + 1));
            match has.get(index) {
                Some(false) => old,
                Some(true) if column == Own::Extra.name() => format!("{MERGE}({old}, {new})"),
                _ => new,
            }
        })
        .collect();
    let (to, columns, key) = (quote(table.name), list(table.column_names()), name(Own::Key));
    format!(
        "INSERT INTO {to} ({columns}) SELECT {} FROM (SELECT 1) LEFT JOIN {to} AS old \
         ON old.{key} = {} AND old.{} IS NULL",
        values.join(", "),
        param(table, Own::Key),
        name(Own::ValidTo)
    )
}

fn remove(table: &Table<'_>) -> String {
    let (to, key) = (quote(table.name), name(Own::Key));
    if table.shape != Shape::Versions {
        return format!("DELETE FROM {to} WHERE {key} = {}", param(table, Own::Key));
    }
    format!(
        "UPDATE {to} SET {until} = {}, {} = TRUE WHERE {key} = {} AND {until} IS NULL",
        param(table, Own::ValidFrom),
        name(Own::Deleted),
        param(table, Own::Key),
        until = name(Own::ValidTo)
    )
}

/// The row keeps its values. Where there is none, the deletion itself is kept.
fn bury(table: &Table<'_>) -> String {
    let changes = [Own::Deleted, Own::CommittedAt, Own::Generation, Own::Checkpoint, Own::Row].map(Own::name);
    insert(table) + &on_key(table, |_, column| changes.contains(&column).then(|| excluded(column)))
}

fn supersede(table: &Table<'_>) -> String {
    format!(
        "UPDATE {} SET {until} = {} WHERE {} = {} AND {until} IS NULL AND NOT ({} = {} AND {} = {})",
        quote(table.name),
        param(table, Own::ValidFrom),
        name(Own::Key),
        param(table, Own::Key),
        name(Own::Checkpoint),
        param(table, Own::Checkpoint),
        name(Own::Row),
        param(table, Own::Row),
        until = name(Own::ValidTo)
    )
}
