//! Whether a pipeline would work: every part is asked, whatever the others say.

use highwater::{ErrorKind, LogReader};

use super::beginning;
use super::holding::{Holding, compare};
use super::parts;
use crate::event::Reporter;
use crate::failure::Result;
use crate::pipeline::Pipeline;
use crate::source::Offer;
use crate::stop::Stop;

/// What was found of one part of a pipeline.
#[derive(Debug)]
pub struct Checked {
    /// Which part.
    pub part: Part,
    /// Whether it was asked. A failure without that is one of the pipeline file, and names its place there.
    pub is_asked: bool,
    /// What it said, or what is wrong.
    pub found: Result<Found>,
}

/// A part of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What the file says beside the source and the destinations.
    File,
    /// The source.
    Source,
    /// A destination, by its name.
    Destination(String),
}

/// What a part said that will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is well-formed in the file, and was not asked.
    Written,
    /// The source can be read.
    Source {
        /// How many streams of it are read.
        streams: usize,
        /// What else is worth knowing of it: see [`Source::check`](crate::source::Source::check).
        notes: Vec<String>,
    },
    /// The destination can be delivered to.
    Destination(Holding),
}

/// Asks the source whether it can work with its configuration and which streams it has, and each destination what it holds, for
/// which it may make its directory or its own tables; with `offline` nobody, and only the file is read. Tells of every part, or up
/// to where `stop` was asked. Blocks for all answers.
pub fn check(pipeline: &Pipeline, offline: bool, reporter: &Reporter, stop: &Stop) -> Vec<Checked> {
    let checker = Checker { pipeline, offline, reporter, stop };
    let mut checked = checker.file();
    checked.push(checker.source());
    for name in pipeline.destination_names() {
        if stop.is_asked() {
            break;
        }
        checked.push(checker.destination(name));
    }
    checked
}

struct Checker<'a> {
    pipeline: &'a Pipeline,
    offline: bool,
    reporter: &'a Reporter,
    stop: &'a Stop,
}

impl Checked {
    fn unasked(part: Part, found: Result<Found>) -> Self {
        Checked { part, is_asked: false, found }
    }

    fn asked(part: Part, found: Result<Found>) -> Self {
        Checked { part, is_asked: true, found }
    }
}

impl Checker<'_> {
    /// Each thing that is wrong in it; or once that nothing is.
    fn file(&self) -> Vec<Checked> {
        let wrong = [self.pipeline.metrics().err(), self.pipeline.alerts().err()];
        let wrong: Vec<Checked> =
            wrong.into_iter().flatten().map(|failure| Checked::unasked(Part::File, Err(failure))).collect();
        if wrong.is_empty() { vec![Checked::unasked(Part::File, Ok(Found::Written))] } else { wrong }
    }

    fn source(&self) -> Checked {
        let (pipeline, reporter, stop) = (self.pipeline, self.reporter, self.stop);
        match parts::source(pipeline, reporter, stop) {
            Err(failure) => Checked::unasked(Part::Source, Err(failure)),
            Ok(_) if self.offline => Checked::unasked(Part::Source, Ok(Found::Written)),
            Ok(mut source) => {
                let found = source.check().and_then(|mut notes| {
                    let offers = source.streams()?;
                    notes.extend(self.strange_orders(&offers));
                    Ok(Found::Source { streams: offers.len(), notes })
                });
                Checked::asked(Part::Source, found)
            }
        }
    }

    /// What a destination's `order` names, and is no stream of the source's: a slip of the pen, or a stream that the source no longer has.
    fn strange_orders(&self, offers: &[Offer]) -> Vec<String> {
        let is_stream = |named: &str| offers.iter().any(|offer| offer.definition.name.to_string() == named);
        let mut strange = Vec::new();
        // One that can't be read is told of as a destination.
        for name in self.pipeline.destination_names() {
            let Ok((delivery, _)) = self.pipeline.destination(name) else { continue };
            let unknown = delivery.order.iter().filter(|named| !is_stream(named));
            strange.extend(unknown.map(|named| {
                format!("destinations.{name}.order names {named}, and the source has no such stream")
            }));
        }
        strange
    }

    fn destination(&self, name: &str) -> Checked {
        let part = Part::Destination(name.to_owned());
        let made = self.pipeline.destination(name);
        let made = made.and_then(|(delivery, section)| {
            let made = parts::destination(self.pipeline, name, section, self.reporter, self.stop)?;
            Ok((made, delivery.start))
        });
        match made {
            Err(failure) => Checked::unasked(part, Err(failure)),
            Ok(_) if self.offline => Checked::unasked(part, Ok(Found::Written)),
            Ok((mut destination, start)) => {
                let found = destination.check().and_then(|stored| {
                    destination.close()?;
                    let log = self.log()?;
                    if let Some(log) = &log {
                        beginning::check(log, name, start, stored)?;
                    }
                    Ok(Found::Destination(compare(log.as_ref(), name, stored)?))
                });
                Checked::asked(part, found)
            }
        }
    }

    /// The log, unless it is not made yet.
    fn log(&self) -> Result<Option<LogReader>> {
        match LogReader::open(&self.pipeline.log) {
            Ok(log) => Ok(Some(log)),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
