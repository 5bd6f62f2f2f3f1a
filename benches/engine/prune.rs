//! Pruning: how long the call takes that drops all but the last ten checkpoints.

use criterion::{BatchSize, Criterion};

use crate::setup::Bench;

pub(crate) fn all_but_ten(c: &mut Criterion) {
    let mut group = c.benchmark_group("prune");
    group.sample_size(10);
    group.bench_function("32 MiB", |b| {
        b.iter_batched_ref(|| Bench::filled(32), |bench| bench.prune(), BatchSize::PerIteration);
    });
    group.finish();
}
