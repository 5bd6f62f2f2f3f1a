//! One file: the records of one stream in some checkpoints between which nothing is defined otherwise.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use highwater::{OpKind, Position, StreamName};
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::columns::{Cell, Columns};
use super::place;
use crate::batch::{Delivered, Part};
use crate::failure::{Failure, Result};

/// So much of records is held in memory before it is written, in bytes.
const GROUP_BYTES: usize = 32 << 20;

/// Writes a file, which is not flushed.
pub(super) fn write(
    run: &[Delivered<'_>],
    stream: &StreamName,
    path: &Path,
    end: Position,
    compression: Compression,
) -> Result<File> {
    let parts = || run.iter().flat_map(|checkpoint| checkpoint.parts().map(move |part| (checkpoint, part)));
    let of_stream = || parts().filter(|(_, part)| part.name() == stream);
    let schema = of_stream().find_map(|(_, part)| part.definition().and_then(|known| known.schema.clone()));
    let mut columns = Columns::new(schema.as_deref())?;
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = place::create(path)?;
    let mut writer =
        SerializedFileWriter::new(file, columns.schema()?, Arc::new(properties)).map_err(unwritable)?;
    for (key, value) in [("highwater.stream", stream.to_string()), ("highwater.position", end.to_string())] {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    for (checkpoint, part) in of_stream() {
        take(checkpoint, &part, &mut columns, &mut writer)?;
    }
    columns.flush(&mut writer)?;
    writer.into_inner().map_err(unwritable)
}

pub(super) fn unwritable(error: parquet::errors::ParquetError) -> Failure {
    // What fails here is the disk: the content is ours.
    Failure::transient("writing a Parquet file").because(error)
}

fn take(
    checkpoint: &Delivered<'_>,
    part: &Part<'_>,
    columns: &mut Columns,
    writer: &mut SerializedFileWriter<File>,
) -> Result<()> {
    let generation = part.definition().map_or(0, |definition| definition.generation.number);
    for (row, record) in (0..).zip(part.records()) {
        let record = record?;
        let own = [
            text(&record.key),
            Cell::Text(op(record.op).to_owned()),
            Cell::Boolean(record.op == OpKind::Delete),
            Cell::Integer(checkpoint.committed_us()),
            count(generation),
            count(checkpoint.sequence().get()),
            count(row),
        ];
        columns.push(&record.payload, own);
        if columns.bytes() > GROUP_BYTES {
            columns.flush(writer)?;
        }
    }
    Ok(())
}

fn text(key: &[u8]) -> Cell {
    if key.is_empty() { Cell::Null } else { Cell::Text(String::from_utf8_lossy(key).into_owned()) }
}

/// There are no unsigned integers in what most readers understand, and nobody counts so far.
fn count(number: u64) -> Cell {
    Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn op(op: OpKind) -> &'static str {
    match op {
        OpKind::Insert => "insert",
        OpKind::Upsert => "upsert",
        OpKind::Update => "update",
        OpKind::Delete => "delete",
        OpKind::Truncate => "truncate",
    }
}
