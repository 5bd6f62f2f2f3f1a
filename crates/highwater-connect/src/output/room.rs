//! Waiting at the log's cap: the source is not read meanwhile, so whatever it does, memory and disk stay bounded.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use highwater::{ConsumerInfo, Error, ErrorKind, Log};

use super::Surroundings;
use crate::event::Event;
use crate::failure::{Failure, Result};

/// With everything delivered there is nothing to wait for but a pruning, which is quicker than this.
const HOPE: Duration = Duration::from_secs(10);
/// How long to wait before the next try, if the engine has not waited itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries again until there is room, somebody asks to stop, or there is no hope.
pub(super) fn wait<T>(
    log: &Log,
    around: &Surroundings,
    first: Error,
    mut attempt: impl FnMut() -> highwater::Result<T>,
) -> Result<T> {
    // Where the disk itself is full, waiting could take for ever, and a person should know.
    if !around.waits_when_full || std::error::Error::source(&first).is_some() {
        return Err(first.into());
    }
    around.reporter.tell(Event::DiskLow { room: "log", free_bytes: 0 });
    let mut hopeless_since = None;
    loop {
        // Deliveries end, too, so nobody makes room any more. What is committed stays; the source sends the rest again.
        if around.stop.is_asked() {
            return Err(Failure::cancelled());
        }
        match attempt() {
            Err(error) if *error.kind() == ErrorKind::Full => {}
            done => return Ok(done?),
        }
        hopeless_since =
            if is_hopeless(log, around)? { hopeless_since.or(Some(Instant::now())) } else { None };
        if hopeless_since.is_some_and(|since: Instant| since.elapsed() > HOPE) {
            return Err(no_hope(log)?);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Nobody is left who could make room.
fn is_hopeless(log: &Log, around: &Surroundings) -> Result<bool> {
    let given_up = around.given_up.lock().unwrap_or_else(PoisonError::into_inner);
    let may_read =
        |consumer: &ConsumerInfo| consumer.lag_checkpoints > 0 && !given_up.contains(&consumer.name);
    Ok(!log.consumers()?.iter().any(may_read))
}

fn no_hope(log: &Log) -> Result<Failure> {
    Ok(match log.consumers()?.iter().find(|consumer| consumer.lag_checkpoints > 0) {
        Some(late) => Failure::transient(format!(
            "the log is at its cap, and destination {} was given up: nothing makes room",
            late.name
        )),
        None => Failure::config(
            "storage.max_size is too small: everything is delivered, and what the source sends between two states does not fit",
        ),
    })
}
