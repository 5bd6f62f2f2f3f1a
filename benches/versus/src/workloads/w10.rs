//! W10: rewriting by key what 1 GiB of rows left of 100,000 keys.

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::{Better, Workload};
use crate::engine::{Keyed, Life};
use crate::job::Job;
use crate::measure::{Figures, mb_s, mib};
use crate::{disk, process};

pub(super) const COMPACT: Workload = Workload {
    id: "W10",
    title: "keyed compaction of 1 GiB of 1 KiB rows, 90% overwritten",
    headline: "mb_s",
    better: Better::Higher,
    columns: &["mb_s", "took_ms", "left_mib", "grown_mib"],
    takes: |contender| contender.keyed.is_some(),
    run,
    counted: false,
    on_request: false,
};

const ROW_BYTES: usize = 1024;
/// Each key comes so often.
const ROUNDS: u64 = 10;
const ROWS_PER_COMMIT: u64 = 1000;
/// No factor of any number of keys here, so a step of it comes to each key once a round.
const STEP: u64 = 1_000_003;

fn run(job: &Job) -> Result<Figures> {
    let keys = job.amount(100_000, 2_000);
    let setup = job.setup(Life::Growing, ROW_BYTES);
    let Some(open) = job.contender.keyed else { bail!("{} has no keys", job.contender.name) };
    let mut rows = open(&setup)?;
    for number in 0..keys * ROUNDS {
        rows.put(key(number, keys), job.data.record(number, ROW_BYTES))?;
        if (number + 1) % ROWS_PER_COMMIT == 0 {
            rows.commit()?;
        }
    }
    let memory_before = process::peak_memory();
    let begun = Instant::now();
    rows.rewrite()?;
    let took = begun.elapsed();
    let grown = process::peak_memory() - memory_before;
    // Files go one after another, behind its back.
    let (_, left) = disk::settle(&setup.dir, begun)?;
    let bytes = keys * ROUNDS * ROW_BYTES as u64;
    check(job, &mut *rows, keys)?;
    Ok(Figures::from([
        ("mb_s".into(), mb_s(bytes, took)),
        ("took_ms".into(), took.as_secs_f64() * 1e3),
        ("left_mib".into(), mib(left)),
        ("grown_mib".into(), mib(grown)),
    ]))
}

fn key(number: u64, keys: u64) -> u64 {
    (number % keys) * STEP % keys
}

/// Of each key the last row is left, once, and nothing else.
fn check(job: &Job, rows: &mut dyn Keyed, keys: u64) -> Result<()> {
    let mut seen = vec![false; keys as usize];
    let (mut wrong, mut twice) = (0u64, 0u64);
    let last: Vec<u64> = {
        let mut last = vec![0; keys as usize];
        (keys * (ROUNDS - 1)..keys * ROUNDS).for_each(|number| last[key(number, keys) as usize] = number);
        last
    };
    rows.rows(&mut |key, row| {
        let key = key as usize;
        twice += u64::from(std::mem::replace(&mut seen[key], true));
        wrong += u64::from(row != job.data.record(last[key], ROW_BYTES));
    })?;
    let missing = seen.iter().filter(|seen| !**seen).count();
    ensure!(
        wrong + twice + missing as u64 == 0,
        "{wrong} rows are wrong, {twice} come twice, {missing} are missing"
    );
    Ok(())
}
