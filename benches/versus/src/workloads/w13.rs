//! W13: W1 to W3 on storage whose flush takes 2 ms longer, as a cloud disk's: what are group commit and streaming worth there?

use std::time::Duration;

use super::commits::{self, Shape};
use super::{Better, Workload, w3};
use crate::engine::{Life, Setup};
use crate::job::Job;

pub(super) const ALL: [Workload; 4] = [
    LARGE,
    Workload {
        id: "W13-W2",
        title: "W2 on storage whose flush takes 2 ms",
        run: |job| commits::measure(job, &setup(job, Shape::SMALL), Shape::SMALL, job.amount(500, 20)),
        ..LARGE
    },
    Workload {
        id: "W13-W3x1",
        title: "W3 from one thread on such storage",
        run: |job| threads(job, 1),
        ..MANY
    },
    Workload {
        id: "W13-W3x8",
        title: "W3 from eight threads on such storage",
        run: |job| threads(job, 8),
        ..MANY
    },
];

const LARGE: Workload = Workload {
    id: "W13-W1",
    title: "W1a on storage whose flush takes 2 ms",
    headline: "p50_us",
    better: Better::Lower,
    columns: &["p10_us", "p50_us", "p99_us"],
    takes: |contender| contender.writes && contender.slow_flush,
    run: |job| commits::measure(job, &setup(job, Shape::LARGE), Shape::LARGE, job.amount(500, 20)),
    counted: false,
    on_request: false,
};

const MANY: Workload = Workload {
    headline: "commits_s",
    better: Better::Higher,
    columns: &["commits_s", "p50_us", "p99_us"],
    takes: |contender| contender.writes && contender.slow_flush && contender.threads,
    ..LARGE
};

const DELAY: Duration = Duration::from_millis(2);

fn setup(job: &Job, shape: Shape) -> Setup {
    Setup { flush_delay: DELAY, ..job.setup(Life::Steady, shape.record_bytes) }
}

fn threads(job: &Job, threads: usize) -> anyhow::Result<crate::measure::Figures> {
    w3::measure(job, &setup(job, Shape::STATE), threads)
}
