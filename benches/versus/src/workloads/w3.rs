//! W3: a state of 200 B and nothing else, from 1, 2, 4, 8 threads at once: who shares flushes?

use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::commits::{Checkpoints, Shape, settle};
use super::{Better, Workload};
use crate::engine::{Engine, Flush, Life, Setup};
use crate::flushes;
use crate::job::{Extent, Job};
use crate::measure::{Figures, Latencies};

pub(super) const ALL: [Workload; 4] = [
    ONE,
    Workload { id: "W3x2", title: "a state of 200 B from 2 threads", run: |job| run(job, 2), ..MANY },
    Workload { id: "W3x4", title: "a state of 200 B from 4 threads", run: |job| run(job, 4), ..MANY },
    Workload { id: "W3x8", title: "a state of 200 B from 8 threads", run: |job| run(job, 8), ..MANY },
];

const ONE: Workload = Workload {
    id: "W3x1",
    title: "a state of 200 B from one thread",
    headline: "commits_s",
    better: Better::Higher,
    columns: &["commits_s", "p50_us", "p99_us"],
    takes: |contender| contender.writes,
    run: |job| run(job, 1),
    counted: true,
    on_request: false,
};

const MANY: Workload = Workload { takes: |contender| contender.writes && contender.threads, ..ONE };

fn run(job: &Job, threads: usize) -> Result<Figures> {
    measure(job, &job.setup(Life::Steady, Shape::STATE.record_bytes), threads)
}

/// So many threads for a fixed time.
pub(super) fn measure(job: &Job, setup: &Setup, threads: usize) -> Result<Figures> {
    let engine = (job.contender.open)(setup)?;
    if job.extent != Extent::Counted {
        settle(&*engine, job)?;
    }
    let time = job.amount(Duration::from_secs(2), Duration::from_millis(300));
    let together = Together { engine: &*engine, job, start: Barrier::new(threads + 1), time };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let together = &together;
                    move || together.commit(thread)
                })
            })
            .collect();
        together.start.wait();
        let window = flushes::Window::open(&setup.dir);
        let begun = Instant::now();
        let mut latencies = Latencies::default();
        for thread in all {
            latencies.merge(thread.join().map_err(|_| anyhow!("a committing thread panicked"))??);
        }
        let took = begun.elapsed();
        let mut figures = Figures::new();
        window.close(latencies.len() as u64, &mut figures);
        latencies.report(&mut figures);
        figures.insert("commits_s".into(), latencies.len() as f64 / took.as_secs_f64());
        Ok(figures)
    })
}

struct Together<'a> {
    engine: &'a dyn Engine,
    job: &'a Job,
    start: Barrier,
    time: Duration,
}

impl Together<'_> {
    /// What one thread does.
    fn commit(&self, thread: usize) -> Result<Latencies> {
        let mut checkpoints = Checkpoints::new(self.engine, &self.job.data, Shape::STATE, thread);
        if let Ok(checkpoints) = &mut checkpoints {
            checkpoints.commit(Flush::Yes)?;
        }
        self.start.wait(); // also after an error: the others wait, too
        let mut checkpoints = checkpoints?;
        let mut latencies = Latencies::default();
        let begun = Instant::now();
        while begun.elapsed() < self.time {
            latencies.time(|| checkpoints.commit(Flush::Yes))?;
        }
        Ok(latencies)
    }
}
