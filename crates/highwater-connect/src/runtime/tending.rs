//! What is done for the log beside reading and delivering.

use std::time::{Duration, Instant};

use highwater::Log;

use super::monitor::Monitor;
use crate::event::Reporter;
use crate::pipeline::Pipeline;

/// How often what everybody has is pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(30);

/// Prunes and looks around, now and then.
pub(super) struct Tending<'a> {
    log: &'a Log,
    pipeline: &'a Pipeline,
    reporter: &'a Reporter,
    monitor: Monitor<'a>,
    pruned: Instant,
}

impl<'a> Tending<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, log: &'a Log, reporter: &'a Reporter) -> Self {
        let monitor = Monitor::new(pipeline, None, log, reporter);
        Tending { log, pipeline, reporter, monitor, pruned: Instant::now() }
    }

    /// Called often; does what is due.
    pub(super) fn tend(&mut self) {
        self.monitor.look();
        if self.pruned.elapsed() >= PRUNE_EVERY {
            prune(self.log, self.pipeline, self.reporter);
            self.pruned = Instant::now();
        }
    }
}

/// That it could not be pruned ends no run: the log is larger than it need be.
pub(super) fn prune(log: &Log, pipeline: &Pipeline, reporter: &Reporter) {
    if let Err(error) = log.prune(&pipeline.storage.retain) {
        reporter.warning(format!("pruning the log: {error}"));
    }
}
