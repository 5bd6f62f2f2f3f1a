//! What an opening or a repair has dropped and written over, and a lost write brings back: whole frames, each valid, that fit between
//! what stands before and behind them. None of it is believed; a repair takes it out, and keeps what was committed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::io::IoSlice;
use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::repair::{self, Mode};
use highwater::storage::{Access, Memory, Storage};
use highwater::{Commit, Config, ErrorKind, Log, LogReader, Op, Result, Sequence, StreamSpec};

const SEGMENT: &str = "00000001.hws";
const BLOCK: usize = 4096;

/// Another seed is another life: its checkpoints have other UUIDs.
fn open(files: &Memory, seed: u64) -> Result<Log> {
    let config = Config {
        segment_bytes: 64 << 10,
        environment: Arc::new(Stepped::new(seed, 1_700_000_000_000_000)),
        ..Config::default()
    };
    Log::open_on(Arc::new(files.clone()), config).map(|(log, _)| log)
}

/// A checkpoint of one record, in a block of its own.
fn commit(log: &Log, row: &str) {
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    writer.append(&stream, Op::Insert { key: b"", row: row.as_bytes() }).unwrap();
    writer.commit(Commit::new().stream(&stream, &row)).unwrap();
}

/// A checkpoint of a state alone.
fn commit_state(log: &Log, state: &str) {
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    log.writer(&[&stream]).unwrap().commit(Commit::new().stream(&stream, &state)).unwrap();
}

/// Every record that is shown, with its checkpoint's number.
fn rows(log: &LogReader) -> Vec<(u64, String)> {
    let mut rows = Vec::new();
    let mut next = log.first().max(Sequence::FIRST);
    while log.end().is_some_and(|end| next <= end.sequence) {
        let mut reader = log.reader(next).unwrap();
        match reader.next() {
            Ok(Some(checkpoint)) => {
                let text = |record: highwater::Record| String::from_utf8(record.payload.to_vec()).unwrap();
                rows.extend(checkpoint.records().map(|r| (checkpoint.sequence().get(), text(r.unwrap()))));
                next = checkpoint.sequence().next();
            }
            Err(error) => match error.kind() {
                ErrorKind::Gap { last, .. } => next = last.next(),
                _ => panic!("{error}"),
            },
            Ok(None) => break,
        }
    }
    rows
}

fn texts(numbered: &[(u64, &str)]) -> Vec<(u64, String)> {
    numbered.iter().map(|(number, row)| (*number, (*row).to_owned())).collect()
}

/// A log of two checkpoints, whose third reached one half of a mirror only, and which was opened from the other one: there
/// the third is another, of the same size in the same place. With it the block that came to light again.
struct Scene {
    files: Memory,
    log: Option<Log>,
    /// Opened beside the writer, before the new third was there.
    early: Option<LogReader>,
    at: usize,
    block: Vec<u8>,
}

impl Scene {
    fn new() -> Scene {
        let files = Memory::new();
        let log = open(&files, 1).unwrap();
        commit(&log, "first");
        commit(&log, "second");
        let other_half = files.image();
        commit(&log, "old third");
        let (before, after) = (other_half.content(SEGMENT).unwrap(), files.content(SEGMENT).unwrap());
        let at = before.iter().zip(&after).position(|(a, b)| a != b).unwrap();
        assert!(
            at.is_multiple_of(BLOCK) && before[at + BLOCK..] == after[at + BLOCK..],
            "one block, at {at}"
        );
        let log = open(&other_half, 2).unwrap();
        let early = Some(LogReader::open_on(Arc::new(other_half.clone())).unwrap());
        commit(&log, "new third");
        Scene { files: other_half, log: Some(log), early, at, block: after[at..at + BLOCK].to_vec() }
    }

    fn commit(&self, row: &str) {
        commit(self.log.as_ref().unwrap(), row);
    }

    fn close(&mut self) {
        self.log.take().unwrap().close().unwrap();
    }

    fn lose_write(&self) {
        let bytes = self.files.content(SEGMENT).unwrap();
        assert_ne!(bytes[self.at..self.at + self.block.len()], self.block);
        let file = self.files.open(SEGMENT, Access::Write).unwrap();
        file.write_at(&[IoSlice::new(&self.block)], self.at as u64).unwrap();
    }

