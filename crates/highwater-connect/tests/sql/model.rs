//! What a table has to hold, worked out from the log record by record, in the plainest way.

use std::collections::BTreeMap;

use highwater::{OpKind, Record};
use highwater_connect::Batch;
use highwater_connect::destination::sql::{Deletes, Mode};
use serde_json::value::RawValue;

use crate::subject::Row;

pub(crate) struct Model {
    pub(crate) mode: Mode,
    pub(crate) deletes: Deletes,
    /// The stream's columns, as far as its schema declares them.
    pub(crate) columns: Vec<&'static str>,
    pub(crate) key: Option<&'static str>,
    rows: Vec<Row>,
}

struct Place<'a> {
    checkpoint: u64,
    row: u64,
    committed: &'a str,
}

fn some(text: impl ToString) -> Option<String> {
    Some(text.to_string())
}

/// JSON text without its spaces and the order of its members.
pub(crate) fn canonical(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).unwrap().to_string()
}

fn cell(column: &str, raw: &str) -> Option<String> {
    match column {
        _ if raw == "null" => None,
        "tags" => Some(canonical(raw)),
        _ if raw.starts_with('"') => Some(serde_json::from_str(raw).unwrap()),
        _ => some(raw),
    }
}

impl Model {
    pub(crate) fn new(
        mode: Mode,
        deletes: Deletes,
        columns: &[&'static str],
        key: Option<&'static str>,
    ) -> Self {
        Model { mode, deletes, columns: columns.to_vec(), key, rows: Vec::new() }
    }

    /// All records of a stream.
    pub(crate) fn take(&mut self, batches: &[Batch], stream: &str) {
        for checkpoint in batches.iter().flat_map(Batch::checkpoints) {
            let committed = checkpoint.committed_us().to_string();
            for part in checkpoint.parts().filter(|part| part.name().name == stream) {
                for (row, record) in (0..).zip(part.records()) {
                    let place = Place { checkpoint: checkpoint.sequence().get(), row, committed: &committed };
                    self.record(&record.unwrap(), &place);
                }
            }
        }
    }

    /// In the order of their records.
    pub(crate) fn rows(mut self) -> Vec<Row> {
        let place = |row: &Row| ["_highwater_checkpoint", "_highwater_row"].map(|own| number(row, own));
        self.rows.sort_by_key(place);
        self.rows
    }

    fn record(&mut self, record: &Record, place: &Place<'_>) {
        match (self.mode, record.op) {
            (Mode::Append, _) => {
                let row = self.append(record, place);
                self.rows.push(row);
            }
            (_, OpKind::Truncate) => self.truncate(place),
            (Mode::History, _) if self.key.is_some() => self.version(record, place),
            (_, OpKind::Insert | OpKind::Upsert | OpKind::Update | OpKind::Delete) if self.key.is_some() => {
                self.upsert(record, place);
            }
            _ => {
                let row = self.whole(record, place);
                self.rows.push(row);
            }
        }
    }

    /// The members that have a column, and all others as one.
    fn members(&self, record: &Record) -> Row {
        let text = std::str::from_utf8(&record.payload).unwrap();
        let text = if text.is_empty() { "{}" } else { text };
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
        let mut row = Row::new();
        let mut others = serde_json::Map::new();
        for (name, raw) in &members {
            if self.columns.contains(&name.as_str()) {
                row.insert(name.clone(), cell(name, raw.get()));
            } else {
                others.insert(name.clone(), serde_json::from_str(raw.get()).unwrap());
            }
        }
        if !others.is_empty() {
            row.insert("_highwater_extra".to_owned(), some(serde_json::Value::from(others)));
        }
        if let (Some(column), OpKind::Update | OpKind::Delete) = (self.key, record.op) {
            let parts: Vec<Box<RawValue>> = serde_json::from_slice(&record.key).unwrap();
            row.entry(column.to_owned()).or_insert_with(|| cell(column, parts[0].get()));
        }
        row
    }

    fn own(&self, row: &mut Row, record: &Record, place: &Place<'_>) {
        row.insert("_highwater_checkpoint".to_owned(), some(place.checkpoint));
        row.insert("_highwater_row".to_owned(), some(place.row));
        row.insert("_highwater_committed_at".to_owned(), some(place.committed));
        row.insert("_highwater_generation".to_owned(), some(0));
        row.insert("_highwater_deleted".to_owned(), some(record.op == OpKind::Delete));
        if self.key.is_some() {
            row.insert("_highwater_key".to_owned(), some(String::from_utf8_lossy(&record.key)));
        }
        if self.mode == Mode::History {
            row.insert("_highwater_valid_from".to_owned(), some(place.committed));
            row.insert("_highwater_valid_to".to_owned(), None);
            row.entry("_highwater_key".to_owned()).or_default();
        }
    }

    fn whole(&self, record: &Record, place: &Place<'_>) -> Row {
        let mut row = self.members(record);
        for column in self.columns.iter().chain(&["_highwater_extra"]) {
            row.entry((*column).to_owned()).or_insert(None);
        }
        self.own(&mut row, record, place);
        row
    }

    fn append(&self, record: &Record, place: &Place<'_>) -> Row {
        let mut row = self.whole(record, place);
        let op = format!("{:?}", record.op).to_lowercase();
        row.insert("_highwater_op".to_owned(), some(op));
        if record.key.is_empty() {
            row.insert("_highwater_key".to_owned(), None);
        }
        row
    }

    fn truncate(&mut self, place: &Place<'_>) {
        match (self.mode, self.deletes) {
            (_, Deletes::Ignore) => {}
            (Mode::History, _) => self.rows.iter_mut().for_each(|row| end(row, place, true)),
            (_, Deletes::Hard) => self.rows.clear(),
            (_, Deletes::Soft) => {
                for row in &mut self.rows {
                    row.insert("_highwater_deleted".to_owned(), some(true));
                }
            }
        }
    }

    fn upsert(&mut self, record: &Record, place: &Place<'_>) {
        let key = some(String::from_utf8_lossy(&record.key));
        let found = self.rows.iter().position(|row| row["_highwater_key"] == key);
        let old = found.map(|index| self.rows[index].clone());
        let is_dead = |old: &Row| old["_highwater_deleted"].as_deref() == Some("true");
        let new = match (record.op, old) {
            (OpKind::Delete, old) => match (self.deletes, old) {
                (Deletes::Ignore, _) => return,
                (Deletes::Hard, _) => {
                    self.rows.retain(|row| row["_highwater_key"] != key);
                    return;
                }
                (Deletes::Soft, Some(mut old)) => {
                    self.own(&mut old, record, place);
                    old
                }
                (Deletes::Soft, None) => self.whole(record, place),
            },
            (OpKind::Update, Some(old)) if !is_dead(&old) => self.patched(old, record, place),
            _ => self.whole(record, place),
        };
        match found {
            Some(index) => self.rows[index] = new,
            None => self.rows.push(new),
        }
    }

    fn patched(&self, mut old: Row, record: &Record, place: &Place<'_>) -> Row {
        let mut members = self.members(record);
        if let Some(Some(new)) = members.remove("_highwater_extra") {
            let object = |text: &str| serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap();
            let mut all = old["_highwater_extra"].as_deref().map(object).unwrap_or_default();
            all.extend(object(&new));
            old.insert("_highwater_extra".to_owned(), some(serde_json::Value::from(all)));
        }
        old.extend(members);
        self.own(&mut old, record, place);
        old
    }

    fn version(&mut self, record: &Record, place: &Place<'_>) {
        if record.op == OpKind::Delete && self.deletes == Deletes::Ignore {
            return;
        }
        let key = some(String::from_utf8_lossy(&record.key));
        let is_current =
            |row: &&mut Row| row["_highwater_key"] == key && row["_highwater_valid_to"].is_none();
        let current = self.rows.iter_mut().find(is_current);
        let old = current.map(|row| {
            let old = row.clone();
            end(row, place, record.op == OpKind::Delete);
            old
        });
        match (record.op, old) {
            (OpKind::Delete, _) => {}
            (OpKind::Update, Some(old)) => {
                let new = self.patched(old, record, place);
                self.rows.push(new);
            }
            _ => {
                let new = self.whole(record, place);
                self.rows.push(new);
            }
        }
    }
}

fn end(row: &mut Row, place: &Place<'_>, is_deleted: bool) {
    if row["_highwater_valid_to"].is_none() {
        row.insert("_highwater_valid_to".to_owned(), some(place.committed));
        row.insert("_highwater_deleted".to_owned(), some(is_deleted));
    }
}

fn number(row: &Row, column: &str) -> u64 {
    row[column].as_ref().unwrap().parse().unwrap()
}

/// A table's rows, with JSON as the model writes it.
pub(crate) fn normal(rows: Vec<Row>) -> Vec<Row> {
    let normal = |mut row: Row| {
        for column in ["tags", "_highwater_extra"] {
            if let Some(Some(text)) = row.get_mut(column) {
                *text = canonical(text);
            }
        }
        row
    };
    let mut rows: Vec<Row> = rows.into_iter().map(normal).collect();
    // Rows that were marked as deleted by a truncation keep their place, so places are unique.
    rows.sort_by_key(|row| (number(row, "_highwater_checkpoint"), number(row, "_highwater_row")));
    rows
}

/// Tells the first row that differs, rather than all of them.
pub(crate) fn assert_same(found: Vec<Row>, expected: Vec<Row>, what: &str) {
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{what}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}
