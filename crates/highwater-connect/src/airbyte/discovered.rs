//! What a source says it has, and the catalog that it is configured with.

use highwater::{ColumnPath, StreamName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::columns::{ColumnFilter, check_choice};
use crate::definition::{Generation, StreamDefinition};
use crate::failure::{Failure, Result};
use crate::pipeline::{StreamChoice, SyncMode, nearest};
use crate::source::{Offer, Reading};

/// A stream that a source has.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// Its name.
    pub name: StreamName,
    /// The whole text of the source's description.
    text: Box<RawValue>,
    schema: Option<String>,
    modes: Vec<String>,
    is_resumable: bool,
    default_cursor: Option<ColumnPath>,
    key: Option<Vec<ColumnPath>>,
}

#[derive(Deserialize)]
struct Catalog<'a> {
    #[serde(borrow)]
    streams: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body<'a> {
    name: String,
    namespace: Option<String>,
    #[serde(borrow)]
    json_schema: Option<&'a RawValue>,
    #[serde(default)]
    supported_sync_modes: Option<Vec<String>>,
    is_resumable: Option<bool>,
    default_cursor_field: Option<ColumnPath>,
    source_defined_primary_key: Option<Vec<ColumnPath>>,
}

impl Discovered {
    /// Reads the content of a CATALOG message.
    pub fn parse_all(catalog: &RawValue) -> Result<Vec<Discovered>> {
        let bad =
            |e: serde_json::Error| Failure::permanent("the source's catalog can't be understood").because(e);
        let catalog: Catalog<'_> = serde_json::from_str(catalog.get()).map_err(bad)?;
        catalog.streams.into_iter().map(|text| Self::parse(text).map_err(bad)).collect()
    }

    fn parse(text: &RawValue) -> serde_json::Result<Discovered> {
        let body: Body<'_> = serde_json::from_str(text.get())?;
        Ok(Discovered {
            name: StreamName { namespace: body.namespace, name: body.name },
            text: text.to_owned(),
            schema: body.json_schema.map(|schema| schema.get().to_owned()),
            modes: body.supported_sync_modes.unwrap_or_default(),
            is_resumable: body.is_resumable.unwrap_or(false),
            default_cursor: body.default_cursor_field.filter(|path| !path.is_empty()),
            key: body.source_defined_primary_key.filter(|key| !key.is_empty()),
        })
    }

    /// The stream's JSON schema.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The key that the source defines.
    pub fn key(&self) -> &[ColumnPath] {
        self.key.as_deref().unwrap_or_default()
    }

    /// Whether it can be read from where the last sync ended.
    pub fn is_incremental(&self) -> bool {
        self.modes.iter().any(|mode| mode == SyncMode::Incremental.name())
    }
}

/// A stream as it is read.
#[derive(Debug, Clone)]
pub struct Configured {
    /// As the source describes it.
    pub discovered: Discovered,
    mode: SyncMode,
    cursor: Option<ColumnPath>,
    key: Vec<ColumnPath>,
    /// What happens to its columns.
    pub filter: Option<ColumnFilter>,
}

impl Configured {
    fn new(discovered: Discovered, choice: Option<&StreamChoice>, hash_key: Option<&str>) -> Result<Self> {
        let can = if discovered.is_incremental() { SyncMode::Incremental } else { SyncMode::FullRefresh };
        let mode = choice.and_then(|choice| choice.sync_mode).unwrap_or(can);
        if mode == SyncMode::Incremental && can == SyncMode::FullRefresh {
            return Err(Failure::config(format!(
                "stream {} can't be read incrementally, says the source",
                discovered.name
            )));
        }
        let chosen_key = choice.and_then(|choice| choice.primary_key.clone());
        let cursor = choice.and_then(|choice| choice.cursor.clone()).or(discovered.default_cursor.clone());
        let filter = choice.and_then(|choice| ColumnFilter::new(&choice.columns, hash_key));
        let key = chosen_key.unwrap_or_else(|| discovered.key().to_vec());
        if let Some(choice) = choice {
            check_columns(choice, &key, &discovered)?;
        }
        Ok(Configured { discovered, mode, cursor, key, filter })
    }

