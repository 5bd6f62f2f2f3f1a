//! Where a delivery goes on: behind what its destination holds.

use std::time::Duration;

use highwater::{Limit, LogReader, Position, Sequence};

use super::Deliverer;
use crate::destination::Destination;
use crate::event::Event;
use crate::failure::Result;
use crate::feed::Feed;
use crate::quantity::plural;
use crate::runtime::{beginning, holding, rejected};

impl Deliverer<'_> {
    /// Puts the consumer where the destination is. Blocks for its answer, and a flush. With `has_failed` this run has delivered to it
    /// before, and what it has meanwhile got is counted.
    pub(super) fn align(
        &self,
        feed: &mut Feed,
        destination: &mut dyn Destination,
        has_failed: bool,
    ) -> Result<()> {
        let stored = destination.stored()?;
        let before = feed.acknowledged();
        if feed.has_lost(stored) {
            return self.begin_again(feed);
        }
        let mut rejected = 0;
        if let Some(stored) = stored.position().filter(|stored| stored.sequence > before) {
            rejected = self.find_rejected(feed, destination, stored)?;
        }
        feed.align(stored).map_err(|failure| holding::stopped(self.log, self.name, failure))?;
        let after = feed.acknowledged();
        if has_failed && after > before {
            self.tell_found(before, after, rejected);
        }
        if after < before {
            self.reporter.warning(format!(
                "{}: the destination has only checkpoints up to {after}, and {before} were acknowledged: it gets them again",
                self.name
            ));
        }
        Ok(())
    }

    /// It has applied what it was given, and its answer was lost.
    fn tell_found(&self, before: Sequence, last: Sequence, rejected: u64) {
        // What damage took can't be counted.
        let Ok(tallies) = self.log.tally(before, last) else { return };
        let records = tallies.iter().filter(|tally| !tally.stream.is_of_runtime()).map(|tally| tally.records);
        self.reporter.tell(Event::Delivered {
            destination: self.name.to_owned(),
            first: before.next(),
            last,
            records: records.sum(),
            rejected,
            verified: true,
            took_ms: 0,
        });
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
    /// be among the dead letters. It is put there before the acknowledgement follows. Returns how many were refused.
    fn find_rejected(
        &self,
        feed: &mut Feed,
        destination: &mut dyn Destination,
        stored: Position,
    ) -> Result<u64> {
        let mut found = destination.rejected_after(feed.acknowledged())?;
        found.retain(|rejected| rejected.sequence <= stored.sequence);
        // Of another history it tells nothing about this one; the alignment that follows says so.
        if found.is_empty() || !is_on(self.log, stored)? {
            return Ok(0);
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
        Ok(found.len() as u64)
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
