//! Arbitrary bytes for every decoder. What decodes is encoded and decoded again, and has to be the same.

use std::fmt::Debug;

use bytes::Bytes;

use crate::format::codec::{Codec, Decompressor};
use crate::format::commit::{
    COMMIT_HEAD, Commit, NewState, PART_STATE_TEXT, decode_extents_part, encode_extents_part, encode_tail,
};
use crate::format::consumer::{CONSUMER_FILE, CONSUMER_SLOT, ConsumerState};
use crate::format::data::{BASE_TIME, Content, FrameRecords, RecordParts};
use crate::format::define::Definition;
use crate::format::frame::{Fault, HEADER, Header, Kind};
use crate::format::index::Index;
use crate::format::mark::{MARK_FILE, Mark, SLOT, SLOTS_APART};
use crate::format::names::{self, FileName};
use crate::format::note::{Opened, Pruned, Recovered, Repaired, Seal};
use crate::format::segment::{HeaderFault, SEGMENT_HEADER, SegmentHeader};
use crate::format::snapshot::{Snapshot, Start};
use crate::format::wire::{Decoded, Malformed, Take};
use crate::position::{Address, Position};

/// The first byte chooses the decoder, the others are for it.
pub fn frame(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice {
        0 => header(bytes),
        1 => data(bytes),
        2 => commit(bytes),
        3 => extents(bytes),
        4 => same_again(bytes, Definition::decode, |it, out| it.encode(out)),
        5 => same_again(bytes, Index::decode, |it, out| {
            Index::encode(out, it.previous, it.entries.iter().map(|(stream, entry)| (*stream, entry)));
        }),
        6 => same_again(bytes, Snapshot::decode, |it, out| it.encode(out)),
        7 => same_again(bytes, Start::decode, |it, out| it.encode(out)),
        8 => same_again(bytes, Recovered::decode, |it, out| it.encode(out)),
        9 => same_again(bytes, Pruned::decode, |it, out| it.encode(out)),
        10 => same_again(bytes, Seal::decode, |it, out| it.encode(out)),
        11 => segment_header(bytes),
        12 => mark(bytes),
        13 => consumer(bytes),
        14 => text(bytes),
        15 => same_again(bytes, Repaired::decode, |it, out| it.encode(out)),
        16 => packed(bytes),
        17 => same_again(bytes, Opened::decode, |it, out| it.encode(out)),
        _ => {}
    }
}

fn same_again<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Decoded<T>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    let Ok(it) = decode(bytes) else { return };
    let mut again = Vec::new();
    encode(&it, &mut again);
    assert!(again.len() <= bytes.len(), "the shortest form is longer than {bytes:?}");
    assert_eq!(decode(&again).as_ref(), Ok(&it));
}

/// A frame's header, whose checksum is put right: there is one way to write it.
fn header(bytes: &[u8]) {
    let Some((header, place)) = bytes.split_first_chunk::<HEADER>() else { return };
    let number =
        |at: usize| place.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    let (salt, at) = (number(0), Address(number(8)));
    let mut header = *header;
    let decode = |header: &[u8; HEADER]| Header::decode(header, salt, at, u32::MAX);
    if let Err(Fault::HeaderCrc { found, .. }) = decode(&header) {
        header[HEADER - 4..].copy_from_slice(&found.to_le_bytes());
    }
    let decoded = decode(&header);
    assert!(!matches!(decoded, Err(Fault::HeaderCrc { .. })));
    if let Ok(decoded) = decoded {
        assert_eq!(decoded.encode(salt, at), header);
        assert!(u64::from(at.offset()) + decoded.frame_len() <= u64::from(u32::MAX));
    }
}

fn data(bytes: &[u8]) {
    let header = data_header(Codec::Plain, bytes);
    let records = |body: Vec<u8>| -> Decoded<Vec<_>> {
        let content = Content::of(&header, body.into(), &mut Decompressor::default());
        let mut decoder = FrameRecords::new(content.map_err(|_| Malformed("no content"))?);
        std::iter::from_fn(|| decoder.next_record().transpose()).collect()
    };
    let Ok(found) = records(bytes.to_vec()) else { return };
    let mut again = vec![0; BASE_TIME];
    let mut previous_us = 0;
    for it in &found {
        let (key, metadata, payload) = (&it.key[..], &it.metadata[..], &it.payload[..]);
        RecordParts { op: it.op, emitted_us: it.emitted_us, key, metadata, payload }
            .encode(&mut again, previous_us);
        previous_us = it.emitted_us;
    }
    assert_eq!(records(again), Ok(found));
}

/// The header of a data frame with this body, as far as its content is concerned.
fn data_header(codec: Codec, body: &[u8]) -> Header {
    Header {
        kind: Kind::Data,
        codec,
        key_id: 0,
        body_len: body.len() as u32,
        epoch: 1,
        stream: 1,
        durable: Address::NONE,
        body_crc: 0,
        content_crc: 0,
        items: 0,
    }
}

