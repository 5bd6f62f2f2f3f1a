//! Delivers a log to one destination, in a thread of its own.

mod aligning;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::time::Instant;

use highwater::{Limit, LogReader, Sequence};

use super::breaker::Breaker;
use super::flight::{Flight, Sent};
use super::retry::Retry;
use super::trouble::TroubleFile;
use super::{beginning, holding, rejected};
use crate::batch::Batch;
use crate::destination::{Confirmed, Destination};
use crate::event::{Event, Reporter};
use crate::failure::{Failure, FailureKind, Result};
use crate::feed::Feed;
use crate::letters::DeadLetters;
use crate::pipeline::Delivery;
use crate::stop::Stop;

/// Until where it is delivered. Shared by all deliveries of a run.
#[derive(Debug)]
pub struct Goal(AtomicU64);

/// There is no end.
const FOR_EVER: u64 = u64::MAX;

impl Default for Goal {
    fn default() -> Self {
        Goal(AtomicU64::new(FOR_EVER))
    }
}

impl Goal {
    /// Nothing comes any more behind this checkpoint.
    pub fn set(&self, last: Sequence) {
        self.0.store(last.get(), Ordering::Release);
    }

    fn get(&self) -> Option<Sequence> {
        Some(self.0.load(Ordering::Acquire)).filter(|last| *last != FOR_EVER).map(Sequence::new)
    }
}

/// How often a wait looks whether the source has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What failures in a row do.
struct Patience {
    retry: Retry,
    breaker: Breaker,
    trouble: TroubleFile,
}

/// Before the next attempt.
#[derive(Clone, Copy)]
struct Wait {
    time: Duration,
    /// There is no point in it when the source has sent everything.
    ends_at_goal: bool,
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One destination, with all that its delivery needs.
pub struct Deliverer<'a> {
    /// Its name, and that of its consumer.
    pub name: &'a str,
    /// The log.
    pub log: &'a LogReader,
    /// How it is delivered.
    pub delivery: &'a Delivery,
    /// Where the records go that it refuses.
    pub letters: &'a DeadLetters,
    /// Where it is written down what keeps it from going on.
    pub trouble: TroubleFile,
    /// Until where.
    pub goal: &'a Goal,
    /// Who is told.
    pub reporter: &'a Reporter,
    /// Who may ask to stop.
    pub stop: &'a Stop,
}

