//! Looks now and then whether all is as it should be: destinations that do not move, a disk that gets full.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use highwater::{LogReader, Sequence};

use crate::event::{Event, Reporter};
use crate::pipeline::Pipeline;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// What was seen so far.
pub(super) struct Monitor<'a> {
    log: &'a LogReader,
    reporter: &'a Reporter,
    path: &'a Path,
    free_bytes_min: u64,
    /// How long each destination may stand still.
    patience: HashMap<String, Duration>,
    standing: HashMap<String, Standing>,
    is_disk_low: bool,
    looked: Instant,
}

/// A destination that lacks something.
struct Standing {
    acknowledged: Sequence,
    since: Instant,
    is_told: bool,
}

impl<'a> Monitor<'a> {
    /// Of all destinations of the pipeline, or of one.
    pub(super) fn new(
        pipeline: &'a Pipeline,
        only: Option<&str>,
        log: &'a LogReader,
        reporter: &'a Reporter,
    ) -> Self {
        let watched = pipeline.destination_names().filter(|name| only.is_none_or(|only| only == *name));
        let patience = watched.filter_map(|name| {
            let (delivery, _) = pipeline.destination(name).ok()?;
            Some((name.to_owned(), delivery.warn_after))
        });
        Monitor {
            log,
            reporter,
            path: &pipeline.log,
            free_bytes_min: pipeline.storage.warn_free_bytes,
            patience: patience.collect(),
            standing: HashMap::new(),
            is_disk_low: false,
            looked: Instant::now(),
        }
    }

    /// Called often; looks now and then.
    pub(super) fn look(&mut self) {
        if self.looked.elapsed() < EVERY {
            return;
        }
        self.looked = Instant::now();
        self.look_at_disk();
        // What can't be read now is looked at again soon, and who writes or reads it meets the same.
        let Ok(consumers) = self.log.consumers() else { return };
        for consumer in consumers {
            let Some(patience) = self.patience.get(&consumer.name).copied() else { continue };
            self.look_at(&consumer, patience);
        }
    }

    fn look_at(&mut self, consumer: &highwater::ConsumerInfo, patience: Duration) {
        if consumer.lag_checkpoints == 0 {
            self.standing.remove(&consumer.name);
            return;
        }
        let acknowledged = consumer.acknowledged;
        let fresh = || Standing { acknowledged, since: Instant::now(), is_told: false };
        let standing = self.standing.entry(consumer.name.clone()).or_insert_with(fresh);
        if standing.acknowledged != acknowledged {
            *standing = fresh();
        }
        if standing.since.elapsed() < patience || std::mem::replace(&mut standing.is_told, true) {
            return;
        }
        self.reporter.tell(Event::DeliveryLate {
            destination: consumer.name.clone(),
            acknowledged,
            lag_checkpoints: consumer.lag_checkpoints,
            lag_bytes: consumer.lag_bytes,
            standing_ms: u64::try_from(standing.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// Once, until there is twice as much again.
    fn look_at_disk(&mut self) {
        let Ok(system) = rustix::fs::statvfs(self.path) else { return };
        let free_bytes = system.f_bavail.saturating_mul(system.f_frsize);
        if free_bytes >= self.free_bytes_min.saturating_mul(2) {
            self.is_disk_low = false;
        }
        if free_bytes < self.free_bytes_min && !std::mem::replace(&mut self.is_disk_low, true) {
            self.reporter.tell(Event::DiskLow { room: "file_system", free_bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use highwater::{Commit, Config, Limit, Log, Op, Start, StreamSpec};

    use super::*;
    use crate::event::Observer;
    use crate::feed::Feed;
    use crate::pipeline::Secrets;

    #[derive(Default)]
    struct Late(Mutex<Vec<u64>>);

    impl Observer for Late {
        fn event(&self, event: Event) {
            if let Event::DeliveryLate { acknowledged, .. } = event {
                self.0.lock().unwrap().push(acknowledged.get());
            }
        }
    }

    #[test]
    fn a_delivery_that_moves_is_not_late_and_one_that_stands_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path().join("log.hw"), Config::default()).unwrap();
        let stream = log.stream(StreamSpec::new("s")).unwrap();
        let mut writer = log.writer(&[&stream]).unwrap();
        for n in 0..3 {
            writer.append(&stream, Op::Insert { key: b"", row: b"{}" }).unwrap();
            writer.commit(Commit::new().stream(&stream, &n)).unwrap();
        }
        let mut feed = Feed::open(&log, "lake", Start::Earliest, None).unwrap();
        let text =
            "version = 1\nname = 'p'\nlog = 'log.hw'\n[destinations.lake]\ntype = 'jsonl'\npath = 'lake'";
        let (pipeline, late) = (Pipeline::parse(text, dir.path()).unwrap(), Arc::new(Late::default()));
        let reporter = Reporter::new(late.clone(), Secrets::default());
        let mut monitor = Monitor::new(&pipeline, None, &log, &reporter);
        let patience = Duration::from_millis(40);
        let mut look_later = || {
            monitor.look_at(&log.consumers().unwrap()[0], patience);
            std::thread::sleep(2 * patience);
        };
        look_later();
        // It lacks something with every look, and is another checkpoint further each time.
        for _ in 0..2 {
            let batch = feed.next(&Limit { max_checkpoints: 1, ..Limit::default() }).unwrap().unwrap();
            feed.acknowledge(batch.end()).unwrap();
            look_later();
        }
        assert_eq!(*late.0.lock().unwrap(), [0; 0]);
        for _ in 0..3 {
            look_later();
        }
        assert_eq!(*late.0.lock().unwrap(), [2]);
    }
}
