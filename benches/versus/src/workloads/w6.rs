//! W6: read all of it back, every byte that is shown verified (by whoever verifies), opening included.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::commits::{Checkpoints, Shape, fill};
use super::{Better, Workload};
use crate::data::Data;
use crate::engine::Life;
use crate::engines::Kind;
use crate::job::Job;
use crate::measure::{Figures, mb_s};

pub(super) const ALL: [Workload; 2] = [BY_COPY, BY_MAP];

const BY_COPY: Workload = Workload {
    id: "W6-copy",
    title: "read back 1 GiB of 1 KiB records, cached; LMDB (by map) and SQLite verify nothing",
    headline: "mb_s",
    better: Better::Higher,
    columns: &["mb_s"],
    takes: |contender| {
        contender.replay.is_some() && !["highwater-map", "raw-map-crc"].contains(&contender.name)
    },
    run,
    counted: false,
    on_request: false,
};

const BY_MAP: Workload = Workload {
    id: "W6-map",
    title: "read back 1 GiB of 1 KiB records, cached, by memory map; LMDB verifies nothing",
    takes: |contender| ["highwater-map", "raw-map-crc", "lmdb"].contains(&contender.name),
    ..BY_COPY
};

fn run(job: &Job) -> Result<Figures> {
    let setup = job.setup(Life::Growing, Shape::LARGE.record_bytes);
    let bytes = job.amount(1 << 30, 32 << 20);
    let engine = (job.contender.open)(&setup)?;
    let records = match job.contender.kind {
        Kind::Limit => fill_with_records_alone(&*engine, job, bytes)?,
        _ => fill(&*engine, job, bytes)?,
    };
    drop(engine);
    let Some(replay) = job.contender.replay else { anyhow::bail!("{} can't replay", job.contender.name) };
    let mut seen = Seen::new(&job.data);
    let begun = Instant::now();
    replay(&setup, &mut |record| seen.glance(record))?;
    let took = begun.elapsed();
    seen.check(records)?;
    let mut compared = Seen::new(&job.data);
    replay(&setup, &mut |record| compared.compare(record))?;
    compared.check(records)?;
    ensure!(seen.sum == compared.sum, "other records came back than were appended");
    Ok(Figures::from([("mb_s".into(), mb_s(seen.bytes, took))]))
}

/// Raw files know no kinds: what is read back as a record has to be one.
fn fill_with_records_alone(engine: &dyn crate::engine::Engine, job: &Job, bytes: u64) -> Result<u64> {
    let mut checkpoints = Checkpoints::new(engine, &job.data, Shape::LARGE, 0)?;
    let count = bytes.div_ceil(Shape::LARGE.payload());
    for _ in 0..count {
        checkpoints.commit_records()?;
    }
    Ok(count * Shape::LARGE.records)
}

/// What was shown, against what was appended.
struct Seen<'a> {
    data: &'a Data,
    records: u64,
    bytes: u64,
    wrong: u64,
    /// Of a byte of each cache line.
    sum: u64,
}

impl<'a> Seen<'a> {
    const CACHE_LINE: usize = 64;

    fn new(data: &'a Data) -> Self {
        Seen { data, records: 0, bytes: 0, wrong: 0, sum: 0 }
    }

    /// Touches each cache line, as a reader would. Nothing else is touched: a look at what is expected would be a miss of the
    /// cache for each record, and most of what is measured.
    fn glance(&mut self, record: &[u8]) {
        self.sum += Self::touch(record);
        self.records += 1;
        self.bytes += record.len() as u64;
    }

    /// Compares every byte; and adds up what a glance at the right record gives.
    fn compare(&mut self, record: &[u8]) {
        let expected = self.data.record(self.records, record.len());
        self.wrong += u64::from(record != expected);
        self.sum += Self::touch(expected);
        self.records += 1;
    }

    fn touch(record: &[u8]) -> u64 {
        record.iter().step_by(Self::CACHE_LINE).map(|byte| u64::from(*byte)).sum()
    }

    fn check(&self, records: u64) -> Result<()> {
        ensure!(self.records == records, "{} records came back, not {records}", self.records);
        ensure!(self.wrong == 0, "{} of {records} records came back wrong", self.wrong);
        Ok(())
    }
}
