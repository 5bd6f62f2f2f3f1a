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
