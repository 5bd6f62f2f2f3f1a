//! The checkpoints, newest first, a page at a time; and one of them in full.

use std::cmp::Reverse;

use highwater::{Checkpoint, LogReader, OperationRecord, Sequence, StreamCounts, StreamName};
use serde::{Deserialize, Serialize};

use super::{App, LIMIT_MAX, Refused, limit};

/// So many streams are named in a list.
const NAMED_MAX: usize = 3;

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    /// Only checkpoints below.
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    /// The oldest and the newest that can be read.
    first: Sequence,
    last: Sequence,
    checkpoints: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    sequence: Sequence,
    id: String,
    time_us: i64,
    records: u64,
    bytes: u64,
    /// How many streams it has records of, and the first of them.
    streams: usize,
    names: Vec<StreamName>,
    /// How many states it changed.
    states: usize,
    /// The first checkpoint that a compacted one takes in.
    compacted_from: Option<Sequence>,
    /// Of one that somebody made by hand.
    operation: Option<OperationRecord>,
}

impl Row {
    fn of(checkpoint: &Checkpoint) -> Row {
        let streams = checkpoint.streams();
        Row {
            sequence: checkpoint.sequence(),
            id: checkpoint.position().checkpoint.to_string(),
            time_us: checkpoint.time_us(),
            records: checkpoint.record_count(),
            bytes: checkpoint.byte_count(),
            streams: streams.len(),
            names: streams.iter().take(NAMED_MAX).map(|counts| counts.name.clone()).collect(),
            states: checkpoint.states().len(),
            compacted_from: checkpoint.compacted_from(),
            operation: checkpoint.operation(),
        }
    }
}

pub(crate) fn checkpoints(app: &App, question: Question) -> Result<Answer, Refused> {
    let log = app.log()?;
    log.refresh()?;
    let last = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let first = log.first();
    let before = question.before.unwrap_or(u64::MAX).min(last.get() + 1);
    let from = before.saturating_sub(limit(question.limit)? as u64).max(first.get());
    let mut checkpoints = Vec::new();
    each(log, from, before, |checkpoint| checkpoints.push(Row::of(checkpoint)))?;
    checkpoints.reverse();
    Ok(Answer { first, last, checkpoints })
}

/// The checkpoints from `from` on, below `before`. Those that a repair gave up are passed over.
fn each(log: &LogReader, from: u64, before: u64, mut tell: impl FnMut(&Checkpoint)) -> highwater::Result<()> {
    if from >= before {
        return Ok(());
    }
    let mut reader = log.reader(Sequence::new(from))?;
    while reader.next_sequence().get() < before {
        match reader.next() {
            Ok(Some(checkpoint)) => tell(&checkpoint),
            Ok(None) => break,
            Err(error) => drop(reader.pass_gap().ok_or(error)?),
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    sequence: u64,
}

#[derive(Serialize)]
pub(crate) struct One {
    #[serde(flatten)]
    row: Row,
    labels: Vec<(String, String)>,
    /// The streams with most records first, and the states that it changed: so many of them at most.
    counts: Vec<StreamCounts>,
    changed: Vec<Changed>,
}

#[derive(Serialize)]
struct Changed {
    /// `null`: the global state.
    stream: Option<StreamName>,
    cleared: bool,
}

pub(crate) fn checkpoint(app: &App, which: Which) -> Result<One, Refused> {
    let checkpoint = read(app.log()?, which.sequence)?;
    let mut counts = checkpoint.streams().to_vec();
    counts.sort_by_key(|counts| Reverse(counts.records));
    counts.truncate(LIMIT_MAX);
    let changed = checkpoint.states().into_iter().take(LIMIT_MAX);
    Ok(One {
        row: Row::of(&checkpoint),
        labels: checkpoint.labels().to_vec(),
        counts,
        changed: changed.map(|(stream, is_set)| Changed { stream, cleared: !is_set }).collect(),
    })
}

/// One checkpoint.
pub(super) fn read(log: &LogReader, sequence: u64) -> Result<Checkpoint, Refused> {
    let missing = || {
        let text = format!("there is no checkpoint {sequence} in this log");
        Refused::new(404, "not_found", text)
    };
    if sequence == 0 {
        return Err(missing());
    }
    log.reader(Sequence::new(sequence))?.next()?.ok_or_else(missing)
}
