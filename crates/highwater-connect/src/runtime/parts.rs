//! From the tables of a pipeline file to a source and destinations.

use std::path::Path;

use crate::airbyte::{self, AirbyteSource, Connector};
use crate::destination::Destination;
use crate::destination::jsonl::JsonLines;
use crate::destination::sql::{Deletes, Mode, Postgres, Settings, Sqlite};
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::pipeline::{Pipeline, Section};
use crate::singer::SingerSource;
use crate::source::Source;
use crate::source::files::Files;
use crate::stop::Stop;

#[derive(Debug, Clone, Copy)]
enum SourceType {
    Airbyte,
    Singer,
    Files,
}

#[derive(Debug, Clone, Copy)]
enum DestinationType {
    JsonLines,
    Sqlite,
    Postgres,
}

const SOURCES: &[(&str, SourceType)] = &[
    ("airbyte", SourceType::Airbyte),
    ("singer", SourceType::Singer),
    ("files", SourceType::Files),
];
const DESTINATIONS: &[(&str, DestinationType)] = &[
    ("jsonl", DestinationType::JsonLines),
    ("sqlite", DestinationType::Sqlite),
    ("postgres", DestinationType::Postgres),
];
const MODES: &[(&str, Mode)] = &[
    ("append", Mode::Append),
    ("upsert", Mode::Upsert),
    ("overwrite", Mode::Overwrite),
    ("history", Mode::History),
];
const DELETES: &[(&str, Deletes)] =
    &[("hard", Deletes::Hard), ("soft", Deletes::Soft), ("ignore", Deletes::Ignore)];

/// The source of a pipeline.
pub fn source(pipeline: &Pipeline, reporter: &Reporter, stop: &Stop) -> Result<Box<dyn Source>> {
    let mut section = pipeline.source();
    match needed(&mut section, SOURCES)? {
        SourceType::Airbyte => {
            let connector = connector(pipeline, section, reporter, stop)?;
            Ok(Box::new(AirbyteSource::new(connector, pipeline.streams()?, pipeline.hash_key()?)))
        }
        SourceType::Singer => {
            let catalog = section.text("catalog")?.map(|path| pipeline.variables().base().join(path));
            let connector = connector(pipeline, section, reporter, stop)?;
            Ok(Box::new(SingerSource::new(connector, pipeline.streams()?, pipeline.hash_key()?, catalog)))
        }
        SourceType::Files => files(pipeline, section),
    }
}

fn files(pipeline: &Pipeline, section: Section<'_>) -> Result<Box<dyn Source>> {
    if !pipeline.streams()?.is_empty() {
        return Err(Failure::config("streams: a file source names its one stream in [source]"));
    }
    Ok(Box::new(Files::read_settings(section)?))
}

fn connector(
    pipeline: &Pipeline,
    section: Section<'_>,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Connector> {
    let base: &Path = pipeline.variables().base();
    let settings = airbyte::Settings::read(section)?;
    Connector::new(settings, "source", base, &pipeline.work, reporter.clone(), stop.clone())
}

/// The source's connector, where it is one that can be asked: `None` otherwise.
pub fn source_connector(pipeline: &Pipeline, reporter: &Reporter, stop: &Stop) -> Result<Option<Connector>> {
    let mut section = pipeline.source();
    match needed(&mut section, SOURCES)? {
        SourceType::Airbyte => connector(pipeline, section, reporter, stop).map(Some),
        SourceType::Singer => {
            section.text("catalog")?;
            connector(pipeline, section, reporter, stop).map(|_| None)
        }
        SourceType::Files => files(pipeline, section).map(|_| None),
    }
}

/// A destination, from its table without what is the same for all.
pub fn destination(
    pipeline: &Pipeline,
    name: &str,
    mut section: Section<'_>,
) -> Result<Box<dyn Destination>> {
    match needed(&mut section, DESTINATIONS)? {
        DestinationType::JsonLines => Ok(Box::new(JsonLines::read(section)?)),
        DestinationType::Sqlite => sqlite(pipeline, name, section),
        DestinationType::Postgres => postgres(pipeline, name, section),
    }
}

fn sqlite(pipeline: &Pipeline, name: &str, mut section: Section<'_>) -> Result<Box<dyn Destination>> {
    let path = section.variables().base().join(section.needed_text("path")?);
    let settings = settings(pipeline, name, &mut section)?;
    section.finish()?;
    Ok(Box::new(Sqlite::new(path, settings)))
}

fn postgres(pipeline: &Pipeline, name: &str, mut section: Section<'_>) -> Result<Box<dyn Destination>> {
    let url = section.needed_text("url")?;
    let schema = section.text("schema")?.unwrap_or_else(|| "public".to_owned());
    let settings = settings(pipeline, name, &mut section)?;
    let destination = Postgres::new(&url, schema, settings);
    let destination = destination.map_err(|failure| failure.while_doing(section.path()))?;
    section.finish()?;
    Ok(Box::new(destination))
}

/// What the SQL databases have in common.
fn settings(pipeline: &Pipeline, name: &str, section: &mut Section<'_>) -> Result<Settings> {
    let delivery = section.text("name")?.unwrap_or_else(|| format!("{}.{name}", pipeline.name));
    let mode = section.choice("mode", MODES)?.unwrap_or_default();
    let deletes = section.choice("deletes", DELETES)?.unwrap_or_default();
    Ok(Settings::new(delivery).mode(mode).deletes(deletes))
}

fn needed<T: Copy>(section: &mut Section<'_>, types: &[(&str, T)]) -> Result<T> {
    match section.choice("type", types)? {
        Some(meant) => Ok(meant),
        None => {
            let known: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
            Err(section.wrong("type", format!("is missing; there are {}", known.join(", "))))
        }
    }
}
