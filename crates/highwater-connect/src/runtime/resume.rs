//! A hard resume: what a run goes on from is verified before it does.

use highwater::LogReader;

use super::holding::{Holding, holding};
use crate::event::Reporter;
use crate::failure::Result;
use crate::pipeline::Pipeline;
use crate::quantity::plural;
use crate::stop::Stop;

/// Reads every checkpoint that is kept, and compares it with its counts and digests; asks every destination what it holds, and
/// compares that with the log's history. Changes nothing in either. Blocks for reading the whole log.
///
/// Fails with the engine's [`Corrupt`](highwater::ErrorKind::Corrupt) if the log is damaged, with
/// [`FailureKind::Diverged`](crate::FailureKind::Diverged) if a destination holds something else than the log, or needs what is
/// gone from it, and with what the destination says if it can't be asked.
pub fn verify(pipeline: &Pipeline, log: &LogReader, reporter: &Reporter, stop: &Stop) -> Result<()> {
    let found = log.verify(&mut |_| {})?;
    found.check()?;
    let mut asked = 0;
    for name in pipeline.destination_names() {
        check_destination(pipeline, log, name, (reporter, stop))
            .map_err(|failure| failure.while_doing(format!("destination {name}")))?;
        asked += 1;
    }
    reporter.note(format!(
        "verified: {} in {}, and what {} may hold",
        plural(found.records, "record"),
        plural(found.checkpoints, "checkpoint"),
        plural(asked, "destination"),
    ));
    Ok(())
}

fn check_destination(
    pipeline: &Pipeline,
    log: &LogReader,
    name: &str,
    (reporter, stop): (&Reporter, &Stop),
) -> Result<()> {
    let found = holding(pipeline, log, name, reporter, stop)?;
    if matches!(found, Holding::Lost { .. }) {
        reporter.warning(format!("{name}: {found}"));
    }
    Ok(())
}
