//! A whole log whose files were damaged, mixed up, or changed with care.

use std::sync::{Arc, OnceLock};

use super::choices::Choices;
use super::exam::{Contents, examine, read};
use super::frame::{seal_consumer, seal_mark};
use super::patch::{frames, seal_frame, seal_segment};
use crate::environment::Stepped;
use crate::format::consumer::CONSUMER_SLOT;
use crate::format::frame::HEADER;
use crate::format::mark::{SLOT, SLOTS_APART};
use crate::format::names;
use crate::storage::{Memory, Storage};
use crate::{
    Commit, Compression, Config, Durability, Limit, Log, Op, Pin, Retention, Sequence, Start, StreamSpec,
};

const SECTOR: usize = 512;
/// So many changes are made at most.
const CHANGES_MAX: usize = 64;

/// The first byte chooses a log, the others change its files.
pub fn directory(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (original, written) = &logs()[usize::from(choices.u8()) % LOGS];
    let files = original.image();
    let mut honest = true;
    for _ in 0..CHANGES_MAX {
        if choices.is_empty() {
            break;
        }
        honest &= change(&files, &mut choices);
    }
    examine(&files, honest.then_some(written));
}

/// Makes one change; whether it could be an accident.
fn change(files: &Memory, choices: &mut Choices<'_>) -> bool {
    let kind = choices.u8();
    let names = files.names().unwrap_or_default();
    let pick = |choices: &mut Choices<'_>| names.get(usize::from(choices.u8()) % names.len().max(1));
    let Some(name) = pick(choices).cloned() else { return true };
    let mut bytes = files.content(&name).unwrap_or_default();
    match kind {
        0 => flip(&mut bytes, choices),
        1 => sector(&mut bytes, choices).fill(0),
        2 => {
            let source = sector(&mut bytes, choices).to_vec();
            let target = sector(&mut bytes, choices);
            let len = source.len().min(target.len());
            target[..len].copy_from_slice(&source[..len]);
        }
        3 => bytes.truncate(choices.below(bytes.len() + 1)),
        4 => {
            let _ = files.remove(&name);
            return true;
        }
        // From here on it takes somebody who means it: a file of another log or of another time is valid.
        5 => {
            if let Some(to) = pick(choices) {
                let _ = files.rename(&name, to);
            }
            return false;
        }
        6 => {
            let foreign = &logs()[usize::from(choices.u8()) % LOGS].0;
            bytes = foreign.content(&name).unwrap_or_default();
        }
        7 => {
            let at = choices.below(bytes.len());
            overwrite(&mut bytes, at, choices);
        }
        8 => patch_header(&name, &mut bytes, choices),
        9 => patch_frame(&mut bytes, choices, 0, HEADER),
        10 => patch_frame(&mut bytes, choices, HEADER, usize::MAX),
        _ => return true,
    }
    files.set_content(&name, bytes);
    kind < 5
}

fn flip(bytes: &mut [u8], choices: &mut Choices<'_>) {
    let at = choices.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (choices.u8() % 8);
    }
}

fn sector<'a>(bytes: &'a mut [u8], choices: &mut Choices<'_>) -> &'a mut [u8] {
    let at = choices.below(bytes.len().div_ceil(SECTOR)) * SECTOR;
    let end = bytes.len().min(at + SECTOR);
    &mut bytes[at..end]
}

fn overwrite(bytes: &mut [u8], at: usize, choices: &mut Choices<'_>) {
    let len = choices.u8();
    let new = choices.bytes(len.into());
    if let Some(old) = bytes.get_mut(at..) {
        let len = new.len().min(old.len());
        old[..len].copy_from_slice(&new[..len]);
    }
}

/// Changes the header of a segment, the mark, a consumer's slot, and puts the checksum right.
fn patch_header(name: &str, bytes: &mut [u8], choices: &mut Choices<'_>) {
    let at = usize::from(choices.u16());
    overwrite(bytes, at, choices);
    if name == names::MARK {
        bytes.chunks_exact_mut(SLOTS_APART).for_each(|block| seal_mark(&mut block[..SLOT]));
    } else if name.ends_with(".hws") {
        seal_segment(bytes);
    } else {
        bytes.chunks_exact_mut(CONSUMER_SLOT).for_each(seal_consumer);
    }
}

