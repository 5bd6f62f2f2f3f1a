//! The statements that bring rows from a stage, a temporary table, into their table. In a stage no two rows have the same key.

use super::chunk::code;
use crate::destination::sql::dialect::Dialect;
use crate::destination::sql::names::{OURS, hash, quote};
use crate::destination::sql::row::Action;
use crate::destination::sql::statements::list;
use crate::destination::sql::table::{Own, Shape, Table};

const ACTION: &str = "_highwater_action";
/// One bit for each column of the stream's: whether a part of a row has it.
const HAS: &str = "_highwater_has";

/// How rows get into one table.
#[derive(Debug, Clone)]
pub(super) struct Merge {
    shape: Shape,
    /// `None`: rows go straight into their table.
    stage: Option<Stage>,
    copy: String,
    /// Takes rows of which the table has none yet.
    copy_new: Option<String>,
}

#[derive(Debug, Clone)]
struct Stage {
    name: String,
    create: String,
    put: String,
    patch: Vec<String>,
    remove: String,
    bury: Vec<String>,
    /// In a table of versions: what ends those that were current.
    end: String,
}

impl Merge {
    pub(super) fn new(dialect: &Dialect, table: &Table<'_>) -> Merge {
        let shape = table.shape;
        let columns = list(table.column_names());
        let straight = format!("COPY {} ({columns}) FROM STDIN", dialect.table(table.name));
        if matches!(shape, Shape::Log | Shape::Bag) {
            return Merge { shape, stage: None, copy: straight, copy_new: None };
        }
        let stage = Stage::new(dialect, table);
        let copy = format!("COPY {} ({columns}, {}, {}) FROM STDIN", stage.name, quote(ACTION), quote(HAS));
        // Nothing else than the key tells whether a row is new.
        let copy_new = Some(straight).filter(|_| shape == Shape::Rows);
        Merge { shape, stage: Some(stage), copy, copy_new }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn is_staged(&self) -> bool {
        self.stage.is_some()
    }

    /// Takes the rows.
    pub(super) fn copy(&self) -> &str {
        &self.copy
    }

    /// Takes whole rows straight into the table, and fails if it has one of their keys.
    pub(super) fn copy_new(&self) -> Option<&str> {
        self.copy_new.as_deref()
    }

    /// Makes the stage, which goes with the transaction.
    pub(super) fn create(&self) -> Option<&str> {
        self.stage.as_ref().map(|stage| stage.create.as_str())
    }

    /// Drops the stage; the table may get other columns.
    pub(super) fn drop(&self) -> Option<String> {
        self.stage.as_ref().map(|stage| format!("DROP TABLE IF EXISTS {}", stage.name))
    }

    /// Brings staged rows into the table, and empties the stage.
    pub(super) fn statements(&self, has: impl Fn(Action) -> bool) -> Vec<String> {
        let Some(stage) = &self.stage else { return Vec::new() };
        let mut statements: Vec<String> = Vec::new();
        if self.shape == Shape::Versions {
            statements.extend(stage.patch.iter().filter(|_| has(Action::Patch)).cloned());
            statements.push(stage.end.clone());
            statements.push(stage.put.clone());
        } else {
            statements.extend(has(Action::Remove).then(|| stage.remove.clone()));
            statements.extend(has(Action::Put).then(|| stage.put.clone()));
            statements.extend(stage.patch.iter().filter(|_| has(Action::Patch)).cloned());
            statements.extend(stage.bury.iter().filter(|_| has(Action::Bury)).cloned());
        }
        statements.push(format!("TRUNCATE {}", stage.name));
        statements
    }
}

fn own(side: &str, own: Own) -> String {
    format!("{side}.{}", quote(own.name()))
}

fn is(action: Action) -> String {
    format!("s.{} = {}", quote(ACTION), code(action))
}

impl Stage {
    fn new(dialect: &Dialect, table: &Table<'_>) -> Stage {
        let name = format!("pg_temp.{}", quote(&format!("{OURS}_stage_{}", hash(table.name, 0))));
        let to = dialect.table(table.name);
        let text = Text { name: &name, to: &to, table };
        Stage {
            create: create(dialect, table, &name),
            put: text.put(),
            patch: if table.shape == Shape::Versions { text.complete_versions() } else { text.patch_rows() },
            remove: text.remove(),
            bury: text.bury(),
            end: text.end_versions(),
            name,
        }
    }
}

/// Without constraints: what a table refuses shows when the rows come there.
fn create(dialect: &Dialect, table: &Table<'_>, name: &str) -> String {
    let of_stream = table.columns.iter().map(|column| (column.name.as_str(), column.kind));
    let of_ours = table.shape.own_columns().iter().map(|own| (own.name(), own.kind()));
    let columns: Vec<String> = of_stream
        .chain(of_ours)
        .map(|(name, kind)| format!("{} {}", quote(name), dialect.type_of(kind)))
        .collect();
    format!(
        "CREATE TEMPORARY TABLE {name} ({}, {} smallint, {} bit varying) ON COMMIT DROP",
        columns.join(", "),
        quote(ACTION),
        quote(HAS)
    )
}

/// The parts of which the statements are made: `t` is the table, `s` the stage.
struct Text<'a> {
    name: &'a str,
    to: &'a str,
    table: &'a Table<'a>,
}

