//! What differs between two JSON schemas, as far as columns go.

use serde_json::Value;

use super::Change;
use crate::columns::Members;
use crate::text::tame;

/// What says something to people, and nothing about values.
const ANNOTATIONS: [&str; 7] =
    ["title", "description", "$comment", "examples", "default", "deprecated", "readOnly"];

/// The columns that differ, in the order of the schemas: those that went or changed, then those that came. Only the members
/// of the record itself are columns; annotations and the order of members do not count.
pub fn difference(before: Option<&str>, now: Option<&str>) -> Vec<Change> {
    let (before, now) = (columns(before), columns(now));
    let of = |columns: &[(String, Value)], name: &str| {
        columns.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let mut changes = Vec::new();
    for (column, old) in &before {
        let (column, from) = (column.clone(), short(old));
        match of(&now, &column) {
            None => changes.push(Change::ColumnRemoved { column, from }),
            Some(new) if new != *old => {
                changes.push(Change::ColumnChanged { column, from, to: short(&new) });
            }
            Some(_) => {}
        }
    }
    for (column, new) in &now {
        if of(&before, column).is_none() {
            changes.push(Change::ColumnAdded { column: column.clone(), to: short(new) });
        }
    }
    changes
}

/// The members that a schema declares, without annotations. What is no schema declares none.
fn columns(schema: Option<&str>) -> Vec<(String, Value)> {
    let Some(properties) = schema.and_then(properties_of) else { return Vec::new() };
    let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(properties) else { return Vec::new() };
    let mut columns: Vec<(String, Value)> = Vec::new();
    for (name, raw) in members {
        let value = plain(serde_json::from_str(raw.get()).unwrap_or(Value::Null));
        match columns.iter_mut().find(|(known, _)| *known == name) {
            // Of a member that is there twice the last counts, as for every JSON reader.
            Some((_, known)) => *known = value,
            None => columns.push((name.into_owned(), value)),
        }
    }
    columns
}

/// The text of a schema's `properties`.
pub(super) fn properties_of(schema: &str) -> Option<&str> {
    let Members(members) = serde_json::from_str::<Members<'_>>(schema).ok()?;
    members.iter().rev().find(|(name, _)| name == "properties").map(|(_, value)| value.get())
}

/// Without annotations, and with types in one order.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut map) => {
            map.retain(|name, _| !ANNOTATIONS.contains(&name.as_str()));
            let member = |(name, value): (String, Value)| match (name.as_str(), value) {
                ("type", Value::Array(mut types)) => {
                    types.sort_by_key(Value::to_string);
                    (name, Value::Array(types))
                }
                // Members of members have names of the source's choice, which may be those of annotations.
                ("properties", Value::Object(inner)) => (
                    name,
                    Value::Object(inner.into_iter().map(|(name, value)| (name, plain(value))).collect()),
                ),
                (_, value) => (name, plain(value)),
            };
            Value::Object(map.into_iter().map(member).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(plain).collect()),
        other => other,
    }
}

/// A column's type for people: `string (date-time)`, `integer or null`, or the schema itself.
fn short(value: &Value) -> String {
    let Value::Object(map) = value else { return tame(&value.to_string()) };
    let types: Vec<&str> = match map.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => {
            let mut types: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            types.sort_by_key(|name| *name == "null");
            types
        }
        _ => Vec::new(),
    };
    let others = map.keys().filter(|name| !["type", "format"].contains(&name.as_str())).count();
    match (types.is_empty(), others, map.get("format").and_then(Value::as_str)) {
        (false, 0, None) => tame(&types.join(" or ")),
        (false, 0, Some(format)) => tame(&format!("{} ({format})", types.join(" or "))),
        _ if map.is_empty() => "anything".to_owned(),
        _ => tame(&value.to_string()),
    }
}
