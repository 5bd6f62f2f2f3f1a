//! W5: open what a killed process left behind.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::commits::{Checkpoints, Shape, fill};
use super::{Better, Workload};
use crate::engine::{Life, Setup};
use crate::job::{Extent, Job};
use crate::measure::{Figures, mib};
use crate::{disk, process};

pub(super) const ALL: [Workload; 6] = [
    GIBIBYTE_WARM,
    Workload { id: "W5-1GiB-cold", title: "open after a kill, 1 GiB, nothing of it cached", ..GIBIBYTE_WARM },
    Workload { id: "W5-64MiB-warm", title: "open after a kill, 64 MiB, all cached", ..GIBIBYTE_WARM },
    Workload { id: "W5-64MiB-cold", title: "open after a kill, 64 MiB, nothing of it cached", ..GIBIBYTE_WARM },
    Workload { id: "W5-8GiB-warm", title: "open after a kill, 8 GiB, all cached", ..ON_REQUEST },
    Workload { id: "W5-8GiB-cold", title: "open after a kill, 8 GiB, nothing of it cached", ..ON_REQUEST },
];

const GIBIBYTE_WARM: Workload = Workload {
    id: "W5-1GiB-warm",
    title: "open after a kill, 1 GiB, all cached",
    headline: "open_ms",
    better: Better::Lower,
    columns: &["open_ms", "read_mib", "written_mib", "from_device_mib"],
    takes: |contender| contender.replay.is_some() && contender.writes,
    run,
    counted: false,
    on_request: false,
};

const ON_REQUEST: Workload = Workload { on_request: true, ..GIBIBYTE_WARM };

/// What the process says that is to be killed.
const READY: &str = "full";

fn run(job: &Job) -> Result<Figures> {
    fill_and_kill(job)?;
    let dropped = job.workload.ends_with("cold") && disk::drop_caches(&job.engine_dir())?;
    let setup = job.setup(Life::Growing, Shape::LARGE.record_bytes);
    let before = process::io()?;
    let begun = Instant::now();
    let engine = (job.contender.open)(&setup)?;
    let took = begun.elapsed();
    let after = process::io()?;
    drop(engine);
    check(job, &setup)?;
    Ok(Figures::from([
        ("open_ms".into(), took.as_secs_f64() * 1e3),
        ("read_mib".into(), mib(after.read - before.read)),
        ("written_mib".into(), mib(after.written - before.written)),
        ("from_device_mib".into(), mib(after.from_device - before.from_device)),
        ("all_caches_dropped".into(), f64::from(u8::from(dropped))),
    ]))
}

/// Nobody wins by not finding what was committed.
fn check(job: &Job, setup: &Setup) -> Result<()> {
    let Some(replay) = job.contender.replay else { bail!("{} can't replay", job.contender.name) };
    let committed = bytes(job)?.div_ceil(Shape::LARGE.payload()) * Shape::LARGE.records;
    let mut found = 0;
    replay(setup, &mut |_| found += 1)?;
    ensure!(found == committed, "{found} of {committed} records were there after the kill");
    Ok(())
}

/// Another process fills the engine and begins one checkpoint more; then it is killed.
fn fill_and_kill(job: &Job) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["fill", "--engine", job.contender.name, "--workload", job.workload, "--dir"]).arg(&job.dir);
    if job.extent != Extent::Full {
        command.arg("--quick");
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
    child.kill()?;
    child.wait()?;
    ensure!(line.trim() == READY, "the filling process ended by itself");
    Ok(())
}

/// What that process does. It does not return.
pub(crate) fn fill_and_wait(job: &Job) -> Result<()> {
    let engine = (job.contender.open)(&job.setup(Life::Growing, Shape::LARGE.record_bytes))?;
    fill(&*engine, job, bytes(job)?)?;
    let mut torn = Checkpoints::new(&*engine, &job.data, Shape::LARGE, 0)?;
    torn.append()?;
    println!("{READY}");
    std::io::stdout().flush()?;
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn bytes(job: &Job) -> Result<u64> {
    let full = match job.workload.split('-').nth(1) {
        Some("64MiB") => 64 << 20,
        Some("1GiB") => 1 << 30,
        Some("8GiB") => 8 << 30,
        other => bail!("{other:?} is no size"),
    };
    Ok(job.amount(full, full / 16))
}
