//! A soak: writers, consumers, pruning and reopening in one process, a reader and a consumer in another, for as long as one
//! likes; memory, file descriptors, threads and disk use must not grow.
//!
//! ```text
//! soak SECONDS
//! ```
//!
//! Exit 0 and a line of figures, or 1 and what grew. Linux: it looks into `/proc`.

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)] // a program of its own: it may wait and talk

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use highwater::{
    Commit, Compression, Config, Consumer, ErrorKind, Limit, Log, LogReader, Op, Result, Retention, Sequence,
    Start, StreamSpec, WhenFull,
};

const WRITERS: u64 = 3;
/// One opening of the log, in either process.
const LIFE: Duration = Duration::from_secs(2);
const SIZE_MAX: u64 = 48 << 20;
/// Beside segments and base files: mark, reserve, consumers, and a segment that is being made.
const DISK_BYTES_MAX: u64 = SIZE_MAX + (4 << 20);
/// What the peaks of the last third may lie above those of the first: allocators breathe.
const RSS_SLACK: u64 = 12 << 20;
const COUNT_SLACK: u64 = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [word, dir] if word == "outside" => outside(Path::new(dir)).map_err(|e| e.to_string()),
        [seconds] => seconds.parse().map_err(|e| format!("{seconds}: {e}")).and_then(soak),
        _ => Err("usage: soak SECONDS".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn soak(seconds: u64) -> std::result::Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let other = Command::new(std::env::current_exe().map_err(|e| e.to_string())?)
        .arg("outside")
        .arg(dir.path())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut other = Other(other);
    let commits = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let (samples, lives) = thread::scope(|scope| {
        let sampler = scope.spawn(|| watch(dir.path(), other.0.id(), seconds, &is_over));
        let lives = live(dir.path(), end, &commits);
        is_over.store(true, Relaxed);
        let samples = sampler.join().unwrap_or_else(|_| Err(io::Error::other("the sampler panicked")));
        (samples.map_err(|e| e.to_string()), lives.map_err(|e| e.to_string()))
    });
    let (samples, lives) = (samples?, lives?);
    if let Some(status) = other.0.try_wait().map_err(|e| e.to_string())? {
        return Err(format!("the other process ended: {status}"));
    }
    let figures = judge(&samples)?;
    println!("{} checkpoints in {lives} openings; {figures}", commits.load(Relaxed));
    Ok(())
}

/// The other process; it ends with this one's interest in it.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Opens, writes, delivers, prunes and closes, again and again; returns how often.
fn live(dir: &Path, end: Instant, commits: &AtomicU64) -> Result<u64> {
    let mut lives = 0;
    while Instant::now() < end {
        let config = Config {
            segment_bytes: 1 << 20,
            size_max: Some(SIZE_MAX),
            when_full: WhenFull::Wait(Duration::from_secs(30)),
            lock_wait: Duration::from_secs(5),
            compression: if lives % 3 == 1 { Compression::Lz4 } else { Compression::None },
            background: (lives % 2 == 0).then_some(Duration::from_millis(20)),
            ..Config::default()
        };
        let (log, _) = Log::open(dir, config)?;
        let until = end.min(Instant::now() + LIFE);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|stream| {
                    scope.spawn({
                        let log = &log;
                        move || write(log, stream, until, commits)
                    })
                })
                .collect();
            let consumer = scope.spawn(|| deliver(&log, until));
            let mut threads = writers.into_iter().chain([consumer]);
            threads.try_for_each(|thread| thread.join().unwrap_or_else(|_| std::process::abort()))
        })?;
        log.close()?;
        lives += 1;
    }
    Ok(lives)
}

