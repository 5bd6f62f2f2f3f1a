//! Delivers a log to one destination, in a thread of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::time::Instant;

use highwater::{ErrorKind, Limit, LogReader, Sequence};

use super::flight::{Flight, Sent};
use super::retry::Retry;
use crate::batch::Batch;
use crate::destination::{Confirmed, Destination};
use crate::event::{Event, Reporter};
use crate::failure::{Failure, FailureKind, Result};
use crate::feed::Feed;
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

/// One destination, with all that its delivery needs.
pub struct Deliverer<'a> {
    /// Its name, and that of its consumer.
    pub name: &'a str,
    /// The log.
    pub log: &'a LogReader,
    /// How it is delivered.
    pub delivery: &'a Delivery,
    /// Until where.
    pub goal: &'a Goal,
    /// Who is told.
    pub reporter: &'a Reporter,
    /// Who may ask to stop.
    pub stop: &'a Stop,
}

impl Deliverer<'_> {
    /// Takes the consumer. Done for all before the source starts, so that nothing is pruned that one of them needs.
    pub fn open(&self) -> Result<Feed> {
        Feed::open(self.log, self.name, self.delivery.start, self.delivery.max_lag)
    }

    /// Delivers until the goal is reached, somebody asks to stop, or it is given up. Blocks for all of that.
    pub fn run(&self, feed: Feed, destination: &mut dyn Destination) -> Result<()> {
        let mut retry = Retry::new(self.delivery.retry);
        let mut feed = Some(feed);
        loop {
            let failure = match self.attempt(&mut feed, destination, &mut retry) {
                Ok(()) => return destination.close(),
                Err(failure) if failure.kind() == FailureKind::Cancelled => return Ok(()),
                Err(failure) => failure,
            };
            // Opened again it goes on behind what was acknowledged, and gives again what was not.
            feed = None;
            let wait = retry.next(&failure);
            let retry_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            self.reporter.failed(self.name, &failure, retry.failed(), retry_ms);
            let Some(wait) = wait else { return Err(failure) };
            if self.stop.wait(wait) {
                return Ok(());
            }
        }
    }

    fn attempt(
        &self,
        feed: &mut Option<Feed>,
        destination: &mut dyn Destination,
        retry: &mut Retry,
    ) -> Result<()> {
        let feed = match feed {
            Some(feed) => feed,
            None => feed.insert(self.open()?),
        };
        self.align(feed, destination)?;
        let mut flight = Flight::default();
        let work = self.work(feed, destination, retry, &mut flight);
        let ended = work.and_then(|()| destination.flush());
        // Also after a failure: what is confirmed need not come again.
        let settled = self.settle(feed, destination, retry, &mut flight);
        ended.and(settled)?;
        feed.sync()
    }

    fn work(
        &self,
        feed: &mut Feed,
        destination: &mut dyn Destination,
        retry: &mut Retry,
        flight: &mut Flight,
    ) -> Result<()> {
        while !self.stop.is_asked() {
            let goal = self.goal.get();
            let given = flight.end().max(feed.acknowledged());
            if goal.is_some_and(|goal| given >= goal) {
                break;
            }
            // At the end nothing is waited for that could still be gathered.
            let age = if goal.is_some() { Duration::ZERO } else { self.delivery.batch.max_age };
            if let Some(batch) = feed.next(&Limit { max_age: age, ..self.delivery.batch })? {
                self.deliver(destination, &batch, flight)?;
            }
            self.settle(feed, destination, retry, flight)?;
        }
        Ok(())
    }

    fn align(&self, feed: &mut Feed, destination: &mut dyn Destination) -> Result<()> {
        let stored = destination.stored()?;
        let before = feed.acknowledged();
        feed.align(stored).map_err(|failure| {
            let is_other = failure.log_error().is_some_and(|error| *error.kind() == ErrorKind::Diverged);
            if is_other {
                Failure::diverged("the destination holds something else than this log").because(failure)
            } else {
                failure
            }
        })?;
        let after = feed.acknowledged();
        if after < before {
            self.reporter.warning(format!(
                "{}: the destination has only checkpoints up to {after}, and {before} were acknowledged: it gets them again",
                self.name
            ));
        }
        Ok(())
    }

    fn deliver(&self, destination: &mut dyn Destination, batch: &Batch, flight: &mut Flight) -> Result<()> {
        let started = Instant::now();
        let applied = destination.apply(batch)?;
        for rejected in applied.rejected.iter().take(TOLD_MAX) {
            self.reporter.warning(format!(
                "{}: record {} of stream {} in checkpoint {} is refused: {}",
                self.name, rejected.index, rejected.stream, rejected.sequence, rejected.reason
            ));
        }
        flight.add(Sent {
            first: batch.first(),
            end: batch.end(),
            records: batch.record_count(),
            rejected: applied.rejected.len() as u64,
            started,
        });
        Ok(())
    }

    /// Acknowledges what the destination is sure of.
    fn settle(
        &self,
        feed: &mut Feed,
        destination: &mut dyn Destination,
        retry: &mut Retry,
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
        retry.progress();
        for sent in flight.take(confirmed.sequence) {
            self.reporter.tell(Event::Delivered {
                destination: self.name.to_owned(),
                first: sent.first,
                last: sent.end.sequence,
                records: sent.records,
                rejected: sent.rejected,
                took_ms: u64::try_from(sent.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        Ok(())
    }
}

/// So many refused records of a batch are told one by one.
const TOLD_MAX: usize = 5;
