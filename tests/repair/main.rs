//! Repairs: whatever is damaged, a repair leaves a log that opens and verifies, keeps what its plan says, byte for byte,
//! loses what its plan says and no more, and can be taken back until it has come to its end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod blocks;
mod gaps;
mod original;

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater::environment::Stepped;
use highwater::repair::{self, Mode, RepairPlan};
use highwater::storage::{Access, FileLayer, Layer, Memory, Storage, StorageFile};
use highwater::{
    AuditEvent, Commit, Compaction, Compression, Config, ErrorKind, Limit, Log, LogReader, Op, Position,
    Retention, Sequence, Start, StreamSpec,
};

use gaps::damaged_in_the_middle;
use original::{Original, content};

fn config() -> Config {
    Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(3, 1)), ..Config::default() }
}

fn open(files: &Memory) -> highwater::Result<Log> {
    Log::open_on(Arc::new(files.clone()), config()).map(|(log, _)| log)
}

/// Checkpoints of three streams, some global; several segments; a large state in a part frame.
fn sample(pruned: bool) -> Memory {
    let files = Memory::new();
    let log = open(&files).unwrap();
    let names = [("a", Compression::None), ("b", Compression::Lz4), ("c", Compression::Zstd(3))];
    let spec = |name: &str| StreamSpec::new(name).namespace("n").key(["id"]).schema("{}");
    let streams = names.map(|(name, how)| log.stream(spec(name).compression(how)).unwrap());
    let mut writer = log.writer(&streams.each_ref()).unwrap();
    for i in 0..60u32 {
        let stream = &streams[i as usize % 3];
        let row = vec![i as u8; 50 + 97 * (i as usize % 40)];
        writer.append(stream, Op::Upsert { key: b"[1]", row: &row }).unwrap();
        writer.append(&streams[2], Op::Insert { key: b"", row: b"later" }).unwrap();
        let commit = match i {
            7 => Commit::new().stream(stream, &"x".repeat(70_000)),
            i if i % 9 == 0 => Commit::new().global(&i),
            i => Commit::new().stream(stream, &i).label("i", i.to_string()),
        };
        writer.commit(commit).unwrap();
        if pruned && i == 40 {
            log.prune(&Retention { min_count: 12, ..Retention::default() }).unwrap();
        }
    }
    drop(writer);
    let mut lake = log.consumer("lake", Start::Oldest).unwrap();
    while let Some(batch) = lake.next_batch(&Limit::default()).unwrap() {
        lake.acknowledge(batch.end()).unwrap();
    }
    drop(lake);
    log.close().unwrap();
    files.remove("reserve").unwrap();
    files
}

fn end(log: &LogReader) -> Sequence {
    log.end().map_or(Sequence::NONE, |end| end.sequence)
}

fn reader(files: &Memory) -> LogReader {
    LogReader::open_on(Arc::new(files.clone())).unwrap()
}

fn plan(files: &Memory, mode: Mode) -> highwater::Result<RepairPlan> {
    repair::plan_on(Arc::new(files.clone()), mode)
}

fn apply(files: &Memory, mode: Mode) -> highwater::Result<RepairPlan> {
    repair::apply_on(Arc::new(files.clone()), mode, config())
}

fn names(files: &Memory) -> Vec<String> {
    let mut names = files.names().unwrap();
    names.sort();
    names
}

fn image(files: &Memory) -> Vec<(String, Vec<u8>)> {
    let names = names(files).into_iter().filter(|name| name != "lock" && !name.ends_with(".guard"));
    names.map(|name| (name.clone(), files.content(&name).unwrap())).collect()
}

fn segments(files: &Memory) -> Vec<String> {
    names(files).into_iter().filter(|name| name.ends_with(".hws")).collect()
}

#[test]
fn a_whole_log_needs_no_repair() {
    for pruned in [false, true] {
        let files = sample(pruned);
        let before = image(&files);
        for mode in [Mode::Cut, Mode::SkipDamaged] {
            let plan = apply(&files, mode).unwrap();
            assert!(!plan.is_needed(), "{plan:?}");
        }
        assert_eq!(image(&files), before);
    }
}

/// A byte here and there in every segment and base file.
#[test]
fn flipped_bytes_are_repaired() {
    let mut repaired = 0;
    for pruned in [false, true] {
        let original = Original::new(pruned);
        for name in segments(&original.files) {
            let bytes = original.files.content(&name).unwrap();
            for at in (0..bytes.len()).step_by(if cfg!(debug_assertions) { 1531 } else { 131 }) {
                let files = original.files.image();
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x40;
                files.set_content(&name, bytes);
                repaired += original.check(&files, &format!("{name} byte {at} flipped"));
            }
        }
    }
    assert!(repaired > 100, "{repaired}");
}