fn write(log: &Log, stream: u64, until: Instant, commits: &AtomicU64) -> Result<()> {
    let stream = log.stream(StreamSpec::new(format!("s{stream}")))?;
    let mut number: u64 = log.state()?.get(&stream)?.unwrap_or(0);
    let mut writer = log.writer(&[&stream])?;
    while Instant::now() < until {
        number += 1;
        for record in 0..number % 40 {
            let row = vec![record as u8; (number * 7919 % 2_000) as usize];
            writer.append(&stream, Op::Upsert { key: &record.to_le_bytes(), row: &row })?;
        }
        if number.is_multiple_of(17) {
            writer.discard(&stream)?;
        }
        writer.commit(Commit::new().stream(&stream, &number))?;
        commits.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Delivers and prunes in the process that writes.
fn deliver(log: &Log, until: Instant) -> Result<()> {
    let mut consumer = log.consumer("inside", Start::Oldest)?;
    while Instant::now() < until {
        deliver_batch(&mut consumer)?;
        log.prune(&Retention::default())?;
        log.status()?;
    }
    Ok(())
}

fn deliver_batch(consumer: &mut Consumer) -> Result<()> {
    let limit = Limit { wait: Duration::from_millis(20), max_checkpoints: 200, ..Limit::default() };
    if let Some(batch) = consumer.next_batch(&limit)? {
        for record in batch.records() {
            record?;
        }
        consumer.acknowledge(batch.end())?;
    }
    Ok(())
}

/// The other process: it opens, delivers and reads for as long as it lives.
fn outside(dir: &Path) -> Result<()> {
    loop {
        let log = match LogReader::open(dir) {
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            log => log?,
        };
        let until = Instant::now() + LIFE;
        let mut consumer = log.consumer("outside", Start::Oldest)?;
        while Instant::now() < until {
            deliver_batch(&mut consumer)?;
            log.state()?.all()?;
            log.status()?;
        }
        let from = log.end().map_or(Sequence::FIRST, |end| end.sequence);
        log.reader(from)?.next()?;
    }
}

/// The peaks of some time.
#[derive(Debug, Default, Clone, Copy)]
struct Peaks {
    rss: u64,
    descriptors: u64,
    threads: u64,
    disk: u64,
}

impl Peaks {
    fn take(&mut self, other: Peaks) {
        self.rss = self.rss.max(other.rss);
        self.descriptors = self.descriptors.max(other.descriptors);
        self.threads = self.threads.max(other.threads);
        self.disk = self.disk.max(other.disk);
    }

    fn now(process: u32, dir: &Path) -> io::Result<Peaks> {
        let of = |name: &str| format!("/proc/{process}/{name}");
        let pages = fs::read_to_string(of("statm"))?;
        let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        Ok(Peaks {
            rss: pages.ok_or_else(|| io::Error::other("statm"))? * 4096,
            descriptors: fs::read_dir(of("fd"))?.count() as u64,
            threads: fs::read_dir(of("task"))?.count() as u64,
            // A file that goes meanwhile takes no room.
            disk: fs::read_dir(dir)?
                .flatten()
                .flat_map(|entry| entry.metadata())
                .map(|file| file.len())
                .sum(),
        })
    }
}

/// The peaks of each process in each third of the time.
type Thirds = [[Peaks; 3]; 2];

fn watch(dir: &Path, other: u32, seconds: u64, is_over: &AtomicBool) -> io::Result<Thirds> {
    let begun = Instant::now();
    let mut thirds = Thirds::default();
    while !is_over.load(Relaxed) {
        let third = (begun.elapsed().as_millis() as u64 * 3 / (seconds * 1000)).min(2) as usize;
        for (process, peaks) in [std::process::id(), other].into_iter().zip(&mut thirds) {
            peaks[third].take(Peaks::now(process, dir)?);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(thirds)
}

/// The figures, or what grew between the first third and the last.
fn judge(thirds: &Thirds) -> std::result::Result<String, String> {
    let mut figures = Vec::new();
    for (name, [first, _, last]) in ["the writing process", "the reading one"].into_iter().zip(thirds) {
        let text = format!(
            "{name}: {} KiB, {} descriptors, {} threads",
            last.rss >> 10,
            last.descriptors,
            last.threads
        );
        let grew = last.rss > first.rss + RSS_SLACK
            || last.descriptors > first.descriptors + COUNT_SLACK
            || last.threads > first.threads + COUNT_SLACK
            || last.disk > DISK_BYTES_MAX;
        if grew {
            return Err(format!("it grew: {name}, {first:?} in the first third, {last:?} in the last"));
        }
        figures.push(text);
    }
    Ok(format!("{}; disk {} KiB", figures.join("; "), thirds[0][2].disk >> 10))
}