/// Changes a frame between two of its bytes and puts its checksums right.
fn patch_frame(bytes: &mut [u8], choices: &mut Choices<'_>, from: usize, to: usize) {
    let frames = frames(bytes);
    let Some(offset) = frames.get(usize::from(choices.u8()) % frames.len().max(1)).copied() else { return };
    let within = usize::from(choices.u16()) % (to - from);
    overwrite(bytes, offset + from + within, choices);
    seal_frame(bytes, offset);
}

const LOGS: usize = 4;

/// Small logs with some of everything, and what they hold: closed; killed with an open unit and an unflushed end; pruned;
/// compacted.
pub(super) fn logs() -> &'static [(Memory, Contents); LOGS] {
    static MADE: OnceLock<[(Memory, Contents); LOGS]> = OnceLock::new();
    MADE.get_or_init(|| {
        [closed(), killed(), pruned(), compacted()].map(|files| {
            // A megabyte of nothing, which any opening makes anew.
            let _ = files.remove(names::RESERVE);
            let log = crate::LogReader::open_on(Arc::new(files.image())).expect("a good log opens");
            let written = read(&log).expect("and can be read");
            assert!(written.checkpoints.len() >= 3);
            (files, written)
        })
    })
}

fn begin(seed: u64) -> (Memory, Log) {
    let files = Memory::new();
    let environment = Arc::new(Stepped::new(seed, 1_000_000_000_000_000));
    let config = Config { segment_bytes: 64 << 10, environment, ..Config::default() };
    let (log, _) = Log::open_on(Arc::new(files.clone()), config).expect("memory opens");
    (files, log)
}

/// Some checkpoints of two streams.
fn write(log: &Log, checkpoints: u32, bytes: usize) {
    let spec = |name| StreamSpec::new(name).namespace("shop").key(["id"]).schema("{}");
    let [a, b] = ["a", "b"].map(|name| log.stream(spec(name)).expect("a new stream"));
    let c = log.stream(spec("c").compression(Compression::Zstd(3))).expect("a new stream");
    let d = log.stream(spec("d").compression(Compression::Lz4)).expect("a new stream");
    let mut writer = log.writer(&[&a, &b, &c, &d]).expect("a free stream");
    for i in 0..checkpoints {
        let row = vec![i as u8; bytes];
        writer.append(&a, Op::Upsert { key: b"[1]", row: &row }).expect("room");
        writer.append(&b, Op::Delete { key: b"[2]", row: b"" }).expect("room");
        for packed in [&c, &d] {
            writer.append(packed, Op::Insert { key: b"", row: &row }).expect("room");
        }
        let commit = if i % 3 == 0 {
            Commit::new().global(&i)
        } else {
            Commit::new().stream(&a, &i).label("run", "7")
        };
        let durability = if i + 1 == checkpoints { Durability::Buffered } else { Durability::Sync };
        writer.commit(commit.durability(durability)).expect("room");
    }
    writer.append(&a, Op::Insert { key: b"", row: &[9; 9000] }).expect("room");
}

fn closed() -> Memory {
    let (files, log) = begin(1);
    write(&log, 6, 300);
    log.close().expect("memory holds");
    files
}

fn killed() -> Memory {
    let (files, log) = begin(2);
    write(&log, 12, 1500);
    let image = files.image();
    drop(log);
    image
}

fn pruned() -> Memory {
    let (files, log) = begin(3);
    write(&log, 20, 7000);
    log.flush().expect("memory holds");
    let mut lake = log.consumer("lake", Start::Earliest).expect("a free consumer");
    let limit = Limit { max_checkpoints: 12, ..Limit::default() };
    let batch = lake.next_batch(&limit).expect("a good log").expect("not empty");
    lake.acknowledge(batch.end()).expect("its own file");
    lake.sync().expect("memory holds");
    let pin = Pin { from: Sequence::new(14), owner: "backup".into(), expires_us: i64::MAX };
    log.pin("backup", &pin).expect("it is there");
    log.prune(&Retention::default()).expect("memory holds");
    write(&log, 3, 300);
    log.close().expect("memory holds");
    files
}

fn compacted() -> Memory {
    let (files, log) = begin(4);
    for _ in 0..2 {
        write(&log, 60, 1500);
        let compaction = crate::Compaction::default();
        let compacted = log.compact(&compaction, &mut |_| std::ops::ControlFlow::Continue(()));
        assert!(compacted.expect("room").done);
    }
    write(&log, 4, 300);
    log.close().expect("memory holds");
    files
}
