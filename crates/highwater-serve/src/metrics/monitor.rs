//! Counts what happens during a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use highwater::{LogReader, StreamName};
use highwater_connect::event::{Event, Observer, StreamProgress};
use highwater_connect::runs;

use crate::measured::{Failed, Measured, Part, Writer};

/// So many failures are remembered one by one.
const FAILURES_MAX: usize = 20;

/// Watches a run from inside its process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Monitor {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    log: OnceLock<LogReader>,
}

#[derive(Debug, Default)]
struct Counts {
    measured: Measured,
    /// What the present attempt has read of each stream.
    read: BTreeMap<StreamName, u64>,
    /// What attempts before it have read, all together.
    read_before: u64,
}

impl Monitor {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        let monitor = Monitor::default();
        let mut counts = monitor.counts();
        counts.measured.pid = std::process::id();
        counts.measured.started_us = runs::now_us();
        drop(counts);
        monitor
    }

    /// The log, once the run has opened it.
    pub fn log(&self) -> Option<&LogReader> {
        self.shared.log.get()
    }

    /// Everything so far, with what the log's writer has measured.
    pub fn measured(&self) -> Measured {
        let writer = self.log().and_then(|log| Writer::of(log).ok().flatten());
        let mut measured = self.counts().measured.clone();
        (measured.writer, measured.at_us) = (writer, runs::now_us());
        measured
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Monitor {
    fn event(&self, event: Event) {
        self.counts().take(event);
    }

    fn opened(&self, log: &LogReader) {
        // A process runs one pipeline; of a second one nothing is told.
        drop(self.shared.log.set(log.clone()));
    }
}

impl Counts {
    fn take(&mut self, event: Event) {
        match event {
            Event::Reading { .. } => {
                self.measured.source.attempts += 1;
                self.read_before += std::mem::take(&mut self.read).into_values().sum::<u64>();
            }
            Event::Progress { streams } => self.progress(streams),
            Event::Committed { .. } => self.measured.source.got_on(),
            Event::Delivered { destination, records, rejected, took_ms, .. } => {
                let part = self.part(&destination);
                part.got_on();
                part.records += records.saturating_sub(rejected);
                part.rejected += rejected;
                part.batches.observe(Duration::from_millis(took_ms));
            }
            Event::Failed { of, kind, text, retry_ms, .. } => self.failed(of, kind, text, retry_ms.is_some()),
            Event::BreakerOpened { destination, .. } => {
                let part = self.part(&destination);
                part.breaker_open = true;
                part.breaker_opened += 1;
            }
            Event::BreakerClosed { destination } => self.part(&destination).breaker_open = false,
            _ => {}
        }
    }

    fn part(&mut self, of: &str) -> &mut Part {
        match of {
            "source" => &mut self.measured.source,
            name => self.measured.destinations.entry(name.to_owned()).or_default(),
        }
    }

    fn progress(&mut self, streams: Vec<StreamProgress>) {
        for stream in streams {
            self.read.insert(stream.stream, stream.records);
        }
        self.measured.source.records = self.read_before + self.read.values().sum::<u64>();
    }

    fn failed(&mut self, of: String, kind: &str, text: String, is_tried_again: bool) {
        let part = self.part(&of);
        *part.failures.entry(kind.to_owned()).or_default() += 1;
        part.failing += 1;
        part.retries += u64::from(is_tried_again);
        part.given_up = !is_tried_again;
        // Whoever is given up waits for nothing.
        part.breaker_open &= is_tried_again;
        let failures = &mut self.measured.failures;
        if failures.len() == FAILURES_MAX {
            failures.remove(0);
        }
        failures.push(Failed { time_us: runs::now_us(), of, kind: kind.to_owned(), text });
    }
}

impl Part {
    fn got_on(&mut self) {
        self.restarts_succeeded += u64::from(self.failing > 0);
        (self.failing, self.given_up) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::Sequence;

    fn failed(of: &str, retry_ms: Option<u64>) -> Event {
        let (of, text) = (of.to_owned(), "no".to_owned());
        Event::Failed { of, kind: "transient", text, attempt: 1, retry_ms }
    }

    fn delivered(records: u64, rejected: u64) -> Event {
        let (first, last) = (Sequence::FIRST, Sequence::FIRST);
        Event::Delivered {
            destination: "lake".to_owned(),
            first,
            last,
            records,
            rejected,
            verified: true,
            took_ms: 7,
        }
    }

    #[test]
    fn a_restart_succeeds_when_something_gets_on() {
        let monitor = Monitor::new();
        for event in [failed("lake", Some(5)), failed("lake", Some(5)), delivered(10, 2), delivered(1, 0)] {
            monitor.event(event);
        }
        monitor.event(failed("source", None));
        let measured = monitor.measured();
        let lake = &measured.destinations["lake"];
        assert_eq!((lake.retries, lake.restarts_succeeded, lake.failing, lake.given_up), (2, 1, 0, false));
        assert_eq!((lake.records, lake.rejected, lake.batches.count()), (9, 2, 2));
        assert_eq!((measured.source.retries, measured.source.given_up), (0, true));
        assert_eq!(measured.failures.len(), 3);
    }

    #[test]
    fn a_breaker_is_open_until_it_closes_or_the_destination_is_given_up() {
        let monitor = Monitor::new();
        let opened = || {
            let destination = "lake".to_owned();
            Event::BreakerOpened { destination, failures: 5, cooldown_ms: 9 }
        };
        let is = |open, times| {
            let part = monitor.measured().destinations["lake"].clone();
            assert_eq!((part.breaker_open, part.breaker_opened), (open, times));
        };
        monitor.event(failed("lake", Some(5)));
        is(false, 0);
        monitor.event(opened());
        is(true, 1);
        // The one trial fails, too.
        monitor.event(failed("lake", Some(5)));
        monitor.event(opened());
        is(true, 2);
        monitor.event(Event::BreakerClosed { destination: "lake".to_owned() });
        is(false, 2);
        monitor.event(opened());
        monitor.event(failed("lake", None));
        is(false, 3);
    }

    #[test]
    fn what_attempts_have_read_adds_up() {
        let monitor = Monitor::new();
        let stream = StreamName { namespace: None, name: "a".to_owned() };
        for records in [5, 9] {
            monitor.event(Event::Reading { sync: 1, attempt: 1 });
            for records in [records, records + 1] {
                let stream = stream.clone();
                let streams = vec![StreamProgress { stream, records, committed: 0 }];
                monitor.event(Event::Progress { streams });
            }
        }
        let source = monitor.measured().source;
        assert_eq!((source.attempts, source.records), (2, 6 + 10));
    }
}
