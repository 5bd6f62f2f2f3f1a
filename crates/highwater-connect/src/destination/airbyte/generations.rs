//! Which generations a destination has begun to take. A process that is told to overwrite may wipe the table at once, so only the
//! first process of a generation is told so; that has to be known also after a crash.
//!
//! What was noted may be of a log that has gone back since, restored to an earlier checkpoint, or of a delivery that begins again
//! further up. So it is noted where in the log a generation began for the destination, and the log itself is asked where the two differ.

use highwater::{ErrorKind, LogReader, Position, Sequence};
use highwater::{LogId, StreamName};
use serde::{Deserialize, Serialize};

use crate::airbyte::Connector;
use crate::batch::Delivered;
use crate::bookkeeping;
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

/// The newest generation of a stream of which something is in the destination for good.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    #[serde(flatten)]
    name: StreamName,
    generation: u64,
    /// A position: what the destination has of it begins here.
    from: String,
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

    /// From where on the destination has a stream's generation, if it has something of it, before it is given this checkpoint. Blocks
    /// for reading commits where the log has gone back.
    pub(super) fn begun(
        &self,
        definition: &StreamDefinition,
        checkpoint: &Delivered<'_>,
    ) -> Result<Option<Position>> {
        let number = definition.generation.number;
        let known = self.streams.iter().find(|begun| begun.name == definition.name);
        let Some(known) = known.filter(|begun| begun.generation >= number) else { return Ok(None) };
        let log = checkpoint.log();
        match known.from.parse::<Position>().ok() {
            // All that was of it is delivered again where it goes on before that.
            Some(from) if known.generation == number && is_of(log, from)? => {
                Ok((from.sequence < checkpoint.sequence()).then_some(from))
            }
            _ => first_records(log, definition, checkpoint.sequence()),
        }
    }

    /// They are begun, from there on, durably.
    pub(super) fn begin<'a>(
        &mut self,
        connector: &Connector,
        begun: impl Iterator<Item = (&'a StreamDefinition, Position)>,
    ) -> Result<()> {
        let mut is_changed = false;
        for (definition, from) in begun {
            let (generation, from) = (definition.generation.number, from.to_string());
            let known = self.streams.iter().position(|known| known.name == definition.name);
            if let Some(at) = known {
                if (self.streams[at].generation, &self.streams[at].from) == (generation, &from) {
                    continue;
                }
                self.streams.swap_remove(at);
            }
            self.streams.push(Begun { name: definition.name.clone(), generation, from });
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

/// Whether the position is on the log's history, as far as that is kept.
fn is_of(log: &LogReader, position: Position) -> Result<bool> {
    match log.check_position(position) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => Ok(true),
        Err(error) if *error.kind() == ErrorKind::Diverged => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The first checkpoint before `end` with records of the stream's generation, among those that are kept.
fn first_records(log: &LogReader, definition: &StreamDefinition, end: Sequence) -> Result<Option<Position>> {
    let mut reader = log.reader(first_of(log, definition, end)?)?;
    while reader.next_sequence() < end {
        let checkpoint = match reader.next() {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => break,
            Err(_) if reader.pass_gap().is_some() => continue,
            Err(error) => return Err(error.into()),
        };
        if checkpoint.streams().iter().any(|counts| counts.name == definition.name && counts.records > 0) {
            return Ok(Some(checkpoint.position()));
        }
    }
    Ok(None)
}

/// The first checkpoint up to `end` at which the stream has that generation. Their numbers never fall along a log.
fn first_of(log: &LogReader, definition: &StreamDefinition, end: Sequence) -> Result<Sequence> {
    let (mut low, mut high) = (log.first().get(), end.get());
    while low < high {
        let middle = low.midpoint(high);
        match bookkeeping::generation_at(log, Sequence::new(middle), &definition.name)? {
            number if number >= definition.generation.number => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(Sequence::new(low))
}
