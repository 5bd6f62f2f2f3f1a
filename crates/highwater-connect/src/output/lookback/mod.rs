//! A sync that begins a little before where the last one ended: for sources whose newest rows are not yet what they will be.
//!
//! What a state says is the source's secret, so going back means to go on from an older one: that of the newest checkpoint that is
//! older than the window. It is committed with the beginning of the sync, so that whoever is killed in it does not go back again
//! and again. What then comes a second time is recognised: see [`seen`]. Nobody goes back behind a state that a person has set.

mod back;
mod seen;
mod told;

use std::time::Duration;

use highwater::{Log, LogReader, Sequence, StreamName};

use super::plan::Plan;
use super::{Output, sync};
use crate::failure::Result;
use crate::runs;
use crate::source::{Offer, Reading, State};

use back::{Back, Before};
pub(super) use seen::Seen;
use told::Told;

/// The checkpoint behind which the window lies; `NONE` if it takes in all that there is.
fn window_start(log: &LogReader, window: Duration) -> Result<Sequence> {
    let window_us = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
    let older = log.checkpoint_at(runs::now_us().saturating_sub(window_us))?;
    Ok(match older {
        Some(position) => position.sequence,
        None if log.first() == Sequence::FIRST => Sequence::NONE,
        // What is older is pruned: that is as far back as it goes.
        None => log.first(),
    })
}

fn states_at(log: &Log, sequence: Sequence) -> Result<State> {
    if sequence == Sequence::NONE {
        return Ok(State::default());
    }
    sync::state_of(log, &log.state_at(sequence)?)
}

impl Output<'_> {
    /// The states that the sync begins with, if they are older ones, and says so. Blocks for reading the window's commits.
    pub(super) fn plan_lookback(&self, offers: &[Offer], now: &State, plan: &mut Plan) -> Result<()> {
        let Some(policy) = self.around.lookback else { return Ok(()) };
        let start = window_start(self.log, policy.window)?;
        let before = Before::read(self.log, states_at(self.log, start)?, start)?;
        let mut told = Told::new(policy.window, start);
        let back = before.of(None, now.global.as_deref());
        match back {
            Back::Stays => {}
            Back::Older(text) | Back::ByHand(text, _) => plan.set_global(text.to_owned()),
            Back::Beginning => plan.clear_global(),
        }
        told.add("the state of all streams", back);
        for offer in offers.iter().filter(|offer| offer.reading == Reading::Onward) {
            let name = &offer.definition.name;
            let Some(entry) = self.entries.iter().find(|entry| entry.stream.name() == name) else { continue };
            let back = before.of(Some(name), now.of(name));
            match back {
                Back::Stays => {}
                Back::Older(text) | Back::ByHand(text, _) => plan.set(&entry.stream, text.to_owned()),
                Back::Beginning => plan.clear(&entry.stream),
            }
            told.add(&name.to_string(), back);
        }
        told.lines().iter().for_each(|line| self.around.reporter.note(line));
        Ok(())
    }

    /// Learns what is committed inside the window. Blocks for reading it.
    pub(super) fn learn_seen(&mut self, offers: &[Offer]) -> Result<()> {
        let Some(policy) = self.around.lookback else { return Ok(()) };
        let is_onward = |name: &StreamName| {
            offers.iter().any(|offer| offer.definition.name == *name && offer.reading == Reading::Onward)
        };
        let streams =
            self.entries.iter().map(|entry| is_onward(entry.stream.name()).then_some(&entry.stream));
        let seen = Seen::load(
            self.log,
            window_start(self.log, policy.window)?.next(),
            &streams.collect::<Vec<_>>(),
            policy.records_max,
        )?;
        if seen.is_full() {
            self.around.reporter.note(format!(
                "the window of the lookback holds more than {} records: those beyond may be delivered again",
                crate::quantity::count(policy.records_max)
            ));
        }
        self.seen = Some(seen);
        Ok(())
    }

    /// Says how many records were left out.
    pub(super) fn tell_repeats(&mut self) {
        let Some(seen) = &mut self.seen else { return };
        for (entry, repeats) in self.entries.iter().zip(seen.take_repeats()) {
            if repeats > 0 {
                self.around.reporter.note(format!(
                    "{}: {} had been committed already inside the window, and came again",
                    entry.stream.name(),
                    crate::quantity::plural(repeats, "record")
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
