//! Appending alone: records into frames, and full frames into the log; no flush is waited for.

use criterion::{Criterion, Throughput};
use highwater::Durability;

use crate::setup::Bench;

pub(crate) fn records(c: &mut Criterion) {
    const BYTES: usize = 4 << 20;
    let mut group = c.benchmark_group("append");
    for record_bytes in [100, 1024, 64 << 10] {
        let mut bench = Bench::new(record_bytes);
        let records = BYTES / record_bytes;
        group.throughput(Throughput::Bytes((records * record_bytes) as u64)).sample_size(30);
        group.bench_function(format!("{record_bytes} B"), |b| {
            b.iter(|| {
                bench.append(records);
                bench.commit(Durability::Buffered, "1");
                bench.prune_at_times();
            });
        });
    }
    group.finish();
}
