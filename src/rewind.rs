//! Rewinding: the states as they were at an earlier checkpoint come back as a new one. Planned first: what will be read
//! again, and who has that already.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::format::define::StreamName;
use crate::operation::Operation;
use crate::origin::Origin;
use crate::position::{Position, Sequence, StreamId};
use crate::pruning;
use crate::reader::{Checkpoint, Reader};
use crate::states::States;

/// What a rewind does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rewinding {
    /// The checkpoint whose states come back.
    pub to: Position,
    /// The log's last checkpoint when this was planned.
    pub end: Position,
    /// Only this stream's state; otherwise all.
    pub only: Option<StreamName>,
    /// The states that change.
    pub states: Vec<StateRewound>,
    /// What the source will read again: the records of these streams behind `to`.
    pub again: Vec<Tally>,
    /// Consumers, and what of that they have acknowledged: they get it twice.
    pub repeats: Vec<Repeats>,
}

/// A state that a rewind changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateRewound {
    /// The stream; `None`: the global state.
    pub stream: Option<StreamName>,
    /// The checkpoint that set it as it is now; `None` if it is not set.
    pub now: Option<Sequence>,
    /// The checkpoint that set it as it will be; `None`: it is cleared.
    pub then: Option<Sequence>,
}

/// What some checkpoints hold of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// The stream.
    pub stream: StreamName,
    /// Records.
    pub records: u64,
    /// Bytes of keys, metadata and payloads.
    pub bytes: u64,
    /// Checkpoints with records of it.
    pub checkpoints: u64,
}

/// What a consumer will get a second time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repeats {
    /// The consumer.
    pub consumer: String,
    /// The last checkpoint that it acknowledged.
    pub acknowledged: Sequence,
    /// Records that it has acknowledged and the source will send again.
    pub records: u64,
}

/// Plans a rewind: changes nothing. Reads the commits behind `to`, no record.
pub(crate) fn plan(origin: &Origin, to: Sequence, only: Option<&StreamName>) -> Result<Rewinding> {
    let now = States::now(origin)?;
    let then = States::at(origin, to)?;
    let (Some(end), Some(to)) = (now.position(), then.position()) else {
        return Err(Error::not_found("the log has no checkpoint yet"));
    };
    let changed = changed(&now, &then, only)?;
    let streams: Vec<StreamId> = changed.iter().map(|(stream, _)| *stream).collect();
    let (again, repeats) = read_again(origin, to.sequence, end.sequence, &streams)?;
    let states = changed.into_iter().map(|(_, state)| state).collect();
    Ok(Rewinding { to, end, only: only.cloned(), states, again, repeats })
}

/// The states that differ. A stream that was dropped since has none to be brought back.
fn changed(now: &States, then: &States, only: Option<&StreamName>) -> Result<Vec<(StreamId, StateRewound)>> {
    let mut changes: BTreeMap<StreamId, StateRewound> = BTreeMap::new();
    for (stream, name, since) in now.sinces() {
        let state = StateRewound { stream: name.cloned(), now: Some(since), then: None };
        changes.insert(stream, state);
    }
    for (stream, name, since) in then.sinces() {
        let new = || StateRewound { stream: name.cloned(), now: None, then: None };
        changes.entry(stream).or_insert_with(new).then = Some(since);
    }
    changes.retain(|stream, change| {
        let is_runtimes = change.stream.as_ref().is_some_and(StreamName::is_of_runtime);
        let wanted = only.map_or(!is_runtimes, |only| change.stream.as_ref() == Some(only));
        wanted && !now.is_dropped(*stream)
    });
    let differs = |stream, change: &StateRewound| -> Result<bool> {
        Ok(change.now != change.then && now.text_of(stream)? != then.text_of(stream)?)
    };
    let mut differ = Vec::new();
    for (stream, change) in &changes {
        if differs(*stream, change)? {
            differ.push((*stream, change.clone()));
        }
    }
    // Which of two kinds counts is told by which is newer. So all of them are told again, and none is newer than the others:
    // then the checkpoint that they come from decides.
    let has = |global| {
        changes
            .iter()
            .any(|(stream, change)| (*stream == StreamId::GLOBAL) == global && change.then.is_some())
    };
    if !differ.is_empty() && has(true) && has(false) {
        return Ok(changes.into_iter().collect());
    }
    Ok(differ)
}

/// What is read again: of these streams, or of all if the global state is among them.
fn read_again(
    origin: &Origin,
    after: Sequence,
    end: Sequence,
    streams: &[StreamId],
) -> Result<(Vec<Tally>, Vec<Repeats>)> {
    let is_again = |stream| streams.contains(&StreamId::GLOBAL) || streams.binary_search(&stream).is_ok();
    let mut tallies: BTreeMap<StreamId, Tally> = BTreeMap::new();
    let positions = pruning::positions(&*origin.files().storage)?;
    let mut repeats: Vec<Repeats> = positions
        .iter()
        .map(|(name, state)| Repeats { consumer: name.clone(), acknowledged: state.sequence, records: 0 })
        .collect();
    each(origin, after, end, |checkpoint| {
        // A runtime's own come from no source.
        let from_source = checkpoint.streams().iter().filter(|counts| !counts.name.is_of_runtime());
        for counts in from_source.filter(|counts| is_again(counts.stream)) {
            let tally = tallies.entry(counts.stream).or_insert_with(|| Tally::none(counts.name.clone()));
            tally.add(counts.records, counts.bytes);
            for (repeat, (_, state)) in repeats.iter_mut().zip(&positions) {
                let ahead = state.ahead.iter().find(|(stream, _)| *stream == counts.stream);
                let has = ahead.map_or(state.sequence, |(_, ahead)| (*ahead).max(state.sequence));
                if checkpoint.sequence() <= has {
                    repeat.records += counts.records;
                }
            }
        }
    })?;
    Ok((tallies.into_values().collect(), repeats))
}