    /// As it is offered to the log.
    ///
    /// Fails with [`FailureKind::Config`](crate::FailureKind::Config) if a column is to be left out or hashed that it does not have.
    pub fn offer(&self) -> Result<Offer> {
        let schema = self.filtered_schema();
        let schema =
            schema.map_err(|failure| failure.while_doing(format!("stream {}", self.discovered.name)))?;
        let definition = StreamDefinition {
            name: self.discovered.name.clone(),
            key: self.key.clone(),
            schema,
            generation: Generation::default(),
        };
        let reading = match self.mode {
            SyncMode::Incremental => Reading::Onward,
            SyncMode::FullRefresh => {
                Reading::Anew { is_resumable: self.discovered.is_resumable, replaces: true }
            }
        };
        Ok(Offer::new(definition, reading).with_cursor(self.cursor.clone()))
    }

    fn filtered_schema(&self) -> Result<Option<String>> {
        let schema = self.discovered.schema();
        let Some(filter) = &self.filter else { return Ok(schema.map(str::to_owned)) };
        let schema = schema.map(|schema| filter.schema(schema)).transpose()?;
        filter.check()?;
        Ok(schema)
    }

    /// What the source is told about it.
    fn message(&self, generation: Generation) -> Message<'_> {
        let keyed = !self.key.is_empty();
        let destination = match self.mode {
            SyncMode::FullRefresh => "overwrite",
            SyncMode::Incremental if keyed => "append_dedup",
            SyncMode::Incremental => "append",
        };
        Message {
            stream: &self.discovered.text,
            sync_mode: self.mode.name(),
            cursor_field: self.cursor.as_deref().unwrap_or_default(),
            primary_key: &self.key,
            destination_sync_mode: destination,
            generation_id: generation.number,
            minimum_generation_id: generation.minimum,
            sync_id: generation.sync,
        }
    }
}

/// A key of hashed columns is a key still; one that is left out is none.
fn check_columns(choice: &StreamChoice, key: &[ColumnPath], discovered: &Discovered) -> Result<()> {
    let name = &discovered.name;
    // One that is no JSON is told where it is used.
    let schema = serde_json::from_str(discovered.schema().unwrap_or_default()).unwrap_or_default();
    check_choice(choice, &schema).map_err(|failure| failure.while_doing(format!("stream {name}")))?;
    let lost = key.iter().filter_map(|path| path.first()).find(|column| !choice.columns.keeps(column));
    match lost {
        Some(column) => Err(Failure::config(format!("stream {name}: its key column {column} is excluded"))),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Message<'a> {
    stream: &'a RawValue,
    sync_mode: &'static str,
    cursor_field: &'a [String],
    primary_key: &'a [ColumnPath],
    destination_sync_mode: &'static str,
    generation_id: u64,
    minimum_generation_id: u64,
    sync_id: u64,
}

#[derive(Serialize)]
struct Messages<'a> {
    streams: Vec<Message<'a>>,
}

/// The streams that are read: all, or those that are chosen.
pub fn configure(
    discovered: Vec<Discovered>,
    choices: &[StreamChoice],
    hash_key: Option<&str>,
) -> Result<Vec<Configured>> {
    if choices.is_empty() {
        return discovered.into_iter().map(|one| Configured::new(one, None, hash_key)).collect();
    }
    let mut configured: Vec<Configured> = Vec::new();
    for choice in choices {
        let found = find(&discovered, choice)?;
        if configured.iter().any(|other| other.discovered.name == found.name) {
            return Err(Failure::config(format!("stream {} is chosen twice", found.name)));
        }
        configured.push(Configured::new(found.clone(), Some(choice), hash_key)?);
    }
    Ok(configured)
}

fn find<'d>(discovered: &'d [Discovered], choice: &StreamChoice) -> Result<&'d Discovered> {
    if let Some(exact) = discovered.iter().find(|one| one.name == choice.name) {
        return Ok(exact);
    }
    let mut alike =
        discovered.iter().filter(|one| choice.name.namespace.is_none() && one.name.name == choice.name.name);
    match (alike.next(), alike.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Failure::config(format!(
            "several streams are named {}: say which with namespace",
            choice.name.name
        ))),
        (None, _) => {
            let known: Vec<String> = discovered.iter().map(|one| one.name.to_string()).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = match nearest(&choice.name.to_string(), &known) {
                Some(near) => format!("; did you mean {near}?"),
                None => "; highwater discover lists what it has".to_owned(),
            };
            Err(Failure::config(format!("the source has no stream {}{hint}", choice.name)))
        }
    }
}

