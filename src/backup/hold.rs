//! A pin for as long as something is copied.

use std::path::Path;
use std::time::Duration;

use crate::environment::{Environment, System, micros};
use crate::error::{ErrorKind, Result};
use crate::log_reader::LogReader;
use crate::pin::Pin;
use crate::position::Sequence;

/// A backup that was killed holds the log no longer than this.
const LASTS: Duration = Duration::from_secs(60 * 60);
/// It is made anew so often.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Keeps a log from letting go what is being copied, until it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    log: LogReader,
    name: String,
    pin: Pin,
    since: Duration,
}

impl Hold {
    /// Holds everything that the log has. Of one that was killed the next backup into the same directory replaces the pin.
    pub(super) fn on(log: LogReader, owner: String, to: &Path) -> Result<Hold> {
        let place = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
        let digest = blake3::hash(place.as_os_str().as_encoded_bytes()).to_hex();
        let mut hold = Hold {
            name: format!("backup-{}", &digest[..16]),
            pin: Pin { from: Sequence::FIRST, owner, expires_us: 0 },
            since: System.elapsed(),
            log,
        };
        loop {
            hold.log.refresh()?;
            hold.pin.from = hold.log.first();
            match hold.write() {
                // Pruned at this moment; there is a newer first one.
                Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => {}
                written => return written.map(|()| hold),
            }
        }
    }

    /// Called now and then, so that a long copy does not outlast it.
    pub(super) fn keep(&mut self) -> Result<()> {
        if System.elapsed().saturating_sub(self.since) < AGAIN {
            return Ok(());
        }
        self.since = System.elapsed();
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        self.pin.expires_us = System.now_us().saturating_add(micros(LASTS));
        self.log.pin(&self.name, &self.pin)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = self.log.unpin(&self.name) {
            tracing::debug!(%error, pin = self.name, "left to expire");
        }
    }
}
