//! A hard resume: what a run goes on from is verified before it does.

use highwater::LogReader;

use super::holding::{Holding, holding};
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::pipeline::Pipeline;
use crate::quantity::plural;
use crate::stop::Stop;

/// Reads every checkpoint that is kept, and compares it with its counts and digests; asks every destination what it holds, and
/// compares that with the log's history. Changes nothing in either. Blocks for reading the whole log. Returned are the destinations
/// that do not fit, each with why: [`FailureKind::Diverged`](crate::FailureKind::Diverged) if it holds something else than the log,
/// or needs what is gone from it, and what it says itself if it can't be asked.
///
/// Fails with the engine's [`Corrupt`](highwater::ErrorKind::Corrupt) if the log is damaged.
pub fn verify(
    pipeline: &Pipeline,
    log: &LogReader,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Vec<(String, Failure)>> {
    let found = log.verify(&mut |_| {})?;
    found.check()?;
    let names: Vec<&str> = pipeline.destination_names().collect();
    let (mut unfit, mut asked) = (Vec::new(), 0);
    for name in &names {
        match check_destination(pipeline, log, name, (reporter, stop)) {
            Ok(is_told) => asked += u64::from(is_told),
            Err(failure) => unfit.push(((*name).to_owned(), failure)),
        }
    }
    if unfit.is_empty() {
        reporter.note(format!(
            "verified: {} in {}, and what {} of {} can tell",
            plural(found.records, "record"),
            plural(found.checkpoints, "checkpoint"),
            asked,
            plural(names.len() as u64, "destination"),
        ));
    }
    Ok(unfit)
}

/// Whether it told a position, which fits.
fn check_destination(
    pipeline: &Pipeline,
    log: &LogReader,
    name: &str,
    (reporter, stop): (&Reporter, &Stop),
) -> Result<bool> {
    let found = holding(pipeline, log, name, reporter, stop)?;
    if matches!(found, Holding::Lost { .. }) {
        reporter.warning(format!("{name}: {found}"));
    }
    Ok(found != Holding::NoPositions)
}
