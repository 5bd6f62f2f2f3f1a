//! The engine's own paths, for the everyday: appending and committing, opening, replaying. The comparison with other
//! engines and with the machine's limits is a package of its own.

#![allow(clippy::unwrap_used, missing_docs)] // a benchmark panics; criterion's macros make undocumented items

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use highwater::{Commit, Config, Log, Op, Retention, Sequence, Stream, StreamSpec, Writer};

fn insert(writer: &mut Writer, stream: &Stream, row: &[u8]) {
    writer.append(stream, Op::Insert { key: b"", row }).unwrap();
}

/// A checkpoint of so many records, durable; pruned as it goes, so segments are recycled.
fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    for (name, records, bytes) in
        [("1000 x 1 KiB", 1000, 1024), ("10 x 200 B", 10, 200), ("state only", 0, 0)]
    {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        let stream = log.stream(StreamSpec::new("s")).unwrap();
        let mut writer = log.writer(&[&stream]).unwrap();
        let row: Vec<u8> = (0..bytes).map(|i| (i * 31) as u8).collect();
        let state = "x".repeat(200);
        let mut count = 0u64;
        group.throughput(Throughput::Bytes((records * bytes) as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                for _ in 0..records {
                    insert(&mut writer, &stream, &row);
                }
                writer.commit(Commit::new().stream(&stream, &state)).unwrap();
                count += 1;
                if count.is_multiple_of(128) {
                    log.prune(&Retention { min_count: 10, ..Retention::default() }).unwrap();
                }
            });
        });
    }
    group.finish();
}

/// A log of 64 MiB, opened and read back.
fn open_and_replay(c: &mut Criterion) {
    const BYTES: u64 = 64 << 20;
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 0..BYTES / 1024 {
        insert(&mut writer, &stream, &[i as u8; 1024]);
        if i % 1000 == 999 {
            writer.commit(Commit::new().stream(&stream, &i)).unwrap();
        }
    }
    writer.commit(Commit::new().all()).unwrap();
    drop(writer);
    log.close().unwrap();

    c.bench_function("open 64 MiB", |b| {
        b.iter_batched(
            || (),
            |()| Log::open(dir.path(), Config::default()).unwrap(),
            BatchSize::PerIteration,
        );
    });
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Bytes(BYTES)).sample_size(20);
    group.bench_function("64 MiB x 1 KiB", |b| {
        b.iter(|| {
            let mut reader = log.reader(Sequence::FIRST).unwrap();
            let mut bytes = 0;
            while let Some(checkpoint) = reader.next().unwrap() {
                bytes += checkpoint.records().map(|record| record.unwrap().payload.len()).sum::<usize>();
            }
            bytes
        });
    });
    group.finish();
}

criterion_group!(benches, commits, open_and_replay);
criterion_main!(benches);
