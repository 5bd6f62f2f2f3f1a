//! One segment whose frames pass their checksums, though what they hold is anything.

use std::sync::Arc;

use super::choices::Choices;
use super::exam::examine;
use super::patch::{seal_frame, seal_segment};
use super::small_disk::SmallDisk;
use crate::format::BLOCK;
use crate::format::frame::{HEADER, frame_len};
use crate::format::mark::{MARK_FILE, Mark};
use crate::format::names;
use crate::format::segment::SegmentHeader;
use crate::position::{Address, CheckpointId, LogId, SegmentId, Sequence};
use crate::segment::{Files, Walker};
use crate::storage::{Access, Memory};

const LOG: LogId = LogId(uuid::Uuid::from_u128(7));
/// The file has no more than this, whatever its header says.
const FILE_BYTES_MAX: usize = 1 << 20;

/// What a frame has beside kind and body; each costs the fuzzer some bytes, so each has to be asked for.
pub(super) const HAS_STREAM: u8 = 1;
const HAS_DURABLE: u8 = 2;
const HAS_EPOCH: u8 = 4;
/// Its header claims another length.
const LIES: u8 = 8;
/// It is followed by zeros to the next block.
const GAP: u8 = 16;
/// Its checksums are left as they are.
const UNSEALED: u8 = 32;

/// It has flags: a codec.
pub(super) const HAS_FLAGS: u8 = 64;

/// Sizes a header may claim, in bytes.
const SIZES: [u32; 4] = [64 << 10, 1 << 20, 2 << 30, u32::MAX - BLOCK + 1];

/// Makes a segment, and a log of it alone.
pub fn segment(input: &[u8]) {
    let mut choices = Choices::new(input);
    let files = Memory::new();
    let size = SIZES[usize::from(choices.u8()) % SIZES.len()];
    let durable = choices.u64();
    files.set_content(&names::segment(SegmentId::FIRST), build(&mut choices, size));
    if durable != 0 {
        files.set_content(names::MARK, mark(Address(durable)));
    }
    walk(&files);
    examine(&files, None);
}

fn build(choices: &mut Choices<'_>, segment_bytes: u32) -> Vec<u8> {
    let (log, id, salt) = (LOG, SegmentId::FIRST, 1);
    let mut file =
        SegmentHeader { log, id, salt, segment_bytes, unflushed_bytes_max: 1 << 20, created_us: 1 }.encode();
    seal_segment(&mut file);
    while !choices.is_empty() && file.len() < FILE_BYTES_MAX {
        push(choices, &mut file);
    }
    file
}

fn push(choices: &mut Choices<'_>, file: &mut Vec<u8>) {
    let (kind, has) = (choices.u8(), choices.u8());
    let mut asked = |bit: u8, unasked: u32| if has & bit == 0 { unasked } else { choices.u32() };
    let (stream, items) = (asked(HAS_STREAM, 0), asked(HAS_STREAM, 0));
    let durable = u64::from(asked(HAS_DURABLE, 0)) | u64::from(has & HAS_DURABLE) << 31;
    let epoch = asked(HAS_EPOCH, 1);
    let lie = asked(LIES, 0);
    let flags = if has & HAS_FLAGS == 0 { 0 } else { choices.u8() };
    let len = choices.u16();
    let body = choices.bytes(len.into());
    let at = file.len();
    file.resize(at + frame_len(body.len() as u32) as usize, 0);
    (file[at], file[at + 1]) = (kind, flags);
    let claimed = if has & LIES == 0 { body.len() as u32 } else { lie };
    file[at + 4..at + 8].copy_from_slice(&claimed.to_le_bytes());
    file[at + 8..at + 12].copy_from_slice(&epoch.to_le_bytes());
    file[at + 12..at + 16].copy_from_slice(&stream.to_le_bytes());
    file[at + 16..at + 24].copy_from_slice(&durable.to_le_bytes());
    file[at + 32..at + 36].copy_from_slice(&items.to_le_bytes());
    file[at + HEADER..at + HEADER + body.len()].copy_from_slice(body);
    if has & UNSEALED == 0 {
        seal_frame(file, at);
    }
    if has & GAP != 0 {
        file.resize(file.len().next_multiple_of(BLOCK as usize), 0);
    }
}

fn mark(durable: Address) -> Vec<u8> {
    let mark = Mark {
        log: LOG,
        generation: 2,
        boot: None,
        pid: 1,
        epoch: 1,
        durable,
        sequence: Sequence::NONE,
        id: CheckpointId::NONE,
        active: SegmentId::FIRST,
        waypoint: Address::new(SegmentId::FIRST, BLOCK),
        first_live: SegmentId::FIRST,
        clean: false,
    };
    let mut file = mark.encode().to_vec();
    file.resize(MARK_FILE, 0);
    file
}

/// Walks the frames alone, to the first that is none: each step goes forward.
fn walk(files: &Memory) {
    let files = Files::new(Arc::new(SmallDisk::new(files.clone())), LOG, Access::Read);
    let segment = files.get(SegmentId::FIRST).expect("its header is valid");
    let mut walker = Walker::new(segment, BLOCK);
    while !walker.is_at_end() {
        let before = walker.offset();
        let Ok(Ok(header)) = walker.header() else { return };
        let checked = walker.check(&header).expect("memory can be read");
        let body = walker.body(&header).expect("memory can be read");
        assert_eq!(checked.err(), body.err(), "one way to read a frame calls it valid, the other does not");
        walker.step(&header);
        assert!(walker.offset() > before);
    }
}
