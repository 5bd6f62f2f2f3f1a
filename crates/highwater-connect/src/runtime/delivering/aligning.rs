//! Where a delivery goes on: behind what its destination holds.

use std::time::Duration;

use highwater::{Limit, LogReader, Position};

use super::Deliverer;
use crate::destination::Destination;
use crate::failure::Result;
use crate::feed::Feed;
use crate::quantity::plural;
use crate::runtime::{beginning, holding, rejected};

impl Deliverer<'_> {
    /// Puts the consumer where the destination is. Blocks for its answer, and a flush.
    pub(super) fn align(&self, feed: &mut Feed, destination: &mut dyn Destination) -> Result<()> {
        let stored = destination.stored()?;
        let before = feed.acknowledged();
        if feed.has_lost(stored) {
            return self.begin_again(feed);
        }
        if let Some(stored) = stored.position().filter(|stored| stored.sequence > before) {
            self.find_rejected(feed, destination, stored)?;
        }
        feed.align(stored).map_err(|failure| holding::stopped(self.log, self.name, failure))?;
        let after = feed.acknowledged();
        if after < before {
            self.reporter.warning(format!(
                "{}: the destination has only checkpoints up to {after}, and {before} were acknowledged: it gets them again",
                self.name
            ));
        }
        Ok(())
    }

    /// The destination has lost what it got.
    fn begin_again(&self, feed: &mut Feed) -> Result<()> {
        let before = feed.acknowledged();
        let start = beginning::again(self.log, self.name, feed.start(), before)?;
        feed.restart(start)?;
        self.reporter.warning(format!(
            "{}: the destination holds nothing, and checkpoints up to {before} were acknowledged: it gets everything again that is \
             behind checkpoint {}",
            self.name,
            feed.acknowledged()
        ));
        Ok(())
    }

    /// The destination is further than what was acknowledged: who delivered was killed in between, and what was refused may not
    /// be among the dead letters. It is put there before the acknowledgement follows.
    fn find_rejected(
        &self,
        feed: &mut Feed,
        destination: &mut dyn Destination,
        stored: Position,
    ) -> Result<()> {
        let mut found = destination.rejected_after(feed.acknowledged())?;
        found.retain(|rejected| rejected.sequence <= stored.sequence);
        // Of another history it tells nothing about this one; the alignment that follows says so.
        if found.is_empty() || !is_on(self.log, stored)? {
            return Ok(());
        }
        let all = Limit { max_age: Duration::ZERO, wait: Duration::ZERO, ..self.delivery.batch };
        let mut kept = 0;
        while feed.acknowledged() < stored.sequence {
            let batch = match feed.next(&all) {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(failure) => {
                    let lost = failure.log_error().and_then(|error| holding::lost_from(self.log, error));
                    let last = lost.ok_or(failure)?;
                    if last >= stored.sequence {
                        break;
                    }
                    // It has what is behind that already.
                    feed.pass_gap(last)?;
                    continue;
                }
            };
            kept += rejected::keep(self.letters, &found, &batch)?;
            if batch.end().sequence >= stored.sequence {
                break;
            }
        }
        self.reporter.note(format!(
            "{}: {} had been refused before the last run was ended; {} of them new among the dead letters",
            self.name,
            plural(found.len() as u64, "record"),
            kept
        ));
        Ok(())
    }
}

/// Whether the position is one of this log's history.
fn is_on(log: &LogReader, position: Position) -> Result<bool> {
    if position.log != log.id() || log.end().is_none_or(|end| end.sequence < position.sequence) {
        return Ok(false);
    }
    let found = log.reader(position.sequence)?.next()?;
    Ok(found.is_some_and(|checkpoint| checkpoint.position() == position))
}
