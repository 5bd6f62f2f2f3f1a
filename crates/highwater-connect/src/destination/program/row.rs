//! A record's row, as programs take it.

use highwater::{OpKind, Record};
use serde_json::value::RawValue;

use crate::definition::StreamDefinition;
use crate::json::push_line;

/// Writes the row into `out`, an object on one line; or says why there is none. A deletion has `mark` in it: the column in which
/// the protocol tells of one, with the time.
pub(crate) fn write(
    record: &Record,
    definition: Option<&StreamDefinition>,
    mark: &str,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    match record.op {
        OpKind::Insert | OpKind::Upsert => push_object(&record.payload, out),
        OpKind::Delete => push_deletion(record, definition, mark, out),
        OpKind::Update => Err("a part of a row can't be told to it".to_owned()),
        OpKind::Truncate => Err("that a stream was emptied can't be told to it".to_owned()),
    }
}

fn push_object(json: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let row: Result<&RawValue, _> = serde_json::from_slice(json);
    match row {
        Ok(row) if row.get().starts_with('{') => {
            push_line(row.get(), out);
            Ok(())
        }
        Ok(_) => Err("it is not an object".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

fn push_deletion(
    record: &Record,
    definition: Option<&StreamDefinition>,
    mark: &str,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let start = out.len();
    if record.payload.is_empty() {
        push_key(record, definition, out)?;
    } else {
        push_object(&record.payload, out)?;
    }
    let is_marked = match serde_json::from_slice::<serde_json::Value>(&out[start..]) {
        Ok(row) => row.get(mark).is_some_and(|value| !value.is_null()),
        Err(error) => return Err(format!("it is not JSON: {error}")),
    };
    if !is_marked {
        // At the end: of a member that is there twice the last counts.
        while out.last().is_some_and(|byte| *byte != b'}') {
            out.pop();
        }
        out.pop();
        let comma = if out[start + 1..].trim_ascii().is_empty() { "" } else { "," };
        out.extend_from_slice(format!("{comma}\"{mark}\":\"{}\"}}", time(record.emitted_us)).as_bytes());
    }
    Ok(())
}

/// A row of the key's columns alone.
fn push_key(record: &Record, definition: Option<&StreamDefinition>, out: &mut Vec<u8>) -> Result<(), String> {
    let columns = definition.map_or(&[][..], |definition| &definition.key);
    let values: Vec<&RawValue> =
        serde_json::from_slice(&record.key).map_err(|error| format!("its key is not JSON: {error}"))?;
    if columns.is_empty() || columns.len() != values.len() || columns.iter().any(|path| path.len() != 1) {
        return Err("a deletion without a row, and its key's columns can't be named".to_owned());
    }
    out.push(b'{');
    for (n, (path, value)) in columns.iter().zip(values).enumerate() {
        let name = serde_json::to_string(&path[0]).map_err(|error| error.to_string())?;
        out.extend_from_slice(if n == 0 { b"" } else { b"," });
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        push_line(value.get(), out);
    }
    out.push(b'}');
    Ok(())
}

/// A time in microseconds since 1970, as protocols write it.
pub(crate) fn time(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us)
        .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}
