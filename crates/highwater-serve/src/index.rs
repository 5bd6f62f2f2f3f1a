//! What was read of a log, followed from commit to commit: what a page asks for again and again. No record is read but those of
//! the runtime's own history. Memory is bounded by the number of streams, and by limits here.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use highwater::{Checkpoint, ErrorKind, LogReader, Reader, Sequence, StreamName};
use highwater_connect::bookkeeping;
use highwater_connect::runs::{Attempt, InOrder};

use crate::anomaly::Burst;

/// So many of the newest checkpoints are known one by one, 32 bytes each.
const ROWS_MAX: usize = 250_000;
/// So many of the newest changes of states, 16 bytes each.
const CHANGES_MAX: usize = 500_000;
/// So many of the newest attempts.
const ATTEMPTS_MAX: usize = 2_000;
/// So many of the newest bursts of checkpoints: two weeks of half-hourly ones, and more.
const BURSTS_MAX: usize = 1_000;
/// A record of the run history is not longer, in bytes.
const ATTEMPT_BYTES_MAX: usize = 64 << 10;
/// The deadline is looked at after so many checkpoints.
const SLICE: usize = 256;

/// A checkpoint, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub sequence: u64,
    pub time_us: i64,
    pub records: u64,
    pub bytes: u64,
}

/// What the checkpoints hold of a stream, since the index began to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub records: u64,
    pub bytes: u64,
    pub checkpoints: u64,
    /// The newest of them.
    pub last: u64,
    pub last_us: i64,
    /// The newest checkpoint that set or cleared its state.
    pub state_us: i64,
}

/// Which stream: a number of the index's own. The global state has one, too.
type Number = u32;

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    numbers: HashMap<Option<StreamName>, Number>,
    seen: Vec<Seen>,
    rows: VecDeque<Row>,
    changes: VecDeque<(u64, Number)>,
    attempts: InOrder,
    bursts: VecDeque<Burst>,
    /// The first checkpoint that was read, and the next one to be.
    pub from: u64,
    pub next: u64,
}

impl Index {
    /// What was seen of a stream, or (`None`) of the global state.
    pub(crate) fn seen(&self, name: Option<&StreamName>) -> Seen {
        self.numbers.get(&name.cloned()).map_or_else(Seen::default, |number| self.seen[*number as usize])
    }

    /// The newest checkpoints, oldest first.
    pub(crate) fn rows(&self) -> &VecDeque<Row> {
        &self.rows
    }

    /// The newest checkpoints below `before` that changed this state, newest first.
    pub(crate) fn changes(&self, name: Option<&StreamName>, before: u64, limit: usize) -> Vec<u64> {
        let Some(number) = self.numbers.get(&name.cloned()) else { return Vec::new() };
        let of_it = self.changes.iter().rev().filter(|(sequence, of)| of == number && *sequence < before);
        of_it.map(|(sequence, _)| *sequence).take(limit).collect()
    }

    /// The attempts to read the source, oldest first.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.iter().cloned().collect()
    }

    /// Checkpoints that came in one go, oldest first.
    pub(crate) fn bursts(&self) -> Vec<Burst> {
        self.bursts.iter().copied().collect()
    }

    fn number(&mut self, name: Option<StreamName>) -> usize {
        let new = self.seen.len() as Number;
        let number = *self.numbers.entry(name).or_insert(new);
        if number == new {
            self.seen.push(Seen::default());
        }
        number as usize
    }

    fn add(&mut self, checkpoint: &Checkpoint) -> highwater::Result<()> {
        let (sequence, time_us) = (checkpoint.sequence().get(), checkpoint.time_us());
        for counts in checkpoint.streams() {
            let number = self.number(Some(counts.name.clone()));
            let seen = &mut self.seen[number];
            seen.records = seen.records.saturating_add(counts.records);
            seen.bytes = seen.bytes.saturating_add(counts.bytes);
            seen.checkpoints += 1;
            (seen.last, seen.last_us) = (sequence, time_us);
            if bookkeeping::is_ours(&counts.name) && counts.name.name == "runs" {
                self.add_attempts(checkpoint, counts.stream)?;
            }
        }
        // A stream that was dropped since has no name any more, as the global state has none.
        let is_known = |name: &Option<StreamName>| name.is_some() || checkpoint.is_global();
        for (name, _) in checkpoint.states().into_iter().filter(|(name, _)| is_known(name)) {
            let number = self.number(name);
            self.seen[number].state_us = time_us;
            push(&mut self.changes, (sequence, number as Number), CHANGES_MAX);
        }
        let (records, bytes) = (checkpoint.record_count(), checkpoint.byte_count());
        push(&mut self.rows, Row { sequence, time_us, records, bytes }, ROWS_MAX);
        self.add_to_burst(time_us, records);
        self.next = sequence + 1;
        Ok(())
    }

    fn add_to_burst(&mut self, time_us: i64, records: u64) {
        match self.bursts.back_mut().filter(|burst| !burst.is_over(time_us)) {
            Some(burst) => {
                burst.ended_us = burst.ended_us.max(time_us);
                burst.records = burst.records.saturating_add(records);
            }
            None => {
                push(&mut self.bursts, Burst { began_us: time_us, ended_us: time_us, records }, BURSTS_MAX);
            }
        }
    }

    fn add_attempts(
        &mut self,
        checkpoint: &Checkpoint,
        stream: highwater::StreamId,
    ) -> highwater::Result<()> {
        for record in checkpoint.records_of(stream) {
            let record = record?;
            // What can't be read is no attempt of ours.
            let Some(attempt) = parse(&record.payload) else { continue };
            self.attempts.add(checkpoint.sequence(), attempt);
            self.attempts.keep(ATTEMPTS_MAX);
        }
        Ok(())
    }
}

