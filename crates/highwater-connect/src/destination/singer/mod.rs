//! Any Singer target, as a command.
//!
//! A process gets the batches one after another, each with a state behind it; the schema of a stream before its first record
//! and wherever it changes. A generation that takes the place of older ones has its number in each record, and is activated
//! when it has come to its end.

mod echo;
mod message;

use std::collections::HashMap;
use std::sync::Arc;

use highwater::{Position, StreamName};
use serde_json::json;

use super::program::{Ears, Mode, POSITION, Program, Protocol, Session, Settings, offered, time, write_row};
use super::{Destination, Rejected};
use crate::airbyte::{self, Connector};
use crate::batch::Delivered;
use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};
use crate::pipeline::Section;

use message::Told;

/// In which a record says that its row was deleted.
const DELETED_AT: &str = "_sdc_deleted_at";
/// A state is for all streams together.
const LANE: usize = 0;

/// Reads its settings, and makes it of a connector that is made of the rest of them.
pub fn read(
    mut section: Section<'_>,
    connect: impl FnOnce(airbyte::Settings) -> Result<Connector>,
) -> Result<Box<dyn Destination>> {
    let settings = Settings::read(&mut section)?;
    let connector = connect(airbyte::Settings::read(section)?)?;
    let unconfirmed = settings.unconfirmed;
    let singer = Singer { settings, streams: HashMap::new(), activated: HashMap::new(), since_state: false };
    Ok(Box::new(Program::new(connector, unconfirmed, singer)))
}

#[derive(Debug)]
struct Singer {
    settings: Settings,
    /// What the process knows of each stream.
    streams: HashMap<StreamName, Told>,
    /// The newest generation that was activated, of each stream.
    activated: HashMap<StreamName, u64>,
    /// Something was written since the last state.
    since_state: bool,
}

impl Singer {
    /// A generation that takes the place of older ones has come to its end, and was not activated yet.
    fn is_due(&self, definition: &StreamDefinition) -> bool {
        let generation = definition.generation;
        generation.replaces() && self.activated.get(&definition.name) != Some(&generation.number)
    }

    fn due<'a>(&self, checkpoint: &Delivered<'a>) -> Vec<&'a StreamDefinition> {
        if self.settings.mode != Mode::Overwrite {
            return Vec::new();
        }
        offered(checkpoint).into_iter().filter(|definition| self.is_due(definition)).collect()
    }

    /// Tells the process the schema, unless it knows it.
    fn tell(&mut self, definition: &StreamDefinition, session: &mut Session) -> Result<()> {
        if self.streams.get(&definition.name).is_some_and(|told| told.fits(definition)) {
            return Ok(());
        }
        let told = Told::new(definition, &self.settings)?;
        let is_taken =
            |(name, other): (&StreamName, &Told)| *name != definition.name && other.is_called(&told);
        if self.streams.iter().any(is_taken) {
            return Err(Failure::config(format!("two streams would be called as {} is", definition.name)));
        }
        session.write(&told.schema()?)?;
        self.streams.insert(definition.name.clone(), told);
        Ok(())
    }

    fn activate(&mut self, definition: &StreamDefinition, session: &mut Session) -> Result<()> {
        self.tell(definition, session)?;
        if let Some(told) = self.streams.get(&definition.name) {
            session.write(&told.activation()?)?;
        }
        self.activated.insert(definition.name.clone(), definition.generation.number);
        self.since_state = true;
        Ok(())
    }
}

impl Protocol for Singer {
    fn has_news(&self, checkpoint: &Delivered<'_>) -> bool {
        checkpoint.parts().next().is_some() || !self.due(checkpoint).is_empty()
    }

    fn begin(&mut self, connector: &Connector, _: &Delivered<'_>) -> Result<Vec<String>> {
        // What the last process was told, and did not acknowledge, this one has to be told again.
        self.streams.clear();
        self.activated.clear();
        self.since_state = false;
        connector.config_argument()
    }

    fn ears(&self, connector: &Arc<Connector>) -> Box<dyn Ears> {
        Box::new(echo::Listener::new(connector.clone()))
    }

    fn fits(&self, _: &Delivered<'_>) -> bool {
        true
    }

    fn write(
        &mut self,
        checkpoint: &Delivered<'_>,
        session: &mut Session,
        rejected: &mut Vec<Rejected>,
    ) -> Result<()> {
        let mut line = Vec::new();
        for part in checkpoint.parts() {
            let unknown = || StreamDefinition::new(part.name().clone());
            let definition = part.definition().cloned().unwrap_or_else(unknown);
            self.tell(&definition, session)?;
            let Some(told) = self.streams.get(part.name()) else { continue };
            for (index, record) in (0..).zip(part.records()) {
                line.clear();
                match told.record(&record?, &mut line) {
                    Ok(()) => session.write(&line)?,
                    Err(reason) => rejected.push(Rejected::of(checkpoint, &part, index, reason)),
                }
            }
            self.since_state = true;
        }
        for definition in self.due(checkpoint) {
            self.activate(definition, session)?;
        }
        Ok(())
    }

    fn ends_at(&self, _: &Delivered<'_>) -> bool {
        false
    }

    fn states(&mut self, position: Position) -> Result<Vec<(usize, Vec<u8>)>> {
        if !std::mem::take(&mut self.since_state) {
            return Ok(Vec::new());
        }
        let state = json!({"type": "STATE", "value": {POSITION: position.to_string()}});
        Ok(vec![(LANE, message::line(&state)?)])
    }

    fn last_words(&mut self, _: &mut Session) -> Result<bool> {
        Ok(false)
    }

    fn confirmed(&mut self, _: &Connector, _: &Session, _: bool) -> Result<()> {
        Ok(())
    }

    /// A target can't be asked.
    fn check(&self, _: &Connector) -> Result<()> {
        Ok(())
    }
}