impl Text<'_> {
    fn same_key(&self) -> String {
        format!("{} = {}", own("t", Own::Key), own("s", Own::Key))
    }

    fn same_current_key(&self) -> String {
        format!("{} AND {} IS NULL", self.same_key(), own("t", Own::ValidTo))
    }

    /// `column = value` for the columns that this gives a value for.
    fn set(&self, value: impl Fn(usize, &str) -> Option<String>) -> String {
        let columns = self.table.column_names().enumerate();
        let set: Vec<String> = columns
            .filter_map(|(index, column)| Some(format!("{} = {}", quote(column), value(index, column)?)))
            .collect();
        set.join(", ")
    }

    fn insert(&self, condition: &str) -> String {
        let columns = list(self.table.column_names());
        format!(
            "INSERT INTO {} AS t ({columns}) SELECT {columns} FROM {} AS s WHERE {condition}",
            self.to, self.name
        )
    }

    fn insert_missing(&self, action: Action) -> String {
        format!("{} ON CONFLICT ({}) DO NOTHING", self.insert(&is(action)), quote(Own::Key.name()))
    }

    fn put(&self) -> String {
        if self.table.shape == Shape::Versions {
            return self.insert(&format!("NOT {}", is(Action::Remove)));
        }
        let set =
            self.set(|_, column| (column != Own::Key.name()).then(|| format!("excluded.{}", quote(column))));
        format!(
            "{} ON CONFLICT ({}) DO UPDATE SET {set}",
            self.insert(&is(Action::Put)),
            quote(Own::Key.name())
        )
    }

    fn remove(&self) -> String {
        format!(
            "DELETE FROM {} AS t USING {} AS s WHERE {} AND {}",
            self.to,
            self.name,
            self.same_key(),
            is(Action::Remove)
        )
    }

    /// A column of a row of which the record has a part. `old` is what it would keep.
    fn patched(&self, index: usize, column: &str, old: &str) -> Option<String> {
        let new = format!("s.{}", quote(column));
        if index < self.table.columns.len() {
            return Some(format!(
                "CASE WHEN get_bit(s.{}, {index}) = 1 THEN {new} ELSE {old} END",
                quote(HAS)
            ));
        }
        if column == Own::Extra.name() {
            let both = format!("coalesce({old}, '{{}}'::jsonb) || {new}");
            return Some(format!("CASE WHEN {new} IS NULL THEN {old} ELSE {both} END"));
        }
        None
    }

    /// A row that was marked as deleted has nothing to keep.
    fn patch_rows(&self) -> Vec<String> {
        let set = self.set(|index, column| {
            let kept = format!("CASE WHEN {} THEN NULL ELSE t.{} END", own("t", Own::Deleted), quote(column));
            let value = self.patched(index, column, &kept);
            let is_key = column == Own::Key.name();
            value.or_else(|| (!is_key).then(|| format!("s.{}", quote(column))))
        });
        vec![self.update(&set, Action::Patch), self.insert_missing(Action::Patch)]
    }

    fn update(&self, set: &str, action: Action) -> String {
        format!(
            "UPDATE {} AS t SET {set} FROM {} AS s WHERE {} AND {}",
            self.to,
            self.name,
            self.same_key(),
            is(action)
        )
    }

    /// The row keeps its values. Where there is none, the deletion itself is kept.
    fn bury(&self) -> Vec<String> {
        let changes =
            [Own::Deleted, Own::CommittedAt, Own::Generation, Own::Checkpoint, Own::Row].map(Own::name);
        let set = self.set(|_, column| changes.contains(&column).then(|| format!("s.{}", quote(column))));
        vec![self.update(&set, Action::Bury), self.insert_missing(Action::Bury)]
    }

    /// What a part of a row lacks is what the current version has.
    fn complete_versions(&self) -> Vec<String> {
        let set = self.set(|index, column| self.patched(index, column, &format!("t.{}", quote(column))));
        vec![format!(
            "UPDATE {} AS s SET {set} FROM {} AS t WHERE {} AND {}",
            self.name,
            self.to,
            self.same_current_key(),
            is(Action::Patch)
        )]
    }

    fn end_versions(&self) -> String {
        format!(
            "UPDATE {} AS t SET {} = {}, {} = ({}) FROM {} AS s WHERE {}",
            self.to,
            quote(Own::ValidTo.name()),
            own("s", Own::ValidFrom),
            quote(Own::Deleted.name()),
            is(Action::Remove),
            self.name,
            self.same_current_key()
        )
    }
}
