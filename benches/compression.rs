//! What compression costs and gives: rows like JSON, appended and read back with each codec. The name of each reading says
//! how many bytes went in for one on disk.

#![allow(clippy::unwrap_used, missing_docs)] // a benchmark panics; criterion's macros make undocumented items

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use highwater::{
    Commit, Compression, Config, Durability, Log, Op, Retention, Sequence, Stream, StreamSpec, Writer,
};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Lz4, Compression::Zstd(1), Compression::Zstd(3), Compression::Zstd(9)];
/// In one checkpoint.
const ROWS: u64 = 4000;

/// About 400 bytes: names that repeat, numbers and identifiers that do not.
fn row(number: u64) -> Vec<u8> {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (person, city) =
        (mixed >> 48, ["Berlin", "Lagos", "Lima", "Pune", "Osaka"][(mixed >> 20) as usize % 5]);
    let (amount, phone) = (mixed >> 32 & 0xFFFF, mixed >> 8 & 0xFFFF_FFFF);
    format!(
        r#"{{"id":{number},"order":"{mixed:016x}","customer":{{"id":{person},"name":"Customer {person}","email":"customer.{person}@example.com","phone":"+{phone}"}},"address":{{"street":"{amount} Main Street","city":"{city}","zip":"{:05}"}},"amount":{amount}.{:02},"currency":"EUR","status":"shipped","created_at":"2026-11-{:02}T{:02}:{:02}:{:02}Z","tags":["web","returning"]}}"#,
        mixed % 100_000, mixed % 100, mixed % 28 + 1, mixed % 24, mixed % 60, mixed / 60 % 60,
    )
    .into_bytes()
}

fn append(writer: &mut Writer, stream: &Stream, rows: &[Vec<u8>]) {
    for row in rows {
        writer.append(stream, Op::Insert { key: b"", row }).unwrap();
    }
    writer.commit(Commit::new().all().durability(Durability::Buffered)).unwrap();
}

fn appends_and_replays(c: &mut Criterion) {
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let bytes: u64 = rows.iter().map(|row| row.len() as u64).sum();
    for compression in CODECS {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { compression, segment_bytes: 16 << 20, ..Config::default() };
        let (log, _) = Log::open(dir.path(), config).unwrap();
        let stream = log.stream(StreamSpec::new("s")).unwrap();
        let mut writer = log.writer(&[&stream]).unwrap();
        let mut count = 0u64;
        let mut group = c.benchmark_group("compression");
        group.throughput(Throughput::Bytes(bytes)).sample_size(20);
        group.bench_function(BenchmarkId::new("append", compression), |b| {
            b.iter(|| {
                append(&mut writer, &stream, &rows);
                count += 1;
                if count.is_multiple_of(16) {
                    log.prune(&Retention { min_count: 4, ..Retention::default() }).unwrap();
                }
            });
        });
        append(&mut writer, &stream, &rows);
        log.flush().unwrap();
        let last = log.end().map_or(Sequence::FIRST, |end| end.sequence);
        let read = || log.reader(last).unwrap().next().unwrap().unwrap();
        let on_disk = read().disk_bytes_of(stream.id()).unwrap();
        let gain = format!("{compression}, {:.2} to 1", bytes as f64 / on_disk as f64);
        group.bench_function(BenchmarkId::new("replay", gain), |b| {
            b.iter(|| read().records().map(|record| record.unwrap().payload.len()).sum::<usize>());
        });
        group.finish();
    }
}

criterion_group!(benches, appends_and_replays);
criterion_main!(benches);
