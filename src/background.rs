//! The one thread that the engine may have: it maintains the log every so often.

use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::compaction::compact_if_due;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::sync::{Condvar, Mutex};

/// Runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Background {
    pub(crate) fn start(journal: &Arc<Journal>, every: Duration) -> Result<Background> {
        let stop = Arc::new(Stop::default());
        let (watched, journal) = (stop.clone(), Arc::downgrade(journal));
        let thread = std::thread::Builder::new()
            .name("highwater".to_owned())
            .spawn(move || run(&watched, &journal, every))
            .map_err(|e| Error::io("starting the background thread", "", e))?;
        Ok(Background { stop, thread: Some(thread) })
    }
}

fn run(stop: &Stop, journal: &Weak<Journal>, every: Duration) {
    while !stop.waits(every) {
        let Some(journal) = journal.upgrade() else { return };
        let go_on = || if *stop.stopped.lock() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let result = journal.maintain().and_then(|()| compact_if_due(&journal, &mut |_| go_on()));
        // A failure is latched in the journal, and the next call of its user meets it.
        if let Err(error) = result {
            tracing::warn!(%error, "maintenance failed");
        }
    }
}

impl Stop {
    /// Waits; whether it is time to end.
    fn waits(&self, every: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, every);
        }
        *stopped
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        *self.stop.stopped.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
