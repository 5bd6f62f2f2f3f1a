//! Reads a source into the log, again and again until it has come to its end.

use highwater::Log;

use super::retry::Retry;
use crate::event::Event;
use crate::failure::{Failure, FailureKind, Result};
use crate::output::{Output, Surroundings};
use crate::pipeline::RetryPolicy;
use crate::source::Source;

/// How it ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The source has sent everything.
    Complete,
    /// Somebody asked to stop.
    Stopped,
}

/// Reads until the source has sent everything, somebody asks to stop, or it is given up. Blocks for all of that.
pub fn read(log: &Log, source: &mut dyn Source, around: &Surroundings, retry: RetryPolicy) -> Result<Ended> {
    let mut retry = Retry::new(retry);
    for attempt in 1.. {
        let mut has_progress = false;
        let failure = match once(log, source, around, attempt, &mut has_progress) {
            Ok(ended) => return Ok(ended),
            Err(failure) if failure.kind() == FailureKind::Cancelled => return Ok(Ended::Stopped),
            Err(failure) => failure,
        };
        if has_progress {
            retry.progress();
        }
        // The log takes nothing more before it is opened again.
        let is_over = log.status()?.failed;
        let wait = if is_over { None } else { retry.next(&failure) };
        let retry_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        around.reporter.failed("source", &failure, retry.failed(), retry_ms);
        let Some(wait) = wait else { return Err(failure) };
        if around.stop.wait(wait) {
            return Ok(Ended::Stopped);
        }
    }
    Ok(Ended::Stopped)
}

fn once(
    log: &Log,
    source: &mut dyn Source,
    around: &Surroundings,
    attempt: u32,
    has_progress: &mut bool,
) -> Result<Ended> {
    let offers = source.streams()?;
    let mut out = Output::begin(log, &offers, around)?;
    around.reporter.tell(Event::Reading { sync: out.sync(), attempt });
    let from = out.resume_from()?;
    let read = source.read(&from, &mut out);
    let is_stopping = around.stop.is_asked();
    let ended = match read {
        Ok(()) if !is_stopping => out.finish().map(|()| Ended::Complete),
        Ok(()) => out.settle().map(|()| Ended::Stopped),
        // What the source could vouch for is kept; the rest it sends again.
        Err(failure) => settle_after(&mut out, failure),
    };
    *has_progress = out.has_progress();
    ended
}

fn settle_after(out: &mut Output<'_>, failure: Failure) -> Result<Ended> {
    match out.settle() {
        Ok(()) => Err(failure),
        Err(worse) => Err(worse),
    }
}
