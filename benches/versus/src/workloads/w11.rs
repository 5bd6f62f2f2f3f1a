//! W11: a consumer follows a live writer, in its process or in another: how long after the commit's return does it have the
//! records, and what does that cost the writer?

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use highwater::{Commit, Config, Consumer, Limit, Log, LogReader, Op, Start, StreamSpec, Writer};
use rustix::time::{ClockId, clock_gettime};

use super::commits::Shape;
use super::{Better, Workload};
use crate::job::Job;
use crate::measure::{Figures, Latencies};

pub(super) const ALL: [Workload; 2] = [
    WITHIN,
    Workload {
        id: "W11-beside",
        title: "W2 with a consumer in another process: delay from commit to delivery",
        run: |job| run(job, from_another_process),
        ..WITHIN
    },
];

const WITHIN: Workload = Workload {
    id: "W11-within",
    title: "W2 with a consumer in the same process: delay from commit to delivery",
    headline: "delay_p50_us",
    better: Better::Lower,
    columns: &["delay_p50_us", "delay_p99_us", "p50_us", "alone_p50_us", "writer_loses_percent"],
    takes: |contender| contender.name == "highwater",
    run: |job| run(job, from_this_process),
    counted: false,
    on_request: false,
};

/// A checkpoint's number and when it was there, on the clock that all processes share.
type Moment = (u64, Duration);

/// Follows a log until a number of checkpoints were delivered; commits are made by the function that it is given.
type Following = fn(&Log, &Path, u64, Committing<'_>) -> Result<(Vec<Moment>, Vec<Moment>)>;
type Committing<'a> = &'a mut dyn FnMut() -> Result<Vec<Moment>>;

fn run(job: &Job, following: Following) -> Result<Figures> {
    let count = job.amount(10_000, 500);
    let dir = job.engine_dir();
    let (log, _) = Log::open(&dir, Config::default())?;
    let stream = log.stream(StreamSpec::new("stream-0"))?;
    let mut writer = log.writer(&[&stream])?;
    let mut alone = Latencies::default();
    commit(job, &mut writer, &stream, count, &mut alone)?;
    let mut followed = Latencies::default();
    let (committed, delivered) =
        following(&log, &dir, count, &mut || commit(job, &mut writer, &stream, count, &mut followed))?;
    ensure!(delivered.len() as u64 == count, "{} of {count} checkpoints were delivered", delivered.len());

    let mut delays = Latencies::default();
    for ((committed, returned), (delivered, there)) in committed.iter().zip(&delivered) {
        ensure!(committed == delivered, "checkpoint {delivered} was delivered in {committed}'s place");
        // A consumer may have it before the writer's thread runs on.
        delays.push(there.saturating_sub(*returned));
    }
    let (alone, with) = (alone.percentile_us(0.5), followed.percentile_us(0.5));
    Ok(Figures::from([
        ("delay_p50_us".into(), delays.percentile_us(0.5)),
        ("delay_p99_us".into(), delays.percentile_us(0.99)),
        ("p50_us".into(), with),
        ("alone_p50_us".into(), alone),
        ("writer_loses_percent".into(), (with / alone - 1.0) * 100.0),
    ]))
}

fn commit(
    job: &Job,
    writer: &mut Writer,
    stream: &highwater::Stream,
    count: u64,
    latencies: &mut Latencies,
) -> Result<Vec<Moment>> {
    let shape = Shape::SMALL;
    let mut moments = Vec::new();
    for index in 0..count {
        let state = String::from_utf8(job.data.state(index, shape.state_bytes))?;
        let committed = latencies.time(|| {
            for record in 0..shape.records {
                let row = job.data.record(index * shape.records + record, shape.record_bytes);
                writer.append(stream, Op::Insert { key: b"", row })?;
            }
            writer.commit(Commit::new().stream_text(stream, state))
        })?;
        moments.push((committed.sequence().get(), now()));
    }
    Ok(moments)
}

fn from_this_process(
    log: &Log,
    _dir: &Path,
    count: u64,
    committing: Committing<'_>,
) -> Result<(Vec<Moment>, Vec<Moment>)> {
    let mut consumer = log.consumer("follower", Start::Now)?;
    std::thread::scope(|scope| {
        let delivering = scope.spawn(move || deliver(&mut consumer, count));
        let committed = committing()?;
        let delivered = delivering.join().map_err(|_| anyhow!("the consumer panicked"))??;
        Ok((committed, delivered))
    })
}

fn from_another_process(
    _log: &Log,
    dir: &Path,
    count: u64,
    committing: Committing<'_>,
) -> Result<(Vec<Moment>, Vec<Moment>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("follow").arg("--dir").arg(dir).args(["--count", &count.to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no pipe")?).lines();
    ensure!(lines.next().transpose()?.as_deref() == Some(READY), "the consumer's process did not start");
    let committed = committing()?;
    let delivered = lines.map(|line| moment(&line?)).collect::<Result<_>>()?;
    ensure!(child.wait()?.success(), "the consumer's process failed");
    Ok((committed, delivered))
}

const READY: &str = "following";

/// The other process: it says that it follows, delivers, and says when what was there.
pub(crate) fn follow(dir: &Path, count: u64) -> Result<()> {
    let mut consumer = LogReader::open(dir)?.consumer("follower", Start::Now)?;
    println!("{READY}");
    std::io::stdout().flush()?;
    for (sequence, at) in deliver(&mut consumer, count)? {
        println!("{sequence} {}", at.as_nanos());
    }
    Ok(())
}

fn moment(line: &str) -> Result<Moment> {
    let (sequence, nanos) = line.split_once(' ').with_context(|| format!("{line:?} is no moment"))?;
    Ok((sequence.parse()?, Duration::from_nanos(nanos.parse()?)))
}

/// However slow a consumer is: then it is told that it missed some.
const TIME_MAX: Duration = Duration::from_secs(60);

fn deliver(consumer: &mut Consumer, count: u64) -> Result<Vec<Moment>> {
    let limit = Limit { wait: Duration::from_millis(100), ..Limit::default() };
    let mut moments = Vec::new();
    let begun = Instant::now();
    while (moments.len() as u64) < count && begun.elapsed() < TIME_MAX {
        let Some(batch) = consumer.next_batch(&limit)? else { continue };
        for checkpoint in batch.checkpoints() {
            for record in checkpoint.records() {
                std::hint::black_box(record?.payload.first());
            }
            moments.push((checkpoint.sequence().get(), now()));
        }
        consumer.acknowledge(batch.end())?;
    }
    Ok(moments)
}

/// The time since the machine started.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
