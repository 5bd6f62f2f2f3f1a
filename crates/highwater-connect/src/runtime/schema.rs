//! What a source says now against what the log knows of it, and taking it over by hand.

use std::collections::HashSet;

use highwater::{Committed, Log, Operation, StreamName};
use serde::Serialize;

use super::parts;
use crate::bookkeeping::{self, Book};
use crate::definition::StreamDefinition;
use crate::event::Reporter;
use crate::failure::Result;
use crate::output::{identity_changes, spec};
use crate::pipeline::Pipeline;
use crate::schema::{Change, difference};
use crate::source::Offer;
use crate::stop::Stop;

/// How a stream of the source and the log's differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamDifference {
    /// The stream.
    pub stream: StreamName,
    /// In which way.
    pub what: Difference,
    /// What differs of a stream that both have.
    pub changes: Vec<Change>,
    /// The source tells the schema only while it is read: what differs of it is not known.
    pub tells_schema: bool,
}

/// In which way they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The log does not know it yet.
    New,
    /// Both have it.
    Same,
    /// The source has it no more, or it is not chosen any more.
    Gone,
}

/// Asks the pipeline's source what it has. Blocks for that.
pub fn offered(pipeline: &Pipeline, reporter: &Reporter, stop: &Stop) -> Result<Vec<Offer>> {
    let streams = parts::source(pipeline, reporter, stop)?.streams();
    streams.map_err(|failure| failure.while_doing("source"))
}

/// Every stream that the source or the log has.
pub fn differences(book: &Book, offers: &[Offer]) -> Vec<StreamDifference> {
    let mut found: Vec<StreamDifference> = offers.iter().map(|offer| of_offer(book, offer)).collect();
    let offered: HashSet<&StreamName> = offers.iter().map(|offer| &offer.definition.name).collect();
    let gone = book.streams.iter().filter(|known| !offered.contains(&known.name));
    found.extend(gone.map(|known| StreamDifference {
        stream: known.name.clone(),
        what: Difference::Gone,
        changes: Vec::new(),
        tells_schema: false,
    }));
    found
}

fn of_offer(book: &Book, offer: &Offer) -> StreamDifference {
    let offered = &offer.definition;
    let known = book.streams.get(&offered.name);
    let mut changes = known.map(|known| identity_changes(book, known, offer)).unwrap_or_default();
    if let Some(known) = known.filter(|known| !offer.tells_schema && known.schema.is_some()) {
        changes.extend(difference(known.schema.as_deref(), offered.schema.as_deref()));
    }
    StreamDifference {
        stream: offered.name.clone(),
        what: if known.is_some() { Difference::Same } else { Difference::New },
        changes,
        tells_schema: offer.tells_schema,
    }
}

/// Takes over what the source says of these streams: schemas, keys and cursors hold from now on. It is a checkpoint of its own
/// that says who did it and why; records and states stay. Of a source that tells its schemas while it is read, the next that it
/// tells is taken. Blocks for a flush or two.
pub fn accept(log: &Log, offers: &[Offer], who: &str, why: &str) -> Result<Committed> {
    let end = log.end();
    let mut book = Book::newest(log)?;
    for offer in offers {
        take(&mut book, offer);
    }
    let definitions = bookkeeping::definitions_name();
    log.stream(spec(&StreamDefinition::new(definitions.clone())))?;
    let accepted = Operation::new("accept schema", who, why).set(&definitions, book.definitions_text()?);
    Ok(log.operate(accepted.expecting(end))?)
}

fn take(book: &mut Book, offer: &Offer) {
    let offered = &offer.definition;
    match &offer.cursor {
        Some(cursor) => drop(book.cursors.insert(offered.name.clone(), cursor.clone())),
        None => drop(book.cursors.remove(&offered.name)),
    }
    let schema = if offer.tells_schema { None } else { offered.schema.clone() };
    match book.streams.get_mut(&offered.name) {
        Some(known) => (known.key, known.schema) = (offered.key.clone(), schema),
        None => book.streams.put(StreamDefinition { schema, ..offered.clone() }),
    }
}
