//! A small log, what stands where in it, and what it shows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::testing::{Operation, Random, SECTOR, SimDisk, State};
use highwater::{
    Commit, Compaction, Config, Log, LogReader, Op, Result, Retention, Sequence, Stream, StreamSpec,
};

use super::Ending;
use crate::check::{Checked, Violation};
use crate::rot::Rot;

/// Where damage strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In what the last commit wrote into segments.
    Last,
    /// In what was written into segments and base files before.
    Earlier,
    /// In the mark.
    Mark,
}

/// A log that was left, and everything that is known about it.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) state: State,
    /// From before the last commit: where lost writes leave old bytes.
    pub(crate) earlier: State,
    pub(crate) shown: Shown,
    /// What it showed before each compaction.
    uncompacted: Vec<Shown>,
    world: Arc<Stepped>,
    last: Written,
    before: Written,
}

/// File names, and the bytes that were written in them.
type Written = Vec<(Arc<str>, Range<u64>)>;

impl Sample {
    /// Makes a log and leaves it so.
    pub(crate) fn make(random: &mut Random, ending: Ending) -> Checked<Sample> {
        let world = Arc::new(Stepped::new(random.word(), 1_700_000_000_000_000));
        let disk = SimDisk::new(State::default(), random.word());
        let (log, _) = Log::open_on(Arc::new(disk.clone()), config(&world))?;
        let streams = ["orders", "users"].map(|name| log.stream(StreamSpec::new(name).key(["id"])));
        let [orders, users] = streams;
        let streams = [orders?, users?];
        let mut uncompacted = Vec::new();
        for _ in 0..random.below(30) {
            commit(&log, &streams, random)?;
            if random.one_in(12) {
                let before = Shown::of(&log)?;
                let retention = Retention { min_count: 1 + random.below(4), ..Retention::default() };
                let compaction = Compaction { retention, ..Compaction::default() };
                if log.compact(&compaction, &mut |_| ControlFlow::Continue(()))?.done {
                    uncompacted.push(before);
                }
            }
            if random.one_in(12) {
                log.prune(&Retention { min_count: 1 + random.below(4), ..Retention::default() })?;
            }
        }
        let (earlier, calls) = (disk.state(), disk.calls());
        commit(&log, &streams, random)?;
        let end = disk.calls();
        let state = leave(log, &disk, &world, ending, random)?;
        let operations = disk.operations(0);
        let shown = Shown::of_state(&state, &world)?;
        let written = |range: Range<usize>| written(&operations, range, &disk.state(), &state);
        let (last, before) = (written(calls..end), written(0..calls));
        Ok(Sample { state, earlier, shown, uncompacted, world, last, before })
    }

    /// How the log is opened.
    pub(crate) fn config(&self) -> Config {
        config(&self.world)
    }

    /// How much of it is missing at the end, if what a reader was shown is nothing else: checkpoints, and the switch of a
    /// compaction, which may be the last of what is lost. Then everything is as it was before.
    pub(crate) fn lost(&self, shown: &Shown) -> Option<usize> {
        let taken_back = || {
            self.uncompacted.iter().find_map(|before| shown.lost_at_the_end(before))?;
            Some(self.shown.last().saturating_sub(shown.last()) as usize + 1)
        };
        shown.lost_at_the_end(&self.shown).or_else(taken_back)
    }

    /// Whether damage hits what the last commit wrote.
    pub(crate) fn reaches_last(&self, name: &str, rot: Rot) -> bool {
        let sector = |sector: u32| u64::from(sector) * SECTOR as u64..u64::from(sector + 1) * SECTOR as u64;
        let hit = match rot {
            Rot::Flip { byte, .. } => [byte..byte + 1, 0..0],
            Rot::Zero { sector: at } | Rot::Repeat { over: at, .. } => [sector(at), 0..0],
            Rot::Stale { sector: at, count } => [sector(at).start..sector(at + count - 1).end, 0..0],
            Rot::Swap { sector: at, with } => [sector(at), sector(with)],
            Rot::Truncate { len } => [len..u64::MAX, 0..0],
            Rot::Remove => [0..u64::MAX, 0..0],
        };
        let overlap =
            |range: &Range<u64>| hit.iter().any(|hit| hit.start < range.end && range.start < hit.end);
        self.last.iter().any(|(file, range)| **file == *name && overlap(range))
    }

    /// Some damage to something that was durable.
    pub(crate) fn aim(&self, random: &mut Random) -> (Place, Arc<str>, Rot) {
        match random.below(8) {
            0 => {
                let slot = random.below(2) * 4096;
                (Place::Mark, "mark".into(), rot(random, &(slot..slot + 512)))
            }
            1..=4 => aim_at(Place::Last, &self.last, random),
            _ => aim_at(Place::Earlier, &self.before, random),
        }
    }
}

fn config(world: &Arc<Stepped>) -> Config {
    Config {
        segment_bytes: 64 << 10,
        buffer_bytes_max: 8 << 10,
        unflushed_bytes_max: 64 << 10,
        environment: world.clone(),
        ..Config::default()
    }
}

