//! W7: what a byte of payload costs on disk, allocated blocks counted, and in memory.

use anyhow::Result;

use super::commits::{Checkpoints, Shape};
use super::{Better, Workload};
use crate::engine::{Flush, Life};
use crate::job::Job;
use crate::measure::{Figures, mib};
use crate::{disk, process};

pub(super) const ALL: [Workload; 2] = [
    LARGE,
    Workload {
        id: "W7b",
        title: "disk for 20,000 checkpoints of 10 x 200 B",
        run: |job| run(job, Shape::SMALL, job.amount(20_000, 1000)),
        ..LARGE
    },
];

const LARGE: Workload = Workload {
    id: "W7a",
    title: "disk for 512 checkpoints of 1,000 x 1 KiB",
    headline: "disk_per_byte",
    better: Better::Lower,
    columns: &["disk_per_byte", "disk_mib", "payload_mib", "grown_mib"],
    takes: |contender| contender.replay.is_some() && contender.writes,
    run: |job| run(job, Shape::LARGE, job.amount(512, 32)),
    counted: false,
    on_request: false,
};

fn run(job: &Job, shape: Shape, count: u64) -> Result<Figures> {
    let memory_before = process::peak_memory();
    let setup = job.setup(Life::Growing, shape.record_bytes);
    let engine = (job.contender.open)(&setup)?;
    let mut checkpoints = Checkpoints::new(&*engine, &job.data, shape, 0)?;
    for _ in 0..count {
        checkpoints.commit(Flush::Yes)?;
    }
    drop(checkpoints);
    drop(engine);
    let (disk, payload) = (disk::allocated(&setup.dir)?, count * shape.payload());
    Ok(Figures::from([
        ("disk_per_byte".into(), disk as f64 / payload as f64),
        ("disk_mib".into(), mib(disk)),
        ("payload_mib".into(), mib(payload)),
        ("grown_mib".into(), mib(process::peak_memory() - memory_before)),
    ]))
}
