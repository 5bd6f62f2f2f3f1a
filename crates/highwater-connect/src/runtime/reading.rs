//! Reads a source into the log, again and again until it has come to its end.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use highwater::{Log, Sequence};

use super::retry::Retry;
use crate::event::Event;
use crate::failure::{Failure, FailureKind, Result};
use crate::output::{self, Output, Surroundings};
use crate::pipeline::RetryPolicy;
use crate::runs::{self, Attempt, End, Journal};
use crate::source::Source;

/// How it ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The source has sent everything.
    Complete,
    /// Somebody asked to stop.
    Stopped,
}

/// Reads until the source has sent everything, somebody asks to stop, or it is given up. Blocks for all of that. Attempts whose
/// end a full log has no room for are left in `unrecorded`.
pub fn read(
    log: &Log,
    source: &mut dyn Source,
    around: &Surroundings,
    retry: RetryPolicy,
    unrecorded: &mut Vec<Attempt>,
) -> Result<Ended> {
    let mut retry = Retry::new(retry);
    let mut places = Places::default();
    places.is_new(log, None)?;
    let journal = Journal::new();
    for attempt in 1.. {
        let mut brought = Brought { first: next(log), ..Brought::default() };
        let ended = record(log, source, around, (&journal, attempt), &mut brought, unrecorded);
        let failure = match ended {
            Ok(ended) => return Ok(ended),
            Err(failure) if failure.kind() == FailureKind::Cancelled => return Ok(Ended::Stopped),
            Err(failure) => failure,
        };
        // The log takes nothing more before it is opened again.
        let is_over = log.status()?.failed;
        if !is_over && places.is_new(log, brought.content)? {
            retry.progress();
        }
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

/// One attempt, with its record.
fn record(
    log: &Log,
    source: &mut dyn Source,
    around: &Surroundings,
    (journal, attempt): (&Journal, u32),
    brought: &mut Brought,
    unrecorded: &mut Vec<Attempt>,
) -> Result<Ended> {
    let recorded = journal.begin(log, attempt)?;
    let ended = once(log, source, around, attempt, brought);
    let end = brought.end(log, around, &ended);
    match Journal::end(log, recorded, end) {
        Ok(left) => unrecorded.extend(left),
        Err(failure) if ended.is_ok() => return Err(failure),
        // A log that takes nothing more can't take this either; why is in the failure.
        Err(_) => {}
    }
    ended
}

/// The number of the next checkpoint.
fn next(log: &Log) -> Sequence {
    log.end().map_or(Sequence::FIRST, |end| end.sequence.next())
}

/// Where the attempts of a run have ended. One that ends where another has ended got nowhere, whatever it has committed: a source
/// that begins anew each time, and fails at the same place each time, sends records and states as well. Its states may hold the time
/// of day, so that no two are alike; then it is the records that give it away.
#[derive(Debug, Default)]
struct Places {
    states: HashSet<u64>,
    contents: HashSet<Vec<(u64, u32)>>,
}

impl Places {
    /// Whether no attempt has ended at the log's state, and none has brought these records. The next one that does will know.
    fn is_new(&mut self, log: &Log, content: Option<Vec<(u64, u32)>>) -> Result<bool> {
        let mut hasher = DefaultHasher::new();
        let state = output::state(log)?;
        (state.global, state.streams).hash(&mut hasher);
        let is_new_content = content.is_none_or(|content| self.contents.insert(content));
        Ok(self.states.insert(hasher.finish()) && is_new_content)
    }
}

/// What an attempt brought.
#[derive(Debug, Default)]
struct Brought {
    sync: u64,
    records: u64,
    first: Sequence,
    content: Option<Vec<(u64, u32)>>,
}

impl Brought {
    fn end(&self, log: &Log, around: &Surroundings, ended: &Result<Ended>) -> End {
        let (outcome, error) = match ended {
            Ok(Ended::Complete) => ("complete", None),
            Ok(Ended::Stopped) => ("stopped", None),
            Err(failure) if failure.kind() == FailureKind::Cancelled => ("stopped", None),
            Err(failure) => (failure.kind().name(), Some(around.reporter.shown(&failure.to_string()))),
        };
        End {
            ended_us: runs::now_us(),
            outcome: outcome.to_owned(),
            error,
            sync: self.sync,
            records: self.records,
            first: self.first,
            last: next(log).previous(),
        }
    }
}

fn once(
    log: &Log,
    source: &mut dyn Source,
    around: &Surroundings,
    attempt: u32,
    brought: &mut Brought,
) -> Result<Ended> {
    let offers = source.streams()?;
    let mut out = Output::begin(log, &offers, around)?;
    brought.sync = out.sync();
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
    brought.records = out.committed();
    brought.content = out.content();
    // However it ended: who adds up has it all.
    out.tell_progress();
    ended
}

fn settle_after(out: &mut Output<'_>, failure: Failure) -> Result<Ended> {
    match out.settle() {
        Ok(()) => Err(failure),
        Err(worse) => Err(worse),
    }
}
