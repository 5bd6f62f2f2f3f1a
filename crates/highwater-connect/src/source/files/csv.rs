//! A file of comma-separated values, with a header.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use serde_json::{Map, Value, json};

use super::Sink;
use crate::failure::{Failure, Result};

/// Stands behind the last file, which may still be written: a row that it becomes part of has no end yet. A value that is cut short
/// looks like a value, and a line break in quotes like the end of a row.
const MORE: &[u8] = b"-";
/// A longer header is none, in bytes.
const HEADER_BYTES_MAX: u64 = 1 << 20;

pub(super) fn read(sink: &mut Sink<'_, '_>) -> Result<()> {
    let file = File::open(sink.path).map_err(|e| sink.io(e))?;
    let length = file.metadata().map_err(|e| sink.io(e))?.len();
    let header = header(sink.path)?;
    let start = sink.cursor.position;
    let mut file = file;
    file.seek(SeekFrom::Start(start)).map_err(|e| sink.io(e))?;
    // Flexible, so that a row with too few or too many values is told with its place.
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(file.take(length.saturating_sub(start)).chain(if sink.is_last { MORE } else { b"" }));
    let mut is_header = start == 0;
    let mut values = StringRecord::new();
    loop {
        let at = start + reader.position().byte();
        let more = reader.read_record(&mut values).map_err(|e| sink.wrong(at, e))?;
        if !more || at >= length {
            return Ok(());
        }
        let end = start + reader.position().byte();
        if end > length {
            sink.tell_unended(at);
            return Ok(());
        }
        if std::mem::take(&mut is_header) {
            continue;
        }
        if values.len() != header.len() {
            let what = format!("a row of {} values, the header has {}", values.len(), header.len());
            return Err(sink.wrong(at, what));
        }
        let row = row(&header, &values);
        if !sink.row(&row, at, end)? {
            return Ok(());
        }
    }
}

fn row(header: &StringRecord, values: &StringRecord) -> String {
    let pairs = header.iter().zip(values).map(|(name, value)| (name.to_owned(), Value::from(value)));
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

fn header(path: &Path) -> Result<StringRecord> {
    let cant = |e: csv::Error| Failure::permanent(format!("the header of {}", path.display())).because(e);
    let file =
        File::open(path).map_err(|e| Failure::transient(format!("reading {}", path.display())).because(e))?;
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(file.take(HEADER_BYTES_MAX));
    let header = reader.headers().map_err(cant)?.clone();
    let mut seen = std::collections::HashSet::new();
    match header.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => {
            Err(Failure::permanent(format!("the header of {} has {twice:?} twice", path.display())))
        }
        None => Ok(header),
    }
}

/// The columns of all files: every value is a text.
pub(super) fn schema(directory: &Path, names: &[String]) -> Result<String> {
    let mut properties = Map::new();
    for name in names {
        for column in &header(&directory.join(name))? {
            properties.entry(column).or_insert_with(|| json!({"type": ["null", "string"]}));
        }
    }
    Ok(json!({"type": "object", "properties": properties}).to_string())
}
