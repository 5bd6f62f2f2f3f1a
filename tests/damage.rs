//! Damage: every byte of a small log flipped, every length cut. What was committed comes back as it was, or there is an
//! error that names the place (P4, P5); never a panic, never less than was promised.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::storage::Memory;
use highwater::{
    Commit, Compression, Config, Durability, ErrorKind, Log, LogReader, Op, Sequence, StreamSpec,
};

fn config() -> Config {
    Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(3, 1)), ..Config::default() }
}

/// A small log with some of everything: two segments, states, definitions, a clean close.
fn sample() -> Memory {
    let files = Memory::new();
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let [a, b] = [("a", Compression::Lz4), ("b", Compression::None)].map(|(name, how)| {
        let spec = StreamSpec::new(name).namespace("n").key(["id"]).schema("{}");
        log.stream(spec.compression(how)).unwrap()
    });
    let mut writer = log.writer(&[&a, &b]).unwrap();
    for i in 0..12u32 {
        let row = vec![i as u8; 300 * i as usize];
        writer.append(&a, Op::Upsert { key: b"[1]", row: &row }).unwrap();
        writer.append(&b, Op::Delete { key: b"[2]", row: b"" }).unwrap();
        writer
            .commit(if i % 3 == 0 { Commit::new().global(&i) } else { Commit::new().stream(&a, &i) })
            .unwrap();
    }
    writer.append(&a, Op::Insert { key: b"", row: &[9; 7000] }).unwrap();
    for i in 0..6u32 {
        writer.append(&b, Op::Insert { key: b"", row: &[7; 6000] }).unwrap();
        writer.commit(Commit::new().stream(&b, &i).label("l", "v")).unwrap();
    }
    drop(writer);
    log.close().unwrap();
    files.remove_for_test("reserve");
    files
}

trait RemoveForTest {
    fn remove_for_test(&self, name: &str);
}

impl RemoveForTest for Memory {
    fn remove_for_test(&self, name: &str) {
        highwater::storage::Storage::remove(self, name).unwrap();
    }
}

/// Everything a reader can learn, or the first error.
fn content(log: &LogReader) -> highwater::Result<String> {
    let mut text = String::new();
    let mut reader = log.reader(Sequence::FIRST)?;
    while let Some(checkpoint) = reader.next()? {
        text += &format!("{} {:?} {:?}\n", checkpoint.position(), checkpoint.labels(), checkpoint.states());
        for record in checkpoint.records() {
            let r = record?;
            let payload = crc32fast::hash(&r.payload);
            text += &format!("{} {:?} {} {:?} {payload:08x}\n", r.stream, r.op, r.emitted_us, r.key);
        }
    }
    let states = log.state()?;
    text += &format!("{:?} {:?} {:?}", states.global()?, states.all()?, log.streams()?);
    Ok(text)
}

fn read(files: &Memory) -> highwater::Result<String> {
    content(&LogReader::open_on(Arc::new(files.clone()))?)
}

/// Opens for writing, as recovery would.
fn recover(files: &Memory) -> highwater::Result<String> {
    let (log, _) = Log::open_on(Arc::new(files.clone()), Config { create: false, ..config() })?;
    content(&log)
}

/// The log is as it was, or the error is one that says where.
fn check(result: highwater::Result<String>, expected: &str, what: &str) {
    match result {
        Ok(found) => assert!(found == expected, "{what}: other content, and no error"),
        Err(error) => match error.kind() {
            ErrorKind::Corrupt => {
                assert!(
                    error.file().is_some() || error.to_string().contains("checkpoint"),
                    "{what}: {error}"
                );
            }
            ErrorKind::Unsupported => {}
            _ => panic!("{what}: {error:?}"),
        },
    }
}

fn names(files: &Memory) -> Vec<String> {
    let mut names = highwater::storage::Storage::names(files).unwrap();
    names.retain(|name| !name.starts_with("lock") && !name.ends_with(".guard"));
    names
}