/// Every checkpoint behind `after`, up to `end`. Those that a repair gave up are passed over.
fn each(origin: &Origin, after: Sequence, end: Sequence, mut tell: impl FnMut(&Checkpoint)) -> Result<()> {
    let mut reader = Reader::new(origin.clone(), after.next())?;
    while reader.next_sequence() <= end {
        match reader.next() {
            Ok(Some(checkpoint)) => tell(&checkpoint),
            Ok(None) => break,
            Err(error) => drop(reader.pass_gap().ok_or(error)?),
        }
    }
    Ok(())
}

/// What the checkpoints behind `after`, up to `through`, hold of each stream.
pub(crate) fn tally(origin: &Origin, after: Sequence, through: Sequence) -> Result<Vec<Tally>> {
    let mut tallies: BTreeMap<StreamId, Tally> = BTreeMap::new();
    each(origin, after, through, |checkpoint| {
        for counts in checkpoint.streams() {
            let tally = tallies.entry(counts.stream).or_insert_with(|| Tally::none(counts.name.clone()));
            tally.add(counts.records, counts.bytes);
        }
    })?;
    Ok(tallies.into_values().collect())
}

impl Tally {
    fn none(stream: StreamName) -> Self {
        Tally { stream, records: 0, bytes: 0, checkpoints: 0 }
    }

    fn add(&mut self, records: u64, bytes: u64) {
        self.records = self.records.saturating_add(records);
        self.bytes = self.bytes.saturating_add(bytes);
        self.checkpoints += 1;
    }
}

impl Rewinding {
    /// Whether the states are as they were: there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The operation that does it; `then` are the states of [`to`](Rewinding::to).
    pub(crate) fn operation(&self, then: &States, who: &str, why: &str) -> Result<Operation> {
        if then.position() != Some(self.to) {
            let what = format!("checkpoint {} is another one by now; look again", self.to.sequence);
            return Err(Error::new(ErrorKind::Outdated, what));
        }
        let what = match &self.only {
            Some(stream) => format!("rewind {stream} to {}", self.to.sequence),
            None => format!("rewind to {}", self.to.sequence),
        };
        let mut operation = Operation::new(what, who, why).from(self.to).expecting(Some(self.end));
        for change in &self.states {
            operation = match &change.stream {
                None => match then.global()? {
                    Some(state) => operation.set_global(state.text),
                    None => operation.clear_global(),
                },
                Some(stream) => match then.get_text(stream)? {
                    Some(state) => operation.set(stream, state.text),
                    None => operation.clear(stream),
                },
            };
        }
        Ok(operation)
    }
}

/// Whether the global state counts for a source that changed from one kind to the other: the newer one does. Those that a rewind
/// has brought back are none newer than the others; what counted then counts.
pub(crate) fn is_global_newest(origin: &Origin, states: &States) -> Result<bool> {
    let is_cursor = |name: Option<&StreamName>| name.is_some_and(|name| !name.is_of_runtime());
    let global = states.sinces().find(|(stream, ..)| *stream == StreamId::GLOBAL).map(|(.., since)| since);
    let newest = states.sinces().filter(|(_, name, _)| is_cursor(*name)).map(|(.., since)| since).max();
    let (Some(global), Some(newest)) = (global, newest) else { return Ok(global.is_some()) };
    if global != newest {
        return Ok(global > newest);
    }
    match rewound_from(origin, global) {
        Ok(Some(from)) if from < global => is_global_newest(origin, &States::at(origin, from)?),
        Ok(_) => Ok(true),
        // Pruned since: nobody knows any more.
        Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// The checkpoint that a rewind has brought back, if this is one and that is kept.
fn rewound_from(origin: &Origin, sequence: Sequence) -> Result<Option<Sequence>> {
    let record = Reader::new(origin.clone(), sequence)?.next()?.and_then(|checkpoint| checkpoint.operation());
    let from = record.filter(|record| record.verb() == "rewind").and_then(|record| record.from);
    let first = origin.horizon()?.retained.first_sequence;
    Ok(from.map(|from| from.sequence).filter(|from| *from >= first))
}

/// The last checkpoint that was committed at this time or before; `None` if all that are kept are younger.
pub(crate) fn last_before(origin: &Origin, time_us: i64) -> Result<Option<Position>> {
    search(origin, |checkpoint| checkpoint.time_us() <= time_us, |checkpoint| checkpoint.time_us() > time_us)
}

/// The checkpoint of this id, if it is kept.
pub(crate) fn with_id(origin: &Origin, id: crate::CheckpointId) -> Result<Option<Position>> {
    let is_it = |checkpoint: &Checkpoint| checkpoint.position().checkpoint == id;
    search(origin, is_it, |_| false)
}

/// The last checkpoint that fits, of those before one that ends the search.
fn search(
    origin: &Origin,
    fits: impl Fn(&Checkpoint) -> bool,
    ends: impl Fn(&Checkpoint) -> bool,
) -> Result<Option<Position>> {
    let horizon = origin.horizon()?;
    let mut found = None;
    let mut is_over = false;
    each(origin, horizon.retained.first_sequence.previous(), horizon.last.sequence, |checkpoint| {
        is_over |= ends(checkpoint);
        if !is_over && fits(checkpoint) {
            found = Some(checkpoint.position());
        }
    })?;
    Ok(found)
}
