//! Compaction: half inserts, then updates, upserts and deletes by chance, so that about half of it is dead. 32 MiB; with
//! `HIGHWATER_BENCH_COMPACT_MIB=1024` as much as the comparison's workload.

use criterion::{BatchSize, Criterion, Throughput};

use crate::setup::Bench;

pub(crate) fn rewritten_rows(c: &mut Criterion) {
    let asked = std::env::var("HIGHWATER_BENCH_COMPACT_MIB").ok();
    let mib: u64 = asked.and_then(|text| text.parse().ok()).unwrap_or(32);
    let mut group = c.benchmark_group("compact");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(mib << 20));
    group.bench_function(format!("{mib} MiB"), |b| {
        b.iter_batched_ref(|| Bench::rewritten(mib), |bench| bench.compact(), BatchSize::PerIteration);
    });
    group.finish();
}
