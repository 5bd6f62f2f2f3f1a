//! What was refused, as it is kept beside the files: for who is killed before it has told.

use highwater::{LogId, Sequence, StreamName};
use serde::{Deserialize, Serialize};

use crate::destination::Rejected;
use crate::failure::{Failure, Result};

#[derive(Serialize, Deserialize)]
struct Refusals {
    version: u32,
    log: String,
    rejected: Vec<Refusal>,
}

#[derive(Serialize, Deserialize)]
struct Refusal {
    stream: StreamName,
    sequence: Sequence,
    index: u64,
    reason: String,
}

pub(super) fn to_text(log: LogId, rejected: &[Rejected]) -> Result<String> {
    let refusal = |one: &Rejected| Refusal {
        stream: one.stream.clone(),
        sequence: one.sequence,
        index: one.index,
        reason: one.reason.clone(),
    };
    let refusals =
        Refusals { version: 1, log: log.to_string(), rejected: rejected.iter().map(refusal).collect() };
    serde_json::to_string(&refusals).map_err(|e| Failure::permanent("what was refused").because(e))
}

/// The log, and what was refused of it.
pub(super) fn from_text(text: &str) -> Result<(String, Vec<Rejected>)> {
    let found: Refusals = serde_json::from_str(text)
        .map_err(|e| Failure::diverged("it is not what was written there").because(e))?;
    if found.version != 1 {
        return Err(Failure::config("it was written by a newer version"));
    }
    let rejected = |one: Refusal| Rejected {
        stream: one.stream,
        sequence: one.sequence,
        index: one.index,
        reason: one.reason,
    };
    Ok((found.log, found.rejected.into_iter().map(rejected).collect()))
}
