//! Is a log what the model says?

use std::collections::BTreeMap;
use std::fmt;

use highwater::{Batch, Checkpoint, ErrorKind, LogReader, Sequence, States, StreamId};

use crate::model::{CheckpointModel, Model, RecordModel, Snapshot};

/// A promise that was broken, in words.
#[derive(Debug, Clone)]
pub struct Violation {
    text: String,
    /// The engine said so itself: nothing was passed over in silence.
    refused: bool,
    /// The engine says that the disk could not be read or written.
    blames_disk: bool,
}

impl Violation {
    pub(crate) fn new(text: impl Into<String>) -> Violation {
        Violation { text: text.into(), refused: false, blames_disk: false }
    }

    /// What the engine says itself.
    fn refusal(text: String) -> Violation {
        Violation { text, refused: true, blames_disk: false }
    }

    /// Where it was met.
    pub(crate) fn within(self, place: &str) -> Violation {
        Violation { text: format!("{place}: {}", self.text), ..self }
    }

    /// Whether the engine says that the disk could not be read or written. Damage is something else.
    pub(crate) fn blames_disk(&self) -> bool {
        self.blames_disk
    }

    /// Whether it is the engine that refused to go on.
    pub(crate) fn is_refusal(&self) -> bool {
        self.refused
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<highwater::Error> for Violation {
    fn from(error: highwater::Error) -> Self {
        let text = format!("an error where none is due: {:?}: {error}", error.kind());
        // Damage is told with its file and byte; any other error for it is a broken promise, too.
        let placed = error.file().is_some() && error.byte().is_some();
        let refused = match error.kind() {
            ErrorKind::Corrupt => placed,
            kind => *kind == ErrorKind::Unsupported,
        };
        Violation { text, refused, blames_disk: blames_disk(&error) }
    }
}

/// Whether an error says that the disk could not be read or written.
pub(crate) fn blames_disk(error: &highwater::Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Failed | ErrorKind::ReadOnly)
}

/// What a check says.
pub type Checked<T = ()> = Result<T, Violation>;

/// Fails with the text if the condition does not hold.
macro_rules! demand {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err($crate::check::Violation::new(format!($($text)*)));
        }
    };
}
pub(crate) use demand;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Checkpoints, states, streams, consumers.
    Usual,
    /// The engine's own verification and older states, too.
    Thorough,
}

/// The name of a consumer.
pub(crate) fn consumer_name(consumer: u8) -> String {
    format!("c{consumer}")
}

/// A log that ends at `end` holds what the model says, and nothing else.
pub(crate) fn check_log(log: &LogReader, model: &Model, end: u64, depth: Depth) -> Checked {
    let shown = log.end().map_or(0, |position| position.sequence.get());
    demand!(shown == end, "the log ends at {end} and shows {shown}");
    let first = log.first().get();
    let (low, high) = model.first;
    let may_be_base = first <= model.compacted_max;
    demand!(
        first <= high || may_be_base,
        "P11: checkpoints below {first} are gone, those from {high} on were needed"
    );
    demand!(first >= low, "P11: pruned below {low}, and {first} came back");
    check_checkpoints(log, model, first, end)?;
    let after = model.after(end);
    check_states(&log.state()?, &after)?;
    check_streams(log, &after)?;
    check_consumers(log, model, end)?;
    if depth == Depth::Thorough {
        check_thoroughly(log, model, first, end)?;
    }
    Ok(())
}

fn check_checkpoints(log: &LogReader, model: &Model, first: u64, end: u64) -> Checked {
    let mut reader = log.reader(Sequence::new(first))?;
    for sequence in first..=end {
        let found = reader.next()?;
        let Some(found) = found else {
            return Err(Violation::new(format!("P1: checkpoint {sequence} of {end} is not there")));
        };
        check_checkpoint(&found, model, sequence)?;
        let is_base = found.is_compacted();
        demand!(!is_base || sequence == first, "checkpoint {sequence} is compacted, the first is {first}");
        demand!(
            is_base || sequence > first || first <= model.first.1,
            "P11: checkpoints below {first} are gone, and it is not compacted"
        );
    }
    demand!(reader.next()?.is_none(), "P3: a checkpoint behind the last one");
    if first > 1 {
        match log.reader(Sequence::FIRST).map(drop) {
            Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => {}
            Err(error) if blames_disk(&error) => return Err(error.into()),
            gap => return Err(Violation::new(format!("P11: reading from a pruned place gave {gap:?}"))),
        }
    }
    Ok(())
}

/// One checkpoint is what was committed.
pub(crate) fn check_checkpoint(found: &Checkpoint, model: &Model, sequence: u64) -> Checked {
    let number = found.sequence().get();
    demand!(number == sequence, "P2: checkpoint {sequence} is expected, {number} came");
    let Some(expected) = model.checkpoint(sequence) else {
        return Err(Violation::new(format!("P3: checkpoint {sequence} was never committed")));
    };
    let CheckpointModel { records, global, labels, position, .. } = &**expected;
    demand!(found.is_global() == *global, "checkpoint {sequence}: global is {}", found.is_global());
    if let Some(labels) = labels {
        demand!(found.labels() == labels, "checkpoint {sequence}: labels {:?}", found.labels());
    }
    if let Some(position) = position {
        demand!(
            found.position() == *position,
            "checkpoint {sequence} is {}, not {position}",
            found.position()
        );
    }
    let base = found.compacted_from().map(|from| check_base(model, from.get(), sequence)).transpose()?;
    let records = base.as_ref().unwrap_or(records);
    let mut left: BTreeMap<StreamId, _> = records.iter().map(|(stream, all)| (*stream, all.iter())).collect();
    for record in found.records() {
        let record = record?;
        let next = left.get_mut(&record.stream).and_then(Iterator::next);
        let same = next.is_some_and(|expected| {
            expected.op == record.op
                && expected.emitted_us == record.emitted_us
                && expected.key[..] == record.key
                && expected.metadata[..] == record.metadata
                && expected.payload[..] == record.payload
        });
        demand!(same, "P4: checkpoint {sequence}, stream {}: another record", record.stream);
    }
    let missing: usize = left.into_values().map(Iterator::count).sum();
    demand!(missing == 0, "P2: checkpoint {sequence}: {missing} records are missing");
    Ok(())
}

