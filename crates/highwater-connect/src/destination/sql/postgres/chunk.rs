//! Rows of one table that wait to be sent, encoded already.

use std::collections::HashMap;
use std::ops::Range;

use highwater::StreamName;

use super::copy_text::{put_integer, put_value};
use super::merge::Merge;
use crate::destination::sql::row::{Action, Place, Row};
use crate::destination::sql::table::{Shape, Table};

/// Rows that wait, in the order of their records.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) stream: StreamName,
    pub(super) merge: Merge,
    bytes: Vec<u8>,
    rows: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    line: Range<usize>,
    /// The part of the line that is of the table itself.
    columns: Range<usize>,
    /// Empty for rows without a key.
    key: Range<usize>,
    action: Action,
    place: Place,
}

/// Rows that can be sent together, since no two have the same key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Together {
    /// By their number; those that a later one makes needless are left out.
    pub(super) rows: Vec<usize>,
    /// The first that has to wait for these.
    pub(super) end: usize,
}

impl Chunk {
    pub(super) fn new(table: &Table<'_>, merge: Merge) -> Self {
        Chunk { stream: table.stream.clone(), merge, bytes: Vec::new(), rows: Vec::new() }
    }

    /// Takes a row; how many bytes it has.
    pub(super) fn push(&mut self, table: &Table<'_>, row: &Row<'_>) -> usize {
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(row.key.unwrap_or_default().as_bytes());
        let line_start = self.bytes.len();
        let columns_end = self.encode(table, row);
        let end = self.bytes.len();
        let (key, line, columns) = (key_start..line_start, line_start..end, line_start..columns_end);
        self.rows.push(Waiting { line, columns, key, action: row.action, place: row.place });
        end - key_start
    }

    /// Writes the row; where the table's own columns end.
    fn encode(&mut self, table: &Table<'_>, row: &Row<'_>) -> usize {
        let line = &mut self.bytes;
        for value in row.values {
            put_value(line, value.as_ref());
            line.push(b'\t');
        }
        for own in table.shape.own_columns() {
            put_value(line, Some(&row.own(*own)));
            line.push(b'\t');
        }
        let columns_end = line.len() - 1;
        if self.merge.is_staged() {
            put_integer(line, i64::from(code(row.action)));
            line.push(b'\t');
            let mask = row.values.iter().map(|value| if value.is_some() { b'1' } else { b'0' });
            match row.action {
                Action::Patch => line.extend(mask),
                Action::Put | Action::Remove | Action::Bury => line.extend_from_slice(b"\\N"),
            }
            line.push(b'\t');
        }
        // The last separator ends the line.
        line.pop();
        line.push(b'\n');
        columns_end
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn place(&self, row: usize) -> Option<Place> {
        self.rows.get(row).map(|row| row.place)
    }

    /// The row as a line of COPY.
    pub(super) fn line(&self, row: usize) -> &[u8] {
        self.rows.get(row).and_then(|row| self.bytes.get(row.line.clone())).unwrap_or_default()
    }

    /// The row's columns as COPY into the table itself takes them, without the end of the line.
    pub(super) fn columns(&self, row: usize) -> &[u8] {
        self.rows.get(row).and_then(|row| self.bytes.get(row.columns.clone())).unwrap_or_default()
    }

    /// The rows that are left of the chunk, if each is a whole row and no two have the same key.
    pub(super) fn whole_rows(&self) -> Option<Vec<usize>> {
        let together = self.together(0, self.len());
        let is_whole = together.rows.iter().all(|row| self.rows[*row].action == Action::Put);
        (is_whole && together.end == self.len()).then_some(together.rows)
    }

    /// Whether one of these rows has this action.
    pub(super) fn has(&self, rows: &[usize], action: Action) -> bool {
        rows.iter().any(|row| self.rows.get(*row).is_some_and(|row| row.action == action))
    }

    /// As many rows from `from` on as one statement may take. A whole row makes what came before it needless; anything else
    /// about a key that is among them already has to wait.
    pub(super) fn together(&self, from: usize, to: usize) -> Together {
        let mut rows: Vec<Option<usize>> = Vec::with_capacity(to - from);
        let mut by_key: HashMap<&[u8], usize> = HashMap::new();
        let mut end = from;
        for waiting in &self.rows[from..to] {
            let key = &self.bytes[waiting.key.clone()];
            let earlier =
                if key.is_empty() || !self.merge.is_staged() { None } else { by_key.insert(key, rows.len()) };
            if let Some(earlier) = earlier {
                let is_whole = matches!(waiting.action, Action::Put | Action::Remove);
                if !is_whole || self.merge.shape() != Shape::Rows {
                    break;
                }
                rows[earlier] = None;
            }
            rows.push(Some(end));
            end += 1;
        }
        let rows = rows.into_iter().flatten().collect();
        Together { rows, end }
    }
}

/// How an action is written into a stage.
pub(super) fn code(action: Action) -> u8 {
    match action {
        Action::Put => 0,
        Action::Patch => 1,
        Action::Remove => 2,
        Action::Bury => 3,
    }
}

#[cfg(test)]
mod tests {
    use highwater::{OpKind, Sequence};

    use super::*;
    use crate::destination::sql::dialect::Dialect;

    fn chunk(shape: Shape, rows: &[(&str, Action)]) -> Chunk {
        let stream = StreamName { namespace: None, name: "s".to_owned() };
        let table = Table { stream: &stream, name: "s", shape, columns: &[] };
        let dialect = Dialect::Postgres { schema: "raw".to_owned() };
        let mut chunk = Chunk::new(&table, Merge::new(&dialect, &table));
        for (key, action) in rows {
            let place = Place { sequence: Sequence::FIRST, index: 0, generation: 0 };
            let (op, key) = (OpKind::Upsert, Some(*key));
            chunk.push(
                &table,
                &Row { place, committed: "", action: *action, op, key, values: &[], extra: None },
            );
        }
        chunk
    }

    #[test]
    fn no_statement_takes_a_key_twice() {
        use Action::{Bury, Patch, Put, Remove};
        let rows =
            [("a", Put), ("b", Patch), ("a", Put), ("b", Remove), ("a", Patch), ("c", Put), ("c", Bury)];
        let chunk = self::chunk(Shape::Rows, &rows);
        assert_eq!(chunk.together(0, 7), Together { rows: vec![2, 3], end: 4 });
        assert_eq!(chunk.together(4, 7), Together { rows: vec![4, 5], end: 6 });
        assert_eq!(chunk.together(6, 7), Together { rows: vec![6], end: 7 });
        let versions = self::chunk(Shape::Versions, &rows);
        assert_eq!(versions.together(0, 7), Together { rows: vec![0, 1], end: 2 });
        let log = self::chunk(Shape::Log, &rows);
        assert_eq!(log.together(0, 7).end, 7);
    }

    #[test]
    fn whole_rows_may_go_straight_into_their_table() {
        use Action::{Bury, Patch, Put, Remove};
        let whole = chunk(Shape::Rows, &[("a", Put), ("b", Put), ("a", Put)]);
        assert_eq!(whole.whole_rows(), Some(vec![1, 2]));
        assert_eq!([whole.columns(2), &b"\t0\t\\N\n"[..]].concat(), whole.line(2));
        for other in [Patch, Remove, Bury] {
            let rows = [("a", Put), ("b", other), ("c", Put)];
            assert_eq!(chunk(Shape::Rows, &rows).whole_rows(), None, "{other:?}");
        }
    }
}
