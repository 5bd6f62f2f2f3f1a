//! COPY's text format: a row is a line, columns are separated by tabs.

use std::io::Write;

use crate::destination::typed::value::Value;

/// Appends a column's value.
pub(super) fn put_value(line: &mut Vec<u8>, value: Option<&Value<'_>>) {
    match value {
        None | Some(Value::Null) => line.extend_from_slice(b"\\N"),
        Some(Value::Boolean(value)) => line.push(if *value { b't' } else { b'f' }),
        Some(Value::Integer(number)) => put_integer(line, *number),
        // A number has nothing to escape.
        Some(Value::Decimal(text)) => line.extend_from_slice(text.as_bytes()),
        Some(Value::Text(text)) => put_text(line, text),
        Some(Value::Json(text)) => put_text(line, text),
    }
}

pub(super) fn put_integer(line: &mut Vec<u8>, number: i64) {
    // Writing to memory does not fail.
    let _ = write!(line, "{number}");
}

fn put_text(line: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => continue,
        };
        line.extend_from_slice(&bytes[from..at]);
        line.extend_from_slice(escaped);
        from = at + 1;
    }
    line.extend_from_slice(&bytes[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_is_escaped() {
        let mut line = Vec::new();
        for value in [
            Value::Text("a\tb\\c\nd\r".into()),
            Value::Null,
            Value::Text("\\N".into()),
            Value::Boolean(true),
            Value::Integer(-7),
            Value::Decimal("1e5"),
            Value::Json(r#""\n""#),
        ] {
            put_value(&mut line, Some(&value));
            line.push(b'\t');
        }
        let expected = "a\\tb\\\\c\\nd\\r\t\\N\t\\\\N\tt\t-7\t1e5\t\"\\\\n\"\t";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
