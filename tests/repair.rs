//! Repairs: whatever is damaged, a repair leaves a log that opens and verifies, keeps what its plan says, byte for byte,
//! loses what its plan says and no more, and can be taken back until it has come to its end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater::environment::Stepped;
use highwater::repair::{self, Mode, RepairPlan};
use highwater::storage::{Access, FileLayer, Layer, Memory, Storage, StorageFile};
use highwater::{
    AuditEvent, Commit, Compression, Config, ErrorKind, Limit, Log, LogReader, Op, Position, Retention,
    Sequence, Start, StreamSpec,
};

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

/// All that a checkpoint is.
type Content = (Position, Vec<(String, String)>, Vec<String>);

/// What can be read, checkpoint by checkpoint; gaps are stepped over.
fn content(log: &LogReader) -> BTreeMap<u64, Content> {
    let mut found = BTreeMap::new();
    let end = end(log);
    let mut next = log.first().max(Sequence::FIRST);
    while next <= end {
        let mut reader = log.reader(next).unwrap();
        let met = loop {
            match reader.next() {
                Ok(Some(checkpoint)) => {
                    let records =
                        checkpoint.records().map(|record| format!("{:?}", record.unwrap())).collect();
                    let labels = checkpoint.labels().to_vec();
                    found.insert(checkpoint.sequence().get(), (checkpoint.position(), labels, records));
                }
                Ok(None) => return found,
                Err(error) => break error,
            }
        };
        match met.kind() {
            ErrorKind::Gap { last, .. } => next = last.next(),
            _ => panic!("{met}"),
        }
    }
    found
}

fn end(log: &LogReader) -> Sequence {
    log.end().map_or(Sequence::NONE, |end| end.sequence)
}

/// Each state's text and the checkpoint that set it.
fn states(states: &highwater::States) -> BTreeMap<String, (String, u64)> {
    let streams = states.all().unwrap().into_iter().map(|(name, state)| (name.to_string(), state));
    let global = states.global().unwrap().map(|state| ("global".to_owned(), state));
    streams.chain(global).map(|(name, state)| (name, (state.text, state.since.get()))).collect()
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

/// What was there before the damage.
struct Original {
    files: Memory,
    checkpoints: BTreeMap<u64, Content>,
    /// After each of them.
    states: BTreeMap<u64, BTreeMap<String, (String, u64)>>,
}

impl Original {
    fn new(pruned: bool) -> Self {
        let files = sample(pruned);
        let log = reader(&files);
        let checkpoints = content(&log);
        assert!(checkpoints.len() > 10);
        let at = |n: &u64| (*n, states(&log.state_at(Sequence::new(*n)).unwrap()));
        let states = checkpoints.keys().map(at).collect();
        Original { files, checkpoints, states }
    }

    /// Both kinds of repair, and everything that has to hold of them.
    fn check(&self, damaged: &Memory, what: &str) -> usize {
        let mut repaired = 0;
        for mode in [Mode::Cut, Mode::SkipDamaged] {
            let before = image(damaged);
            let planned = match plan(damaged, mode) {
                Ok(plan) => plan,
                Err(error) => panic!("{what}: {error}"),
            };
            assert_eq!(image(damaged), before, "{what}: a plan changes nothing");
            if !planned.is_needed() {
                let log =
                    open(&damaged.image()).unwrap_or_else(|e| panic!("{what}: nothing to repair, but {e}"));
                assert!(
                    log.verify(&mut |_| {}).unwrap().is_sound(),
                    "{what}: nothing to repair, but not sound"
                );
                continue;
            }
            let files = damaged.image();
            match apply(&files, mode) {
                Ok(done) => {
                    assert_eq!(done, planned, "{what}");
                    self.check_repaired(&files, &done, what);
                    repaired += 1;
                }
                Err(error) => {
                    assert!(mode == Mode::Cut && !planned.can_cut, "{what}, {mode:?}: {error}");
                    assert_eq!(image(&files), before, "{what}: a repair that failed changes nothing");
                }
            }
        }
        repaired
    }

    fn check_repaired(&self, files: &Memory, done: &RepairPlan, what: &str) {
        let what = format!("{what}, {:?}: {done}", done.mode);
        let log = open(files).unwrap_or_else(|e| panic!("{what}: {e}"));
        let verification = log.verify(&mut |_| {}).unwrap();
        assert!(verification.is_sound(), "{what}: {:?}", verification.problems);
        let found = content(&log);
        let lost = |n: &u64| done.lost.iter().any(|run| (run.first.get()..=run.last.get()).contains(n));
        let expected: BTreeMap<u64, Content> = self
            .checkpoints
            .iter()
            .filter(|(n, _)| !lost(n))
            .map(|(n, content)| (*n, content.clone()))
            .collect();
        // A log that begins anew may restore states in a checkpoint of its own, behind the others.
        let found: BTreeMap<u64, Content> = found
            .into_iter()
            .filter(|(_, (_, labels, _))| !labels.iter().any(|(name, _)| name == "repair"))
            .collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
        assert!(found == expected, "{what}: a checkpoint that was kept is not what it was");
        self.check_states(&log, &expected, &what);
        check_record(
            &log,
            done,
            self.files.names().unwrap().iter().any(|name| name.starts_with("base")),
            &what,
        );
        let end = end(&log);
        // It takes more, and goes on counting.
        let a = log
            .stream(StreamSpec::new("a").namespace("n").key(["id"]).schema("{}").allow_key_change())
            .unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, Op::Insert { key: b"", row: b"after" }).unwrap();
        assert_eq!(writer.commit(Commit::new().stream(&a, &1)).unwrap().sequence(), end.next(), "{what}");
        drop(writer);
        log.close().unwrap();
        assert!(!plan(files, Mode::Cut).unwrap().is_needed(), "{what}: it is whole now");
    }
}

