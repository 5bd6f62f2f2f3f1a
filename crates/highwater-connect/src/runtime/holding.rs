//! What a destination says that it holds, compared with the log.

use std::fmt;

use highwater::{Error, ErrorKind, LogReader, Position, Sequence, Start};

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
    let (_, section) = pipeline.destination(name)?;
    let mut destination = parts::destination(pipeline, name, section, reporter, stop)?;
    let stored = destination.stored()?;
    destination.close()?;
    compare(Some(log), name, stored)
}

/// Compares what the destination of this name has stored with the log's history and with what was acknowledged. Changes nothing in
/// either; `None` stands for a log that is not made yet. Where a destination has lost what it got, and the log its beginning, blocks for reading the commits.
///
/// Fails with [`FailureKind::Diverged`](crate::FailureKind::Diverged) if it holds something else than the log, or needs what is gone
/// from it; each says what can be done.
pub fn compare(log: Option<&LogReader>, name: &str, stored: Stored) -> Result<Holding> {
    let Some(log) = log else { return before_any_log(stored) };
    match stored {
        Stored::NoPositions => Ok(Holding::NoPositions),
        Stored::UpTo(position) => {
            log.check_position(position).map_err(refused)?;
            Ok(Holding::UpTo(position))
        }
        Stored::Nothing => {
            let consumers = log.consumers()?;
            let known = consumers.iter().find(|known| known.name == name && known.has_acknowledged);
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

/// Why the log can't go on behind what a destination holds, with what can be done.
pub(super) fn refused(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::Diverged => {
            Failure::diverged(format!("it holds something else than this log: {error}; {WAYS_OUT}"))
        }
        ErrorKind::Gap { .. } => Failure::diverged(format!(
            "it needs what this log does not hold any more: {error}; give it an empty place (another path, schema or database) and \
             another name, under which it begins anew"
        )),
        _ => error.into(),
    }
}
