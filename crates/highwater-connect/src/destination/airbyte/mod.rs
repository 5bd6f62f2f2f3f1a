//! Any Airbyte destination, as a command.
//!
//! A process is started with the first records, and gets the batches one after another, each with a state for every stream in it.
//! It comes to its end where a stream's key, schema or generation changes, since its catalog says what they are; where it has more than it
//! acknowledged for too long; and where nothing more comes.

mod catalog;
mod echo;
mod generations;

use std::collections::HashMap;
use std::sync::Arc;

use highwater::{Position, StreamName};
use serde_json::value::RawValue;

use super::program::{Ears, Mode, POSITION, Program, Protocol, Session, Settings, offered, write_row};
use super::{Destination, Rejected};
use crate::airbyte::{self, Connector};
use crate::batch::{Delivered, Part};
use crate::bookkeeping::Shared;
use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};
use crate::json::push_line;
use crate::pipeline::Section;

use catalog::Told;
pub(crate) use generations::FILE as GENERATIONS;
use generations::Generations;

/// In which a record says that its row was deleted.
const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// Reads its settings, and makes it of a connector that is made of the rest of them.
pub fn read(
    mut section: Section<'_>,
    connect: impl FnOnce(airbyte::Settings) -> Result<Connector>,
) -> Result<Box<dyn Destination>> {
    let settings = Settings::read(&mut section)?;
    let connector = connect(airbyte::Settings::read(section)?)?;
    let unconfirmed = settings.unconfirmed;
    let protocol = Airbyte {
        settings,
        generations: Generations::default(),
        completed: HashMap::new(),
        streams: Vec::new(),
        definitions: None,
    };
    Ok(Box::new(Program::new(connector, unconfirmed, protocol)))
}

#[derive(Debug)]
struct Airbyte {
    settings: Settings,
    generations: Generations,
    /// Generations that a process of this run has brought to their end.
    completed: HashMap<StreamName, u64>,
    /// The streams of the process, by lane.
    streams: Vec<Told>,
    /// Those with which it was seen last that the process can go on.
    definitions: Option<Shared>,
}

impl Airbyte {
    /// A generation that takes the place of older ones has come to its end, and no process was told yet.
    fn completes(&self, definition: &StreamDefinition) -> bool {
        let generation = definition.generation;
        generation.replaces() && self.completed.get(&definition.name) != Some(&generation.number)
    }

    /// Nothing is defined otherwise than when it was looked at last.
    fn has_seen(&self, checkpoint: &Delivered<'_>) -> bool {
        self.definitions.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, checkpoint.shared()))
    }

    fn lane(&self, part: &Part<'_>) -> Option<usize> {
        self.streams.iter().position(|told| told.definition.name == *part.name())
    }
}

impl Protocol for Airbyte {
    fn has_news(&self, checkpoint: &Delivered<'_>) -> bool {
        checkpoint.parts().next().is_some() || self.ends_at(checkpoint)
    }

    fn begin(&mut self, connector: &Connector, checkpoint: &Delivered<'_>) -> Result<Vec<String>> {
        self.generations.open(connector, checkpoint.position().log)?;
        let told = offered(checkpoint).into_iter().map(|definition| {
            let begun = self.generations.begun(definition, checkpoint)?;
            Told::new(definition, &self.settings, begun, checkpoint.position())
        });
        self.streams = told.collect::<Result<_>>()?;
        self.definitions = Some(checkpoint.shared().clone());
        let catalog = catalog::catalog_text(&self.streams)?;
        let mut arguments = connector.configured("write")?;
        arguments.extend(["--catalog".to_owned(), connector.write("catalog.json", catalog.as_bytes())?]);
        Ok(arguments)
    }

    fn ears(&self, connector: &Arc<Connector>) -> Box<dyn Ears> {
        Box::new(echo::Listener::new(connector.clone(), self.streams.iter().map(Told::sent_name)))
    }

    fn fits(&self, checkpoint: &Delivered<'_>) -> bool {
        if self.has_seen(checkpoint) {
            return checkpoint.parts().all(|part| self.lane(&part).is_some());
        }
        offered(checkpoint)
            .into_iter()
            .all(|definition| self.streams.iter().any(|told| told.fits(definition)))
    }

    fn write(
        &mut self,
        checkpoint: &Delivered<'_>,
        session: &mut Session,
        rejected: &mut Vec<Rejected>,
    ) -> Result<()> {
        let mut line = Vec::new();
        for part in checkpoint.parts() {
            let lane =
                self.lane(&part).ok_or_else(|| Failure::permanent("a stream that is not in the catalog"))?;
            let told = &mut self.streams[lane];
            for (index, record) in (0..).zip(part.records()) {
                line.clear();
                match told.record(&record?, &mut line) {
                    Ok(()) => {
                        session.write(&line)?;
                        told.since_state += 1;
                    }
                    Err(reason) => rejected.push(Rejected::of(checkpoint, &part, index, reason)),
                }
            }
        }
        if !self.has_seen(checkpoint) {
            for definition in checkpoint.definitions() {
                if let Some(told) = self.streams.iter_mut().find(|told| told.fits(definition)) {
                    told.is_complete = definition.generation.is_complete;
                }
            }
            self.definitions = Some(checkpoint.shared().clone());
        }
        Ok(())
    }

    fn ends_at(&self, checkpoint: &Delivered<'_>) -> bool {
        self.settings.mode == Mode::Overwrite
            && offered(checkpoint).into_iter().any(|definition| self.completes(definition))
    }

    fn states(&mut self, position: Position) -> Result<Vec<(usize, Vec<u8>)>> {
        let due = self.streams.iter_mut().enumerate().filter(|(_, told)| told.since_state > 0);
        due.map(|(lane, told)| Ok((lane, told.state(position)?))).collect()
    }

    fn last_words(&mut self, session: &mut Session) -> Result<bool> {
        let mut is_incomplete = false;
        for told in &self.streams {
            let is_complete = !told.replaces() || told.is_complete;
            is_incomplete |= !is_complete;
            session.write(&told.status(if is_complete { "COMPLETE" } else { "INCOMPLETE" })?)?;
        }
        Ok(is_incomplete)
    }

    fn confirmed(&mut self, connector: &Connector, session: &Session, is_over: bool) -> Result<()> {
        let lanes = session.ledger(|ledger| ledger.lanes().clone());
        let begun = lanes.iter().filter_map(|lane| self.streams.get(*lane)).filter(|told| told.replaces());
        self.generations.begin(connector, begun.map(|told| (&told.definition, told.from)))?;
        if is_over {
            for told in self.streams.iter().filter(|told| told.replaces() && told.is_complete) {
                self.completed.insert(told.definition.name.clone(), told.definition.generation.number);
            }
        }
        Ok(())
    }

    fn check(&self, connector: &Connector) -> Result<()> {
        catalog::check_modes(&connector.spec()?, self.settings.mode)?;
        connector.check()
    }
}

/// What Airbyte knows of a record beside its row: `{"changes":[...]}`; something else is not for it.
fn push_meta(metadata: &[u8], out: &mut Vec<u8>) {
    #[derive(serde::Deserialize)]
    struct Meta<'a> {
        #[serde(rename = "changes", borrow)]
        _changes: &'a RawValue,
    }
    let Ok(text) = std::str::from_utf8(metadata) else { return };
    if !text.is_empty() && serde_json::from_str::<Meta<'_>>(text).is_ok() {
        out.extend_from_slice(b",\"meta\":");
        push_line(text, out);
    }
}
