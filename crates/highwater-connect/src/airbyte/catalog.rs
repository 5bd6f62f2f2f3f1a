//! A configured catalog: which streams there are, with their keys and schemas.

use highwater::{StreamName, StreamSpec};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A stream as the catalog describes it.
#[derive(Debug)]
pub struct Configured {
    /// Its name.
    pub name: StreamName,
    key: Vec<Vec<String>>,
    schema: Option<String>,
}

impl Configured {
    /// As the engine registers it.
    pub fn spec(&self) -> StreamSpec {
        let mut spec = StreamSpec::new(&self.name.name).key_paths(self.key.clone());
        if let Some(namespace) = &self.name.namespace {
            spec = spec.namespace(namespace);
        }
        match &self.schema {
            Some(schema) => spec.schema(schema),
            None => spec,
        }
    }
}

#[derive(Deserialize)]
struct Catalog<'a> {
    #[serde(borrow)]
    streams: Vec<ConfiguredStream<'a>>,
}

#[derive(Deserialize)]
struct ConfiguredStream<'a> {
    #[serde(borrow)]
    stream: StreamBody<'a>,
    primary_key: Option<Vec<Vec<String>>>,
    destination_sync_mode: Option<String>,
}

#[derive(Deserialize)]
struct StreamBody<'a> {
    name: String,
    namespace: Option<String>,
    #[serde(borrow)]
    json_schema: Option<&'a RawValue>,
    source_defined_primary_key: Option<Vec<Vec<String>>>,
}

/// Reads a ConfiguredAirbyteCatalog.
pub fn parse(text: &str) -> Result<Vec<Configured>, String> {
    let catalog: Catalog<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let streams: Vec<Configured> = catalog.streams.into_iter().map(configured).collect();
    let mut names = std::collections::HashSet::new();
    match streams.iter().find(|stream| !names.insert(&stream.name)) {
        Some(twice) => Err(format!("stream {} is there twice", twice.name)),
        None => Ok(streams),
    }
}

fn configured(from: ConfiguredStream<'_>) -> Configured {
    // The key of the source stands in where the destination is to deduplicate and nobody chose another.
    let wants_key = matches!(
        from.destination_sync_mode.as_deref(),
        Some("append_dedup" | "overwrite_dedup" | "update" | "soft_delete")
    );
    let chosen = from.primary_key.filter(|key| !key.is_empty());
    let key = chosen.or_else(|| from.stream.source_defined_primary_key.filter(|_| wants_key));
    Configured {
        name: StreamName { namespace: from.stream.namespace, name: from.stream.name },
        key: key.unwrap_or_default(),
        schema: from.stream.json_schema.map(|schema| schema.get().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_key_counts_where_rows_are_deduplicated() {
        let stream = r#""stream":{"name":"s","namespace":"","json_schema":{"a":1},"source_defined_primary_key":[["id"]]}"#;
        let key = |rest: &str| {
            let mut streams = parse(&format!(r#"{{"streams":[{{{stream}{rest}}}]}}"#)).unwrap();
            streams.remove(0).key
        };
        assert_eq!(key(r#","destination_sync_mode":"append_dedup""#), [["id"]]);
        assert_eq!(key(r#","destination_sync_mode":"append","primary_key":[]"#), [[""; 0]; 0]);
        assert_eq!(key(r#","destination_sync_mode":"append","primary_key":[["a","b"]]"#), [["a", "b"]]);
    }

    #[test]
    fn a_stream_is_listed_once() {
        let stream = r#"{"stream":{"name":"s"}}"#;
        assert_eq!(
            parse(&format!(r#"{{"streams":[{stream},{stream}]}}"#)).unwrap_err(),
            "stream s is there twice"
        );
        assert!(parse("{}").is_err());
    }
}
