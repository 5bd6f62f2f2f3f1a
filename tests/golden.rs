//! A log of format version 1, kept in the repository: what is written today has these very bytes, what was written then
//! is read today, and a reader in another language, written from DESIGN.md alone, says the same.
//!
//! After a deliberate change of the format (before the first release only): `HIGHWATER_BLESS=1 cargo test --test golden`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use highwater::environment::Stepped;
use highwater::storage::{Memory, Storage};
use highwater::{
    Commit, Compaction, Compression, Config, Digest, Durability, Limit, Log, LogReader, Meta, Op, Retention,
    Sequence, Start, StreamSpec,
};
use serde_json::{Value, json};

/// Its bytes are compared.
const V1: &str = "v1";
/// So are these: a log that begins with a base checkpoint.
const COMPACTED: &str = "compacted";
/// Its content is compared: the next version of a codec may find other bytes for it.
const COMPRESSED: &str = "compressed";

fn golden(which: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(which)
}

fn config() -> Config {
    let environment = Arc::new(Stepped::new(42, 1_763_640_000_000_000));
    Config {
        segment_bytes: 64 << 10,
        spare_segments: 0,
        digest: Digest::Blake3,
        environment,
        ..Config::default()
    }
}

/// Some of everything: operations, metadata, interleaved streams, large states, definitions with a history, a discarded
/// unit, a pruning with its base file, an uncommitted tail, a clean close.
fn write() -> Memory {
    let files = Memory::new();
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let orders =
        log.stream(StreamSpec::new("orders").namespace("shop").key(["id"]).schema(r#"{"v":1}"#)).unwrap();
    let events = log.stream(StreamSpec::new("événements")).unwrap();
    let mut writer = log.writer(&[&orders, &events]).unwrap();
    let large = format!("\"{}\"", "x".repeat(70 << 10));
    writer.commit(Commit::new().stream_text(&events, r#"{ "kept": 1.0 }"#)).unwrap();
    for i in 0..30u32 {
        let key = format!("[{i}]");
        let row = format!("{{\"id\":{i},\"note\":\"{}\"}}", "n".repeat(i as usize * 200));
        let op = match i % 5 {
            0 => Op::Insert { key: key.as_bytes(), row: row.as_bytes() },
            1 => Op::Upsert { key: key.as_bytes(), row: row.as_bytes() },
            2 => Op::Update { key: key.as_bytes(), row: row.as_bytes() },
            3 => Op::Delete { key: key.as_bytes(), row: b"" },
            _ => Op::Truncate,
        };
        let meta = Meta { emitted_us: Some(1_700_000_000_000_000 - i64::from(i)), metadata: b"{\"m\":1}" };
        writer.append_with(&orders, op, meta).unwrap();
        writer.append(&events, Op::Insert { key: b"", row: row.as_bytes() }).unwrap();
        if i == 10 {
            writer.discard(&events).unwrap();
        }
        let commit = match i % 4 {
            0 => Commit::new().global(&json!({"at": i})).label("run", format!("r{i}")),
            1 => continue,
            _ => Commit::new().stream(&orders, &json!({"cursor": i})),
        };
        writer.commit(commit).unwrap();
    }
    drop(writer);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 12, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    drop((lake, batch));
    assert!(log.prune(&Retention::default()).unwrap().segments > 0);
    let orders =
        log.stream(StreamSpec::new("orders").namespace("shop").key(["id"]).schema(r#"{"v":2}"#)).unwrap();
    let mut writer = log.writer(&[&orders, &events]).unwrap();
    writer.append(&orders, Op::Insert { key: b"[99]", row: b"{\"id\":99}" }).unwrap();
    writer.commit(Commit::new().stream_text(&orders, large)).unwrap();
    drop(writer);
    log.close().unwrap();
    second_opening(&files);
    files
}

/// Another epoch: a nested key, a renamed and a dropped stream, cleared states, a buffered checkpoint, several frames in
/// one extent, times before 1970, and a killed process, after which a third opening leaves a Recovery frame.
fn second_opening(files: &Memory) {
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let paths = vec![vec!["id".to_owned()], vec!["customer".to_owned(), "no".to_owned()]];
    let nested = log.stream(StreamSpec::new("nested").namespace("").key_paths(paths)).unwrap();
    let gone = log.stream(StreamSpec::new("gone")).unwrap();
    let mut writer = log.writer(&[&nested, &gone]).unwrap();
    let early = Meta { emitted_us: Some(-1_000_000), metadata: b"" };
    for _ in 0..4 {
        writer.append_with(&nested, Op::Upsert { key: b"[1,2]", row: &[b'v'; 5000] }, early).unwrap();
    }
    writer.append(&gone, Op::Insert { key: b"", row: b"{}" }).unwrap();
    writer.commit(Commit::new().stream(&nested, &1).stream(&gone, &2)).unwrap();
    writer.commit(Commit::new().clear(&nested).durability(Durability::Buffered)).unwrap();
    writer.commit(Commit::new().clear_global()).unwrap();
    drop(writer);
    log.drop_stream(&gone).unwrap();
    let renamed = log.rename_stream(&nested, StreamSpec::new("renamed")).unwrap();
    let mut writer = log.writer(&[&renamed]).unwrap();
    writer.commit(Commit::new().stream(&renamed, &3)).unwrap();
    writer.append(&renamed, Op::Insert { key: b"", row: &[b'u'; 9000] }).unwrap();
    writer.append(&renamed, Op::Insert { key: b"", row: &[b'u'; 9000] }).unwrap();
    log.flush().unwrap();
    let killed = files.image();
    drop((writer, log));
    for name in names(&killed) {
        files.set_content(&name, killed.content(&name).unwrap());
    }
    Log::open_on(Arc::new(files.clone()), config()).unwrap().0.close().unwrap();
}

/// Two compactions, with everything that they tell apart: rows written again, changed, deleted, a stream without a key from
/// several units, tombstones of two ages, labels, digests.
fn write_compacted() -> Memory {
    let files = Memory::new();
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let users = log.stream(StreamSpec::new("users").key(["id"])).unwrap();
    let events = log.stream(StreamSpec::new("events")).unwrap();
    let compaction = Compaction { tombstones_min_age: Duration::from_secs(86_400), ..Default::default() };
    for round in 0..2 {
        let mut writer = log.writer(&[&users, &events]).unwrap();
        for i in 0..60u32 {
            let (key, row) =
                (format!("[{}]", i % 7), format!("{{\"i\":{i},\"note\":\"{}\"}}", "n".repeat(1500)));
            let (key, row) = (key.as_bytes(), row.as_bytes());
            let op = match i % 13 {
                3 => Op::Update { key, row },
                5 => Op::Delete { key, row: b"" },
                _ => Op::Upsert { key, row },
            };
            let meta = Meta { emitted_us: Some(1_700_000_000_000_000 + i64::from(i)), metadata: b"" };
            writer.append_with(&users, op, meta).unwrap();
            if i % 9 == 0 {
                writer.append_with(&events, Op::Insert { key: b"", row: b"{}" }, meta).unwrap();
            }
            writer.commit(Commit::new().stream(&users, &i).label("round", round.to_string())).unwrap();
            writer.commit(Commit::new().records(&events)).unwrap();
        }
        drop(writer);
        assert!(log.compact(&compaction, &mut |_| ControlFlow::Continue(())).unwrap().done);
    }
    log.close().unwrap();
    files
}

/// Streams of each codec, records of all sizes, several frames in one extent.
fn write_compressed() -> Memory {
    let files = Memory::new();
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let codecs = [Compression::None, Compression::Lz4, Compression::Zstd(3)];
    let streams = codecs
        .map(|codec| log.stream(StreamSpec::new(codec.to_string()).compression(codec).key(["id"])).unwrap());
    let mut writer = log.writer(&streams.each_ref()).unwrap();
    for i in 0..60u32 {
        for stream in &streams {
            let row = format!("{{\"id\":{i},\"note\":\"{}\"}}", "note ".repeat(i as usize * 7 % 300));
            let meta = Meta { emitted_us: Some(1_700_000_000_000_000 + i64::from(i)), metadata: b"" };
            let key = format!("[{i}]");
            let op = Op::Upsert { key: key.as_bytes(), row: row.as_bytes() };
            writer.append_with(stream, op, meta).unwrap();
        }
        match i % 20 {
            0 => drop(writer.commit(Commit::new().stream(&streams[i as usize / 20], &i)).unwrap()),
            19 => drop(writer.commit(Commit::new().global(&i)).unwrap()),
            _ => {}
        }
    }
    drop(writer);
    log.close().unwrap();
    files
}

/// The files of a log, without the lock and the reserve, which say nothing.
fn names(files: &Memory) -> Vec<String> {
    files
        .names()
        .unwrap()
        .into_iter()
        .filter(|name| !name.starts_with("lock") && !name.ends_with(".guard") && name != "reserve")
        .collect()
}

fn load(which: &str) -> Memory {
    let files = Memory::new();
    for entry in std::fs::read_dir(golden(which)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name != "expected.json" {
            files.set_content(&name, std::fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// What a reader has to find, in a shape that any language can print.
fn content(log: &LogReader) -> Value {
    let mut checkpoints = Vec::new();
    let mut reader = log.reader(log.first()).unwrap();
    while let Some(checkpoint) = reader.next().unwrap() {
        let mut streams = Vec::new();
        for counts in checkpoint.streams() {
            let records: Vec<Value> = checkpoint
                .records_of(counts.stream)
                .map(|record| {
                    let r = record.unwrap();
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    json!({
                        "op": r.op.name(), "emitted_us": r.emitted_us, "key": text(&r.key),
                        "metadata": text(&r.metadata), "payload": text(&r.payload),
                    })
                })
                .collect();
            streams.push(json!({
                "stream": counts.stream, "bytes": counts.bytes, "checksum": counts.checksum,
                "fingerprint": counts.fingerprint, "records": records,
            }));
        }
        let labels: serde_json::Map<String, Value> =
            checkpoint.labels().iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        checkpoints.push(json!({
            "sequence": checkpoint.sequence(), "id": checkpoint.position().checkpoint, "time_us": checkpoint.time_us(),
            "global": checkpoint.is_global(),
            "compacted_from": checkpoint.compacted_from(), "labels": labels, "streams": streams,
        }));
    }
    let states = log.state().unwrap();
    let all: Vec<Value> = states
        .all()
        .unwrap()
        .into_iter()
        .map(|(name, state)| json!({"name": name, "since": state.since, "text": state.text}))
        .collect();
    json!({
        "log": log.id(), "first": log.first(), "checkpoints": checkpoints,
        "global": states.global().unwrap(), "states": all, "streams": log.streams().unwrap(),
    })
}

fn expected(which: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(which).join("expected.json")).unwrap()).unwrap()
}

/// Puts today's files in place of those that are kept, if that was asked for.
fn bless(which: &str, files: &Memory) {
    if std::env::var_os("HIGHWATER_BLESS").is_none() {
        return;
    }
    let _ = std::fs::remove_dir_all(golden(which));
    std::fs::create_dir_all(golden(which)).unwrap();
    for name in names(files) {
        std::fs::write(golden(which).join(&name), files.content(&name).unwrap()).unwrap();
    }
    let log = LogReader::open_on(Arc::new(files.clone())).unwrap();
    let text = serde_json::to_string_pretty(&content(&log)).unwrap();
    std::fs::write(golden(which).join("expected.json"), text + "\n").unwrap();
}

#[test]
fn what_is_written_today_has_the_golden_bytes() {
    for (which, files) in [(V1, write()), (COMPACTED, write_compacted())] {
        bless(which, &files);
        let kept = load(which);
        assert_eq!(names(&files), names(&kept));
        for name in names(&files) {
            // The mark and the lock name the process and are no part of the log.
            if name != "mark" {
                assert!(files.content(&name) == kept.content(&name), "{name} differs: the format changed");
            }
        }
    }
}

#[test]
fn what_is_compressed_today_reads_like_the_golden_bytes() {
    let files = write_compressed();
    bless(COMPRESSED, &files);
    let log = LogReader::open_on(Arc::new(files)).unwrap();
    assert_eq!(content(&log), expected(COMPRESSED));
}

#[test]
fn what_was_written_then_is_read_today() {
    for which in [V1, COMPRESSED, COMPACTED] {
        let log = LogReader::open_on(Arc::new(load(which))).unwrap();
        assert_eq!(content(&log), expected(which));
        assert!(which != V1 || log.first() > Sequence::FIRST);
        assert!(log.verify(&mut |_| {}).unwrap().is_sound());
        let (log, recovery) = Log::open_on(Arc::new(load(which)), config()).unwrap();
        assert!(recovery.is_clean(), "{recovery}");
        assert_eq!(content(&log), expected(which));
    }
}

/// The script was written by somebody who had DESIGN.md and nothing else.
#[test]
fn another_language_reads_the_same() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/second_opinion.py");
    for which in [V1, COMPRESSED, COMPACTED] {
        let output = match Command::new("python3").arg(&script).arg(golden(which)).output() {
            Ok(output) => output,
            Err(e) => panic!("python3 is needed for the second opinion: {e}"),
        };
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut expected = expected(which);
        if told.contains("no zstd") {
            forget_unread(&found, &mut expected);
        }
        assert_eq!(found, expected);
    }
}

/// Not every Python has zstd: then it says so, and gives no records of that one stream.
fn forget_unread(found: &Value, expected: &mut Value) {
    let checkpoints = expected["checkpoints"].as_array_mut().unwrap().iter_mut().enumerate();
    for (i, checkpoint) in checkpoints {
        for (j, stream) in checkpoint["streams"].as_array_mut().unwrap().iter_mut().enumerate() {
            let unread = found["checkpoints"][i]["streams"][j]["records"].is_null();
            if unread && stream["stream"] == 3 {
                stream["records"] = Value::Null;
            }
        }
    }
}
