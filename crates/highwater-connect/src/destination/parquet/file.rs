//! One file: records of one stream, all told in the same columns.

use std::fs::File;
use std::sync::Arc;

use highwater::{OpKind, Position, StreamName};
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::columns::{Cell, Columns};
use crate::batch::{Delivered, Part};
use crate::failure::{Failure, Result};
use crate::op;

/// So much of records is held in memory before it is written, in bytes.
pub(crate) const GROUP_BYTES: usize = 32 << 20;

/// What a file is of.
pub(crate) struct Head<'a> {
    pub(crate) stream: &'a StreamName,
    /// Declares the columns.
    pub(crate) schema: Option<&'a str>,
    /// How far the log was read for it, which the file says, too.
    pub(crate) end: Option<Position>,
    pub(crate) compression: Compression,
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Writing {
    columns: Columns,
    writer: SerializedFileWriter<File>,
    group_bytes: usize,
}

impl Writing {
    pub(crate) fn begin(file: File, head: &Head<'_>) -> Result<Writing> {
        let columns = Columns::new(head.schema)?;
        let properties = WriterProperties::builder().set_compression(head.compression).build();
        let writer = SerializedFileWriter::new(file, columns.schema()?, Arc::new(properties));
        let mut writer = writer.map_err(unwritable)?;
        writer
            .append_key_value_metadata(KeyValue::new("highwater.stream".to_owned(), head.stream.to_string()));
        if let Some(end) = head.end {
            writer.append_key_value_metadata(KeyValue::new("highwater.position".to_owned(), end.to_string()));
        }
        Ok(Writing { columns, writer, group_bytes: GROUP_BYTES })
    }

    /// Holds so many bytes of records at most before they are written, and one record more.
    pub(crate) fn with_group_bytes(self, group_bytes: usize) -> Writing {
        Writing { group_bytes, ..self }
    }

    /// Takes what a checkpoint holds of the stream.
    pub(crate) fn take(&mut self, checkpoint: &Delivered<'_>, part: &Part<'_>) -> Result<()> {
        let generation = part.definition().map_or(0, |definition| definition.generation.number);
        for (row, record) in (0..).zip(part.records()) {
            let record = record?;
            let own = [
                text(&record.key),
                Cell::Text(op::name(record.op).to_owned()),
                Cell::Boolean(record.op == OpKind::Delete),
                Cell::Integer(checkpoint.committed_us()),
                count(generation),
                count(checkpoint.sequence().get()),
                count(row),
            ];
            self.columns.push(&record.payload, own);
            if self.columns.bytes() > self.group_bytes {
                self.columns.flush(&mut self.writer)?;
            }
        }
        Ok(())
    }

    /// Writes the rest. The file is not flushed.
    pub(crate) fn finish(mut self) -> Result<File> {
        self.columns.flush(&mut self.writer)?;
        self.writer.into_inner().map_err(unwritable)
    }
}

pub(super) fn unwritable(error: parquet::errors::ParquetError) -> Failure {
    // What fails here is the disk: the content is ours.
    Failure::transient("writing a Parquet file").because(error)
}

fn text(key: &[u8]) -> Cell {
    if key.is_empty() { Cell::Null } else { Cell::Text(String::from_utf8_lossy(key).into_owned()) }
}

/// There are no unsigned integers in what most readers understand, and nobody counts so far.
fn count(number: u64) -> Cell {
    Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
