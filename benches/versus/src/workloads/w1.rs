//! W1: a checkpoint of 1,000 records of 1 KiB and a state of 1 KiB, durable.

use super::commits::{Shape, measure};
use super::{Better, Workload};
use crate::engine::Life;

pub(super) const STEADY: Workload = Workload {
    id: "W1a",
    title: "a checkpoint of 1,000 x 1 KiB, steady state: old data is deleted as new data comes",
    headline: "p50_us",
    better: Better::Lower,
    columns: &["p10_us", "p50_us", "p99_us", "mb_s", "prune_us"],
    takes: |contender| contender.writes,
    run: |job| {
        let setup = job.setup(Life::Steady, Shape::LARGE.record_bytes);
        measure(job, &setup, Shape::LARGE, job.amount(1000, 40))
    },
    counted: true,
    on_request: false,
};

pub(super) const GROWING: Workload = Workload {
    id: "W1b",
    title: "a checkpoint of 1,000 x 1 KiB, nothing is deleted",
    columns: &["p10_us", "p50_us", "p99_us", "mb_s"],
    takes: |contender| contender.writes && contender.retains,
    run: |job| {
        let setup = job.setup(Life::Growing, Shape::LARGE.record_bytes);
        measure(job, &setup, Shape::LARGE, job.amount(1000, 40))
    },
    counted: false,
    ..STEADY
};