/// The text of a ConfiguredAirbyteCatalog.
pub fn catalog_text(
    streams: &[Configured],
    generation: impl Fn(&StreamName) -> Generation,
) -> Result<String> {
    let messages = streams.iter().map(|stream| stream.message(generation(&stream.discovered.name)));
    let messages = Messages { streams: messages.collect() };
    serde_json::to_string(&messages).map_err(|e| Failure::permanent("writing the catalog").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Columns;

    const CATALOG: &str = r#"{"streams":[
        {"name":"orders","namespace":"shop","json_schema":{"properties":{"id":{}, "n":{"type":"integer"}}},
         "supported_sync_modes":["full_refresh","incremental"],"source_defined_primary_key":[["id"]],"default_cursor_field":["at"],"new":1},
        {"name":"rates","json_schema":{},"supported_sync_modes":["full_refresh"],"is_resumable":true}]}"#;

    fn discovered() -> Vec<Discovered> {
        Discovered::parse_all(serde_json::from_str(CATALOG).unwrap()).unwrap()
    }

    fn choice(name: &str) -> StreamChoice {
        StreamChoice {
            name: StreamName { namespace: None, name: name.to_owned() },
            sync_mode: None,
            cursor: None,
            primary_key: None,
            columns: Columns::default(),
        }
    }

    #[test]
    fn a_source_is_configured_with_its_own_words() {
        let streams = configure(discovered(), &[], None).unwrap();
        let generation = Generation { number: 3, minimum: 3, is_complete: false, sync: 9 };
        let text = catalog_text(&streams, |_| generation).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let orders = &value["streams"][0];
        assert_eq!(orders["stream"]["new"], 1);
        assert_eq!(orders["sync_mode"], "incremental");
        assert_eq!(orders["destination_sync_mode"], "append_dedup");
        assert_eq!(orders["cursor_field"][0], "at");
        assert_eq!((&orders["generation_id"], &orders["sync_id"]), (&3.into(), &9.into()));
        let rates = streams[1].offer().unwrap();
        assert_eq!(rates.reading, Reading::Anew { is_resumable: true, replaces: true });
        assert_eq!(value["streams"][1]["destination_sync_mode"], "overwrite");
    }

    #[test]
    fn a_stream_is_chosen_by_its_name() {
        let chosen = configure(discovered(), &[choice("orders")], None).unwrap();
        assert_eq!(chosen[0].discovered.name.namespace.as_deref(), Some("shop"));
        let error = |choice: StreamChoice| configure(discovered(), &[choice], None).unwrap_err().to_string();
        assert_eq!(error(choice("rate")), "the source has no stream rate; did you mean rates?");
        let incremental = StreamChoice { sync_mode: Some(SyncMode::Incremental), ..choice("rates") };
        assert_eq!(error(incremental), "stream rates can't be read incrementally, says the source");
        let columns = Columns { exclude: vec!["id".to_owned()], ..Columns::default() };
        assert_eq!(
            error(StreamChoice { columns, ..choice("orders") }),
            "stream shop.orders: its key column id is excluded"
        );
        let of = |name: &str, exclude: &str, allow_undeclared| {
            let exclude = vec![exclude.to_owned()];
            let columns = Columns { exclude, allow_undeclared, ..Columns::default() };
            let chosen = StreamChoice { columns, ..choice(name) };
            configure(discovered(), &[chosen], None).unwrap()[0].offer().map_err(|e| e.to_string())
        };
        assert!(of("orders", "m", false).unwrap_err().starts_with("stream shop.orders: exclude: "));
        assert!(of("rates", "n", false).unwrap_err().starts_with("stream rates: select, exclude, hash: "));
        assert!(of("orders", "n", false).is_ok() && of("rates", "n", true).is_ok());
        let twice = configure(discovered(), &[choice("rates"), choice("rates")], None);
        assert_eq!(twice.unwrap_err().to_string(), "stream rates is chosen twice");
    }
}
