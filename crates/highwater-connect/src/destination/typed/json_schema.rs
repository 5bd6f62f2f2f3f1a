//! A stream's JSON schema, read as columns: JSON schema's types and formats, unions, and what Airbyte adds to them.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::kind::Kind;

/// How deep references and unions are followed; behind that a column is JSON.
const DEPTH_MAX: usize = 16;

/// A column as the schema declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The member of the record.
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The columns in the schema's order; none where there is no schema, or one that declares no members.
pub(crate) fn columns(schema: &str) -> Result<Vec<Declared>, serde_json::Error> {
    let root: Value = serde_json::from_str(schema)?;
    let Ok(Root { properties: Some(Properties(properties)) }) = serde_json::from_str(schema) else {
        return Ok(Vec::new());
    };
    let mut columns: Vec<Declared> = Vec::with_capacity(properties.len());
    for (name, property) in properties {
        let kind = kind_of(&property, &root, 0).unwrap_or(Kind::Json);
        // Of a member that is there twice the last counts, as for every JSON reader.
        match columns.iter_mut().find(|column| column.name == name) {
            Some(column) => column.kind = kind,
            None => columns.push(Declared { name, kind }),
        }
    }
    Ok(columns)
}

#[derive(Deserialize)]
struct Root {
    properties: Option<Properties>,
}

