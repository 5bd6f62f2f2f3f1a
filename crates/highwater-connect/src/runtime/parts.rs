//! From the tables of a pipeline file to a source and destinations.

use std::path::Path;

use crate::airbyte::{self, AirbyteSource, Connector};
use crate::destination::jsonl::JsonLines;
use crate::destination::parquet::Parquet;
use crate::destination::sql::{self, Postgres, Sqlite};
use crate::destination::{self, Destination, program};
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::pipeline::{Pipeline, Section, StreamChoice};
use crate::rules::OnRepeat;
use crate::singer::SingerSource;
use crate::source::files::Files;
use crate::source::http::Http;
use crate::source::sample::Sample;
use crate::source::{Offer, Source};
use crate::stop::Stop;

/// What the source is called in events, and in the names of its files.
const SOURCE: &str = "source";

#[derive(Debug, Clone, Copy)]
enum SourceType {
    Airbyte,
    Singer,
    Files,
    Http,
    Sample,
}

#[derive(Debug, Clone, Copy)]
enum DestinationType {
    Airbyte,
    JsonLines,
    Parquet,
    Postgres,
    Singer,
    Sqlite,
}

const SOURCES: &[(&str, SourceType)] = &[
    ("airbyte", SourceType::Airbyte),
    ("singer", SourceType::Singer),
    ("files", SourceType::Files),
    ("http", SourceType::Http),
    ("sample", SourceType::Sample),
];
const DESTINATIONS: &[(&str, DestinationType)] = &[
    ("jsonl", DestinationType::JsonLines),
    ("parquet", DestinationType::Parquet),
    ("sqlite", DestinationType::Sqlite),
    ("postgres", DestinationType::Postgres),
    ("airbyte", DestinationType::Airbyte),
    ("singer", DestinationType::Singer),
];

/// The source of a pipeline.
pub fn source(pipeline: &Pipeline, reporter: &Reporter, stop: &Stop) -> Result<Box<dyn Source>> {
    made(pipeline, pipeline.streams()?, reporter, stop).map(|(source, _)| source)
}

/// What a source has.
#[derive(Debug)]
pub struct Discovery {
    /// All its streams, whatever is chosen of them.
    pub streams: Vec<Offer>,
    /// `[[streams]]` of the pipeline file chooses from them. Other sources name their streams in `[source]`.
    pub is_choosable: bool,
}

/// Asks a pipeline's source which streams it has. Blocks for its answer.
pub fn discover(pipeline: &Pipeline, reporter: &Reporter, stop: &Stop) -> Result<Discovery> {
    let (mut source, is_choosable) = made(pipeline, Vec::new(), reporter, stop)?;
    let streams = source.streams().map_err(|failure| failure.while_doing("source"))?;
    Ok(Discovery { streams, is_choosable })
}

/// The source with these streams of it, or all if there are none; and whether there is a choice.
fn made(
    pipeline: &Pipeline,
    choices: Vec<StreamChoice>,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<(Box<dyn Source>, bool)> {
    let mut section = pipeline.source();
    // Whose columns are hashed is said where streams are chosen.
    let hash_key = || if choices.is_empty() { Ok(None) } else { pipeline.hash_key() };
    let no_choice = |why: &str| match choices.as_slice() {
        [] => Ok(()),
        _ => Err(Failure::config(format!("streams: {why}"))),
    };
    let source: Box<dyn Source> = match needed(&mut section, SOURCES)? {
        SourceType::Airbyte => {
            let connector = connector(pipeline, section, reporter, stop)?;
            let hash_key = hash_key()?;
            return Ok((Box::new(AirbyteSource::new(connector, choices, hash_key)), true));
        }
        SourceType::Singer => {
            let catalog = section.text("catalog")?.map(|path| pipeline.variables().base().join(path));
            let leave_out = section.texts("leave_out")?;
            let connector = connector(pipeline, section, reporter, stop)?;
            let hash_key = hash_key()?;
            let source = SingerSource::new(connector, choices, hash_key, catalog).leave_out(leave_out);
            return Ok((Box::new(source), true));
        }
        SourceType::Files => {
            no_choice("a file source names its one stream in [source]")?;
            Box::new(Files::read_settings(section)?)
        }
        SourceType::Http => {
            no_choice("a listener names its streams in [[source.streams]]")?;
            Box::new(Http::read_settings(section)?)
        }
        SourceType::Sample => {
            no_choice("a sample source always sends all of its streams")?;
            Box::new(Sample::read_settings(section)?)
        }
    };
    Ok((source, false))
}

fn connector(
    pipeline: &Pipeline,
    section: Section<'_>,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Connector> {
    connect(pipeline, airbyte::Settings::read(section)?, SOURCE, reporter, stop)
}

fn connect(
    pipeline: &Pipeline,
    settings: airbyte::Settings,
    of: &str,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Connector> {
    let base: &Path = pipeline.variables().base();
    Connector::new(settings, of, base, &pipeline.work, reporter.clone(), stop.clone())
}

/// A destination of a pipeline, from its table without what is the same for all.
pub fn destination(
    pipeline: &Pipeline,
    name: &str,
    mut section: Section<'_>,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Box<dyn Destination>> {
    let connect = |settings| {
        if name == SOURCE {
            let text =
                format!("destinations.{name}: the name of a program's files is the source's; choose another");
            return Err(Failure::config(text));
        }
        connect(pipeline, settings, name, reporter, stop)
    };
    match needed(&mut section, DESTINATIONS)? {
        DestinationType::Airbyte => destination::airbyte::read(section, connect),
        DestinationType::Singer => destination::singer::read(section, connect),
        DestinationType::JsonLines => Ok(Box::new(JsonLines::read(section)?)),
        DestinationType::Parquet => Ok(Box::new(Parquet::read(section)?)),
        DestinationType::Postgres => Ok(Box::new(Postgres::read(&pipeline.name, section)?)),
        DestinationType::Sqlite => Ok(Box::new(Sqlite::read(&pipeline.name, section)?)),
    }
}

/// What a destination of a pipeline makes of records that come twice.
pub fn on_repeat(pipeline: &Pipeline, name: &str) -> Result<OnRepeat> {
    let (_, mut section) = pipeline.destination(name)?;
    Ok(match needed(&mut section, DESTINATIONS)? {
        DestinationType::JsonLines | DestinationType::Parquet => OnRepeat::Appends,
        DestinationType::Airbyte | DestinationType::Singer => program::mode(&mut section)?.into(),
        DestinationType::Postgres | DestinationType::Sqlite => {
            sql::Settings::read(&pipeline.name, &mut section)?.mode.into()
        }
    })
}

/// Whether the destination stores its position together with the records: then it goes on from there, wherever its consumer stands.
pub fn stores_position(pipeline: &Pipeline, name: &str) -> Result<bool> {
    let (_, mut section) = pipeline.destination(name)?;
    let kind = needed(&mut section, DESTINATIONS)?;
    Ok(!matches!(kind, DestinationType::Airbyte | DestinationType::Singer))
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
