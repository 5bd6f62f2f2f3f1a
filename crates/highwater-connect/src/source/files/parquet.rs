//! A Parquet file. The cursor counts rows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::basic::{CompressionCodec, LogicalType, Repetition, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Value, json};

use super::Sink;
use crate::failure::{Failure, Result};

/// What every such file begins and ends with.
const MAGIC: [u8; 4] = *b"PAR1";

pub(super) fn read(sink: &mut Sink<'_, '_>) -> Result<()> {
    if sink.is_last && !is_whole(sink.path).map_err(|e| sink.io(e))? {
        // Somebody is still writing it.
        return Ok(());
    }
    let reader = open(sink.path)?;
    let start = sink.cursor.position;
    let mut at = 0;
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).map_err(|e| sink.wrong(at, e))?;
        let rows = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
        if at + rows <= start {
            at += rows;
            continue;
        }
        for row in group.get_row_iter(None).map_err(|e| sink.wrong(at, e))? {
            let row = row.map_err(|e| sink.wrong(at, e))?;
            at += 1;
            if at <= start {
                continue;
            }
            let mut text = String::new();
            push_object(&row, &mut text);
            if !sink.row(&text, at)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether it has its end: the footer is written last.
fn is_whole(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < 2 * MAGIC.len() as u64 {
        return Ok(false);
    }
    let mut end = [0; MAGIC.len()];
    file.seek(SeekFrom::End(-(MAGIC.len() as i64)))?;
    file.read_exact(&mut end)?;
    Ok(end == MAGIC)
}

fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file =
        File::open(path).map_err(|e| Failure::transient(format!("reading {}", path.display())).because(e))?;
    let reader = SerializedFileReader::new(file)
        .map_err(|e| Failure::permanent(format!("{} is no Parquet file", path.display())).because(e))?;
    let groups = reader.metadata().row_groups().iter();
    let mut codecs = groups.flat_map(|group| group.columns()).map(|column| column.compression_codec());
    match codecs.find(|codec| !is_readable(*codec)) {
        None => Ok(reader),
        Some(codec) => Err(Failure::permanent(format!(
            "{} is compressed with {codec:?}, which is not read here; snappy, gzip, zstd and LZ4 are",
            path.display()
        ))),
    }
}

fn is_readable(codec: CompressionCodec) -> bool {
    !matches!(codec, CompressionCodec::BROTLI | CompressionCodec::LZO)
}

/// The row as the text of an object: a parsed number would be rounded.
fn push_object(row: &Row, out: &mut String) {
    out.push('{');
    for (n, (name, field)) in row.get_column_iter().enumerate() {
        out.push_str(if n == 0 { "" } else { "," });
        push_text(name, out);
        out.push(':');
        push(field, out);
    }
    out.push('}');
}

fn push(field: &Field, out: &mut String) {
    match field {
        Field::Group(row) => push_object(row, out),
        Field::ListInternal(list) => push_list(list.elements().iter(), out, push),
        Field::MapInternal(map) => push_list(map.entries().iter(), out, |(key, value), out| {
            out.push_str("{\"key\":");
            push(key, out);
            out.push_str(",\"value\":");
            push(value, out);
            out.push('}');
        }),
        Field::Null => out.push_str("null"),
        Field::Float(value) if !value.is_finite() => out.push_str("null"),
        Field::Double(value) if !value.is_finite() => out.push_str("null"),
        // As it prints, so that 0.1 stays 0.1.
        Field::Float(value) => out.push_str(&format!("{value:?}")),
        Field::Double(value) => out.push_str(&format!("{value:?}")),
        Field::Str(text) => push_text(text, out),
        Field::Bytes(bytes) => push_text(&STANDARD.encode(bytes.data()), out),
        Field::Date(day) => push_time(i64::from(*day).saturating_mul(86_400_000_000), 10, out),
        Field::TimestampMillis(ms) => push_time(ms.saturating_mul(1000), usize::MAX, out),
        Field::TimestampMicros(us) => push_time(*us, usize::MAX, out),
        other => push_other(&other.to_string(), out),
    }
}

/// Integers, decimals, booleans: what prints as JSON is it, and another kind is a text.
fn push_other(printed: &str, out: &mut String) {
    match serde_json::from_str::<serde::de::IgnoredAny>(printed) {
        Ok(_) => out.push_str(printed),
        Err(_) => push_text(printed, out),
    }
}

fn push_list<'f, T: 'f>(
    items: impl Iterator<Item = &'f T>,
    out: &mut String,
    push: impl Fn(&'f T, &mut String),
) {
    out.push('[');
    for (n, item) in items.enumerate() {
        out.push_str(if n == 0 { "" } else { "," });
        push(item, out);
    }
    out.push(']');
}

fn push_text(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

/// So many characters of a moment: a day is ten.
fn push_time(us: i64, length: usize, out: &mut String) {
    match jiff::Timestamp::from_microsecond(us) {
        Ok(moment) => {
            let text = moment.to_string();
            push_text(text.get(..length).unwrap_or(&text), out);
        }
        Err(_) => out.push_str("null"),
    }
}

/// The columns of all files. One that has another type in another file is of either.
pub(super) fn schema(directory: &Path, names: &[String]) -> Result<String> {
    let mut properties = Map::new();
    for (n, name) in names.iter().enumerate() {
        let path = directory.join(name);
        let is_last = n + 1 == names.len();
        let whole = is_whole(&path)
            .map_err(|e| Failure::transient(format!("reading {}", path.display())).because(e))?;
        if is_last && !whole {
            continue;
        }
        let reader = open(&path)?;
        for column in reader.metadata().file_metadata().schema_descr().root_schema().get_fields() {
            let of_column = property(column);
            let known = properties.entry(column.name()).or_insert_with(|| of_column.clone());
            if *known != of_column {
                *known = json!({"anyOf": [known.take(), of_column]});
            }
        }
    }
    Ok(json!({"type": "object", "properties": properties}).to_string())
}

fn property(column: &Type) -> Value {
    if column.is_group() {
        let is_list =
            matches!(column.get_basic_info().logical_type_ref(), Some(LogicalType::List | LogicalType::Map));
        return json!({"type": ["null", if is_list { "array" } else { "object" }]});
    }
    if column.get_basic_info().repetition() == Repetition::REPEATED {
        return json!({"type": ["null", "array"]});
    }
    let nullable = |name: &str| json!({"type": ["null", name]});
    let text = |format: &str| json!({"type": ["null", "string"], "format": format});
    match (column.get_physical_type(), column.get_basic_info().logical_type_ref()) {
        (_, Some(LogicalType::Date)) => text("date"),
        (_, Some(LogicalType::Time { .. })) => text("time"),
        (_, Some(LogicalType::Timestamp { .. })) | (Physical::INT96, _) => text("date-time"),
        (_, Some(LogicalType::Decimal { .. })) => nullable("number"),
        (Physical::BOOLEAN, _) => nullable("boolean"),
        (Physical::INT32 | Physical::INT64, _) => nullable("integer"),
        (Physical::FLOAT | Physical::DOUBLE, _) => nullable("number"),
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => nullable("string"),
    }
}

/// The rows of a file.
#[cfg(test)]
pub(super) fn texts(path: &Path) -> Vec<String> {
    let reader = open(path).unwrap();
    let text = |row: parquet::errors::Result<Row>| {
        let mut text = String::new();
        push_object(&row.unwrap(), &mut text);
        text
    };
    reader.get_row_iter(None).unwrap().map(text).collect()
}
