//! W2: a checkpoint of 10 records of 200 B and a state of 500 B, durable, in a steady state.

use super::commits::{Shape, measure};
use super::{Better, Workload};
use crate::engine::Life;

pub(super) const STEADY: Workload = Workload {
    id: "W2",
    title: "a checkpoint of 10 x 200 B and a state of 500 B",
    headline: "p50_us",
    better: Better::Lower,
    columns: &["p10_us", "p50_us", "p99_us"],
    takes: |contender| contender.writes,
    run: |job| {
        let setup = job.setup(Life::Steady, Shape::SMALL.record_bytes);
        measure(job, &setup, Shape::SMALL, job.amount(20_000, 1000))
    },
    counted: true,
    on_request: false,
};
