//! The hot paths, for counting instructions: `benches/instructions/count` runs each under callgrind and holds the figures
//! against `baseline.txt`. Unlike times they are the same on a busy machine, so a regression shows there, too.
//!
//! `instructions PATH` prepares, does the work in [`measured`], and prints how many operations that was. What the kernel does is
//! not counted; how long the disk takes does not matter.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // a benchmark panics, and tells its script what it did

#[allow(dead_code, reason = "the benchmarks of times use more of it")]
#[path = "../engine/setup.rs"]
mod setup;

use std::sync::Arc;
use std::time::Duration;

use highwater::environment::{Environment, System};
use highwater::{Config, Durability, Log, ReadMode, Sequence};
use setup::{Bench, RECORD_BYTES};

/// The system with a wall clock that stands still: the coarse one can't be read under valgrind.
#[derive(Debug)]
struct Still;

impl Environment for Still {
    fn now_us(&self) -> i64 {
        1_700_000_000_000_000
    }

    fn elapsed(&self) -> Duration {
        System.elapsed()
    }

    fn random(&self) -> u128 {
        System.random()
    }

    fn boot(&self) -> Option<u128> {
        System.boot()
    }
}

fn config() -> Config {
    Config { environment: Arc::new(Still), ..Config::default() }
}

/// What callgrind counts, and nothing else.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}

/// Does one path's work; returns how many operations it was.
type Path = fn() -> usize;

const PATHS: [(&str, Path); 8] = [
    ("append-100B", || append(100, 40_000)),
    ("append-1KiB", || append(1024, 10_000)),
    ("commit-state", || commit(0, 500)),
    ("commit-10x200B", || commit(10, 500)),
    ("open-clean", open),
    ("replay-copy-1KiB", || replay(ReadMode::Copy)),
    ("replay-map-1KiB", || replay(ReadMode::Map)),
    ("replay-ref-1KiB", replay_borrowed),
];

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match PATHS.iter().find(|(name, _)| *name == wanted) {
        Some((_, path)) => println!("operations {}", path()),
        // So does `cargo bench`, which has no names to give.
        None => PATHS.iter().for_each(|(name, _)| println!("path {name}")),
    }
}

/// Records of one checkpoint that is committed behind them.
fn append(record_bytes: usize, records: usize) -> usize {
    let mut bench = Bench::with(record_bytes, config());
    bench.append(1000); // buffers and segments are there
    bench.commit(Durability::Buffered, "1");
    measured(|| bench.append(records));
    records
}

/// Durable checkpoints of so many records of 200 B, and a state.
fn commit(records: usize, checkpoints: usize) -> usize {
    let mut bench = Bench::with(200, config());
    let state = format!("\"{}\"", "x".repeat(200));
    bench.commit(Durability::Sync, &state);
    measured(|| {
        for _ in 0..checkpoints {
            bench.append(records);
            bench.commit(Durability::Sync, &state);
        }
    });
    checkpoints
}

/// Openings of a log of 16 MiB that was closed.
fn open() -> usize {
    const OPENINGS: usize = 20;
    let dir = Bench::with(RECORD_BYTES, config()).fill(16).close();
    measured(|| {
        for _ in 0..OPENINGS {
            Log::open(dir.path(), config()).unwrap().0.close().unwrap();
        }
    });
    OPENINGS
}

/// Records read back, each verified.
fn replay(read_mode: ReadMode) -> usize {
    let dir = Bench::with(RECORD_BYTES, config()).fill(16).close();
    let (log, _) = Log::open(dir.path(), Config { read_mode, ..config() }).unwrap();
    measured(|| {
        let mut reader = log.reader(Sequence::FIRST).unwrap();
        let mut records = 0;
        while let Some(checkpoint) = reader.next().unwrap() {
            records +=
                checkpoint.records().map(|record| record.unwrap()).filter(|r| !r.payload.is_empty()).count();
        }
        records
    })
}

/// The same without a share of memory for each.
fn replay_borrowed() -> usize {
    let dir = Bench::with(RECORD_BYTES, config()).fill(16).close();
    let (log, _) = Log::open(dir.path(), Config { read_mode: ReadMode::Map, ..config() }).unwrap();
    measured(|| {
        let mut reader = log.reader(Sequence::FIRST).unwrap();
        let mut count = 0;
        while let Some(checkpoint) = reader.next().unwrap() {
            let mut records = checkpoint.records();
            while let Some(record) = records.next_ref() {
                count += usize::from(!record.unwrap().payload.is_empty());
            }
        }
        count
    })
}
