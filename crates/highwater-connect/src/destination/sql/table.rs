//! A destination table: its columns, ours among them, and what identifies a row.

use highwater::StreamName;
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::settings::Mode;

/// What a table's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// A row is a record.
    Log,
    /// A row is what a key has now.
    Rows,
    /// A row is a record of a stream without a key that was not taken back.
    Bag,
    /// A row is a version of what a key had.
    Versions,
}

impl Shape {
    pub(crate) fn of(mode: Mode, has_key: bool) -> Shape {
        match mode {
            Mode::Append => Shape::Log,
            Mode::History => Shape::Versions,
            Mode::Upsert | Mode::Overwrite if has_key => Shape::Rows,
            Mode::Upsert | Mode::Overwrite => Shape::Bag,
        }
    }

    /// Our columns in such a table, in their order.
    pub(crate) fn own_columns(self) -> &'static [Own] {
        use Own::{Checkpoint, CommittedAt, Deleted, Extra, Generation, Key, Op, Row, ValidFrom, ValidTo};
        match self {
            Shape::Log => &[Extra, Key, Op, Deleted, CommittedAt, Generation, Checkpoint, Row],
            Shape::Rows => &[Extra, Key, Deleted, CommittedAt, Generation, Checkpoint, Row],
            Shape::Bag => &[Extra, Deleted, CommittedAt, Generation, Checkpoint, Row],
            Shape::Versions => {
                &[Extra, Key, ValidFrom, ValidTo, Deleted, CommittedAt, Generation, Checkpoint, Row]
            }
        }
    }

    /// What no two rows share. A record's place in its checkpoint never changes, whatever columns come.
    pub(crate) fn identity(self) -> &'static [Own] {
        match self {
            Shape::Rows => &[Own::Key],
            Shape::Log | Shape::Bag | Shape::Versions => &[Own::Checkpoint, Own::Row],
        }
    }
}

/// A column of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// The members of the record that have no column, as a JSON object.
    Extra,
    /// The canonical key; a hash of it where it is too long for an index.
    Key,
    /// What the record did.
    Op,
    /// Whether the row was deleted at its source.
    Deleted,
    /// When the log committed the record.
    CommittedAt,
    /// Which reading of the stream it came with.
    Generation,
    /// The number of its checkpoint.
    Checkpoint,
    /// Its place among that checkpoint's records of its stream.
    Row,
    /// Since when it was the current version.
    ValidFrom,
    /// Until when; null for the current one.
    ValidTo,
}

impl Own {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Own::Extra => "_highwater_extra",
            Own::Key => "_highwater_key",
            Own::Op => "_highwater_op",
            Own::Deleted => "_highwater_deleted",
            Own::CommittedAt => "_highwater_committed_at",
            Own::Generation => "_highwater_generation",
            Own::Checkpoint => "_highwater_checkpoint",
            Own::Row => "_highwater_row",
            Own::ValidFrom => "_highwater_valid_from",
            Own::ValidTo => "_highwater_valid_to",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Own::Extra => Kind::Json,
            Own::Key | Own::Op => Kind::Text,
            Own::Deleted => Kind::Boolean,
            Own::CommittedAt | Own::ValidFrom | Own::ValidTo => Kind::TimestampTz,
            Own::Generation | Own::Checkpoint | Own::Row => Kind::Integer,
        }
    }
}

/// A column of the stream's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// The member of the record that it holds.
    pub(crate) source: String,
    /// Its name in the table.
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// A table, as rows are written to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) stream: &'a StreamName,
    pub(crate) name: &'a str,
    pub(crate) shape: Shape,
    pub(crate) columns: &'a [Column],
}

impl<'a> Table<'a> {
    /// All column names: the stream's, then ours.
    pub(crate) fn column_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let own = self.shape.own_columns().iter().map(|own| own.name());
        self.columns.iter().map(|column| column.name.as_str()).chain(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_columns_have_our_prefix_and_tables_their_identity() {
        for shape in [Shape::Log, Shape::Rows, Shape::Bag, Shape::Versions] {
            let own = shape.own_columns();
            assert!(own.iter().all(|own| own.name().starts_with(crate::destination::sql::names::OURS)));
            assert!(shape.identity().iter().all(|column| own.contains(column)));
        }
    }
}
