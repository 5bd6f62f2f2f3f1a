//! A row as the text of an object: a parsed number would be rounded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::int96::Columns;
use super::meaning::{Meaning, Unit};
use super::moment;

/// The whole row, whose columns have these types.
pub(super) fn push_row(row: &Row, types: &[TypePtr], exact: &Columns, out: &mut String) {
    out.push('{');
    for (n, (name, field)) in row.get_column_iter().enumerate() {
        push_name(n, name, out);
        match exact.value(n) {
            Some(ns) => push_text(&moment::moment(ns, true), out),
            None => push(field, types.get(n).map(AsRef::as_ref), out),
        }
    }
    out.push('}');
}

fn push_name(n: usize, name: &str, out: &mut String) {
    out.push_str(if n == 0 { "" } else { "," });
    push_text(name, out);
    out.push(':');
}

fn push_object(row: &Row, of: Option<&Type>, out: &mut String) {
    out.push('{');
    for (n, (name, field)) in row.get_column_iter().enumerate() {
        push_name(n, name, out);
        push(field, of.and_then(|of| child(of, n)), out);
    }
    out.push('}');
}

fn child(of: &Type, n: usize) -> Option<&Type> {
    if of.is_group() { of.get_fields().get(n).map(AsRef::as_ref) } else { None }
}

fn push(field: &Field, of: Option<&Type>, out: &mut String) {
    match field {
        Field::Group(row) => push_object(row, of, out),
        Field::ListInternal(list) => {
            let of = of.map(element);
            push_list(list.elements().iter(), out, |item, out| push(item, of, out));
        }
        Field::MapInternal(map) => {
            let pair = of.and_then(|of| child(of, 0));
            let [of_key, of_value] = [0, 1].map(|n| pair.and_then(|pair| child(pair, n)));
            push_list(map.entries().iter(), out, |(key, value), out| {
                out.push_str("{\"key\":");
                push(key, of_key, out);
                out.push_str(",\"value\":");
                push(value, of_value, out);
                out.push('}');
            });
        }
        Field::Null => out.push_str("null"),
        Field::Float(value) if !value.is_finite() => out.push_str("null"),
        Field::Double(value) if !value.is_finite() => out.push_str("null"),
        // As it prints, so that 0.1 stays 0.1.
        Field::Float(value) => out.push_str(&format!("{value:?}")),
        Field::Double(value) => out.push_str(&format!("{value:?}")),
        Field::Float16(value) if !value.is_finite() => out.push_str("null"),
        Field::Str(text) => push_text(text, out),
        Field::Bytes(bytes) => push_bytes(bytes.data(), of, out),
        Field::Date(day) => push_text(&moment::date(*day), out),
        Field::TimeMillis(value) | Field::Int(value) => push_number(i64::from(*value), field, of, out),
        Field::TimeMicros(value)
        | Field::TimestampMillis(value)
        | Field::TimestampMicros(value)
        | Field::Long(value) => push_number(*value, field, of, out),
        other => push_other(&other.to_string(), out),
    }
}

/// What the elements of a list are. Lists were written in several ways before there was a rule.
fn element(list: &Type) -> &Type {
    let is_list =
        list.is_group() && list.get_basic_info().converted_type() == parquet::basic::ConvertedType::LIST;
    let Some(repeated) = child(list, 0).filter(|_| is_list) else { return list };
    let is_element = repeated.is_primitive()
        || repeated.get_fields().len() > 1
        || repeated.name() == "array"
        || repeated.name().ends_with("_tuple");
    if is_element { repeated } else { child(repeated, 0).unwrap_or(repeated) }
}

/// A number, or a time that is counted.
fn push_number(value: i64, field: &Field, of: Option<&Type>, out: &mut String) {
    let meaning = of.map_or(Meaning::Other, Meaning::of);
    let text = match (meaning, field) {
        // Whatever the column's unit is: of 96 bits inside something else the library gives these.
        (Meaning::Moment { is_utc, .. }, Field::TimestampMillis(_)) => {
            Some(moment::moment(Unit::MILLIS.nanoseconds(value), is_utc))
        }
        (Meaning::Moment { unit, is_utc }, _) => Some(moment::moment(unit.nanoseconds(value), is_utc)),
        (Meaning::Time(unit), _) => moment::time(unit.nanoseconds(value)),
        _ => None,
    };
    match text {
        Some(text) => push_text(&text, out),
        None => out.push_str(&value.to_string()),
    }
}

fn push_bytes(bytes: &[u8], of: Option<&Type>, out: &mut String) {
    match (of.map(Meaning::of), bytes.len()) {
        (Some(Meaning::Uuid), 16) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
            push_text(&parts.join("-"), out);
        }
        _ => push_text(&STANDARD.encode(bytes), out),
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
