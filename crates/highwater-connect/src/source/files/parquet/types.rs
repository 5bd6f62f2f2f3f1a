//! The types that columns have in several files.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The types of each column, each once. The order of the files does not matter: files whose types alternate are no change.
#[derive(Debug, Default)]
pub(super) struct Types(BTreeMap<String, BTreeMap<String, Value>>);

impl Types {
    /// A file has the column as `property`, a JSON schema.
    pub(super) fn add(&mut self, column: &str, property: Value) {
        self.0.entry(column.to_owned()).or_default().insert(property.to_string(), property);
    }

    /// The columns as a JSON schema.
    pub(super) fn schema(self) -> Value {
        let properties = self.0.into_iter().map(|(column, types)| (column, either(types)));
        json!({"type": "object", "properties": properties.collect::<Map<_, _>>()})
    }
}

/// A value of any of these types.
fn either(mut types: BTreeMap<String, Value>) -> Value {
    if types.values().any(|one| is(one, "number")) {
        // A number covers it. Programs write integers as such once one is missing.
        types.retain(|_, one| !is(one, "integer"));
    }
    let mut types: Vec<Value> = types.into_values().collect();
    if types.len() == 1 { types.remove(0) } else { json!({"anyOf": types}) }
}

fn is(property: &Value, name: &str) -> bool {
    match &property["type"] {
        Value::Array(names) => names.iter().any(|one| one == name),
        one => one == name,
    }
}
