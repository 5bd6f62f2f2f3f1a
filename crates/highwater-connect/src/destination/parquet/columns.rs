//! Records, turned into columns.

use std::borrow::Cow;
use std::fs::File;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::file::unwritable;
use super::moment;
use crate::destination::typed::fields::{self, Layout};
use crate::destination::typed::json_schema::{self, Declared};
use crate::destination::typed::kind::Kind;
use crate::destination::typed::number;
use crate::destination::typed::value::{self, Strictness, Value};
use crate::failure::{Failure, Result};

/// The prefix of what is ours: a member of that name has no column.
const OURS: &str = "_highwater";
/// The members without a column.
const EXTRA: (&str, Kind) = ("_highwater_extra", Kind::Json);
/// Where a record comes from.
const OWN: [(&str, Kind); 7] = [
    ("_highwater_key", Kind::Text),
    ("_highwater_op", Kind::Text),
    ("_highwater_deleted", Kind::Boolean),
    ("_highwater_committed_at", Kind::TimestampTz),
    ("_highwater_generation", Kind::Integer),
    ("_highwater_checkpoint", Kind::Integer),
    ("_highwater_row", Kind::Integer),
];

/// A value as a column takes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Boolean(bool),
    /// Also a time or a moment, in microseconds.
    Integer(i64),
    /// Since 1970-01-01.
    Day(i32),
    Float(f64),
    Text(String),
}

/// The columns of one file, with the rows that are not written yet.
#[derive(Debug)]
pub(super) struct Columns {
    declared: Vec<Declared>,
    layout: Layout,
    buffers: Vec<Buffer>,
    bytes: usize,
}

impl Columns {
    /// The columns that a schema declares, and ours.
    pub(super) fn new(schema: Option<&str>) -> Result<Columns> {
        let unreadable = |e| Failure::permanent("the stream's schema can't be read").because(e);
        let mut declared = json_schema::columns(schema.unwrap_or("{}")).map_err(unreadable)?;
        declared.retain(|column| !column.name.to_lowercase().starts_with(OURS));
        let layout = Layout::new(declared.iter().map(|column| column.name.as_str()));
        let mut columns = Columns { declared, layout, buffers: Vec::new(), bytes: 0 };
        columns.buffers = columns.kinds().map(|(_, kind)| Buffer::new(kind)).collect();
        Ok(columns)
    }

    fn kinds(&self) -> impl Iterator<Item = (&str, Kind)> {
        let declared = self.declared.iter().map(|column| (column.name.as_str(), column.kind));
        declared.chain([EXTRA]).chain(OWN)
    }

    /// Roughly what the rows weigh that are not written yet, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The schema of the file.
    pub(super) fn schema(&self) -> Result<TypePtr> {
        let column = |(name, kind)| primitive(name, kind).map(Arc::new);
        let columns = self.kinds().map(column).collect::<parquet::errors::Result<_>>().map_err(unwritable)?;
        let root = Type::group_type_builder("record").with_fields(columns).build();
        root.map(Arc::new).map_err(unwritable)
    }

    /// Takes a record.
    pub(super) fn push(&mut self, payload: &[u8], own: [Cell; OWN.len()]) {
        self.bytes += payload.len() + 64;
        let (cells, extra) = self.cells(payload);
        for (buffer, cell) in self.buffers.iter_mut().zip(cells.into_iter().chain([extra]).chain(own)) {
            buffer.push(cell);
        }
    }

    /// The declared columns' values, and what has none.
    fn cells(&self, payload: &[u8]) -> (Vec<Cell>, Cell) {
        let nothing = || vec![Cell::Null; self.declared.len()];
        if payload.is_empty() {
            return (nothing(), Cell::Null);
        }
        let Ok(members) = self.layout.read(payload) else {
            return (nothing(), Cell::Text(whole(payload)));
        };
        let mut others = members.others;
        let mut cells = Vec::with_capacity(self.declared.len());
        for (column, raw) in self.declared.iter().zip(&members.columns) {
            let cell = raw.map_or(Some(Cell::Null), |raw| cell(raw, column.kind));
            if cell.is_none() {
                others.push((Cow::Borrowed(column.name.as_str()), raw.unwrap_or_default()));
            }
            cells.push(cell.unwrap_or(Cell::Null));
        }
        let extra = fields::to_object(&others).ok().flatten();
        (cells, extra.map_or(Cell::Null, Cell::Text))
    }

    /// Writes what was taken, as a group of rows.
    pub(super) fn flush(&mut self, writer: &mut SerializedFileWriter<File>) -> Result<()> {
        if self.bytes == 0 {
            return Ok(());
        }
        self.bytes = 0;
        self.write(writer).map_err(unwritable)
    }

