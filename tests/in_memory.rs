//! A log's whole life in memory, once and small: what miri runs (`.ci/miri`), which sees undefined behaviour in what records share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::storage::Memory;
use highwater::{Commit, Config, Limit, Log, Op, Record, Sequence, Start, StreamSpec};

fn config() -> Config {
    let environment = Arc::new(Stepped::new(3, 1));
    Config { segment_bytes: 64 << 10, environment, ..Config::default() }
}

#[test]
fn a_logs_life_in_memory() {
    let files = Memory::new();
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let stream = log.stream(StreamSpec::new("orders").namespace("shop").key(["id"])).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for number in 0..4u8 {
        writer.append(&stream, Op::Upsert { key: b"[1]", row: &[number; 300] }).unwrap();
        writer.append(&stream, Op::Delete { key: b"[2]", row: b"" }).unwrap();
        writer.commit(Commit::new().stream(&stream, &number).label("run", "1")).unwrap();
    }
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 3, ..Limit::default() }).unwrap().unwrap();
    let records: Vec<Record> = batch.records().map(Result::unwrap).collect();
    lake.acknowledge(batch.end()).unwrap();
    lake.sync().unwrap();
    drop((batch, lake, writer));
    log.close().unwrap();

    // Records own their memory, whatever became of the log.
    assert_eq!(records.len(), 6);
    assert!(records.iter().step_by(2).zip(0..).all(|(record, number)| record.payload[..] == [number; 300]));

    let (log, recovery) = Log::open_on(Arc::new(files), Config { create: false, ..config() }).unwrap();
    assert!(recovery.is_clean(), "{recovery}");
    assert_eq!(log.state().unwrap().get::<u8>(&stream).unwrap(), Some(3));
    assert_eq!(log.end().unwrap().sequence, Sequence::new(4));
}