fn parse(payload: &[u8]) -> Option<Attempt> {
    serde_json::from_slice(payload.get(..ATTEMPT_BYTES_MAX.min(payload.len()))?).ok()
}

fn push<T>(list: &mut VecDeque<T>, entry: T, max: usize) {
    if list.len() == max {
        list.pop_front();
    }
    list.push_back(entry);
}

/// Reads on where the index ends.
#[derive(Debug)]
pub(crate) struct Follower {
    log: LogReader,
    reader: Option<Reader>,
}

impl Follower {
    pub(crate) fn new(log: LogReader) -> Self {
        Follower { log, reader: None }
    }

    /// Takes in what is there, for so long at most; whether that was all. An error is for now: the next call begins anew
    /// behind what was read.
    pub(crate) fn follow(&mut self, index: &mut Index, patience: Duration) -> highwater::Result<bool> {
        let result = self.go_on(index, patience);
        if result.is_err() {
            self.reader = None;
        }
        result
    }

    fn go_on(&mut self, index: &mut Index, patience: Duration) -> highwater::Result<bool> {
        let begun = Instant::now();
        let mut read = 0;
        loop {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    let from = self.begin(index)?;
                    self.reader.insert(self.log.reader(from)?)
                }
            };
            match reader.next() {
                Ok(Some(checkpoint)) => index.add(&checkpoint)?,
                Ok(None) => return Ok(true),
                Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => match reader.pass_gap() {
                    Some((_, last)) => index.next = last.get() + 1,
                    // Pruned under our feet: what is left begins further on.
                    None => self.reader = None,
                },
                Err(error) => return Err(error),
            }
            read += 1;
            if read % SLICE == 0 && begun.elapsed() >= patience {
                return Ok(false);
            }
        }
    }

    /// Where to read on: behind what was read, or at what is left.
    fn begin(&self, index: &mut Index) -> highwater::Result<Sequence> {
        self.log.refresh()?;
        let end = self.log.end().map_or(Sequence::NONE, |end| end.sequence);
        if index.next > end.get() + 1 {
            // A repair, or a power cut, has taken back what was read.
            *index = Index::default();
        }
        let from = Sequence::new(index.next).max(self.log.first()).max(Sequence::FIRST);
        if index.from == 0 {
            index.from = from.get();
        }
        index.next = from.get();
        Ok(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::{Commit, Config, Log, Op, StreamSpec};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn write(log: &Log, name: &str, numbers: std::ops::Range<u32>) {
        let stream = log.stream(StreamSpec::new(name)).unwrap();
        let mut writer = log.writer(&[&stream]).unwrap();
        for number in numbers {
            writer.append(&stream, Op::Insert { key: b"", row: b"12345" }).unwrap();
            writer.commit(Commit::new().stream(&stream, &number)).unwrap();
        }
    }

    #[test]
    fn it_follows_what_comes_and_knows_who_changed_what() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        let reader = LogReader::open(dir.path()).unwrap();
        let (mut index, mut follower) = (Index::default(), Follower::new(reader));
        assert!(follower.follow(&mut index, PATIENCE).unwrap());
        write(&log, "a", 0..5);
        write(&log, "b", 0..2);
        assert!(follower.follow(&mut index, PATIENCE).unwrap());
        write(&log, "a", 5..6);
        assert!(follower.follow(&mut index, PATIENCE).unwrap());
        let [a, b] = ["a", "b"].map(|name| StreamName { namespace: None, name: name.to_owned() });
        assert_eq!(index.changes(Some(&a), u64::MAX, 3), [8, 5, 4]);
        assert_eq!(index.changes(Some(&b), 7, 9), [6]);
        assert_eq!(index.changes(None, u64::MAX, 9), [0; 0]);
        let seen = index.seen(Some(&a));
        assert_eq!((seen.records, seen.bytes, seen.checkpoints, seen.last), (6, 30, 6, 8));
        assert_eq!((index.from, index.next, index.rows().len()), (1, 9, 8));
    }

    #[test]
    fn checkpoints_are_bursts_that_a_pause_or_an_hour_ends() {
        const MINUTE_US: i64 = 60_000_000;
        let mut index = Index::default();
        for minute in [0, 20, 45, 61, 100, 131] {
            index.add_to_burst(minute * MINUTE_US, 2);
        }
        let told: Vec<_> =
            index.bursts.iter().map(|burst| (burst.ended_us / MINUTE_US, burst.records)).collect();
        assert_eq!(told, [(45, 6), (61, 2), (100, 2), (131, 2)]);
    }

    #[test]
    fn a_slice_ends_and_the_next_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        write(&log, "a", 0..600);
        let (mut index, mut follower) = (Index::default(), Follower::new((*log).clone()));
        let mut slices = 1;
        while !follower.follow(&mut index, Duration::ZERO).unwrap() {
            slices += 1;
        }
        assert_eq!((slices, index.rows().len()), (3, 600));
    }

    #[test]
    fn what_is_pruned_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let small = Config { segment_bytes: 64 << 10, ..Config::default() };
        let (log, _) = Log::open(dir.path(), small).unwrap();
        write(&log, "a", 0..300);
        let (mut index, mut follower) = (Index::default(), Follower::new((*log).clone()));
        follower.follow(&mut index, Duration::ZERO).unwrap();
        write(&log, "a", 0..300);
        log.prune(&highwater::Retention::default()).unwrap();
        assert!(log.first().get() > index.next, "{} {}", log.first(), index.next);
        while !follower.follow(&mut index, Duration::ZERO).unwrap() {}
        assert_eq!(index.next, 601);
    }
}
