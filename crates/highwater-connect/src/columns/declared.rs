//! Whether the columns that a pipeline file names are there. One that is misspelt would let the column that was meant reach the disk.

use highwater::ColumnPath;
use serde_json::{Map, Value};

use crate::failure::{Failure, Result};
use crate::pipeline::{Columns, StreamChoice, nearest};

/// So many columns are named in a message.
const NAMED_MAX: usize = 20;
/// What to do where a name is right, and no schema says so.
const TAKEN_UNSEEN: &str = "allow_undeclared = true takes names that no schema lists";

/// Fails at the first name that is none of these columns.
pub(super) fn check(columns: &Columns, properties: &Map<String, Value>) -> Result<()> {
    let lists = [("select", &columns.select), ("exclude", &columns.exclude), ("hash", &columns.hash)];
    for (key, names) in lists {
        if let Some(stray) = names.iter().find(|name| !properties.contains_key(*name)) {
            let hint = hint(stray, properties);
            return Err(Failure::config(format!(
                "{key}: the source's schema has no column {stray}; {hint} ({TAKEN_UNSEEN})"
            )));
        }
    }
    Ok(())
}

/// Fails at the first column of the key or the cursor that is chosen for a stream and that its schema, which lists others, lacks:
/// no record would have it, so all would have the same key.
pub(crate) fn check_choice(choice: &StreamChoice, schema: &Value) -> Result<()> {
    if choice.columns.allow_undeclared {
        return Ok(());
    }
    let unseen = |failure: Failure| Failure::config(format!("{failure} ({TAKEN_UNSEEN})"));
    let checked = check_paths("primary_key", choice.primary_key.iter().flatten(), schema);
    checked.and_then(|()| check_paths("cursor", &choice.cursor, schema)).map_err(unseen)
}

/// Fails at the first of the columns, named under `key`, that a schema which lists others lacks.
pub(crate) fn check_paths<'a>(
    key: &str,
    paths: impl IntoIterator<Item = &'a ColumnPath>,
    schema: &Value,
) -> Result<()> {
    for path in paths {
        let mut inside = schema;
        for column in path {
            let properties = inside.get("properties").and_then(Value::as_object);
            let Some(properties) = properties.filter(|properties| !properties.is_empty()) else { break };
            let Some(found) = properties.get(column) else {
                let (stray, hint) = (path.join("."), path_hint(column, properties));
                return Err(Failure::config(format!(
                    "{key}: the source's schema has no column {stray}; {hint}"
                )));
            };
            inside = found;
        }
    }
    Ok(())
}

fn path_hint(stray: &str, properties: &Map<String, Value>) -> String {
    match stray.split_once('.').filter(|(column, _)| properties.contains_key(*column)) {
        Some((column, rest)) => format!("a column in a column is written [{column:?}, {rest:?}]"),
        None => near(stray, properties),
    }
}

/// What was meant, as far as that can be guessed.
fn hint(stray: &str, properties: &Map<String, Value>) -> String {
    if let Some((column, _)) = stray.split_once('.').filter(|(column, _)| properties.contains_key(*column)) {
        return format!("a column goes as a whole: {column}");
    }
    near(stray, properties)
}

fn near(stray: &str, properties: &Map<String, Value>) -> String {
    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
    let in_other_case = known.iter().find(|column| column.eq_ignore_ascii_case(stray)).copied();
    match in_other_case.or_else(|| nearest(stray, &known)) {
        Some(near) => format!("did you mean {near}?"),
        None => {
            let more = if known.len() > NAMED_MAX { ", and more" } else { "" };
            format!("it has {}{more}", known[..known.len().min(NAMED_MAX)].join(", "))
        }
    }
}

/// Of a stream whose columns nobody knows.
pub(super) fn unknown() -> Failure {
    Failure::config(format!(
        "select, exclude, hash: the source lists no columns of the stream, so nobody can tell whether these are named as they \
         come; {TAKEN_UNSEEN}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(columns: &Columns) -> String {
        let schema = r#"{"id": {}, "card": {}, "address": {"properties": {"street": {}}}}"#;
        check(columns, &serde_json::from_str(schema).unwrap()).unwrap_err().to_string()
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_name_that_is_no_column_is_refused_with_the_nearest() {
        let all = Columns::default();
        let typo = refused(&Columns { exclude: list(&["id", "crad"]), ..all.clone() });
        assert!(typo.starts_with("exclude: the source's schema has no column crad; did you mean card?"));
        let stray = refused(&Columns { hash: list(&["nothing like it"]), ..all.clone() });
        assert!(stray.contains("hash: ") && stray.contains("it has address, card, id"), "{stray}");
        assert!(refused(&Columns { select: list(&["ID"]), ..all.clone() }).contains("did you mean id?"));
        let nested = refused(&Columns { exclude: list(&["address.street"]), ..all });
        assert!(nested.contains("goes as a whole: address"), "{nested}");
    }

    #[test]
    fn keys_and_cursors_are_looked_up_as_deep_as_the_schema_goes() {
        let schema =
            r#"{"properties": {"id": {}, "at": {"properties": {"day": {}}}, "any": {"type": "object"}}}"#;
        let schema: Value = serde_json::from_str(schema).unwrap();
        let path = |columns: &str| columns.split('/').map(str::to_owned).collect::<ColumnPath>();
        let checked = |columns: &str| check_paths("cursor", [&path(columns)], &schema);
        for known in ["id", "at", "at/day", "any/thing"] {
            checked(known).unwrap();
        }
        let error = |columns: &str| checked(columns).unwrap_err().to_string();
        assert_eq!(error("idd"), "cursor: the source's schema has no column idd; did you mean id?");
        assert!(error("at/dya").ends_with("has no column at.dya; did you mean day?"));
        assert!(error("at.day").ends_with(r#"a column in a column is written ["at", "day"]"#));
        check_paths("cursor", [&path("id")], &serde_json::json!({"properties": {}})).unwrap();
    }
}
