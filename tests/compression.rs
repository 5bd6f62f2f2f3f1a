//! Compressed records: they come back byte for byte, whoever copies, prunes or repairs them; what does not get smaller is
//! stored as it is; nothing else in the log tells the difference; and bytes that lie are damage, not memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::storage::{Memory, Storage};
use highwater::{
    Commit, Compression, Config, Digest, ErrorKind, Log, LogReader, Meta, Op, ReadMode, Retention, Sequence,
    StreamSpec,
};
use proptest::prelude::*;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Lz4, Compression::Zstd(-7), Compression::Zstd(3), Compression::Zstd(19)];

fn config(compression: Compression) -> Config {
    let environment = Arc::new(Stepped::new(3, 1_700_000_000_000_000));
    Config { segment_bytes: 64 << 10, compression, environment, ..Config::default() }
}

fn open(files: &Memory, config: Config) -> Log {
    Log::open_on(Arc::new(files.clone()), config).unwrap().0
}

/// Like the rows of a table.
fn json(number: usize) -> Vec<u8> {
    let (city, amount) = (["Berlin", "Lagos", "Lima"][number % 3], number * 7919 % 10_007);
    format!(
        r#"{{"id":{number},"customer":"customer-{amount}","city":"{city}","amount":{amount}.5,"paid":true}}"#
    )
    .into_bytes()
}

