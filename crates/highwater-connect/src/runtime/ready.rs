//! Destinations before anything is delivered: each is made, and its consumer taken.

use highwater::{ErrorKind, Log};

use super::trouble::TroubleFile;
use super::{Outcome, beginning, parts};
use crate::destination::Destination;
use crate::event::Reporter;
use crate::failure::{Failure, FailureKind, Result};
use crate::feed::Feed;
use crate::letters::DeadLetters;
use crate::pipeline::{Delivery, Pipeline};
use crate::stop::Stop;

/// A destination that is ready to be delivered to.
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) delivery: Delivery,
    pub(super) letters: DeadLetters,
    pub(super) trouble: TroubleFile,
    pub(super) destination: Box<dyn Destination>,
    pub(super) feed: Feed,
}

/// All that can be delivered to. One whose section is wrong is told before anything starts; one that has diverged, or can't begin
/// without a hole, is given up, and the rest goes on.
pub(super) fn get(
    pipeline: &Pipeline,
    log: &Log,
    outcome: &mut Outcome,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Vec<Ready>> {
    let mut ready = Vec::new();
    for name in pipeline.destination_names() {
        let (delivery, section) = pipeline.destination(name)?;
        let mut destination = parts::destination(pipeline, name, section, reporter, stop)?;
        match beginning::open(log, name, &delivery, &mut *destination, reporter) {
            Ok(feed) => {
                let letters = pipeline.dead_letters(name, &delivery);
                let trouble = TroubleFile::new(&pipeline.work, name);
                ready.push(Ready { name: name.to_owned(), delivery, letters, trouble, destination, feed });
            }
            Err(failure) if is_elsewhere(&failure) => {
                reporter.note(format!("{name} is delivered by another process: {failure}"));
                outcome.elsewhere.push(name.to_owned());
            }
            Err(failure) if matches!(failure.kind(), FailureKind::Diverged | FailureKind::Config) => {
                give_up(pipeline, name.to_owned(), failure, outcome, reporter);
            }
            Err(failure) => return Err(failure.while_doing(format!("destination {name}"))),
        }
    }
    Ok(ready)
}

/// Nobody tries it in this run. Told, and written down for who asks later.
pub(super) fn give_up(
    pipeline: &Pipeline,
    name: String,
    failure: Failure,
    outcome: &mut Outcome,
    reporter: &Reporter,
) {
    reporter.failed(&name, &failure, 1, None);
    let shown = reporter.shown(&failure.to_string());
    TroubleFile::new(&pipeline.work, &name).failed(&failure, shown, 1, None);
    outcome.destinations.push((name, failure));
}

fn is_elsewhere(failure: &Failure) -> bool {
    failure.log_error().is_some_and(|error| *error.kind() == ErrorKind::ConsumerBusy)
}