    fn write(&mut self, writer: &mut SerializedFileWriter<File>) -> parquet::errors::Result<()> {
        let mut group = writer.next_row_group()?;
        let mut buffers = self.buffers.iter_mut();
        while let (Some(mut column), Some(buffer)) = (group.next_column()?, buffers.next()) {
            buffer.write(column.untyped())?;
            column.close()?;
        }
        group.close().map(drop)
    }
}

/// A record that is no object: its text if it is JSON, and otherwise as a JSON string.
fn whole(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => text.to_owned(),
        _ => serde_json::Value::from(String::from_utf8_lossy(payload)).to_string(),
    }
}

/// The value, if the column takes all of it.
fn cell(raw: &str, kind: Kind) -> Option<Cell> {
    Some(match value::convert(raw, kind, Strictness::Any).ok()? {
        Value::Null => Cell::Null,
        Value::Boolean(value) => Cell::Boolean(value),
        Value::Integer(value) => Cell::Integer(value),
        Value::Decimal(text) => Cell::Float(number::as_exact_float(text)?),
        Value::Json(text) => Cell::Text(text.to_owned()),
        Value::Text(text) => match kind {
            Kind::Date => Cell::Day(moment::day(&text)?),
            Kind::Time => Cell::Integer(moment::time_us(&text)?),
            Kind::Timestamp | Kind::TimestampTz => Cell::Integer(moment::us(&text)?),
            _ => Cell::Text(text.into_owned()),
        },
    })
}

/// A column's type. Parquet has no time with a time zone, and few readers know its JSON: both are text.
fn primitive(name: &str, kind: Kind) -> parquet::errors::Result<Type> {
    let (physical, logical) = match kind {
        Kind::Boolean => (Physical::BOOLEAN, None),
        Kind::Integer => (Physical::INT64, None),
        Kind::Decimal => (Physical::DOUBLE, None),
        Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
        Kind::Time => (Physical::INT64, Some(LogicalType::time(false, TimeUnit::MICROS))),
        Kind::Timestamp => (Physical::INT64, Some(LogicalType::timestamp(false, TimeUnit::MICROS))),
        Kind::TimestampTz => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::TimeTz | Kind::Text | Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// The values of a column that are not null, and for each row whether it has one.
#[derive(Debug)]
struct Buffer {
    values: Values,
    levels: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Booleans(Vec<bool>),
    Days(Vec<i32>),
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl Buffer {
    fn new(kind: Kind) -> Buffer {
        let values = match kind {
            Kind::Boolean => Values::Booleans(Vec::new()),
            Kind::Date => Values::Days(Vec::new()),
            Kind::Integer | Kind::Time | Kind::Timestamp | Kind::TimestampTz => Values::Integers(Vec::new()),
            Kind::Decimal => Values::Floats(Vec::new()),
            Kind::TimeTz | Kind::Text | Kind::Json => Values::Texts(Vec::new()),
        };
        Buffer { values, levels: Vec::new() }
    }

    fn push(&mut self, cell: Cell) {
        let is_there = match (&mut self.values, cell) {
            (Values::Booleans(values), Cell::Boolean(value)) => put(values, value),
            (Values::Days(values), Cell::Day(value)) => put(values, value),
            (Values::Integers(values), Cell::Integer(value)) => put(values, value),
            (Values::Floats(values), Cell::Float(value)) => put(values, value),
            (Values::Texts(values), Cell::Text(value)) => put(values, value.into_bytes().into()),
            (_, cell) => {
                debug_assert_eq!(cell, Cell::Null, "a value of another kind than its column");
                0
            }
        };
        self.levels.push(is_there);
    }

    /// Writes what it holds, and is empty then.
    fn write(&mut self, column: &mut ColumnWriter<'_>) -> parquet::errors::Result<()> {
        let levels = std::mem::take(&mut self.levels);
        macro_rules! write {
            ($writer:expr, $values:expr) => {
                $writer.write_batch(&std::mem::take($values), Some(&levels), None).map(drop)
            };
        }
        match (column, &mut self.values) {
            (ColumnWriter::BoolColumnWriter(writer), Values::Booleans(values)) => write!(writer, values),
            (ColumnWriter::Int32ColumnWriter(writer), Values::Days(values)) => write!(writer, values),
            (ColumnWriter::Int64ColumnWriter(writer), Values::Integers(values)) => write!(writer, values),
            (ColumnWriter::DoubleColumnWriter(writer), Values::Floats(values)) => write!(writer, values),
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts(values)) => write!(writer, values),
            _ => Err(parquet::errors::ParquetError::General("a column of another type".to_owned())),
        }
    }
}

fn put<T>(values: &mut Vec<T>, value: T) -> i16 {
    values.push(value);
    1
}