/// Every repair is on record with its number, also one that gives nothing up; and it is no pruning.
fn check_record(log: &Log, done: &RepairPlan, was_pruned: bool, what: &str) {
    let (mut lost, mut repairs, mut prunings) = (0, 0, 0);
    log.audit(&mut |entry| match entry.event {
        AuditEvent::Repair { repair, first, last, .. } => {
            assert_eq!(repair, done.number, "{what}");
            repairs += 1;
            lost += first.zip(last).map_or(0, |(first, last)| last.get() - first.get() + 1);
        }
        AuditEvent::Pruning { .. } | AuditEvent::Compaction { .. } => prunings += 1,
        _ => {}
    })
    .unwrap();
    let told: u64 = done.lost.iter().map(|run| run.last.get() - run.first.get() + 1).sum();
    assert!(repairs > 0 && lost == told, "{what}: {repairs} repairs are on record, with {lost} checkpoints");
    // Where the record of a pruning is what was damaged, the repair says again what is kept: up to its cut, and behind.
    assert!(prunings <= if was_pruned { 2 } else { 0 }, "{what}: {prunings} prunings are on record");
}

impl Original {
    /// Each state is the one that the last checkpoint set that was kept.
    fn check_states(&self, log: &Log, kept: &BTreeMap<u64, Content>, what: &str) {
        let mut expected = BTreeMap::new();
        for (n, after) in &self.states {
            let set = after.iter().filter(|(_, (_, since))| since == n && kept.contains_key(n));
            expected.extend(set.map(|(name, (text, _))| (name.clone(), text.clone())));
        }
        let found = states(&log.state().unwrap());
        for (name, text) in &expected {
            assert!(found.get(name).is_some_and(|(found, _)| found == text), "{what}: the state of {name}");
        }
        // What was set before the first checkpoint that can be read may be lost with a base file, never invented.
        for (name, (text, _)) in found.iter().filter(|(name, _)| !expected.contains_key(*name)) {
            assert!(text.parse::<u32>().is_ok_and(|i| i < 60), "{what}: the old state of {name} is {text}");
        }
    }
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

/// A log of ten checkpoints, of which the fifth is damaged; a consumer has acknowledged the eighth, another nothing.
fn damaged_in_the_middle() -> (Memory, Position) {
    let files = Memory::new();
    let log = open(&files).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    let mut ends = Vec::new();
    for i in 1..=10u8 {
        writer.append(&stream, Op::Insert { key: b"", row: &[i; 300] }).unwrap();
        ends.push(writer.commit(Commit::new().stream(&stream, &i)).unwrap().position);
    }
    let mut lake = log.consumer("lake", Start::Oldest).unwrap();
    lake.acknowledge(ends[7]).unwrap();
    lake.sync().unwrap();
    drop((writer, lake, log.consumer("late", Start::Oldest).unwrap()));
    log.close().unwrap();
    let name = "00000001.hws";
    let mut bytes = files.content(name).unwrap();
    let at = bytes.windows(300).position(|row| row == [5; 300]).unwrap();
    bytes[at] ^= 1;
    files.set_content(name, bytes);
    (files, ends[7])
}

/// The states of a checkpoint that was given up are gone; those of its neighbours are not taken for them.
#[test]
fn what_was_given_up_has_no_states() {
    let (files, _) = damaged_in_the_middle();
    apply(&files, Mode::SkipDamaged).unwrap();
    let log = open(&files).unwrap();
    for number in 1..=10 {
        let states = log.state_at(Sequence::new(number));
        if number == 5 {
            let refused = [states.unwrap_err(), log.plan_rewind(Sequence::new(5), None).unwrap_err()];
            let fifth = ErrorKind::Gap { first: Sequence::new(5), last: Sequence::new(5) };
            assert!(refused.iter().all(|error| *error.kind() == fifth), "{refused:?}");
        } else {
            let states = states.unwrap();
            assert_eq!(states.position().unwrap().sequence, Sequence::new(number));
            assert_eq!(states.all().unwrap()[0].1.text, number.to_string());
        }
    }
}

/// Where the last thing that stays is what an earlier repair put on record, its numbers stay given up.
#[test]
fn a_cut_right_behind_what_an_earlier_repair_gave_up() {
    let (files, _) = damaged_in_the_middle();
    apply(&files, Mode::SkipDamaged).unwrap();
    let name = "00000001.hws";
    let mut bytes = files.content(name).unwrap();
    let at = bytes.windows(300).rposition(|row| row == [6; 300]).unwrap();
    bytes[at] ^= 1;
    files.set_content(name, bytes);
    let done = apply(&files, Mode::Cut).unwrap();
    assert_eq!(done.last_before, Sequence::new(5), "{done:?}");
    let lost: Vec<_> = done.lost.iter().map(|run| (run.first.get(), run.last.get())).collect();
    assert_eq!(lost, [(6, 10)]);
    let log = open(&files).unwrap();
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
    assert_eq!(content(&log).into_keys().collect::<Vec<_>>(), [1, 2, 3, 4]);
    let made = log.writer(&[]).unwrap().commit(Commit::new()).unwrap();
    assert_eq!(made.sequence(), Sequence::new(6));
}

#[test]
fn after_a_cut_whoever_is_ahead_has_diverged_though_the_numbers_come_again() {
    let (files, eighth) = damaged_in_the_middle();
    let done = apply(&files, Mode::Cut).unwrap();
    assert_eq!(done.consumers_ahead.len(), 1, "{done:?}");
    let log = open(&files).unwrap();
    let diverged =
        |log: &Log| assert_eq!(*log.consumer("lake", Start::Oldest).unwrap_err().kind(), ErrorKind::Diverged);
    diverged(&log);
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 5..=12u8 {
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
    assert_eq!(end(&log).get(), 12);
    diverged(&log);
    // So has a destination that holds such a position.
    let mut late = log.consumer("late", Start::Oldest).unwrap();
    assert_eq!(*late.align(Some(eighth)).unwrap_err().kind(), ErrorKind::Diverged);
    let mut delivered = 0;
    while let Some(batch) = late.next_batch(&Limit::default()).unwrap() {
        delivered += batch.checkpoints().len();
        late.acknowledge(batch.end()).unwrap();
    }
    assert_eq!(delivered, 12);
}

#[test]
fn a_consumer_is_told_of_the_gap_and_goes_on_when_it_says_so() {
    let (files, eighth) = damaged_in_the_middle();
    let done = apply(&files, Mode::SkipDamaged).unwrap();
    assert!(done.consumers_ahead.is_empty() && done.lost_checkpoints == 1, "{done:?}");
    let log = open(&files).unwrap();
    // What is behind the gap is what it was: who has it, has it.
    let mut lake = log.consumer("lake", Start::Oldest).unwrap();
    lake.align(Some(eighth)).unwrap();
    let mut late = log.consumer("late", Start::Oldest).unwrap();
    let mut delivered = Vec::new();
    let gap = loop {
        match late.next_batch(&Limit { max_checkpoints: 1, ..Limit::default() }) {
            Ok(Some(batch)) => {
                delivered.push(batch.end().sequence.get());
                late.acknowledge(batch.end()).unwrap();
            }
            Ok(None) => panic!("no gap"),
            Err(error) => break error,
        }
    };
    let ErrorKind::Gap { first, last } = *gap.kind() else { panic!("{gap}") };
    assert_eq!((first.get(), last.get(), &delivered[..]), (5, 5, &[1, 2, 3, 4][..]));
    assert!(late.pass_gap(Sequence::new(6)).is_err(), "checkpoint 6 is there");
    late.pass_gap(last).unwrap();
    assert_eq!(late.next_batch(&Limit::default()).unwrap().unwrap().end().sequence.get(), 10);
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    while let Ok(Some(_)) = reader.next() {}
    assert_eq!(reader.pass_gap(), Some((first, last)));
    assert_eq!(reader.next().unwrap().unwrap().sequence().get(), 6);
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

/// Memory with a block that can't be read until it is written.
#[derive(Debug, Clone)]
struct BadBlock {
    files: Memory,
    name: &'static str,
    at: u64,
    is_bad: Arc<AtomicBool>,
}

#[derive(Debug)]
struct BadFile(Box<dyn StorageFile>, BadBlock);

impl Layer for BadBlock {
    fn below(&self) -> &dyn Storage {
        &self.files
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = Storage::open(&self.files, name, access)?;
        Ok(if name == self.name { Box::new(BadFile(file, self.clone())) } else { file })
    }
}

impl BadFile {
    fn is_met(&self, offset: u64, len: usize) -> bool {
        offset < self.1.at + 4096 && offset + len as u64 > self.1.at
    }
}

impl FileLayer for BadFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.0
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.1.is_bad.load(Ordering::Relaxed) && self.is_met(offset, buf.len()) {
            return Err(io::Error::other("a bad block"));
        }
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let written = self.0.write_at(pieces, offset)?;
        if self.is_met(offset, written) {
            self.1.is_bad.store(false, Ordering::Relaxed);
        }
        Ok(written)
    }
}

/// What the disk can't read is named by a verification and given up by a repair; the rest stays.
#[test]
fn a_block_that_cannot_be_read_costs_what_is_in_it() {
    for mode in [Mode::Cut, Mode::SkipDamaged] {
        for (name, at) in [("00000001.hws", 8192), ("00000003.hws", 20480), ("00000007.hws", 12288)] {
            let disk = BadBlock { files: sample(false), name, at, is_bad: Arc::new(true.into()) };
            let disk: Arc<dyn Storage> = Arc::new(disk);
            if let Ok(log) = LogReader::open_on(disk.clone()) {
                let problems = log.verify(&mut |_| {}).unwrap().problems;
                assert!(problems.iter().any(|what| what.contains(name)), "{problems:?}");
            }
            let plan = repair::plan_on(disk.clone(), mode).unwrap();
            assert!(plan.problems.contains(&format!("{name} byte {at}: can't be read: a bad block")));
            let repaired = repair::apply_on(disk.clone(), mode, config());
            if mode == Mode::Cut && !plan.can_cut {
                continue;
            }
            assert_eq!(repaired.unwrap(), plan);
            let (log, _) = Log::open_on(disk, config()).unwrap();
            assert!(log.verify(&mut |_| {}).unwrap().is_sound());
            let kept = content(&log).len() as u64;
            assert_eq!(kept, 60 - plan.lost_checkpoints, "{plan}");
        }
    }
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