    /// Every way to open it is refused, with the file and a byte in the block or behind it.
    fn is_refused(&self, what: &str) {
        let reader = LogReader::open_on(Arc::new(self.files.clone())).map(drop);
        for error in [reader.unwrap_err(), open(&self.files.image(), 3).map(drop).unwrap_err()] {
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(what), "{error}");
            assert_eq!(error.file().unwrap().to_str(), Some(SEGMENT));
            assert!(error.byte().unwrap() >= self.at as u64, "{error}");
        }
    }

    /// After a repair the log holds this, verifies, and goes on.
    fn repairs_to(&self, mode: Mode, expected: &[(u64, &str)]) {
        let files = self.files.image();
        let environment = Arc::new(Stepped::new(4, 1_700_000_000_000_000));
        let config = Config { segment_bytes: 64 << 10, environment, ..Config::default() };
        let planned = repair::plan_on(Arc::new(files.clone()), mode).unwrap();
        assert!(planned.is_needed(), "{planned:?}");
        let done = repair::apply_on(Arc::new(files.clone()), mode, config).unwrap();
        assert_eq!(done, planned);
        let lost: Vec<(u64, u64)> = done.lost.iter().map(|run| (run.first.get(), run.last.get())).collect();
        let log = open(&files, 5).unwrap();
        assert_eq!(rows(&log), texts(expected), "{mode:?}: {done:?}");
        assert!(log.verify(&mut |_| {}).unwrap().is_sound());
        let told = |number: u64| lost.iter().any(|(first, last)| (*first..=*last).contains(&number));
        let kept = |number: u64| expected.iter().any(|(kept, _)| *kept == number);
        assert!((1..=done.last.get()).all(|number| kept(number) || told(number)), "{done:?}");
        commit(&log, "after");
    }
}

#[test]
fn the_last_checkpoint_below_the_mark_is_the_one_that_the_mark_tells() {
    let mut scene = Scene::new();
    scene.close();
    scene.lose_write();
    scene.is_refused("and the mark says 3");
    scene.repairs_to(Mode::Cut, &[(1, "first"), (2, "second")]);
    scene.repairs_to(Mode::SkipDamaged, &[(1, "first"), (2, "second")]);
}

/// A frame whose head is whole tells its epoch though its body is damaged: what shows inside of it, or behind it, and is of an
/// earlier opening had been dropped. Here neither the mark nor another commit could tell: those that could are damaged, too.
#[test]
fn the_head_of_a_damaged_frame_tells_that_what_shows_in_it_is_left_over() {
    let files = Memory::new();
    let log = open(&files, 1).unwrap();
    ["first", "second", "third"].iter().for_each(|row| commit(&log, row));
    let other_half = files.image();
    ["old fourth", "old fifth"].iter().for_each(|state| commit_state(&log, state));
    let (before, after) = (other_half.content(SEGMENT).unwrap(), files.content(SEGMENT).unwrap());
    // Where the old fifth stands a large frame of the new fourth is.
    let at = before.iter().zip(&after).position(|(a, b)| a != b).unwrap() + BLOCK;
    let log = open(&other_half, 2).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    writer.append(&stream, Op::Insert { key: b"", row: &[b'x'; 3 * BLOCK] }).unwrap();
    writer.commit(Commit::new().stream(&stream, &"new fourth")).unwrap();
    drop(writer);
    ["new fifth", "new sixth"].iter().for_each(|state| commit_state(&log, state));
    commit(&log, "new seventh");
    log.close().unwrap();
    let mut bytes = other_half.content(SEGMENT).unwrap();
    for state in ["new fourth", "new fifth", "new sixth"] {
        let place = bytes.windows(state.len()).position(|bytes| bytes == state.as_bytes()).unwrap();
        bytes[place] ^= 1;
    }
    other_half.set_content(SEGMENT, bytes);
    let scene = Scene { files: other_half, log: None, early: None, at, block: after[at..at + 512].to_vec() };
    scene.lose_write();
    scene.repairs_to(Mode::Cut, &[(1, "first"), (2, "second"), (3, "third")]);
    let kept = [(1, "first"), (2, "second"), (3, "third"), (7, "new seventh")];
    scene.repairs_to(Mode::SkipDamaged, &kept);
}

#[test]
fn a_checkpoint_comes_behind_the_one_that_it_names() {
    let mut scene = Scene::new();
    scene.commit("fourth");
    scene.commit("fifth");
    scene.close();
    scene.lose_write();
    scene.is_refused("checkpoint 4 does not come behind the one before it");
    scene.repairs_to(Mode::Cut, &[(1, "first"), (2, "second")]);
    scene.repairs_to(Mode::SkipDamaged, &[(1, "first"), (2, "second"), (4, "fourth"), (5, "fifth")]);
}