fn commit(log: &Log, streams: &[Stream; 2], random: &mut Random) -> Result<()> {
    let mut writer = log.writer(&[&streams[0], &streams[1]])?;
    for _ in 0..random.below(6) {
        let mut row = vec![0; [0, 40, 300, 1000, 5000][random.index(5)]];
        random.fill(&mut row);
        let stream = &streams[random.index(2)];
        writer.append(stream, Op::Upsert { key: &random.below(50).to_le_bytes(), row: &row })?;
    }
    let state = random.word();
    let commit = Commit::new().global(&state);
    writer.commit(if random.one_in(2) { commit.stream(&streams[0], &state) } else { commit })?;
    Ok(())
}

/// Ends the process, or the machine, and gives the disk as the next opening finds it.
fn leave(log: Log, disk: &SimDisk, world: &Stepped, ending: Ending, random: &mut Random) -> Result<State> {
    match ending {
        Ending::Closed => {
            log.close()?;
            world.reboot();
            Ok(disk.state())
        }
        Ending::Killed => {
            let after = disk.kill();
            drop(log);
            Ok(after.state())
        }
        Ending::PowerCut => {
            let after = disk.state().crash(random);
            world.reboot();
            Ok(after)
        }
    }
}

/// What those calls wrote into segments and base files that are still there.
fn written(operations: &[Operation], calls: Range<usize>, wrote: &State, left: &State) -> Written {
    let names: BTreeMap<_, _> = left.names().filter_map(|name| Some((wrote.find(name)?, name))).collect();
    let mut places = Written::new();
    for operation in &operations[calls] {
        let Operation::Write(file, offset, bytes) = operation else { continue };
        if let Some(name) = names.get(file).filter(|name| name.ends_with(".hws")) {
            places.push(((*name).clone(), *offset..*offset + bytes.len() as u64));
        }
    }
    places
}

fn aim_at(place: Place, written: &Written, random: &mut Random) -> (Place, Arc<str>, Rot) {
    let all: u64 = written.iter().map(|(_, range)| range.end - range.start).sum();
    let mut at = random.below(all);
    for (name, range) in written {
        let len = range.end - range.start;
        if at < len {
            let hit = range.start + at..range.end;
            return (place, name.clone(), rot(random, &hit));
        }
        at -= len;
    }
    (Place::Mark, "mark".into(), rot(random, &(0..1024)))
}

/// Damage of any kind that begins where the range does.
fn rot(random: &mut Random, at: &Range<u64>) -> Rot {
    let sector = (at.start / SECTOR as u64) as u32;
    let other = random.below(u64::from(sector) + 8) as u32;
    match random.below(6) {
        0 => Rot::Flip { byte: at.start, bit: random.below(8) as u8 },
        1 => Rot::Zero { sector },
        2 => Rot::Swap { sector, with: other },
        3 => Rot::Repeat { sector: other, over: sector },
        4 => Rot::stale(sector, other),
        _ => Rot::Truncate { len: at.start },
    }
}

/// What is said of a base checkpoint.
const BASE: &str = "base ";

/// All that a reader learns, checkpoint by checkpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown(BTreeMap<u64, String>);

impl Shown {
    pub(crate) fn of(log: &LogReader) -> Result<Shown> {
        let mut shown = BTreeMap::new();
        let mut reader = log.reader(log.first())?;
        while let Some(checkpoint) = reader.next()? {
            let base = if checkpoint.is_compacted() { BASE } else { "" };
            let mut text = format!("{base}{}", checkpoint.position());
            for (stream, _) in checkpoint.states() {
                let _ = write!(text, " {:?}", checkpoint.state_text(stream.as_ref())?);
            }
            for record in checkpoint.records() {
                let record = record?;
                let _ = write!(text, " {} {:?} {:?}", record.stream, record.key, record.payload);
            }
            shown.insert(checkpoint.sequence().get(), text);
        }
        if log.end().is_some_and(|end| end.sequence > Sequence::FIRST) {
            log.state()?.all()?;
        }
        Ok(Shown(shown))
    }

    fn of_state(state: &State, world: &Arc<Stepped>) -> Checked<Shown> {
        let (log, recovery) = Log::open_on(Arc::new(SimDisk::new(state.clone(), 1)), config(world))?;
        let shown = Shown::of(&log)?;
        match recovery.sequence().get() == shown.0.keys().next_back().copied().unwrap_or(0) {
            true => Ok(shown),
            false => Err(Violation::new("a sound log does not show its last checkpoint")),
        }
    }

    /// How many checkpoints.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether it begins with a base checkpoint.
    pub(crate) fn is_compacted(&self) -> bool {
        self.0.values().next().is_some_and(|first| first.starts_with(BASE))
    }

    fn last(&self) -> u64 {
        self.0.keys().next_back().copied().unwrap_or(0)
    }

    /// How many checkpoints of the other are missing at the end; none if it differs in another way. What the other had
    /// pruned may be back, if the pruning is lost, too.
    pub(crate) fn lost_at_the_end(&self, other: &Shown) -> Option<usize> {
        let first = other.0.keys().next().copied().unwrap_or(0);
        let left = self.0.range(first..);
        let same = left.clone().eq(other.0.iter().take(left.clone().count()));
        same.then(|| other.0.len() - left.count())
    }
}
