//! Reading everything back, each record verified.

use criterion::{Criterion, Throughput};
use highwater::{Config, Log, ReadMode, Sequence};

use crate::setup::{Bench, RECORD_BYTES, RECORDS};

const CHECKPOINTS: usize = 64;

pub(crate) fn all(c: &mut Criterion) {
    let dir = Bench::filled(CHECKPOINTS).close();
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Bytes((CHECKPOINTS * RECORDS * RECORD_BYTES) as u64)).sample_size(20);
    for (name, read_mode) in [("64 MiB, copy", ReadMode::Copy), ("64 MiB, map", ReadMode::Map)] {
        let (log, _) = Log::open(dir.path(), Config { read_mode, ..Config::default() }).unwrap();
        group.bench_function(name, |b| b.iter(|| read(&log)));
    }
    group.finish();
}

fn read(log: &Log) -> usize {
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    let mut bytes = 0;
    while let Some(checkpoint) = reader.next().unwrap() {
        bytes += checkpoint.records().map(|record| record.unwrap().payload.len()).sum::<usize>();
    }
    bytes
}
