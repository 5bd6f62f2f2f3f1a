//! Functions of ours in SQLite's statements, where its own would round numbers or drop nulls.

use std::borrow::Cow;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use crate::destination::sql::dialect::TO_JSON;
use crate::destination::typed::fields::{self, Layout};

/// Puts the members of one JSON object into another.
pub(super) const MERGE: &str = "_highwater_merge";

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(TO_JSON, 2, flags, to_json)?;
    connection.create_scalar_function(MERGE, 2, flags, merge)
}

/// A value as JSON text. The second argument tells what SQLite's types don't: 1 for a boolean, 2 for a number, which may be
/// stored as text.
fn to_json(context: &mut Context<'_>) -> rusqlite::Result<Value> {
    let what: i64 = context.get(1)?;
    let text = match context.get_raw(0) {
        ValueRef::Null => return Ok(Value::Null),
        ValueRef::Integer(number) if what == 1 => (number != 0).to_string(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            if what == 2 { text.into_owned() } else { serde_json::Value::from(text).to_string() }
        }
    };
    Ok(Value::Text(text))
}

/// The members of both objects; the second's where both have one. Null if both are.
fn merge(context: &mut Context<'_>) -> rusqlite::Result<Option<String>> {
    let (old, new): (Option<String>, Option<String>) = (context.get(0)?, context.get(1)?);
    let (Some(old), Some(new)) = (&old, &new) else { return Ok(new.or(old)) };
    let failed = |error: String| rusqlite::Error::UserFunctionError(error.into());
    let layout = Layout::default();
    let mut members: Vec<(Cow<'_, str>, &str)> = layout.read(old.as_bytes()).map_err(failed)?.others;
    let added = layout.read(new.as_bytes()).map_err(failed)?.others;
    members.retain(|(name, _)| !added.iter().any(|(new, _)| new == name));
    members.extend(added);
    fields::to_object(&members).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded_and_members_are_merged() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let text = |sql: &str| -> Option<String> {
            connection.query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(text("_highwater_to_json(0.1 + 0.2, 2)").unwrap(), "0.30000000000000004");
        assert_eq!(
            text("_highwater_to_json('12345678901234567890123', 2)").unwrap(),
            "12345678901234567890123"
        );
        assert_eq!(text("_highwater_to_json('a\"b', 0)").unwrap(), r#""a\"b""#);
        assert_eq!(text("_highwater_to_json(1, 1)").unwrap(), "true");
        assert_eq!(text("_highwater_to_json(NULL, 0)"), None);
        let merged = text(r#"_highwater_merge('{"a":1.0,"b":2}', '{"b":null}')"#).unwrap();
        assert_eq!(merged, r#"{"a":1.0,"b":null}"#);
        assert_eq!(text(r#"_highwater_merge(NULL, '{"b":1}')"#).unwrap(), r#"{"b":1}"#);
    }
}
