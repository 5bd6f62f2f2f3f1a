//! Which generations a destination has begun to take. A process that is told to overwrite may wipe the table at once, so only the
//! first process of a generation is told so; that has to be known also after a crash.

use highwater::{LogId, StreamName};
use serde::{Deserialize, Serialize};

use crate::airbyte::Connector;
use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};

/// Beside the connector's own files, behind its name.
pub(crate) const FILE: &str = "generations.json";

/// As it stands in a file beside the connector's own.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Generations {
    /// Generations are counted in a log.
    log: String,
    streams: Vec<Begun>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    #[serde(flatten)]
    name: StreamName,
    generation: u64,
}

impl Generations {
    /// Reads the file, if it is of this log.
    pub(super) fn open(&mut self, connector: &Connector, log: LogId) -> Result<()> {
        let log = log.to_string();
        if self.log == log {
            return Ok(());
        }
        let found: Option<Generations> = match connector.read(FILE)? {
            None => None,
            Some(text) => Some(serde_json::from_str(&text).map_err(|e| {
                Failure::config(format!("{}'s {FILE} is not what was written there", connector.of()))
                    .because(e)
            })?),
        };
        *self = found.filter(|found| found.log == log).unwrap_or(Generations { log, streams: Vec::new() });
        Ok(())
    }

    /// Whether something of this generation is in the destination for good.
    pub(super) fn is_begun(&self, definition: &StreamDefinition) -> bool {
        let mut known = self.streams.iter().filter(|begun| begun.name == definition.name);
        known.any(|begun| begun.generation >= definition.generation.number)
    }

    /// They are begun, durably.
    pub(super) fn begin<'a>(
        &mut self,
        connector: &Connector,
        begun: impl Iterator<Item = &'a StreamDefinition>,
    ) -> Result<()> {
        let mut is_changed = false;
        for definition in begun {
            if self.is_begun(definition) {
                continue;
            }
            self.streams.retain(|known| known.name != definition.name);
            let (name, generation) = (definition.name.clone(), definition.generation.number);
            self.streams.push(Begun { name, generation });
            is_changed = true;
        }
        if !is_changed {
            return Ok(());
        }
        let text = serde_json::to_vec(self)
            .map_err(|e| Failure::permanent("writing which generations are begun").because(e))?;
        connector.write(FILE, &text).map(drop)
    }
}