/// Without the mark the commits themselves tell.
#[test]
fn the_mark_is_not_needed_where_something_follows() {
    let mut scene = Scene::new();
    scene.commit("fourth");
    scene.close();
    scene.lose_write();
    scene.files.remove("mark").unwrap();
    scene.is_refused("checkpoint 4 does not come behind the one before it");
    scene.repairs_to(Mode::Cut, &[(1, "first"), (2, "second")]);
    scene.repairs_to(Mode::SkipDamaged, &[(1, "first"), (2, "second"), (4, "fourth")]);
}

/// A reader beside the writer believes it no more than who opens the log.
#[test]
fn a_reader_beside_a_writer_is_told_too() {
    let scene = Scene::new();
    let reader = LogReader::open_on(Arc::new(scene.files.clone())).unwrap();
    assert_eq!(rows(&reader).len(), 3);
    scene.lose_write();
    let error = LogReader::open_on(Arc::new(scene.files.clone())).map(drop).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error}");
    let error = scene.early.as_ref().unwrap().refresh().unwrap_err();
    assert!(error.to_string().contains("and the mark says 3"), "{error}");
    // So are those who look at what they had opened before.
    for log in [&reader, &**scene.log.as_ref().unwrap()] {
        let mut reader = log.reader(Sequence::new(2)).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().sequence(), Sequence::new(2));
        let error = reader.next().unwrap_err();
        assert!(error.to_string().contains("checkpoint 3 is another"), "{error}");
    }
    scene.commit("fourth");
    let mut reader = scene.log.as_ref().unwrap().reader(Sequence::new(3)).unwrap();
    assert!(reader.next().is_ok(), "whose checkpoint it is nobody knows before the next one");
    let error = reader.next().unwrap_err();
    assert!(error.to_string().contains("checkpoint 4 does not come behind"), "{error}");
}

/// What lies before the newest snapshot is not read by an opening: verifying finds it, and a repair mends it.
#[test]
fn verifying_finds_it_where_an_opening_does_not_look() {
    let mut scene = Scene::new();
    let rows: Vec<String> = (4..40).map(|number| format!("row {number}")).collect();
    rows.iter().for_each(|row| scene.commit(row));
    scene.close();
    scene.lose_write();
    let log = open(&scene.files.image(), 3).expect("it begins with a later segment");
    let problems = log.verify(&mut |_| {}).unwrap().problems;
    assert!(
        problems.iter().any(|problem| problem.contains("checkpoint 4 does not come behind")),
        "{problems:?}"
    );
    let behind = rows.iter().enumerate().map(|(i, row)| (i as u64 + 4, &**row));
    let whole: Vec<(u64, &str)> = [(1, "first"), (2, "second")].into_iter().chain(behind).collect();
    scene.repairs_to(Mode::Cut, &whole[..2]);
    scene.repairs_to(Mode::SkipDamaged, &whole);
}

/// The blocks in which a repair has cut the log are as they were before: what was given up would be there again, and its number twice.
#[test]
fn what_a_repair_gave_up_does_not_come_back() {
    for follows in [false, true] {
        let files = Memory::new();
        let log = open(&files, 1).unwrap();
        ["first", "second", "given up"].iter().for_each(|row| commit(&log, row));
        let third = files.content(SEGMENT).unwrap();
        commit(&log, "damaged");
        log.close().unwrap();
        let mut bytes = files.content(SEGMENT).unwrap();
        let damage = bytes.windows(7).rposition(|bytes| bytes == b"damaged").unwrap();
        bytes[damage] ^= 1;
        let at = damage / BLOCK * BLOCK - 2 * BLOCK; // where the second is, and the cut behind it
        let given_up = bytes.windows(8).position(|bytes| bytes == b"given up").unwrap();
        bytes[given_up] ^= 1;
        files.set_content(SEGMENT, bytes);
        let config = Config { environment: Arc::new(Stepped::new(9, 1)), ..Config::default() };
        repair::apply_on(Arc::new(files.clone()), Mode::Cut, config).unwrap();
        let log = open(&files, 2).unwrap();
        assert_eq!(rows(&log), texts(&[(1, "first"), (2, "second")]));
        if follows {
            commit(&log, "new third");
        }
        let mut scene =
            Scene { files, log: Some(log), early: None, at, block: third[at..at + 2 * BLOCK].to_vec() };
        scene.close();
        scene.lose_write();
        scene.is_refused(if follows { "does not come behind" } else { "the mark says 2" });
        scene.repairs_to(Mode::Cut, &[(1, "first"), (2, "second")]);
        let all = [(1, "first"), (2, "second"), (3, "new third")];
        scene.repairs_to(Mode::SkipDamaged, if follows { &all } else { &all[..2] });
    }
}
