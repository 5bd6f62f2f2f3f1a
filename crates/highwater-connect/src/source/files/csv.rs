//! A file of comma-separated values, with a header.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use serde_json::{Map, Value, json};

use super::Sink;
use crate::failure::{Failure, Result};

/// A longer header is none, in bytes.
const HEADER_BYTES_MAX: u64 = 1 << 20;

pub(super) fn read(sink: &mut Sink<'_, '_>) -> Result<()> {
    let file = File::open(sink.path).map_err(|e| sink.io(e))?;
    let length = complete_length(&file, sink.is_last).map_err(|e| sink.io(e))?;
    let header = header(sink.path)?;
    let start = sink.cursor.position;
    let mut file = file;
    file.seek(SeekFrom::Start(start)).map_err(|e| sink.io(e))?;
    // Flexible, so that a row with too few or too many values is told with its place.
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(file.take(length.saturating_sub(start)));
    let mut is_header = start == 0;
    let mut values = StringRecord::new();
    loop {
        let at = start + reader.position().byte();
        let more = reader.read_record(&mut values).map_err(|e| sink.wrong(at, e))?;
        if !more {
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
        if !sink.row(&row, start + reader.position().byte())? {
            return Ok(());
        }
    }
}

/// Without the last line, if it has no end and may still be written: a value that is cut short looks like a value.
fn complete_length(file: &File, may_grow: bool) -> std::io::Result<u64> {
    let length = file.metadata()?.len();
    if !may_grow {
        return Ok(length);
    }
    let mut end = length;
    let mut file = file;
    let mut chunk = vec![0; 64 << 10];
    while end > 0 {
        let begin = end.saturating_sub(chunk.len() as u64);
        let part = &mut chunk[..(end - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        if let Some(found) = memchr::memrchr(b'\n', part) {
            return Ok(begin + found as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
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
