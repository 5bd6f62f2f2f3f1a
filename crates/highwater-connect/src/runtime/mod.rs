//! A pipeline at work: the source's thread writes the log, each destination's thread delivers from it. None waits for another,
//! but at the log's cap, where the source waits for who has still to read.

mod beginning;
mod breaker;
mod check;
mod clock;
mod delivering;
mod flight;
mod holding;
mod monitor;
mod parts;
mod reading;
mod ready;
mod rejected;
mod resume;
mod retry;
mod schema;
mod second_try;
mod tending;
mod trouble;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater::{Log, LogReader, Sequence};

use monitor::Monitor;
use ready::Ready;
use tending::Tending;

pub use check::{Checked, Found, Part, check};
pub use delivering::{Deliverer, Goal};
pub use holding::{Holding, compare, holding, stored};
pub use parts::{Discovery, destination, discover, on_repeat, source, stores_position};
pub use reading::{Ended, read};
pub use resume::verify;
pub use retry::Retry;
pub use schema::{Difference, StreamDifference, accept, differences, offered};
pub use second_try::{SecondTry, second_try};
pub use trouble::{Trouble, TroubleFile};

use crate::event::{Event, Reporter};
use crate::failure::{Failure, Result};
use crate::output::Surroundings;
use crate::pipeline::{Pipeline, Resume};
use crate::rules;
use crate::runs;
use crate::source::Source;
use crate::stop::Stop;

/// How often it is looked whether all are done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Somebody asked to stop before everything was done.
    pub is_stopped: bool,
    /// Why the source was given up.
    pub source: Option<Failure>,
    /// Destinations that were given up, and why.
    pub destinations: Vec<(String, Failure)>,
    /// Destinations that another process delivers.
    pub elsewhere: Vec<String>,
}

/// Destinations that were given up: nothing is to be waited for from them.
pub type GivenUp = Arc<Mutex<BTreeSet<String>>>;

/// Runs a pipeline until its source has sent everything and all of it is delivered, or somebody asks to stop. What fails does
/// not end what works. Fails if it can't begin: the log is written by another process, the file is wrong.
pub fn run(pipeline: &Pipeline, reporter: &Reporter, stop: &Stop) -> Result<Outcome> {
    run_source(pipeline, &mut *source(pipeline, reporter, stop)?, reporter, stop)
}

