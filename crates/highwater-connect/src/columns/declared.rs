//! Whether the columns that a pipeline file names are there. One that is misspelt would let the column that was meant reach the disk.

use serde_json::{Map, Value};

use crate::failure::{Failure, Result};
use crate::pipeline::{Columns, nearest};

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

/// What was meant, as far as that can be guessed.
fn hint(stray: &str, properties: &Map<String, Value>) -> String {
    if let Some((column, _)) = stray.split_once('.').filter(|(column, _)| properties.contains_key(*column)) {
        return format!("a column goes as a whole: {column}");
    }
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
}
