//! A log of hostile files, put through everything that a log is for.

use std::sync::Arc;

use super::small_disk::SmallDisk;
use crate::environment::Stepped;
use crate::repair::{self, Mode};
use crate::storage::Memory;
use crate::{
    Commit, Config, ErrorKind, Limit, Log, LogReader, Op, Position, Result, Retention, Sequence, Start,
    StreamSpec,
};

/// Reading stops here: a commit may name the same records again and again, which is long, and not endless.
const BYTES_MAX: usize = 8 << 20;
const CHECKPOINTS_MAX: usize = 2_000;
/// A stream of its own for what is appended behind whatever is there.
const STREAM: &str = "after";

/// A checkpoint and a checksum of everything that can be learnt of it.
type Told = (Position, u32);

/// What a reader learns.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub checkpoints: Vec<Told>,
    states: String,
}

/// Files that are as the engine wrote them, but for accidents, must give what was written or an error (P4, P5); `written`
/// is that. Files that somebody made with care, checksums and all, may say anything: reading them has to end.
pub(super) fn examine(files: &Memory, written: Option<&Contents>) {
    let shown = look(files, written);
    let image = files.image();
    let environment = Arc::new(Stepped::new(9, 2_000_000_000_000_000));
    environment.reboot();
    let config = Config { create: false, segment_bytes: 64 << 10, environment, ..Config::default() };
    for mode in [Mode::Cut, Mode::SkipDamaged] {
        mend(files, written, mode, config.clone());
    }
    let Ok((log, _)) = Log::open_on(Arc::new(SmallDisk::new(image.clone())), config.clone()) else { return };
    if let Some(shown) = shown {
        assert_eq!(shown, log.end(), "a reader shows something else than what an opening accepts");
    }
    if let Ok(contents) = read(&log) {
        compare(&contents, written);
    }
    let gone_on = go_on(&log);
    let closed = log.close();
    if written.is_none() {
        return;
    }
    let (Ok(position), Ok(())) = (gone_on, closed) else { return };
    let (log, _) =
        Log::open_on(Arc::new(SmallDisk::new(image)), config).expect("a log that was closed opens again");
    assert_eq!(log.end(), Some(position), "what was committed is there");
    // Finding it may lead past damage that the openings had no need to look at.
    let found = log.reader(position.sequence).and_then(|mut reader| reader.next());
    let Ok(Some(last)) = found else { return };
    assert_eq!(last.records().filter(|record| record.is_ok()).count(), 3, "it is whole");
}

/// As another process would, without writing. Returns where the log ends, if it can be opened.
fn look(files: &Memory, written: Option<&Contents>) -> Option<Option<Position>> {
    let log = LogReader::open_on(Arc::new(SmallDisk::new(files.image()))).ok()?;
    let end = log.end();
    let found = read(&log);
    if let Ok(contents) = &found {
        compare(contents, written);
    }
    let verified = log.verify(&mut |_| {});
    if verified.is_ok_and(|verified| verified.is_sound()) {
        assert!(found.is_ok(), "verify calls sound what can't be read: {found:?}");
    }
    Some(end)
}

/// A repair ends; what it keeps of an honest log is what was there.
fn mend(files: &Memory, written: Option<&Contents>, mode: Mode, config: Config) {
    let disk = Arc::new(SmallDisk::new(files.image()));
    let Ok(plan) = repair::apply_on(disk.clone(), mode, config.clone()) else { return };
    let opened = Log::open_on(disk, config);
    let Some(written) = written else { return };
    // The remains of a log whose making did not end: nothing is damaged, and nothing is there.
    if opened.as_ref().is_err_and(|error| *error.kind() == ErrorKind::NotFound) && !plan.is_needed() {
        return;
    }
    let (log, _) = opened.unwrap_or_else(|error| panic!("repaired, and does not open: {error}; {plan}"));
    let verified = log.verify(&mut |_| {}).expect("a repaired log can be read");
    assert!(verified.is_sound(), "repaired, and {:?}; {plan}", verified.problems);
    let found = read(&log).expect("a sound log can be read");
    // Where damage took a stream's definition, the plan says so, and the stream has another name in what was read.
    if plan.definitions_lost.is_empty() {
        // States that lost checkpoints had set are lost with them.
        compare_checkpoints(&found, written);
    }
}

fn compare(found: &Contents, written: Option<&Contents>) {
    let Some(written) = written else { return };
    compare_checkpoints(found, written);
    if found.checkpoints.last() == written.checkpoints.last() {
        assert_eq!(found.states, written.states, "other states than were written, and no error");
    }
}

fn compare_checkpoints(found: &Contents, written: &Contents) {
    // Damage to a pruning's trace may bring back what it had removed, whole.
    let first = written.checkpoints.first().map(|(position, _)| position.sequence);
    for checkpoint in found.checkpoints.iter().filter(|(position, _)| Some(position.sequence) >= first) {
        assert!(
            written.checkpoints.contains(checkpoint),
            "another checkpoint than was written, and no error"
        );
    }
}

/// Everything there is, or the first error.
pub(super) fn read(log: &LogReader) -> Result<Contents> {
    let mut contents = Contents::default();
    let mut reader = log.reader(log.first())?;
    let mut bytes = 0;
    loop {
        let checkpoint = match reader.next() {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => break,
            Err(_) if reader.pass_gap().is_some() => continue,
            Err(error) => return Err(error),
        };
        if checkpoint.labels().iter().any(|(name, _)| name == "repair") {
            continue; // a repair restores states in a checkpoint of its own
        }
        let mut sum = crc32fast::Hasher::new();
        let about = format!("{:?} {:?} {}", checkpoint.labels(), checkpoint.states(), checkpoint.time_us());
        sum.update(about.as_bytes());
        for record in checkpoint.records() {
            let record = record?;
            let about = format!("{} {:?} {}", record.stream, record.op, record.emitted_us);
            for part in [about.as_bytes(), &record.key, &record.metadata, &record.payload] {
                sum.update(part);
                bytes += part.len();
            }
            if bytes > BYTES_MAX {
                return Ok(contents);
            }
        }
        contents.checkpoints.push((checkpoint.position(), sum.finalize()));
        if contents.checkpoints.len() > CHECKPOINTS_MAX {
            return Ok(contents);
        }
    }
    let states = log.state()?;
    contents.states = format!("{:?} {:?} {:?}", states.global()?, states.all()?, log.streams()?);
    Ok(contents)
}

/// What else can be asked, and then one more checkpoint. Each call may fail.
fn go_on(log: &Log) -> Result<Position> {
    let _ = (log.consumers(), log.status(), log.plan_prune(&Retention::default()));
    let _ = log.state_at(log.end().map_or(Sequence::FIRST, |end| end.sequence)).map(|states| states.all());
    let _ = log.consumer("lake", Start::Earliest).and_then(|mut lake| {
        if let Some(batch) = lake.next_batch(&Limit::default())? {
            lake.acknowledge(batch.end())?;
        }
        lake.sync()
    });
    let _ = log.prune(&Retention::default());
    let stream = log.stream(StreamSpec::new(STREAM).key(["id"]))?;
    let mut writer = log.writer(&[&stream])?;
    for row in [&b"{}"[..], &[7; 3000], &[8; 9000]] {
        writer.append(&stream, Op::Upsert { key: b"[1]", row })?;
    }
    Ok(writer.commit(Commit::new().stream(&stream, &1))?.position)
}