/// A base checkpoint may be there, and takes in what it says. What it has to hold.
fn check_base(model: &Model, from: u64, to: u64) -> Checked<BTreeMap<StreamId, Vec<RecordModel>>> {
    let most = model.compacted_max;
    demand!(to <= most, "P11: everything up to {to} was compacted, and what is above {most} was needed");
    demand!((1..=to).contains(&from), "base checkpoint {to} takes in everything from {from} on");
    demand!(from == 1 || model.may_be_pruned, "base checkpoint {to} begins with {from}, not with 1");
    Ok(model.compacted(from, to))
}

fn check_states(states: &States, after: &Snapshot) -> Checked {
    let mut found: BTreeMap<Option<String>, String> =
        states.all()?.into_iter().map(|(name, state)| (Some(name.name), state.text)).collect();
    found.extend(states.global()?.map(|state| (None, state.text)));
    let name = |stream: StreamId| after.streams.get(&stream).map(|definition| definition.name.clone());
    let expected: BTreeMap<Option<String>, String> =
        after.states.iter().map(|(stream, text)| (stream.and_then(name), text.clone())).collect();
    demand!(found == expected, "P2: the states are {}, not {}", brief(&found), brief(&expected));
    Ok(())
}

fn brief(states: &BTreeMap<Option<String>, String>) -> String {
    let short =
        states.iter().map(|(name, text)| format!("{}={:.20}", name.as_deref().unwrap_or("(global)"), text));
    short.collect::<Vec<_>>().join(" ")
}

fn check_streams(log: &LogReader, after: &Snapshot) -> Checked {
    let found: BTreeMap<StreamId, (String, Option<String>)> =
        log.streams()?.into_iter().map(|info| (info.id, (info.name.name, info.schema))).collect();
    let expected: BTreeMap<StreamId, (String, Option<String>)> = after
        .streams
        .iter()
        .map(|(stream, definition)| (*stream, (definition.name.clone(), definition.schema.clone())))
        .collect();
    demand!(found == expected, "the streams are {found:?}, not {expected:?}");
    Ok(())
}

fn check_consumers(log: &LogReader, model: &Model, end: u64) -> Checked {
    let found = log.consumers()?;
    for (number, consumer) in &model.consumers {
        let name = consumer_name(*number);
        let there = found.iter().any(|info| info.name == name);
        demand!(there || !consumer.certain, "P11: consumer {name} is gone");
    }
    for info in found {
        if let Some(damage) = info.damage {
            return Err(Violation::refusal(damage));
        }
        let number = (0..crate::program::CONSUMERS).find(|number| consumer_name(*number) == info.name);
        let consumer = number.and_then(|number| model.consumers.get(&number));
        let at = info.acknowledged.get();
        demand!(at <= end, "consumer {} has {at}, the log ends at {end}", info.name);
        let Some(consumer) = consumer else {
            return Err(Violation::new(format!("consumer {} came back", info.name)));
        };
        let known = consumer.any || consumer.positions.contains(&at);
        demand!(known, "consumer {} is at {at}, not at one of {:?}", info.name, consumer.positions);
        demand!(
            !consumer.certain || at + 1 >= log.first().get(),
            "P11: consumer {} is at {at}, and the log begins at {}",
            info.name,
            log.first()
        );
    }
    Ok(())
}

fn check_thoroughly(log: &LogReader, model: &Model, first: u64, end: u64) -> Checked {
    let verification = log.verify(&mut |_| {})?;
    if !verification.is_sound() {
        let violation = Violation::refusal(format!("P5: verify says {:?}", verification.problems));
        // A verification reads on behind what the disk can't read.
        let blames_disk = verification.problems.iter().any(|what| what.contains("the disk said no"));
        return Err(Violation { blames_disk, ..violation });
    }
    let expected = (end + 1).saturating_sub(first);
    demand!(verification.checkpoints == expected, "verify read {} checkpoints", verification.checkpoints);
    for sequence in (first..=end).step_by(3) {
        let states = log.state_at(Sequence::new(sequence))?;
        check_old_states(&states, &model.after(sequence))
            .map_err(|violation| violation.within(&format!("as of {sequence}")))?;
    }
    Ok(())
}

/// The names of old states are today's, and a dropped stream's may be another's by now: the texts have to agree.
fn check_old_states(states: &States, after: &Snapshot) -> Checked {
    let mut found: Vec<String> = states.all()?.into_iter().map(|(_, state)| state.text).collect();
    found.extend(states.global()?.map(|state| state.text));
    let mut expected: Vec<String> = after.states.values().cloned().collect();
    found.sort();
    expected.sort();
    demand!(found == expected, "the states are {found:.300?}, not {expected:.300?}");
    Ok(())
}

/// A batch holds what the model says, from `next` on; the number of its last checkpoint.
pub(crate) fn check_batch(batch: &Batch, model: &Model, next: u64) -> Checked<u64> {
    let mut sequence = next;
    for checkpoint in batch.checkpoints() {
        check_checkpoint(checkpoint, model, sequence)?;
        sequence += 1;
    }
    let end = batch.end().sequence.get();
    demand!(end + 1 == sequence, "a batch of {next} to {} ends at {end}", sequence - 1);
    Ok(end)
}
