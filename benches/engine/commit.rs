//! Durable checkpoints: one write, one flush.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use highwater::{Commit, Durability, StreamSpec};

use crate::setup::{Bench, RECORDS};

/// From large to small; pruned as they come, so segments are recycled.
pub(crate) fn checkpoints(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    for (name, records, bytes) in
        [("1000 x 1 KiB", RECORDS, 1024), ("10 x 200 B", 10, 200), ("state only", 0, 0)]
    {
        let mut bench = Bench::new(bytes);
        let state = format!("\"{}\"", "x".repeat(200));
        group.throughput(Throughput::Bytes((records * bytes + state.len()) as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                bench.append(records);
                bench.commit(Durability::Sync, &state);
                bench.prune_at_times();
            });
        });
    }
    group.finish();
}

/// One small state among ten thousand.
pub(crate) fn among_many_states(c: &mut Criterion) {
    const STREAMS: usize = 10_000;
    let mut bench = Bench::new(0);
    let mut all = Commit::new();
    let mut one = bench.stream.clone();
    for index in 0..STREAMS {
        one = bench.log.stream(StreamSpec::new(format!("stream-{index}"))).unwrap();
        bench.writer.add(&one).unwrap();
        all = all.stream(&one, &index);
    }
    bench.writer.commit(all).unwrap();
    c.bench_function("commit/1 of 10,000 states", |b| {
        b.iter(|| bench.writer.commit(Commit::new().stream(&one, &1)).unwrap());
    });
}

/// Threads that commit at once share flushes: throughput is of commits, all threads together.
pub(crate) fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit from threads");
    for threads in [1, 2, 4, 8] {
        let bench = Bench::new(0);
        group.throughput(Throughput::Elements(threads)).sample_size(20);
        group.bench_function(threads.to_string(), |b| {
            b.iter_custom(|rounds| at_once(&bench, threads, rounds));
        });
    }
    group.finish();
}

#[allow(clippy::disallowed_methods)] // what takes time is what is measured here
fn at_once(bench: &Bench, threads: u64, rounds: u64) -> Duration {
    let writers: Vec<_> = (0..threads)
        .map(|thread| {
            let stream = bench.log.stream(StreamSpec::new(format!("thread-{thread}"))).unwrap();
            (bench.log.writer(&[&stream]).unwrap(), stream)
        })
        .collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (mut writer, stream) in writers {
            scope.spawn(move || {
                for round in 0..rounds {
                    writer.commit(Commit::new().stream(&stream, &round)).unwrap();
                }
            });
        }
    });
    begun.elapsed()
}