/// [`run`] with a source of one's own. What the pipeline's `[source]` says is not looked at, but for its fingerprint: what the source is
/// configured with belongs there, so that a change of it is told. Blocks, and fails, as `run`.
///
/// ```
/// use highwater::{Meta, Op, StreamName};
/// use highwater_connect::event::Reporter;
/// use highwater_connect::{Failure, Offer, Output, Pipeline, Result, Source, State, Stop, StreamDefinition, Urgency, runtime};
///
/// /// Numbers, ten to a page.
/// struct Numbers { upto: u64 }
///
/// fn numbers() -> StreamName {
///     StreamName { namespace: None, name: "numbers".into() }
/// }
///
/// impl Source for Numbers {
///     fn streams(&mut self) -> Result<Vec<Offer>> {
///         let mut definition = StreamDefinition::new(numbers());
///         definition.key = vec![vec!["n".into()]];
///         Ok(vec![Offer::onward(definition)])
///     }
///
///     fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()> {
///         let handle = out.find(None, "numbers").ok_or_else(|| Failure::permanent("numbers are not wanted"))?;
///         let mut next: u64 = from.of(&numbers()).map_or(0, |cursor| cursor.parse().unwrap());
///         while next < self.upto && out.urgency() == Urgency::None {
///             for n in next..next + 10 {
///                 let (key, row) = (format!("[{n}]"), format!("{{\"n\":{n}}}"));
///                 out.record(handle, Op::Upsert { key: key.as_bytes(), row: row.as_bytes() }, Meta::default())?;
///             }
///             next += 10;
///             // With the records up to here, go on from there.
///             out.state(handle, &next.to_string())?;
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let file = "version = 1\nname = 'numbers'\nlog = 'numbers.hw'\n[destinations.lake]\ntype = 'jsonl'\npath = 'lake'";
/// let pipeline = Pipeline::parse(file, dir.path())?;
/// let run = |upto| runtime::run_source(&pipeline, &mut Numbers { upto }, &Reporter::silent(), &Stop::default());
/// run(100)?;
/// let outcome = run(250)?; // reads on from 100
/// assert!(outcome.source.is_none() && outcome.destinations.is_empty());
///
/// let files = std::fs::read_dir(dir.path().join("lake"))?.map(|file| file.unwrap().path());
/// let delivered = files.filter(|file| file.extension().is_some_and(|kind| kind == "jsonl"));
/// let lines = delivered.map(|file| std::fs::read_to_string(file).unwrap().lines().count());
/// assert_eq!(lines.sum::<usize>(), 250);
/// # Ok(())
/// # }
/// ```
pub fn run_source(
    pipeline: &Pipeline,
    source: &mut dyn Source,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<Outcome> {
    let (log, recovery) = Log::open(&pipeline.log, pipeline.storage.config())?;
    rules::write_down(pipeline, reporter)?;
    let sequence = log.end().map_or(Sequence::NONE, |end| end.sequence);
    reporter.opened(&log);
    reporter.tell(Event::Opened { sequence, recovery: recovery.to_string() });
    clock::told(&log)?.into_iter().for_each(|text| reporter.warning(text));
    let mut outcome = Outcome::default();
    if pipeline.resume == Resume::Hard {
        for (name, failure) in verify(pipeline, &log, reporter, stop)? {
            ready::give_up(pipeline, name, failure, &mut outcome, reporter);
        }
        if !outcome.destinations.is_empty() {
            log.close()?;
            return Ok(outcome);
        }
    }
    let ready = ready::get(pipeline, &log, &mut outcome, reporter, stop)?;
    let fingerprints = pipeline.fingerprints()?;
    let given_up = GivenUp::default();
    lock(&given_up).extend(outcome.destinations.iter().map(|(name, _)| name.clone()));
    let around = Surroundings {
        policy: pipeline.checkpoint,
        reporter: reporter.clone(),
        stop: stop.clone(),
        waits_when_full: !pipeline.storage.fails_when_full,
        destinations: pipeline.destination_names().map(str::to_owned).collect(),
        given_up: given_up.clone(),
        labels: vec![
            ("pipeline".to_owned(), pipeline.name.clone()),
            ("source".to_owned(), crate::pipeline::together(&fingerprints)),
        ],
        schema: pipeline.schema,
        source: fingerprints,
        reads_all: pipeline.streams()?.is_empty(),
        lookback: pipeline.lookback,
    };
    let goal = Goal::default();
    let mut unrecorded = Vec::new();
    std::thread::scope(|scope| {
        let reader: &LogReader = &log;
        let deliveries: Vec<_> = ready
            .into_iter()
            .map(|ready| {
                let (goal, given_up) = (&goal, &given_up);
                let name = ready.name.clone();
                let work = move || deliver(ready, reader, goal, reporter, stop, given_up);
                (name, scope.spawn(work))
            })
            .collect();
        let log = &log;
        let (around, retry, left) = (&around, pipeline.retry, &mut unrecorded);
        let reading = scope.spawn(move || read(log, source, around, retry, left));
        let mut tending = Tending::new(pipeline, log, reporter);
        while !reading.is_finished() {
            std::thread::sleep(LOOK_EVERY);
            tending.tend();
        }
        match reading.join() {
            Ok(Ok(Ended::Complete)) => {}
            Ok(Ok(Ended::Stopped)) => outcome.is_stopped = true,
            Ok(Err(failure)) => outcome.source = Some(failure),
            Err(_) => outcome.source = Some(Failure::permanent("the source's thread panicked")),
        }
        goal.set(log.end().map_or(Sequence::NONE, |end| end.sequence));
        while deliveries.iter().any(|(_, thread)| !thread.is_finished()) {
            std::thread::sleep(LOOK_EVERY);
            tending.tend();
        }
        for (name, thread) in deliveries {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => outcome.destinations.push((name, failure)),
                Err(_) => {
                    outcome.destinations.push((name, Failure::permanent("its thread panicked")));
                }
            }
        }
    });
    outcome.is_stopped |= stop.is_asked();
    tending::prune(&log, pipeline, reporter);
    log.close()?;
    if !unrecorded.is_empty()
        && let Err(failure) = runs::put_beyond_cap(&pipeline.log, pipeline.storage.config(), &unrecorded)
    {
        reporter.warning(format!("how this run ended is not on record: {failure}"));
    }
    Ok(outcome)
}

fn lock(given_up: &GivenUp) -> MutexGuard<'_, BTreeSet<String>> {
    given_up.lock().unwrap_or_else(PoisonError::into_inner)
}

fn deliver(
    ready: Ready,
    log: &LogReader,
    goal: &Goal,
    reporter: &Reporter,
    stop: &Stop,
    given_up: &GivenUp,
) -> Result<()> {
    let Ready { name, delivery, letters, trouble, mut destination, feed } = ready;
    let (delivery, letters) = (&delivery, &letters);
    let deliverer = Deliverer { name: &name, log, delivery, letters, trouble, goal, reporter, stop };
    let delivered = deliverer.run(feed, &mut *destination);
    if delivered.is_err() {
        lock(given_up).insert(name);
    }
    delivered
}

/// Delivers one destination of a pipeline, from whatever process, until somebody asks to stop; or, if `until_end`, until it has
/// what is in the log now.
pub fn deliver_only(
    pipeline: &Pipeline,
    name: &str,
    until_end: bool,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<()> {
    let (delivery, section) = pipeline.destination(name)?;
    let mut destination = destination(pipeline, name, section, reporter, stop)?;
    let log = LogReader::open(&pipeline.log)?;
    let goal = Goal::default();
    if until_end {
        goal.set(log.end().map_or(Sequence::NONE, |end| end.sequence));
    }
    let letters = pipeline.dead_letters(name, &delivery);
    let deliverer = Deliverer {
        name,
        log: &log,
        delivery: &delivery,
        letters: &letters,
        trouble: TroubleFile::new(&pipeline.work, name),
        goal: &goal,
        reporter,
        stop,
    };
    let feed = deliverer.open(&mut *destination)?;
    rules::write_down(pipeline, reporter)?;
    let mut monitor = Monitor::new(pipeline, Some(name), &log, reporter);
    std::thread::scope(|scope| {
        let delivering = scope.spawn(|| deliverer.run(feed, &mut *destination));
        while !delivering.is_finished() {
            std::thread::sleep(LOOK_EVERY);
            monitor.look();
        }
        delivering.join().unwrap_or_else(|_| Err(Failure::permanent("its thread panicked")))
    })
}