/// Bytes that nothing makes smaller.
fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut word = seed as u64 + 1;
    let mut next = || {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (word >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Appends rows to one stream, a checkpoint after every so many.
fn write(log: &Log, rows: &[Vec<u8>], every: usize) {
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for (i, rows) in rows.chunks(every).enumerate() {
        for (j, row) in rows.iter().enumerate() {
            let meta = Meta { emitted_us: Some((i + j) as i64), metadata: b"" };
            writer.append_with(&stream, Op::Upsert { key: b"[1]", row }, meta).unwrap();
        }
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
}

fn payloads(log: &LogReader) -> highwater::Result<Vec<Vec<u8>>> {
    let mut reader = log.reader(log.first().max(Sequence::FIRST))?;
    let mut found = Vec::new();
    while let Some(checkpoint) = reader.next()? {
        for record in checkpoint.records() {
            found.push(record?.payload.to_vec());
        }
    }
    Ok(found)
}

fn reader(files: &Memory) -> LogReader {
    LogReader::open_on(Arc::new(files.clone())).unwrap()
}

const HEADER: usize = 40;
const DATA: u8 = 2;

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The data frames of a segment's file: offset and flags of each, and the length of its body.
fn data_frames(file: &[u8]) -> Vec<(usize, u8, usize)> {
    let mut found = Vec::new();
    let mut at = 4096;
    while at + HEADER < file.len() && file[at] != 0 {
        let len = number(&file[at + 4..at + 8]) as usize;
        if file[at] == DATA {
            found.push((at, file[at + 1], len));
        }
        at += HEADER + len.next_multiple_of(8) + 8;
    }
    found
}

fn all_frames(files: &Memory) -> Vec<(usize, u8, usize)> {
    let names = files.names().unwrap().into_iter().filter(|name| name.ends_with(".hws"));
    names.flat_map(|name| data_frames(&files.content(&name).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back(
        codec in 0..CODECS.len(),
        kinds in prop::collection::vec((0..4u8, 0..5000usize), 0..60),
        every in 1..20usize,
    ) {
        let row = |(i, (kind, len)): (usize, &(u8, usize))| match kind {
            0 => noise(i, *len),
            1 => vec![i as u8; *len],
            2 => vec![7; *len % 2],
            _ => json(i),
        };
        let rows: Vec<_> = kinds.iter().enumerate().map(row).collect();
        let files = Memory::new();
        write(&open(&files, config(CODECS[codec])), &rows, every);
        prop_assert_eq!(payloads(&reader(&files)).unwrap(), rows);
        let verified = reader(&files).verify(&mut |_| {}).unwrap();
        prop_assert!(verified.is_sound(), "{:?}", verified);
    }
}

#[test]
fn a_record_of_64_mib_comes_back() {
    let row: Vec<u8> = (0..500_000).flat_map(json).take(63 << 20).collect();
    for compression in [Compression::Lz4, Compression::Zstd(1)] {
        let files = Memory::new();
        let log = open(&files, Config { compression, ..Config::default() });
        write(&log, std::slice::from_ref(&row), 1);
        let [(_, _, len)] = all_frames(&files)[..] else { panic!("one record, one frame") };
        assert!(len < row.len() / 2, "{compression}: {len}");
        assert!(payloads(&reader(&files)).unwrap() == [row.clone()], "{compression}");
    }
}

#[test]
fn what_does_not_get_smaller_is_stored_as_it_is() {
    let written = |compression, rows: &[Vec<u8>]| {
        let files = Memory::new();
        write(&open(&files, config(compression)), rows, 4);
        all_frames(&files)
    };
    let noise: Vec<_> = (0..40).map(|i| noise(i, 3000)).collect();
    let rows: Vec<_> = (0..400).map(json).collect();
    for compression in [Compression::Lz4, Compression::Zstd(3)] {
        assert_eq!(written(compression, &noise), written(Compression::None, &noise), "{compression}");
        let frames = written(compression, &rows);
        assert!(frames.len() == 100 && frames.iter().all(|(_, flags, _)| *flags != 0), "{compression}");
    }
}

#[test]
fn counts_checksums_and_digests_do_not_tell() {
    let rows: Vec<_> = (0..3000).map(|i| if i % 5 == 0 { noise(i, 100) } else { json(i) }).collect();
    let told = |compression| {
        let files = Memory::new();
        write(&open(&files, Config { digest: Digest::Blake3, ..config(compression) }), &rows, 1000);
        let log = reader(&files);
        let mut reader = log.reader(Sequence::FIRST).unwrap();
        let mut told = Vec::new();
        while let Some(checkpoint) = reader.next().unwrap() {
            told.push((checkpoint.sequence(), checkpoint.streams().to_vec()));
        }
        // In a commit the digest stands behind the checksum and a one.
        let digests: Vec<Vec<u8>> = told
            .iter()
            .map(|(_, streams)| {
                let before = [&streams[0].checksum.to_le_bytes()[..], &[1]].concat();
                let names = files.names().unwrap().into_iter().filter(|name| name.ends_with(".hws"));
                let mut bytes = names.map(|name| files.content(&name).unwrap());
                let found = |bytes: &Vec<u8>| Some(bytes.windows(5).position(|w| w == before)? + 5);
                bytes.find_map(|bytes| found(&bytes).map(|at| bytes[at..at + 32].to_vec())).unwrap()
            })
            .collect();
        let flags: Vec<u8> = all_frames(&files).iter().map(|(_, flags, _)| *flags).collect();
        (told, digests, flags)
    };
    let (plain, digests, flags) = told(Compression::None);
    assert!(plain.len() == 3 && flags.iter().all(|flags| *flags == 0));
    for compression in CODECS.into_iter().skip(1) {
        let (found, same, flags) = told(compression);
        assert_eq!((&found, &same), (&plain, &digests), "{compression}");
        assert!(flags.iter().all(|flags| *flags > 0), "{compression}");
    }
}

#[test]
fn each_stream_goes_its_own_way_and_the_next_opening_may_change_it() {
    let files = Memory::new();
    let row: Vec<u8> = (0..20).flat_map(json).collect();
    for (opening, usual) in [Compression::Lz4, Compression::None].into_iter().enumerate() {
        let log = open(&files, config(usual));
        let own = |name: &str, how| log.stream(StreamSpec::new(name).compression(how)).unwrap();
        let streams = [
            log.stream(StreamSpec::new("as the log")).unwrap(),
            own("zstd", Compression::Zstd(5)),
            own("plain", Compression::None),
        ];
        let mut writer = log.writer(&streams.each_ref()).unwrap();
        for stream in &streams {
            writer.append(stream, Op::Insert { key: b"", row: &row }).unwrap();
        }
        writer.commit(Commit::new().all()).unwrap();
        // A discarded unit and a commit leave the choice as it was.
        writer.append(&streams[1], Op::Insert { key: b"", row: &row }).unwrap();
        writer.discard(&streams[1]).unwrap();
        writer.append(&streams[1], Op::Insert { key: b"", row: &row }).unwrap();
        writer.commit(Commit::new().all()).unwrap();
        drop(writer);
        log.close().unwrap();
        let flags: Vec<u8> = all_frames(&files).iter().map(|(_, flags, _)| *flags).collect();
        let expected = [[1, 2, 0, 2], [0, 2, 0, 2]];
        assert_eq!(flags, expected[..=opening].concat());
    }
    assert_eq!(payloads(&reader(&files)).unwrap(), vec![row; 8]);
}

#[test]
fn mapped_segments_are_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..20_000).map(json).collect();
    let config = Config { read_mode: ReadMode::Map, ..config(Compression::Lz4) };
    let (log, _) = Log::open(dir.path(), config).unwrap();
    write(&log, &rows, 500);
    assert!(log.status().unwrap().segments.iter().filter(|segment| segment.sealed).count() > 2);
    assert_eq!(payloads(&log).unwrap(), rows);
}

#[test]
fn a_full_log_takes_the_records_again_when_there_is_room() {
    let files = Memory::new();
    let small = Config { size_max: Some(300 << 10), ..config(Compression::Zstd(1)) };
    let log = open(&files, small);
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    let row = |i: usize| [json(i), noise(i, 300)].concat();
    let mut appended = 0;
    let mut full = 0;
    let mut first = 0;
    while full < 20 {
        let result = writer
            .append(&stream, Op::Insert { key: b"", row: &row(appended) })
            .map(|()| appended += 1)
            .and_then(
                |()| if appended % 9 == 0 { writer.commit(Commit::new().all()).map(drop) } else { Ok(()) },
            );
        match result {
            Ok(()) => {}
            Err(error) if *error.kind() == ErrorKind::Full => {
                full += 1;
                log.prune(&Retention { min_count: 3, ..Retention::default() }).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    writer.commit(Commit::new().all()).unwrap();
    let found = payloads(&log).unwrap();
    first += appended - found.len();
    let expected: Vec<_> = (first..appended).map(row).collect();
    assert!(found.len() > 20 && found == expected, "nothing is lost, nothing is doubled");
    assert!(all_frames(&files).iter().any(|(_, flags, _)| *flags == 2));
}

#[test]
fn pruning_moves_an_open_units_frames_as_they_are() {
    let files = Memory::new();
    let log = open(&files, config(Compression::Lz4));
    let slow = log.stream(StreamSpec::new("slow")).unwrap();
    let mut writer = log.writer(&[&slow]).unwrap();
    let rows: Vec<_> = (0..1000).map(json).collect();
    for row in &rows {
        writer.append(&slow, Op::Insert { key: b"", row }).unwrap();
    }
    let noise: Vec<_> = (0..100).map(|i| noise(i, 5000)).collect();
    write(&log, &noise, 1);
    let pruned = log.prune(&Retention { min_count: 1, ..Retention::default() }).unwrap();
    assert!(pruned.segments > 2);
    writer.commit(Commit::new().stream(&slow, &1)).unwrap();
    drop(writer);
    log.close().unwrap();
    let found = payloads(&reader(&files)).unwrap();
    assert_eq!(found[found.len() - rows.len()..], rows);
    assert!(all_frames(&files).iter().any(|(_, flags, _)| *flags == 1), "they were not unpacked");
}

/// A log of one checkpoint with one compressed frame, and where that is.
fn one_frame(compression: Compression) -> (Memory, usize, usize) {
    let files = Memory::new();
    let log = open(&files, config(compression));
    write(&log, &(0..40).map(json).collect::<Vec<_>>(), 40);
    log.close().unwrap();
    let frames = all_frames(&files);
    let [(at, flags, len)] = frames[..] else { panic!("{frames:?}") };
    assert_ne!(flags, 0);
    (files, at, len)
}

const SEGMENT: &str = "00000001.hws";

/// Reads the log with these bytes in place of some. An error has to name the frame.
fn misread(
    files: &Memory,
    frame: usize,
    change: impl FnOnce(&mut Vec<u8>),
) -> highwater::Result<Vec<Vec<u8>>> {
    let image = files.image();
    let mut bytes = image.content(SEGMENT).unwrap();
    change(&mut bytes);
    image.set_content(SEGMENT, bytes);
    let found = LogReader::open_on(Arc::new(image)).and_then(|log| payloads(&log));
    if let Err(error) = &found {
        assert!(error.to_string().contains(&format!("{SEGMENT} byte {frame}")), "{error}");
    }
    found
}

/// Puts the checksums of a changed body right, as somebody would who means harm.
fn reseal(bytes: &mut [u8], frame: usize) {
    let len = number(&bytes[frame + 4..frame + 8]) as usize;
    let body = crc32fast::hash(&bytes[frame + HEADER..frame + HEADER + len]);
    bytes[frame + 24..frame + 28].copy_from_slice(&body.to_le_bytes());
    let mut header = crc32fast::Hasher::new();
    header.update(&bytes[40..48]);
    header.update(&(1u64 << 32 | frame as u64).to_le_bytes());
    header.update(&bytes[frame..frame + 36]);
    bytes[frame + 36..frame + 40].copy_from_slice(&header.finalize().to_le_bytes());
}

#[test]
fn every_flipped_byte_of_a_compressed_frame_is_damage_that_names_its_place() {
    for compression in [Compression::Lz4, Compression::Zstd(3)] {
        let (files, frame, len) = one_frame(compression);
        for at in frame..frame + HEADER + len {
            let error = misread(&files, frame, |bytes| bytes[at] ^= 0x41).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
        }
    }
}

#[test]
fn what_passes_the_bodys_checksum_is_still_checked_against_the_contents() {
    for compression in [Compression::Lz4, Compression::Zstd(3)] {
        let (files, frame, len) = one_frame(compression);
        let good: Vec<_> = (0..40).map(json).collect();
        let mut told = std::collections::BTreeSet::new();
        // Behind the base time: the length, then what was compressed.
        for at in frame + HEADER + 8..frame + HEADER + len {
            let found = misread(&files, frame, |bytes| {
                bytes[at] ^= 0x04;
                reseal(bytes, frame);
            });
            let error = match found {
                Err(error) => error,
                // A bit that means nothing, or a copy of the same from elsewhere.
                Ok(rows) => {
                    assert!(rows == good, "byte {at}: other records, and no error");
                    continue;
                }
            };
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
            told.insert(error.to_string().split(':').nth(1).unwrap().trim().to_owned());
        }
        assert!(told.contains("a data frame's content"), "{told:?}");
        if compression == Compression::Lz4 {
            assert!(told.contains("checksum of a frame's content, decompressed"), "{told:?}");
        }
    }
}

#[test]
fn a_length_that_lies_is_damage_and_takes_no_memory() {
    let lies: [(&[u8], &str); 4] = [
        (&[0x00], "decompressed to its length"),
        (&[0xFF, 0x7F], "decompressed to its length"),
        (&[0x80, 0x80, 0x80, 0x80, 0x01], "beyond anything"),
        (&[0xFF; 10], "content"),
    ];
    for compression in [Compression::Lz4, Compression::Zstd(3)] {
        let (files, frame, _) = one_frame(compression);
        for (lie, told) in lies {
            let error = misread(&files, frame, |bytes| {
                let at = frame + HEADER + 8;
                bytes[at..at + lie.len()].copy_from_slice(lie);
                reseal(bytes, frame);
            })
            .unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}

#[test]
fn an_unknown_codec_is_refused_by_name_and_is_no_damage() {
    let (files, frame, _) = one_frame(Compression::Lz4);
    let error = misread(&files, frame, |bytes| {
        bytes[frame + 1] = 3;
        reseal(bytes, frame);
    })
    .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("frame flags 0x03"), "{error}");
}

#[test]
fn a_level_that_zstd_does_not_have_is_refused() {
    for level in [-8, 23] {
        let files = Arc::new(Memory::new());
        let error = Log::open_on(files, config(Compression::Zstd(level))).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Invalid);
        let log = open(&Memory::new(), config(Compression::None));
        let spec = StreamSpec::new("s").compression(Compression::Zstd(level));
        assert_eq!(*log.stream(spec).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_compression_is_read_as_it_is_printed() {
    for compression in CODECS {
        assert_eq!(compression.to_string().parse::<Compression>().unwrap(), compression);
    }
    assert_eq!("zstd".parse::<Compression>().unwrap(), Compression::Zstd(3));
    for wrong in ["", "gzip", "lz4:1", "zstd:", "zstd:23", "LZ4"] {
        assert_eq!(*wrong.parse::<Compression>().unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
    }
}