/// Whole blocks, as a disk loses them; files that are gone or too short; a lost mark.
#[test]
fn lost_blocks_and_files_are_repaired() {
    for pruned in [false, true] {
        let original = Original::new(pruned);
        for name in segments(&original.files) {
            let bytes = original.files.content(&name).unwrap();
            for at in (0..bytes.len()).step_by(4096) {
                let files = original.files.image();
                let mut zeroed = bytes.clone();
                zeroed[at..at + 4096].fill(0);
                files.set_content(&name, zeroed);
                original.check(&files, &format!("{name} block {at} zeroed"));
                if at % (5 * 4096) == 0 {
                    let files = original.files.image();
                    files.set_content(&name, bytes[..at].to_vec());
                    original.check(&files, &format!("{name} cut to {at}"));
                }
            }
            let files = original.files.image();
            files.remove(&name).unwrap();
            // No file is that long: it is the way from one to the next.
            let told = plan(&files, Mode::SkipDamaged).map(|plan| plan.problems).unwrap_or_default();
            assert!(told.iter().all(|what| !what.contains("4294967296")), "{told:?}");
            original.check(&files, &format!("{name} is gone"));
            files.remove("mark").unwrap();
            if segments(&files).iter().any(|name| !name.starts_with("base")) {
                // Without the mark nobody can know of a last segment that is gone.
                let _ = plan(&files, Mode::Cut).unwrap();
            }
        }
    }
}

#[test]
fn a_consumer_whose_position_is_damaged_begins_again() {
    let (files, _) = damaged_in_the_middle();
    files.set_content("consumer.lake", vec![7; 64 << 10]);
    let done = apply(&files, Mode::SkipDamaged).unwrap();
    assert_eq!(done.consumers_reset, ["lake"]);
    let log = open(&files).unwrap();
    assert_eq!(log.consumer("lake", Start::Now).unwrap().acknowledged(), Sequence::NONE);
    assert!(files.content("damaged-1.consumer.lake").is_some());
}

#[test]
fn a_pin_that_can_not_be_read_is_set_aside() {
    let files = sample(false);
    files.set_content("pin.backup", vec![0; 4096]);
    assert!(!reader(&files).verify(&mut |_| {}).unwrap().is_sound());
    for mode in [Mode::SkipDamaged, Mode::Cut] {
        let files = files.image();
        let done = apply(&files, mode).unwrap();
        assert_eq!((&done.pins_lifted[..], done.lost_checkpoints), (&["backup".to_owned()][..], 0));
        assert!(reader(&files).verify(&mut |_| {}).unwrap().is_sound());
        assert!(files.content("damaged-1.pin.backup").is_some());
    }
}

/// A stream is more than its records: a repair says of which ones key and schema are gone.
#[test]
fn lost_definitions_are_named() {
    let files = sample(false);
    let mut bytes = files.content("00000001.hws").unwrap();
    bytes[4096..3 * 4096].fill(0);
    files.set_content("00000001.hws", bytes);
    let plan = apply(&files, Mode::SkipDamaged).unwrap();
    let lost: Vec<String> = plan.definitions_lost.iter().map(|loss| loss.name.to_string()).collect();
    assert!(lost.contains(&"n.a".to_owned()), "{lost:?}");
    let log = reader(&files);
    for loss in &plan.definitions_lost {
        let stream = log.find_stream(&loss.name).expect("it goes on under that name");
        assert!(stream.key.is_empty() && stream.schema.is_none());
    }
    let whole = log.streams().unwrap().into_iter().filter(|stream| stream.schema.is_some()).count();
    assert_eq!(whole + lost.len(), 3, "{lost:?}");
    assert!(repair::plan_on(Arc::new(sample(false)), Mode::SkipDamaged).unwrap().definitions_lost.is_empty());
}

/// A log whose mark says, with the right checksum, that this segment is being written.
fn marked_at(active: u32) -> Memory {
    const ACTIVE: usize = 88;
    const CHECKED: usize = 508;
    let files = sample(false);
    let mut bytes = files.content("mark").unwrap();
    for slot in bytes.chunks_exact_mut(4096).map(|block| &mut block[..512]) {
        slot[ACTIVE..ACTIVE + 4].copy_from_slice(&active.to_le_bytes());
        let crc = crc32fast::hash(&slot[..CHECKED]);
        slot[CHECKED..].copy_from_slice(&crc.to_le_bytes());
    }
    files.set_content("mark", bytes);
    files
}

/// A mark may say anything: it makes nothing count further than the files that are there, and a log that has to begin anew
/// behind all its segments has numbers left.
#[test]
fn a_mark_far_beyond_the_files_is_a_missing_file_and_no_more() {
    for active in [0x7FFF_FF00, 0x7FFF_FFFF, u32::MAX] {
        let files = marked_at(active);
        let told = plan(&files, Mode::SkipDamaged).unwrap();
        assert!(told.problems.len() < 10, "{:?}", told.problems.len());
        assert!(told.problems.iter().any(|what| what.contains("missing")), "{:?}", told.problems);
        let mut bytes = files.content("00000001.hws").unwrap();
        bytes[4096..8192].fill(0);
        files.set_content("00000001.hws", bytes);
        apply(&files, Mode::SkipDamaged).unwrap();
        let log = open(&files).unwrap();
        assert!(log.verify(&mut |_| {}).unwrap().is_sound());
        let segments = segments(&files).into_iter().filter(|name| name.len() == "00000001.hws".len());
        let last = segments.max().unwrap();
        assert!(last.as_str() < "00000100.hws", "{last}");
    }
}
