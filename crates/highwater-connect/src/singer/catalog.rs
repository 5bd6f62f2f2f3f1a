//! A tap's catalog: which streams it has, and which are selected.

use highwater::{ColumnPath, StreamName};
use serde_json::{Map, Value, json};

use super::names::{self, CatalogNames};
use crate::columns::{ColumnFilter, check_choice};
use crate::definition::{Generation, StreamDefinition};
use crate::failure::{Failure, Result};
use crate::pipeline::{StreamChoice, SyncMode, nearest};
use crate::source::{Offer, Reading};

/// A stream that is read.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub(super) name: StreamName,
    pub(super) filter: Option<ColumnFilter>,
    key: Vec<ColumnPath>,
    schema: Option<String>,
    cursor: Option<ColumnPath>,
    is_read_anew: bool,
}

impl Selected {
    /// Fails with [`FailureKind::Config`](crate::FailureKind::Config) if a column is to be left out or hashed that the catalog lists
    /// others instead of. One that lists none leaves that to the tap's SCHEMA messages.
    pub(super) fn offer(&self) -> Result<Offer> {
        let schema = match (&self.filter, &self.schema) {
            (Some(filter), Some(schema)) => Some(
                filter
                    .schema(schema)
                    .map_err(|failure| failure.while_doing(format!("stream {}", self.name)))?,
            ),
            (_, schema) => schema.clone(),
        };
        let reading = if self.is_read_anew {
            Reading::Anew { is_resumable: false, replaces: true }
        } else {
            Reading::Onward
        };
        let definition = StreamDefinition {
            name: self.name.clone(),
            key: self.key.clone(),
            schema,
            generation: Generation::default(),
        };
        let offer = Offer::new(definition, reading).with_cursor(self.cursor.clone());
        Ok(Offer { tells_schema: true, ..offer })
    }
}

/// Marks what is chosen (all, if nothing is) as selected, in the catalog itself. Returns those, and what the catalog calls all of them.
pub(super) fn select(
    catalog: &mut Value,
    choices: &[StreamChoice],
    hash_key: Option<&str>,
) -> Result<(Vec<Selected>, CatalogNames)> {
    let streams = catalog.get_mut("streams").and_then(Value::as_array_mut);
    let streams = streams.ok_or_else(|| Failure::permanent("the tap's catalog has no streams"))?;
    let names = names::of_streams(streams);
    if let Some(stray) = choices.iter().find(|choice| !names.contains(&choice.name.name)) {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        return Err(Failure::config(match nearest(&stray.name.name, &known) {
            Some(near) => format!("the tap has no stream {}; did you mean {near}?", stray.name.name),
            None => format!("the tap has no stream {}", stray.name.name),
        }));
    }
    if let Some(spaced) = choices.iter().find(|choice| choice.name.namespace.is_some()) {
        return Err(Failure::config(format!("stream {}: a tap's streams have no namespace", spaced.name)));
    }
    let (mut selected, mut known) = (Vec::new(), CatalogNames::default());
    for (stream, name) in streams.iter_mut().zip(names) {
        let choice = choices.iter().find(|choice| choice.name.name == name);
        let is_wanted = choices.is_empty() || choice.is_some();
        known.push(stream, &name, is_wanted.then_some(selected.len()));
        let root = root_metadata(stream)?;
        root.insert("selected".to_owned(), Value::Bool(is_wanted));
        if !is_wanted {
            continue;
        }
        if let Some(choice) = choice {
            set_method(root, choice);
        }
        let method = ["replication-method", "forced-replication-method"].map(|key| root.get(key).cloned());
        let is_read_anew = method.into_iter().flatten().next().is_some_and(|method| method == "FULL_TABLE");
        let cursor = root.get("replication-key").and_then(Value::as_str);
        let cursor = cursor.map(|column| vec![column.to_owned()]);
        let key = choice.and_then(|choice| choice.primary_key.clone()).unwrap_or_else(|| key_of(stream));
        if let Some(choice) = choice {
            let schema = stream.get("schema").unwrap_or(&Value::Null);
            check_choice(choice, schema).map_err(|failure| failure.while_doing(format!("stream {name}")))?;
        }
        let filter = choice.and_then(|choice| ColumnFilter::new(&choice.columns, hash_key));
        let lost = |path: &&ColumnPath| {
            choice.is_some_and(|choice| path.first().is_some_and(|column| !choice.columns.keeps(column)))
        };
        if let Some(path) = key.iter().find(lost) {
            return Err(Failure::config(format!(
                "stream {name}: its key column {} is excluded",
                path.join(".")
            )));
        }
        selected.push(Selected {
            name: StreamName { namespace: None, name },
            filter,
            key,
            schema: stream.get("schema").map(Value::to_string),
            cursor,
            is_read_anew,
        });
    }
    Ok((selected, known))
}