/// In the order of the text, which a map of JSON values does not keep.
struct Properties(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Properties;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the members of a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Properties(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The kind of what a schema allows; `None` if that is only null.
fn kind_of(schema: &Value, root: &Value, depth: usize) -> Option<Kind> {
    let Value::Object(schema) = schema else { return Some(Kind::Json) };
    if depth > DEPTH_MAX {
        return Some(Kind::Json);
    }
    if let Some(Value::String(reference)) = schema.get("$ref") {
        return kind_of_reference(reference, root, depth);
    }
    if let Some(types) = schema.get("type") {
        return join(types_of(types).into_iter().map(|name| kind_of_type(name, schema)));
    }
    for union in ["oneOf", "anyOf"] {
        if let Some(Value::Array(members)) = schema.get(union) {
            return join(members.iter().map(|member| kind_of(member, root, depth + 1)));
        }
    }
    if let Some(Value::Array(members)) = schema.get("allOf") {
        // All of them hold, so the narrowest says most.
        let kinds = members.iter().filter_map(|member| kind_of(member, root, depth + 1));
        return Some(kinds.reduce(|a, b| if a.covers(b) { b } else { a }).unwrap_or(Kind::Json));
    }
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => join(values.iter().map(kind_of_value)),
        (_, Some(value)) => kind_of_value(value),
        _ => Some(Kind::Json),
    }
}

fn join(kinds: impl Iterator<Item = Option<Kind>>) -> Option<Kind> {
    kinds.flatten().reduce(Kind::join)
}

fn types_of(types: &Value) -> Vec<&str> {
    match types {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["unknown"],
    }
}

fn kind_of_type(name: &str, schema: &Map<String, Value>) -> Option<Kind> {
    let text = |member: &str| schema.get(member).and_then(Value::as_str).unwrap_or_default();
    let airbyte = text("airbyte_type");
    match name {
        "null" => None,
        "boolean" => Some(Kind::Boolean),
        "integer" if airbyte == "big_integer" => Some(Kind::Decimal),
        "integer" => Some(Kind::Integer),
        "number" if airbyte == "integer" => Some(Kind::Integer),
        "number" => Some(Kind::Decimal),
        "string" => Some(kind_of_text(text("format"), airbyte)),
        _ => Some(Kind::Json),
    }
}

/// A string that Airbyte calls a big integer or a big number stays text: its records hold a string.
fn kind_of_text(format: &str, airbyte: &str) -> Kind {
    match (format, airbyte) {
        (_, "timestamp_without_timezone") => Kind::Timestamp,
        (_, "timestamp_with_timezone") => Kind::TimestampTz,
        (_, "time_without_timezone") => Kind::Time,
        (_, "time_with_timezone") => Kind::TimeTz,
        ("date", _) => Kind::Date,
        ("date-time", _) => Kind::TimestampTz,
        ("time", _) => Kind::Time,
        _ => Kind::Text,
    }
}

/// References into the same schema, and to Airbyte's well-known types.
fn kind_of_reference(reference: &str, root: &Value, depth: usize) -> Option<Kind> {
    if let Some(pointer) = reference.strip_prefix('#') {
        return root.pointer(pointer).map_or(Some(Kind::Json), |found| kind_of(found, root, depth + 1));
    }
    Some(match reference.rsplit('/').next().unwrap_or_default() {
        "String" | "BinaryData" => Kind::Text,
        "Boolean" => Kind::Boolean,
        "Integer" => Kind::Integer,
        "Number" => Kind::Decimal,
        "Date" => Kind::Date,
        "TimestampWithTimezone" => Kind::TimestampTz,
        "TimestampWithoutTimezone" => Kind::Timestamp,
        "TimeWithTimezone" => Kind::TimeTz,
        "TimeWithoutTimezone" => Kind::Time,
        _ => Kind::Json,
    })
}

fn kind_of_value(value: &Value) -> Option<Kind> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(Kind::Boolean),
        Value::Number(number) if number.is_i64() => Some(Kind::Integer),
        Value::Number(_) => Some(Kind::Decimal),
        Value::String(_) => Some(Kind::Text),
        Value::Array(_) | Value::Object(_) => Some(Kind::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(property: &str) -> Kind {
        let schema = format!(
            r##"{{"properties":{{"c":{property}}},"definitions":{{"n":{{"type":"number"}},"loop":{{"$ref":"#/definitions/loop"}}}}}}"##
        );
        columns(&schema).unwrap()[0].kind
    }

    #[test]
    fn types_formats_and_unions_become_kinds() {
        for (property, expected) in [
            (r#"{"type":"boolean"}"#, Kind::Boolean),
            (r#"{"type":["null","integer"]}"#, Kind::Integer),
            (r#"{"type":"integer","airbyte_type":"big_integer"}"#, Kind::Decimal),
            (r#"{"type":"number","airbyte_type":"integer"}"#, Kind::Integer),
            (r#"{"type":"number","airbyte_type":"big_number"}"#, Kind::Decimal),
            (r#"{"type":["integer","number","null"]}"#, Kind::Decimal),
            (r#"{"type":"string"}"#, Kind::Text),
            (r#"{"type":"string","format":"date"}"#, Kind::Date),
            (r#"{"type":"string","format":"date-time"}"#, Kind::TimestampTz),
            (
                r#"{"type":"string","format":"date-time","airbyte_type":"timestamp_without_timezone"}"#,
                Kind::Timestamp,
            ),
            (r#"{"type":"string","format":"time","airbyte_type":"time_with_timezone"}"#, Kind::TimeTz),
            (r#"{"type":"string","format":"email"}"#, Kind::Text),
            (r#"{"type":"object","properties":{}}"#, Kind::Json),
            (r#"{"type":["array","null"]}"#, Kind::Json),
            (r#"{"type":["string","integer"]}"#, Kind::Json),
            (r#"{"oneOf":[{"type":"null"},{"type":"string","format":"date"}]}"#, Kind::Date),
            (r#"{"anyOf":[{"type":"string","format":"date"},{"type":"string"}]}"#, Kind::Text),
            (r#"{"allOf":[{},{"type":"integer"}]}"#, Kind::Integer),
            (r##"{"$ref":"#/definitions/n"}"##, Kind::Decimal),
            (r##"{"$ref":"#/definitions/loop"}"##, Kind::Json),
            (r##"{"$ref":"#/definitions/none"}"##, Kind::Json),
            (r##"{"$ref":"WellKnownTypes.json#/definitions/TimestampWithTimezone"}"##, Kind::TimestampTz),
            (r#"{"enum":["a",null]}"#, Kind::Text),
            (r#"{"const":1}"#, Kind::Integer),
            (r#"{"type":"null"}"#, Kind::Json),
            ("{}", Kind::Json),
            ("true", Kind::Json),
        ] {
            assert_eq!(kind(property), expected, "{property}");
        }
    }

    #[test]
    fn columns_come_in_the_schemas_order_and_an_odd_schema_has_none() {
        let schema = r#"{"properties":{"z":{"type":"string"},"a":{},"z":{"type":"integer"}}}"#;
        let found = columns(schema).unwrap();
        assert_eq!(found[0], Declared { name: "z".to_owned(), kind: Kind::Integer });
        assert_eq!(found[1].name, "a");
        for odd in ["{}", "true", r#"{"properties":[]}"#, r#"{"properties":null}"#] {
            assert_eq!(columns(odd).unwrap(), [], "{odd}");
        }
        assert!(columns("{").is_err());
    }
}