#[test]
fn every_flipped_byte_is_harmless_or_seen() {
    let files = sample();
    let expected = read(&files).unwrap();
    assert_eq!(recover(&files.image()).unwrap(), expected);
    let mut seen = 0;
    for name in names(&files) {
        let good = files.content(&name).unwrap();
        for at in 0..good.len() {
            // Unused space is all alike: a few of its bytes do.
            let dull = at > 0 && good[at] == good[at - 1];
            if dull && at % 61 != 0 {
                continue;
            }
            let bad = files.image();
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            bad.set_content(&name, bytes);
            let what = format!("{name} byte {at}");
            let result = read(&bad);
            seen += usize::from(result.is_err());
            check(result, &expected, &what);
            // Recovery is slower; it shares the code, so a sample of places does.
            if at % 7 == 0 {
                check(recover(&bad), &expected, &what);
            }
        }
    }
    assert!(seen > 1000, "only {seen} flips were seen: the test does not reach the data");
}

#[test]
fn every_cut_is_harmless_or_seen() {
    let files = sample();
    let expected = read(&files).unwrap();
    for name in names(&files) {
        let good = files.content(&name).unwrap();
        let used = good.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for len in (0..=used).step_by(13).chain(used.saturating_sub(200)..good.len().min(used + 50)) {
            let bad = files.image();
            bad.set_content(&name, good[..len].to_vec());
            let what = format!("{name} cut to {len}");
            check(read(&bad), &expected, &what);
            check(recover(&bad), &expected, &what);
        }
        let bad = files.image();
        bad.remove_for_test(&name);
        check(read(&bad), &expected, &format!("{name} missing"));
    }
}

#[test]
fn a_reader_changes_nothing_though_the_log_is_damaged() {
    let files = sample();
    let mut bytes = files.content("00000001.hws").unwrap();
    bytes[9000] ^= 1;
    files.set_content("00000001.hws", bytes);
    let before: Vec<_> = names(&files).into_iter().map(|name| (files.content(&name), name)).collect();
    let _ = read(&files);
    let after: Vec<_> = names(&files).into_iter().map(|name| (files.content(&name), name)).collect();
    assert!(before == after);
}

#[test]
fn verify_names_file_and_byte_of_each_damage() {
    let files = sample();
    let good = files.content("00000001.hws").unwrap();
    for at in [5000, 20_000, 30_000] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        files.set_content("00000001.hws", bytes);
        let log = LogReader::open_on(Arc::new(files.clone())).unwrap();
        let found = log.verify(&mut |_| {}).unwrap();
        assert!(found.problems.iter().any(|problem| problem.contains("00000001.hws byte")), "{found:?}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let files = sample();
    for (at, value, text) in [(10, 9, "reader of version 9"), (12, 4, "features 0x00000004")] {
        let newer = files.image();
        for name in names(&newer).iter().filter(|name| name.ends_with(".hws")) {
            let mut bytes = newer.content(name).unwrap();
            bytes[at] = value;
            let crc = crc32fast::hash(&bytes[..124]);
            bytes[124..128].copy_from_slice(&crc.to_le_bytes());
            newer.set_content(name, bytes);
        }
        let refused = recover(&newer).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains(text), "{refused}");
    }
}

/// A roll is one write: a power cut may leave the new segment's start frame and not the index behind it.
#[test]
fn a_start_without_its_index_is_written_anew() {
    let files = Memory::new();
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let stream = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 0..4u32 {
        writer.append(&stream, Op::Insert { key: b"", row: &[7; 15_000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &i).durability(Durability::Buffered)).unwrap();
    }
    let image = files.image();
    let mut torn = image.content("00000002.hws").expect("a second segment has begun");
    let body = u32::from_le_bytes(torn[4100..4104].try_into().unwrap()) as usize;
    torn[4096 + 40 + body.next_multiple_of(8) + 8..].fill(0);
    image.set_content("00000002.hws", torn);

    for life in 0..3u32 {
        let (log, _) = Log::open_on(Arc::new(image.clone()), config()).unwrap();
        let stream = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&stream]).unwrap();
        writer.append(&stream, Op::Insert { key: b"", row: &[8; 100] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &life)).unwrap();
        log.prune(&highwater::Retention::default()).unwrap();
        log.close().unwrap();
        assert!(LogReader::open_on(Arc::new(image.clone())).unwrap().verify(&mut |_| {}).unwrap().is_sound());
    }
}
