//! W8: drop all but the last 10 checkpoints of 1 GiB, while another thread commits.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::commits::{Checkpoints, KEPT_CHECKPOINTS, Shape, fill, timed};
use super::{Better, Workload};
use crate::disk;
use crate::engine::{Engine, Flush, Life};
use crate::job::Job;
use crate::measure::{Figures, Latencies, mib};

pub(super) const PRUNE: Workload = Workload {
    id: "W8",
    title: "drop all but the last 10 checkpoints of 1 GiB, while W2 goes on",
    headline: "call_ms",
    better: Better::Lower,
    columns: &["call_ms", "settled_ms", "left_mib", "quiet_p99_us", "meanwhile_p99_us"],
    takes: |contender| contender.replay.is_some() && contender.writes && contender.prunes,
    run,
    counted: false,
    on_request: false,
};

/// What the committing thread is to do.
const QUIET: u8 = 0;
const MEANWHILE: u8 = 1;
const STOP: u8 = 2;

fn run(job: &Job) -> Result<Figures> {
    let setup = job.setup(Life::Steady, Shape::LARGE.record_bytes);
    let engine = (job.contender.open)(&setup)?;
    fill(&*engine, job, job.amount(1 << 30, 64 << 20))?;
    let phase = AtomicU8::new(QUIET);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| commit(&*engine, job, &phase));
        std::thread::sleep(job.amount(Duration::from_secs(2), Duration::from_millis(200)));
        phase.store(MEANWHILE, Ordering::Release);
        let begun = Instant::now();
        let pruned = timed(|| engine.prune(KEPT_CHECKPOINTS));
        let settled = disk::settle(&setup.dir, begun);
        phase.store(STOP, Ordering::Release);
        let [mut quiet, mut meanwhile] =
            committing.join().map_err(|_| anyhow!("the committing thread panicked"))??;
        let (settled, left) = settled?;
        Ok(Figures::from([
            ("call_ms".into(), pruned?.as_secs_f64() * 1e3),
            ("settled_ms".into(), settled.as_secs_f64() * 1e3),
            ("left_mib".into(), mib(left)),
            ("quiet_p99_us".into(), quiet.percentile_us(0.99)),
            ("meanwhile_p99_us".into(), meanwhile.percentile_us(0.99)),
        ]))
    })
}

/// Latencies before the pruning, and from then on.
fn commit(engine: &dyn Engine, job: &Job, phase: &AtomicU8) -> Result<[Latencies; 2]> {
    let mut checkpoints = Checkpoints::new(engine, &job.data, Shape::SMALL, 1)?;
    let mut latencies = [Latencies::default(), Latencies::default()];
    loop {
        let phase = phase.load(Ordering::Acquire);
        if phase == STOP {
            return Ok(latencies);
        }
        latencies[usize::from(phase)].time(|| checkpoints.commit(Flush::Yes))?;
    }
}
