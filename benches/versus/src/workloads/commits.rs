//! Committing one checkpoint after another: what most workloads are made of.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::data::Data;
use crate::engine::{Engine, Flush, Life, Session, Setup};
use crate::flushes;
use crate::job::{Extent, Job};
use crate::measure::{Figures, Latencies, mb_s};

/// What a checkpoint holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) records: u64,
    pub(super) record_bytes: usize,
    pub(super) state_bytes: usize,
}

impl Shape {
    /// W1: a page of a large extraction.
    pub(super) const LARGE: Shape = Shape { records: 1000, record_bytes: 1024, state_bytes: 1024 };
    /// W2: what changed in the last second.
    pub(super) const SMALL: Shape = Shape { records: 10, record_bytes: 200, state_bytes: 500 };
    /// W3: a cursor alone.
    pub(super) const STATE: Shape = Shape { records: 0, record_bytes: 200, state_bytes: 200 };

    /// Records and state of one checkpoint.
    pub(super) fn payload(self) -> u64 {
        self.records * self.record_bytes as u64 + self.state_bytes as u64
    }
}

/// Different states, made beforehand: making one is not part of committing it.
const STATES: u64 = 16;
/// What is written between two prunings: a segment of most logs.
const PRUNED_BYTES: u64 = 64 << 20;
/// What stays.
pub(super) const KEPT_CHECKPOINTS: u64 = 10;
/// Before a steady state is measured, so much goes through: whoever recycles has something to recycle.
const SETTLING_BYTES: u64 = 320 << 20;
/// However slow somebody is.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Commits checkpoints of one shape on one thread.
pub(super) struct Checkpoints<'a> {
    session: Box<dyn Session + 'a>,
    data: &'a Data,
    shape: Shape,
    thread: usize,
    states: Vec<Vec<u8>>,
    records: u64,
    committed: u64,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(engine: &'a dyn Engine, data: &'a Data, shape: Shape, thread: usize) -> Result<Self> {
        let states = (0..STATES).map(|index| data.state(index, shape.state_bytes)).collect();
        let session = engine.session(thread)?;
        Ok(Checkpoints { session, data, shape, thread, states, records: 0, committed: 0 })
    }

    /// From the first record's arrival to the commit's return.
    pub(super) fn commit(&mut self, flush: Flush) -> Result<()> {
        self.append()?;
        let state = &self.states[(self.committed % STATES) as usize];
        self.committed += 1;
        self.session.commit(&[(self.thread, state)], flush)
    }

    /// A checkpoint of records alone.
    pub(super) fn commit_records(&mut self) -> Result<()> {
        self.append()?;
        self.session.commit(&[], Flush::Yes)
    }

    /// A checkpoint's records, without a commit.
    pub(super) fn append(&mut self) -> Result<()> {
        for _ in 0..self.shape.records {
            self.session.append(self.data.record(self.records, self.shape.record_bytes))?;
            self.records += 1;
        }
        Ok(())
    }
}

/// Commits of one thread, measured.
pub(super) fn measure(job: &Job, setup: &Setup, shape: Shape, count: u64) -> Result<Figures> {
    let engine = (job.contender.open)(setup)?;
    let steady = setup.life == Life::Steady;
    if steady && job.extent != Extent::Counted {
        settle(&*engine, job)?;
    }
    let mut checkpoints = Checkpoints::new(&*engine, &job.data, shape, 0)?;
    for _ in 0..count.div_ceil(10).min(500) {
        checkpoints.commit(Flush::Yes)?;
    }
    let mut latencies = Latencies::default();
    let mut pruning = Duration::ZERO;
    let mut unpruned = 0;
    let window = flushes::Window::open(&setup.dir);
    let begun = Instant::now();
    for _ in 0..count {
        latencies.time(|| checkpoints.commit(Flush::Yes))?;
        unpruned += shape.payload();
        if steady && unpruned >= PRUNED_BYTES {
            pruning += timed(|| engine.prune(KEPT_CHECKPOINTS))?;
            unpruned = 0;
        }
        if begun.elapsed() > TIME_MAX {
            break;
        }
    }
    let took = begun.elapsed();
    let commits = latencies.len() as u64;
    let mut figures = Figures::new();
    window.close(commits, &mut figures);
    latencies.report(&mut figures);
    figures.insert("mb_s".into(), mb_s(commits * shape.payload(), took));
    if steady {
        figures.insert("prune_us".into(), pruning.as_secs_f64() * 1e6 / commits as f64);
    }
    Ok(figures)
}

/// Brings an engine into its steady state: large checkpoints, pruned as they come. The thread that will measure is
/// another, so the session of this one may own its stream.
pub(super) fn settle(engine: &dyn Engine, job: &Job) -> Result<()> {
    let mut checkpoints = Checkpoints::new(engine, &job.data, Shape::LARGE, 0)?;
    let bytes = job.amount(SETTLING_BYTES, SETTLING_BYTES / 10);
    let mut unpruned = 0;
    for _ in 0..bytes / Shape::LARGE.payload() {
        checkpoints.commit(Flush::Yes)?;
        unpruned += Shape::LARGE.payload();
        if unpruned >= PRUNED_BYTES.min(bytes / 4) {
            engine.prune(KEPT_CHECKPOINTS)?;
            unpruned = 0;
        }
    }
    drop(checkpoints);
    engine.prune(KEPT_CHECKPOINTS)
}

/// Fills an engine with checkpoints that stay, at least so many bytes; says how many records that were.
pub(super) fn fill(engine: &dyn Engine, job: &Job, bytes: u64) -> Result<u64> {
    let shape = Shape::LARGE;
    let mut checkpoints = Checkpoints::new(engine, &job.data, shape, 0)?;
    let count = bytes.div_ceil(shape.payload());
    for _ in 0..count {
        checkpoints.commit(Flush::Yes)?;
    }
    Ok(count * shape.records)
}

/// How long something took.
pub(super) fn timed(operation: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    operation()?;
    Ok(begun.elapsed())
}
