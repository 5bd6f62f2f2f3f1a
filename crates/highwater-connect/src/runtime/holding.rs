//! What a destination says that it holds, compared with the log.

use std::fmt;

use highwater::{ConsumerInfo, Error, ErrorKind, LogReader, Position, Sequence, Start};

use super::{beginning, parts};
use crate::destination::Stored;
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::pipeline::Pipeline;
use crate::stop::Stop;

/// What a destination holds of a log, and that the log can go on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// It stores no position: the log goes on behind what was acknowledged.
    NoPositions,
    /// It was not delivered to yet.
    Nothing,
    /// It has lost what it got, and gets it again.
    Lost {
        /// The last checkpoint that it had acknowledged.
        acknowledged: Sequence,
    },
    /// It holds everything up to here.
    UpTo(Position),
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holding::NoPositions => f.write_str("well as far as it can be asked: it stores no position"),
            Holding::Nothing => f.write_str("well, and holds nothing yet"),
            Holding::Lost { acknowledged } => write!(
                f,
                "holds nothing, although checkpoints up to {acknowledged} were acknowledged: it gets everything again"
            ),
            Holding::UpTo(position) => write!(f, "holds the log up to checkpoint {}", position.sequence),
        }
    }
}

/// Asks a destination of the pipeline what it holds, for which it may make its directory or its own tables, and compares that with
/// the log: see [`compare`]. Blocks for its answer.
pub fn holding(
    pipeline: &Pipeline,
    log: &LogReader,
    name: &str,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Holding> {
    compare(Some(log), name, stored(pipeline, name, reporter, stop)?)
}

/// Asks a destination of the pipeline what it holds, for which it may make its directory or its own tables. Blocks for its answer.
pub fn stored(pipeline: &Pipeline, name: &str, reporter: &Reporter, stop: &Stop) -> Result<Stored> {
    let (_, section) = pipeline.destination(name)?;
    let mut destination = parts::destination(pipeline, name, section, reporter, stop)?;
    let stored = destination.stored()?;
    destination.close()?;
    Ok(stored)
}

/// Compares what the destination of this name has stored with the log's history and with what was acknowledged. Changes nothing in
/// either; `None` stands for a log that is not made yet. Where a destination has lost what it got, and the log its beginning, blocks for reading the commits.
///
/// Fails with [`FailureKind::Diverged`](crate::FailureKind::Diverged) if it holds something else than the log, or needs what is gone
/// from it; each says what can be done.
pub fn compare(log: Option<&LogReader>, name: &str, stored: Stored) -> Result<Holding> {
    let Some(log) = log else { return before_any_log(stored) };
    match stored {
        Stored::NoPositions => {
            let known = known(log, name)?;
            known.map_or(Ok(()), |known| check_next(log, name, known.acknowledged))?;
            Ok(Holding::NoPositions)
        }
        Stored::UpTo(position) => {
            check_next(log, name, position.sequence)?;
            match log.check_position(position) {
                // What damage took has no identity any more that could be compared.
                Err(error) if lost_from(log, &error).is_some() => {}
                found => found.map_err(|error| refused(log, name, error))?,
            }
            Ok(Holding::UpTo(position))
        }
        Stored::Nothing => {
            let known = known(log, name)?.filter(|known| known.has_acknowledged);
            let Some(known) = known else { return Ok(Holding::Nothing) };
            let start =
                if known.start == Sequence::NONE { Start::Earliest } else { Start::After(known.start) };
            beginning::again(log, name, start, known.acknowledged)?;
            Ok(Holding::Lost { acknowledged: known.acknowledged })
        }
    }
}

/// The log that will be made is another one than whatever was delivered there.
fn before_any_log(stored: Stored) -> Result<Holding> {
    match stored {
        Stored::NoPositions => Ok(Holding::NoPositions),
        Stored::Nothing => Ok(Holding::Nothing),
        Stored::UpTo(position) => Err(Failure::diverged(format!(
            "it holds what another log has delivered, up to {position}, and this pipeline's log is not there; {WAYS_OUT}"
        ))),
    }
}

/// Of a destination that holds something else.
const WAYS_OUT: &str = "bring back the log that it was delivered from, or give it an empty place (another path, schema or database), \
                        where it begins anew with this log";

fn known(log: &LogReader, name: &str) -> Result<Option<ConsumerInfo>> {
    Ok(log.consumers()?.into_iter().find(|known| known.name == name))
}

/// Whether what comes next for a destination was lost to damage, and nobody has decided that it goes on behind that.
fn check_next(log: &LogReader, name: &str, after: Sequence) -> Result<()> {
    let Some(last) = log.lost_behind(after)? else { return Ok(()) };
    let was_put =
        known(log, name)?.is_some_and(|known| !known.has_acknowledged && known.acknowledged >= last);
    if was_put {
        return Ok(());
    }
    let next = log.reader(after.next()).and_then(|mut reader| reader.next());
    next.map(drop).map_err(|error| refused(log, name, error))
}

/// If it is a gap that damage has made: its last checkpoint.
pub(super) fn lost_from(log: &LogReader, error: &Error) -> Option<Sequence> {
    let ErrorKind::Gap { first, .. } = error.kind() else { return None };
    log.lost_behind(first.previous()).ok().flatten()
}

/// Why the log can't go on behind what a destination holds, with what can be done.
pub(super) fn refused(log: &LogReader, name: &str, error: Error) -> Failure {
    if let Some(last) = lost_from(log, &error) {
        return Failure::diverged(format!(
            "it can't get what comes next: {error}; bring the log back from a backup, or have it go on behind what is lost: highwater \
             consumer seek {} {name} --to {last}",
            log.path().display()
        ));
    }
    match error.kind() {
        ErrorKind::Diverged => {
            Failure::diverged(format!("it holds something else than this log: {error}; {WAYS_OUT}"))
        }
        ErrorKind::Gap { .. } => {
            let ways_out = beginning::anew(log).unwrap_or_else(|failure| failure.to_string());
            Failure::diverged(format!("it needs what this log does not hold any more: {error}; {ways_out}"))
        }
        _ => error.into(),
    }
}

/// The same for what has failed while it was delivered to.
pub(super) fn stopped(log: &LogReader, name: &str, failure: Failure) -> Failure {
    match failure.log_error() {
        Some(error) if matches!(error.kind(), ErrorKind::Gap { .. } | ErrorKind::Diverged) => {
            refused(log, name, error.clone())
        }
        _ => failure,
    }
}
