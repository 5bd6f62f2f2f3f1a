//! Where fuzzing starts: a real log's frames, in the form of each target's input.

use super::directory::logs;
use super::patch::frames;
use super::segment::{HAS_FLAGS, HAS_STREAM};
use crate::format::codec::Codec;
use crate::format::frame::{HEADER, Kind};
use crate::format::names;
use crate::format::segment::SEGMENT_HEADER;
use crate::storage::{Memory, Storage};

/// A frame as it stands in a file.
struct Found {
    kind: u8,
    header: Vec<u8>,
    body: Vec<u8>,
}

fn frames_of(file: &[u8]) -> Vec<Found> {
    let found = |at: usize| {
        let (header, rest) = file[at..].split_at(HEADER);
        let len = u32::from_le_bytes(header[4..8].try_into().unwrap()) as usize;
        Found { kind: header[0], header: header.to_vec(), body: rest[..len].to_vec() }
    };
    frames(file).into_iter().map(found).collect()
}

fn files(of: &Memory, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let names = of.names().unwrap();
    names.iter().filter(|name| wanted(name)).map(|name| of.content(name).unwrap()).collect()
}

fn segments_of(log: &Memory) -> Vec<Vec<u8>> {
    files(log, |name| name.ends_with(".hws"))
}

fn input(choice: u8, bytes: &[u8]) -> Vec<u8> {
    let mut input = vec![choice];
    input.extend_from_slice(bytes);
    input
}

/// The smallest frame of each kind, and the files that are none.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let segments: Vec<_> = logs().iter().flat_map(|(log, _)| segments_of(log)).collect();
    let all: Vec<Found> = segments.iter().flat_map(|file| frames_of(file)).collect();
    let smallest = |kind: Kind| {
        let found = all.iter().filter(|frame| frame.kind == kind as u8);
        &found.min_by_key(|frame| frame.body.len()).unwrap().body[..]
    };
    let mut inputs = vec![input(0, &all[0].header)];
    use Kind::*;
    for (choice, kind) in
        [(1, Data), (2, Commit), (4, Define), (5, Index), (7, Start), (9, Pruned), (10, Seal)]
    {
        inputs.push(input(choice, smallest(kind)));
    }
    inputs.push(input(6, &smallest(Start)[16..]));
    inputs.push(input(11, &segments[0][..SEGMENT_HEADER]));
    inputs.push(input(12, &logs()[0].0.content(names::MARK).unwrap()[..1024]));
    inputs.push(input(13, &logs()[2].0.content(&names::consumer("lake")).unwrap()[..100]));
    for (choice, codec) in [(0, Codec::Lz4), (1, Codec::Zstd)] {
        let packed = all.iter().find(|frame| frame.header[1] == codec as u8).unwrap();
        inputs.push(input(16, &input(choice, &packed.body)));
    }
    inputs.push(input(14, b"base-00000001.hws"));
    inputs.push(input(14, br#"{"from":1,"owner":"x","expires_us":2}"#));
    inputs
}

/// The beginning of each first segment, frame by frame.
pub(super) fn segments() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for (log, _) in logs() {
        for file in segments_of(log) {
            let mut input = vec![0; 9];
            for frame in frames_of(&file).iter().take(12).filter(|frame| frame.body.len() < 1024) {
                input.extend_from_slice(&[frame.kind, HAS_STREAM | HAS_FLAGS]);
                input.extend_from_slice(&frame.header[12..16]);
                input.extend_from_slice(&frame.header[32..36]);
                input.push(frame.header[1]);
                input.extend_from_slice(&(frame.body.len() as u16).to_le_bytes());
                input.extend_from_slice(&frame.body);
            }
            inputs.push(input);
        }
    }
    inputs
}

/// Each kind of change, to some file of each log.
pub(super) fn directories() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for log in 0..logs().len() as u8 {
        for kind in 0..=10 {
            for file in [0, 1, 4] {
                inputs.push(vec![log, kind, file, 70, 10, 0, 0, 3, 1, 0, 9, 9, 9]);
            }
        }
    }
    inputs
}

/// Programs that do each thing in turn, with and without each fault.
pub(super) fn programs() -> Vec<Vec<u8>> {
    let work = [[0, 0, 40], [1, 0, 0], [0, 1, 90], [2, 1, 0], [0, 2, 200], [1, 2, 0], [5, 0, 0], [6, 0, 0]];
    let mut inputs = Vec::new();
    for then in [[3, 1, 0], [4, 0, 0], [7, 0, 0], [8, 0, 0], [10, 0, 0]] {
        inputs.push([work, [then; 8], work].concat().concat());
        for fault in 0..4 {
            inputs.push([work, [[9, 3 * fault, fault]; 8], work, [then; 8], work].concat().concat());
        }
    }
    inputs
}