fn root_metadata(stream: &mut Value) -> Result<&mut Map<String, Value>> {
    let bad = || Failure::permanent("the tap's catalog has a stream of a form that is not known");
    let stream = stream.as_object_mut().ok_or_else(bad)?;
    let list = stream.entry("metadata").or_insert_with(|| json!([])).as_array_mut().ok_or_else(bad)?;
    let is_root = |one: &Value| one.get("breadcrumb").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let at = match list.iter().position(is_root) {
        Some(at) => at,
        None => {
            list.push(json!({"breadcrumb": [], "metadata": {}}));
            list.len() - 1
        }
    };
    let root = list.get_mut(at).and_then(|one| one.get_mut("metadata"));
    root.and_then(Value::as_object_mut).ok_or_else(bad)
}

fn set_method(root: &mut Map<String, Value>, choice: &StreamChoice) {
    let method = match choice.sync_mode {
        None => return,
        Some(SyncMode::Incremental) => "INCREMENTAL",
        Some(SyncMode::FullRefresh) => "FULL_TABLE",
    };
    root.insert("replication-method".to_owned(), Value::from(method));
    if let Some(column) = choice.cursor.as_ref().and_then(|path| path.first()) {
        root.insert("replication-key".to_owned(), Value::from(column.as_str()));
    }
}

fn key_of(stream: &Value) -> Vec<ColumnPath> {
    let metadata = stream.get("metadata").and_then(Value::as_array);
    let root = metadata
        .into_iter()
        .flatten()
        .find(|one| one.get("breadcrumb").and_then(Value::as_array).is_some_and(Vec::is_empty));
    let declared = root
        .and_then(|one| one.pointer("/metadata/table-key-properties"))
        .or_else(|| stream.get("key_properties"))
        .and_then(Value::as_array);
    declared.into_iter().flatten().filter_map(Value::as_str).map(|column| vec![column.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Columns;

    #[test]
    fn what_is_chosen_is_marked_in_the_catalog() {
        let mut catalog = json!({"streams": [
            {"tap_stream_id": "a", "schema": {"type": "object"}, "metadata": [
                {"breadcrumb": [], "metadata": {"table-key-properties": ["id"]}},
                {"breadcrumb": ["properties", "id"], "metadata": {}}]},
            {"tap_stream_id": "b", "stream": "b", "schema": {}, "key_properties": ["k"]}]});
        let choice = |name: &str, mode| StreamChoice {
            name: StreamName { namespace: None, name: name.to_owned() },
            sync_mode: mode,
            cursor: Some(vec!["at".to_owned()]),
            primary_key: None,
            columns: Columns::default(),
        };
        let (selected, _) = select(&mut catalog, &[choice("a", Some(SyncMode::Incremental))], None).unwrap();
        assert_eq!(selected.len(), 1);
        assert_eq!(selected[0].offer().unwrap().definition.key, [["id"]]);
        let root = &catalog["streams"][0]["metadata"][0]["metadata"];
        assert_eq!((&root["selected"], &root["replication-key"]), (&json!(true), &json!("at")));
        assert_eq!(catalog["streams"][1]["metadata"][0]["metadata"]["selected"], json!(false));

        let (selected, _) = select(&mut catalog, &[choice("b", Some(SyncMode::FullRefresh))], None).unwrap();
        let offer = selected[0].offer().unwrap();
        assert_eq!(offer.reading, Reading::Anew { is_resumable: false, replaces: true });
        assert_eq!(offer.definition.key, [["k"]]);
        let error = select(&mut catalog, &[choice("bb", None)], None).unwrap_err();
        assert_eq!(error.to_string(), "the tap has no stream bb; did you mean b?");
    }
}
