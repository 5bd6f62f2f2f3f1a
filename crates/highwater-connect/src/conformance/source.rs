//! The suite for sources: read whole, and interrupted at every checkpoint.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater::{Config, Log};

use super::Finding;
use crate::bookkeeping;
use crate::event::{Event, Observer, Reporter};
use crate::output::{Output, Surroundings};
use crate::pipeline::{CheckpointPolicy, SchemaPolicy, Secrets};
use crate::source::Source;
use crate::stop::{Stop, Urgency};

/// What a source does when it goes on from a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// It sends exactly what follows.
    None,
    /// It may send some again, as sources do whose cursor is a time.
    Allowed,
}

/// For sources that leave it to us: a state after so many records.
const EVERY_RECORDS: u64 = 1000;
/// So many interruptions are tried at most.
const CUTS_MAX: u64 = 20;

/// Runs the suite. `make` gives a source on the same data each time, as another process would make it; `directory` is an empty
/// one for logs. The source has to come to an end by itself.
pub fn source(
    directory: &std::path::Path,
    overlap: Overlap,
    mut make: impl FnMut() -> Box<dyn Source>,
) -> Result<(), Finding> {
    let whole = World::open(&directory.join("whole.hw"))?;
    let checkpoints = whole.read(&mut *make(), None).map_err(|e| format!("read whole: {e}"))?;
    let expected = whole.rows()?;
    if expected.values().all(Vec::is_empty) {
        return Err("the source sends nothing, which shows nothing".to_owned());
    }
    for cut in 1..checkpoints.min(CUTS_MAX) {
        for urgency in [Urgency::Soon, Urgency::Now] {
            let name = format!("stopped ({urgency:?}) at checkpoint {cut}");
            let world = World::open(&directory.join(format!("cut-{cut}-{urgency:?}.hw")))?;
            world.read(&mut *make(), Some((cut, urgency))).map_err(|e| format!("{name}: {e}"))?;
            let half = world.rows()?;
            world.read(&mut *make(), None).map_err(|e| format!("{name}, read on: {e}"))?;
            let found = world.rows()?;
            compare(&expected, &half, &found, overlap).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    Ok(())
}

type Rows = BTreeMap<String, Vec<Vec<u8>>>;

fn compare(expected: &Rows, half: &Rows, found: &Rows, overlap: Overlap) -> Result<(), Finding> {
    for (stream, expected) in expected {
        let found = found.get(stream).map_or(&[][..], Vec::as_slice);
        let committed = half.get(stream).map_or(0, Vec::len);
        let is_same = match overlap {
            Overlap::None => found == expected,
            Overlap::Allowed => expected.iter().all(|row| found.contains(row)),
        };
        if !is_same {
            return Err(format!(
                "stream {stream}: read whole it has {} records; read on after {committed} it has {}, and they differ",
                expected.len(),
                found.len(),
            ));
        }
    }
    Ok(())
}

/// A log that a source is read into.
struct World(Log);

/// Asks to stop at a checkpoint with records.
struct Cutter {
    stop: Stop,
    cut: Option<(u64, Urgency)>,
    checkpoints: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Observer for Cutter {
    fn event(&self, event: Event) {
        match event {
            Event::Committed { records, .. } if records > 0 => {
                let number = self.checkpoints.fetch_add(1, Ordering::Relaxed) + 1;
                if let Some((_, urgency)) = self.cut.filter(|(cut, _)| *cut == number) {
                    self.stop.ask(urgency);
                }
            }
            Event::Failed { text, .. } => {
                self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
            _ => {}
        }
    }
}

impl World {
    fn open(path: &std::path::Path) -> Result<World, Finding> {
        Log::open(path, Config::default()).map(|(log, _)| World(log)).map_err(|e| e.to_string())
    }

    /// Reads to the end, or to the cut; how many checkpoints with records there were.
    fn read(&self, source: &mut dyn Source, cut: Option<(u64, Urgency)>) -> Result<u64, Finding> {
        let stop = Stop::default();
        let checkpoints = AtomicU64::new(0);
        let cutter = Arc::new(Cutter { stop: stop.clone(), cut, checkpoints, failures: Mutex::default() });
        let around = Surroundings {
            policy: CheckpointPolicy {
                min_interval: Duration::ZERO,
                every_records: EVERY_RECORDS,
                ..CheckpointPolicy::default()
            },
            reporter: Reporter::new(cutter.clone(), Secrets::default()),
            stop: stop.clone(),
            waits_when_full: true,
            destinations: Default::default(),
            given_up: Arc::default(),
            labels: Vec::new(),
            schema: SchemaPolicy::default(),
            source: BTreeMap::new(),
            reads_all: true,
            lookback: None,
        };
        let text = |failure: crate::Failure| failure.to_string();
        let offers = source.streams().map_err(text)?;
        let mut out = Output::begin(&self.0, &offers, &around).map_err(text)?;
        let from = out.resume_from().map_err(text)?;
        match source.read(&from, &mut out) {
            Ok(()) if !stop.is_asked() => out.finish().map_err(text)?,
            Ok(()) => out.settle().map_err(text)?,
            Err(failure) if failure.kind() == crate::FailureKind::Cancelled && stop.is_asked() => {
                out.settle().map_err(text)?;
            }
            Err(failure) => return Err(failure.to_string()),
        }
        Ok(cutter.checkpoints.load(Ordering::Relaxed))
    }

    /// What is committed, by stream.
    fn rows(&self) -> Result<Rows, Finding> {
        let mut rows = Rows::new();
        let Some(end) = self.0.end() else { return Ok(rows) };
        let mut reader = self.0.reader(self.0.first()).map_err(|e| e.to_string())?;
        while reader.next_sequence() <= end.sequence {
            let Some(checkpoint) = reader.next().map_err(|e| e.to_string())? else { break };
            for counts in checkpoint.streams().iter().filter(|counts| !bookkeeping::is_ours(&counts.name)) {
                let into = rows.entry(counts.name.to_string()).or_default();
                for record in checkpoint.records_of(counts.stream) {
                    into.push(record.map_err(|e| e.to_string())?.payload.to_vec());
                }
            }
        }
        Ok(rows)
    }
}
