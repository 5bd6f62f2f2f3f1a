//! W4: append as fast as can be into a new directory, one checkpoint and one flush at the end, everything stays.

use std::time::Instant;

use anyhow::Result;

use super::commits::{Checkpoints, Shape};
use super::{Better, Workload};
use crate::engine::{Flush, Life};
use crate::job::Job;
use crate::measure::{Figures, mb_s, mib};
use crate::process;

pub(super) const ALL: [Workload; 2] = [
    KIBIBYTE,
    Workload {
        id: "W4b",
        title: "256 MiB of 100 B records, one flush at the end",
        run: |job| run(job, 100, job.amount(256 << 20, 16 << 20)),
        ..KIBIBYTE
    },
];

const KIBIBYTE: Workload = Workload {
    id: "W4a",
    title: "1 GiB of 1 KiB records, one flush at the end",
    headline: "mb_s",
    better: Better::Higher,
    columns: &["mb_s", "before_flush_mb_s", "grown_mib"],
    takes: |contender| contender.writes && contender.retains,
    run: |job| run(job, 1024, job.amount(1 << 30, 64 << 20)),
    counted: false,
    on_request: false,
};

/// Who can't keep so much uncommitted commits without a flush after so many records.
const BATCH: u64 = 1000;

fn run(job: &Job, record_bytes: usize, bytes: u64) -> Result<Figures> {
    let engine = (job.contender.open)(&job.setup(Life::Bulk, record_bytes))?;
    let shape = Shape { records: BATCH, record_bytes, state_bytes: 1024 };
    let mut checkpoints = Checkpoints::new(&*engine, &job.data, shape, 0)?;
    let batches = bytes / (BATCH * record_bytes as u64);
    let memory_before = process::peak_memory();
    let begun = Instant::now();
    for _ in 1..batches {
        checkpoints.commit(Flush::No)?;
    }
    let appended = begun.elapsed();
    checkpoints.commit(Flush::Yes)?;
    let took = begun.elapsed();
    let written = batches * BATCH * record_bytes as u64;
    Ok(Figures::from([
        ("mb_s".into(), mb_s(written, took)),
        ("before_flush_mb_s".into(), mb_s(written, appended)),
        ("grown_mib".into(), mib(process::peak_memory() - memory_before)),
    ]))
}
