//! What the API answers, as plain functions: from the app and a question to something that becomes JSON, or a refusal. HTTP is
//! in [`server`](crate::server).

mod app;
mod cache;
pub(crate) mod change;
pub(crate) mod charts;
pub(crate) mod checkpoints;
pub(crate) mod metrics;
pub(crate) mod overview;
pub(crate) mod past;
mod refused;
pub(crate) mod space;
pub(crate) mod states;
pub(crate) mod streams;

use highwater::{LogReader, StreamName};
use serde::Deserialize;

pub(crate) use app::App;
pub(crate) use refused::Refused;

/// A question without words.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

/// Which state is meant: a stream's (an absent namespace is not the empty one), or the global one.
fn which(
    stream: Option<String>,
    namespace: Option<String>,
    global: bool,
) -> Result<Option<StreamName>, Refused> {
    match (stream, global) {
        (Some(name), false) => Ok(Some(StreamName { namespace, name })),
        (None, true) => Ok(None),
        _ => Err(Refused::question("say which state: stream=NAME (with its namespace), or global=true")),
    }
}

/// Fails if the log has no such stream.
fn check_stream(log: &LogReader, name: Option<&StreamName>) -> Result<(), Refused> {
    name.map_or(Ok(()), |name| Ok(log.find_stream(name).map(drop)?))
}

/// So many entries are answered at once.
const LIMIT_MAX: usize = 200;

/// Unless it is said.
const LIMIT: usize = 50;

fn limit(asked: Option<usize>) -> Result<usize, Refused> {
    match asked.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        other => Err(Refused::question(format!("limit is {other}, and has to be from 1 to {LIMIT_MAX}"))),
    }
}