impl Deliverer<'_> {
    /// Takes the consumer. Done for all before the source starts, so that nothing is pruned that one of them needs.
    pub fn open(&self, destination: &mut dyn Destination) -> Result<Feed> {
        beginning::open(self.log, self.name, self.delivery, destination, self.reporter)
    }

    /// Delivers until the goal is reached, somebody asks to stop, or it is given up. Blocks for all of that.
    pub fn run(&self, feed: Feed, destination: &mut dyn Destination) -> Result<()> {
        let mut patience = Patience {
            retry: Retry::new(self.delivery.retry),
            breaker: Breaker::new(self.delivery.breaker),
            trouble: self.trouble.clone(),
        };
        let mut feed = Some(feed);
        loop {
            let failure = match self.attempt(&mut feed, destination, &mut patience) {
                Ok(()) => return destination.close(),
                Err(failure) if failure.kind() == FailureKind::Cancelled => return Ok(()),
                Err(failure) => failure,
            };
            // Opened again it goes on behind what was acknowledged, and gives again what was not.
            feed = None;
            let Some(wait) = self.wait_after(&failure, &mut patience) else { return Err(failure) };
            if self.is_stopped_while(wait) {
                return Ok(());
            }
        }
    }

    /// How long to wait before the next attempt; `None`: there is none. Where there is a breaker, a destination that stays down is
    /// not given up while the source has more.
    fn wait_after(&self, failure: &Failure, patience: &mut Patience) -> Option<Wait> {
        let retry = patience.retry.next(failure);
        let cooldown = patience.breaker.failed().filter(|_| {
            let is_at_end = self.goal.get().is_some();
            failure.kind().is_worth_a_retry() && !is_at_end
        });
        let wait = cooldown.map(|time| Wait { time, ends_at_goal: true });
        let wait = wait.or(retry.map(|time| Wait { time, ends_at_goal: false }));
        let retry_ms = wait.as_ref().map(|wait| milliseconds(wait.time));
        let failures = patience.breaker.failures();
        self.reporter.failed(self.name, failure, failures, retry_ms);
        let shown = self.reporter.shown(&failure.to_string());
        patience.trouble.failed(failure, shown, failures, retry_ms);
        if let Some(cooldown) = cooldown {
            let (destination, cooldown_ms) = (self.name.to_owned(), milliseconds(cooldown));
            self.reporter.tell(Event::BreakerOpened { destination, failures, cooldown_ms });
        }
        wait
    }

    /// Waits; whether somebody asked to stop meanwhile.
    fn is_stopped_while(&self, wait: Wait) -> bool {
        let begun = Instant::now();
        loop {
            let left = wait.time.saturating_sub(begun.elapsed());
            // At the end of the source there is nothing else to wait for: once more, and then it is given up.
            let is_over = left.is_zero() || (wait.ends_at_goal && self.goal.get().is_some());
            if is_over {
                return self.stop.is_asked();
            }
            if self.stop.wait(left.min(LOOK_EVERY)) {
                return true;
            }
        }
    }

    fn attempt(
        &self,
        feed: &mut Option<Feed>,
        destination: &mut dyn Destination,
        patience: &mut Patience,
    ) -> Result<()> {
        let feed = match feed {
            Some(feed) => feed,
            None => feed.insert(self.open(destination)?),
        };
        self.align(feed, destination, patience.retry.failed() > 0)?;
        let mut flight = Flight::default();
        let work = self.work(feed, destination, patience, &mut flight);
        let ended = work.and_then(|()| destination.flush());
        // Also after a failure: what is confirmed need not come again.
        let settled = self.settle(feed, destination, patience, &mut flight);
        ended.and(settled)?;
        patience.trouble.clear();
        feed.sync()
    }

    fn work(
        &self,
        feed: &mut Feed,
        destination: &mut dyn Destination,
        patience: &mut Patience,
        flight: &mut Flight,
    ) -> Result<()> {
        let mut is_order_checked = false;
        while !self.stop.is_asked() {
            let goal = self.goal.get();
            let given = flight.end().max(feed.acknowledged());
            if goal.is_some_and(|goal| given >= goal) {
                break;
            }
            // At the end nothing is waited for that could still be gathered.
            let age = if goal.is_some() { Duration::ZERO } else { self.delivery.batch.max_age };
            let next = match feed.next(&Limit { max_age: age, ..self.delivery.batch }) {
                Ok(next) => next,
                Err(failure) => {
                    // The log's fault and not its own: what it was given before that is not given again.
                    destination.flush()?;
                    return Err(holding::stopped(self.log, self.name, failure));
                }
            };
            if let Some(batch) = next {
                if !std::mem::replace(&mut is_order_checked, true) {
                    self.check_order(&batch);
                }
                let batch = batch.with_on_reject(self.delivery.on_reject);
                self.deliver(destination, &batch.with_order(self.delivery.order.clone()), flight)?;
            }
            self.settle(feed, destination, patience, flight)?;
        }
        Ok(())
    }

    /// A name that is no stream's is a mistake, as far as can be seen: the stream may come yet.
    fn check_order(&self, batch: &Batch) {
        let Some(last) = batch.checkpoints().last() else { return };
        let is_stream = |named: &str| last.definitions().iter().any(|known| known.name.to_string() == named);
        for named in self.delivery.order.iter().filter(|named| !is_stream(named)) {
            let text =
                format!("destinations.{}.order names {named}, and the log has no such stream", self.name);
            self.reporter.warning(text);
        }
    }

    fn deliver(&self, destination: &mut dyn Destination, batch: &Batch, flight: &mut Flight) -> Result<()> {
        let started = Instant::now();
        let applied = destination.apply(batch)?.allowed(batch)?;
        if !applied.rejected.is_empty() {
            // Before the acknowledgement: it takes the right to be told of them again.
            rejected::keep(self.letters, &applied.rejected, batch)?;
            rejected::tell(self.name, &applied.rejected, self.reporter);
        }
        flight.add(Sent {
            first: batch.first(),
            end: batch.end(),
            records: batch.record_count(),
            rejected: applied.rejected.len() as u64,
            is_verified: true,
            started,
        });
        Ok(())
    }

    /// Acknowledges what the destination is sure of.
    fn settle(
        &self,
        feed: &mut Feed,
        destination: &mut dyn Destination,
        patience: &mut Patience,
        flight: &mut Flight,
    ) -> Result<()> {
        let confirmed = match destination.confirmed()? {
            Confirmed::All => flight.last(),
            Confirmed::UpTo(position) => position,
        };
        let Some(confirmed) = confirmed.filter(|position| position.sequence > feed.acknowledged()) else {
            return Ok(());
        };
        feed.acknowledge(confirmed)?;
        patience.retry.progress();
        patience.trouble.clear();
        if patience.breaker.succeeded() {
            self.reporter.tell(Event::BreakerClosed { destination: self.name.to_owned() });
        }
        for sent in flight.take(confirmed.sequence, destination.counted()) {
            self.reporter.tell(Event::Delivered {
                destination: self.name.to_owned(),
                first: sent.first,
                last: sent.end.sequence,
                records: sent.records,
                rejected: sent.rejected,
                verified: sent.is_verified,
                took_ms: milliseconds(sent.started.elapsed()),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
