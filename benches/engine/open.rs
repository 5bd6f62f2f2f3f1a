//! Opening a log: what every start of a pipeline waits for.

use criterion::Criterion;
use highwater::{Config, Log, LogReader};

use crate::setup::Bench;

const CHECKPOINTS: usize = 64;

/// To write, after a clean close. What a crash costs is measured in `benches/versus`, with processes that are killed.
pub(crate) fn after_close(c: &mut Criterion) {
    let dir = Bench::filled(CHECKPOINTS).close();
    c.bench_function("open/to write, 64 MiB", |b| {
        b.iter(|| Log::open(dir.path(), Config::default()).unwrap());
    });
}

/// To read only.
pub(crate) fn to_read(c: &mut Criterion) {
    let dir = Bench::filled(CHECKPOINTS).close();
    c.bench_function("open/to read, 64 MiB", |b| b.iter(|| LogReader::open(dir.path()).unwrap()));
}