/// A compressed body, behind a byte that chooses the codec: it gives what its length says, or nothing. The checksum of the
/// content is put right.
fn packed(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let mut header = data_header(if choice % 2 == 0 { Codec::Lz4 } else { Codec::Zstd }, body);
    let content =
        |header: &Header| Content::of(header, Bytes::copy_from_slice(body), &mut Decompressor::default());
    if let Err(Fault::ContentCrc { found, .. }) = content(&header) {
        header.content_crc = found;
    }
    let content = content(&header);
    assert!(!matches!(content, Err(Fault::ContentCrc { .. } | Fault::NoCodec(_))));
    if let Ok(content) = content {
        let len = Take::new(&body[BASE_TIME..]).varint();
        assert_eq!(len, Ok(content.records.len() as u64));
        let mut records = FrameRecords::new(content);
        while let Ok(Some(_)) = records.next_record() {}
    }
}

fn commit(bytes: &[u8]) {
    let at = Address(1 << 32 | 4096);
    let Ok(it) = Commit::decode(bytes, at) else { return };
    let mut states = Vec::new();
    for change in &it.states {
        let new = match change.to {
            None => NewState::Clear,
            Some(to) if to.frame == at && to.offset != PART_STATE_TEXT => {
                let text = bytes.get(to.offset as usize..).and_then(|rest| rest.get(..to.len as usize));
                // A text that is not what its checksum says is refused when it is read.
                match text.map(std::str::from_utf8) {
                    Some(Ok(text)) if crc32fast::hash(text.as_bytes()) == to.crc => NewState::Inline(text),
                    Some(_) => return,
                    None => panic!("a state lies beyond the body"),
                }
            }
            Some(to) => NewState::Part { at: to.frame, len: to.len, crc: to.crc },
        };
        states.push((change.stream, new));
    }
    let mut again = Vec::new();
    encode_tail(&mut again, &it.streams, &states, &it.labels);
    it.compacted.iter().for_each(|compacted| compacted.encode(&mut again));
    again[..COMMIT_HEAD].copy_from_slice(&it.head.encode());
    let again = Commit::decode(&again, at).map(forget_offsets);
    assert_eq!(again, Ok(forget_offsets(it)));
}

/// A shorter number ahead of a state moves it.
fn forget_offsets(mut commit: Commit) -> Commit {
    commit.states.iter_mut().filter_map(|change| change.to.as_mut()).for_each(|to| to.offset = 0);
    commit
}

fn extents(bytes: &[u8]) {
    same_again(bytes, decode_extents_part, |it, out| encode_extents_part(out, it));
}

fn segment_header(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    bytes.resize(SEGMENT_HEADER, 0);
    if let Err(HeaderFault::Crc { found, .. }) = SegmentHeader::decode(&bytes) {
        bytes[SEGMENT_HEADER - 4..].copy_from_slice(&found.to_le_bytes());
    }
    if let Ok(it) = SegmentHeader::decode(&bytes) {
        assert_eq!(SegmentHeader::decode(&it.encode()), Ok(it));
    }
}

fn mark(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    file.resize(MARK_FILE, 0);
    file.chunks_exact_mut(SLOTS_APART).for_each(|block| seal_mark(&mut block[..SLOT]));
    if let Some(it) = Mark::newest(&file) {
        assert_eq!(Mark::newest(&it.encode()), Some(it));
    }
}

/// Puts a mark's checksum right.
pub(super) fn seal_mark(slot: &mut [u8]) {
    let (body, crc) = slot.split_at_mut(SLOT - 4);
    crc.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
}

fn consumer(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    file.resize(CONSUMER_FILE, 0);
    file.chunks_mut(CONSUMER_SLOT).for_each(seal_consumer);
    if let Some(it) = ConsumerState::newest(&file) {
        assert_eq!(ConsumerState::newest(&it.encode()), Some(it));
    }
}

/// Puts a consumer slot's checksum right.
pub(super) fn seal_consumer(slot: &mut [u8]) {
    let len = u32::from_le_bytes([slot[12], slot[13], slot[14], slot[15]]) as usize;
    if let Some(body) = slot.get(12..len) {
        let crc = crc32fast::hash(body);
        slot[8..12].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Names of files, positions, pins: what is read from text.
fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match names::parse(text) {
        FileName::Segment(id) => assert_eq!(names::segment(id), text),
        FileName::Consumer(name) => assert_eq!(names::consumer(&name), text),
        FileName::Pin(name) => assert_eq!(names::pin(&name), text),
        FileName::Aside(repair, name) => assert_eq!(names::aside(repair, &name), text),
        FileName::Lock | FileName::Mark | FileName::New | FileName::Reserve => {}
        FileName::Repair | FileName::Backup | FileName::Copying | FileName::Notes | FileName::Other => {}
    }
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse::<Position>().ok(), Some(position));
    }
    let _ = serde_json::from_str::<crate::Pin>(text);
}
