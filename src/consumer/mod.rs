//! A named reader with a durable acknowledged position.

mod align;
mod file;
mod lost;
mod registry;
mod restart;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use crate::environment::{Owner, micros};
use crate::error::{Error, ErrorKind, Result};
use crate::format::consumer::{AHEAD_MAX, CONSUMER_SLOTS, ConsumerState, MaxLag};
use crate::format::names;
use crate::lock;
use crate::origin::{Origin, gap};
use crate::position::{Address, CheckpointId, Position, Sequence, StreamId};
use crate::protection::Protection;
use crate::reader::{Checkpoint, Reader, Record};
use crate::storage::{self, Access, Lock, LockMode, StorageFile};
use crate::streams::Stream;

pub(crate) use file::on_device;
pub(crate) use lost::lost_behind;
pub(crate) use registry::{
    check_position, check_start, drop_consumer, is_diverged, plan_seek, read_state, register, seek,
};

use registry::{check_history, check_name, find_checkpoint, user};

/// Where a new consumer starts. One that exists goes on where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first checkpoint of the log, or at the compacted one that tells all of the log's beginning;
    /// [`ErrorKind::Gap`] if something was pruned.
    Earliest,
    /// At the oldest checkpoint that is kept, whatever came before.
    Oldest,
    /// Behind the last checkpoint there is.
    Now,
    /// Behind this checkpoint; [`ErrorKind::Gap`] if what follows it was pruned.
    After(Sequence),
}

/// How much a batch holds. It is due when it has `max_bytes`, or when its oldest checkpoint is `max_age` old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Payload bytes; a larger checkpoint is a batch of its own. Default: 64 MiB.
    pub max_bytes: u64,
    /// Checkpoints. Default: 10,000.
    pub max_checkpoints: usize,
    /// How long a checkpoint may wait for others. Default: not at all.
    pub max_age: Duration,
    /// How long to wait for a batch that is due. Default: not at all.
    pub wait: Duration,
}

impl Default for Limit {
    fn default() -> Self {
        Limit { max_bytes: 64 << 20, max_checkpoints: 10_000, max_age: Duration::ZERO, wait: Duration::ZERO }
    }
}

/// A consumer, as the log's directory shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// Its name.
    pub name: String,
    /// The last checkpoint that it acknowledged with everything before it.
    pub acknowledged: Sequence,
    /// Checkpoints behind that.
    pub lag_checkpoints: u64,
    /// Bytes of the log behind that, about.
    pub lag_bytes: u64,
    /// The checkpoint behind which it was made or moved by hand; 0 at the log's beginning.
    pub start: Sequence,
    /// Whether it acknowledged anything behind that ([`Consumer::has_acknowledged`]).
    pub has_acknowledged: bool,
    /// What it acknowledged is not on this log's history: it has more, or something else. It gets nothing before it is moved
    /// ([`seek_consumer`](crate::LogReader::seek_consumer)); what it lacks can't be told by counting.
    pub diverged: bool,
    /// The process that has it now; `None` if none has, or the system does not tell.
    pub used_by: Option<u32>,
    /// What is wrong with its file, where that can't be read: it counts as having nothing then, and holds everything, until it is
    /// moved ([`seek_consumer`](crate::LogReader::seek_consumer)) or dropped.
    pub damage: Option<String>,
}

/// Whole checkpoints to be delivered together. It owns what it needs: the consumer can go on.
#[derive(Debug)]
pub struct Batch {
    checkpoints: Vec<Checkpoint>,
    /// Streams that were acknowledged further already.
    ahead: BTreeMap<StreamId, Sequence>,
    end: Position,
}

impl Batch {
    /// Its checkpoints.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// Its records: checkpoint by checkpoint, in each stream by stream, without what was acknowledged per stream.
    pub fn records(&self) -> impl Iterator<Item = Result<Record>> {
        self.checkpoints.iter().flat_map(|checkpoint| {
            let sequence = checkpoint.sequence();
            checkpoint.records_if(|stream| self.ahead.get(&stream).is_none_or(|ahead| *ahead < sequence))
        })
    }

    /// What to acknowledge when all of it is delivered, and to store with the records.
    pub fn end(&self) -> Position {
        self.end
    }
}

/// A named consumer. Only one process at a time holds it.
#[derive(Debug)]
pub struct Consumer {
    origin: Origin,
    name: String,
    file: Box<dyn StorageFile>,
    state: ConsumerState,
    /// The generation that was flushed last.
    flushed: u64,
    ahead: BTreeMap<StreamId, Sequence>,
    reader: Reader,
    /// Given out and not acknowledged yet, oldest first.
    delivered: VecDeque<Delivered>,
    /// Read, and not due yet.
    gathered: Gathered,
    owner: Owner,
    /// A flush failed: the pages may be gone, and a second flush that succeeds proves nothing. Opening again compares
    /// with the device.
    failure: Option<Error>,
    _lock: Box<dyn Lock>,
}

/// A reader of what follows the consumer's position. Who stands at a checkpoint can't go on with a base checkpoint: it does
/// not tell what was deleted meanwhile. Who has nothing yet begins with it.
fn read_on(origin: &Origin, state: &ConsumerState) -> Result<Reader> {
    let reader = Reader::new(origin.clone(), state.sequence.next())?;
    // Read second: what was registered meanwhile is seen by one of the two.
    let retained = origin.horizon()?.retained;
    if state.id != CheckpointId::NONE && !retained.follows(state.sequence) {
        return Err(gap(state.sequence.next(), &retained));
    }
    Ok(reader)
}

/// Checkpoints, and what they weigh together.
#[derive(Debug, Default)]
struct Gathered {
    checkpoints: Vec<Checkpoint>,
    bytes: u64,
}

impl Gathered {
    fn push(&mut self, checkpoint: Checkpoint) {
        self.bytes = self.bytes.saturating_add(checkpoint.byte_count());
        self.checkpoints.push(checkpoint);
    }
}

#[derive(Debug)]
struct Delivered {
    sequence: Sequence,
    id: CheckpointId,
    at: Address,
    streams: Vec<StreamId>,
}

impl Consumer {
    pub(crate) fn open(
        origin: Origin,
        name: &str,
        start: Start,
        max_lag: Option<MaxLag>,
    ) -> Result<Consumer> {
        check_name(name)?;
        let file_name = names::consumer(name);
        let storage = origin.files().storage.clone();
        let io = |e| Error::io(format!("opening consumer {name}"), &file_name, e);
        let is_new = read_state(&*storage, name)?.is_none();
        // Until it has looked whether what it needs is still there.
        let _turn = is_new.then(|| lock::turn_to_hold(&*storage)).transpose()?;
        if is_new {
            register(&origin, name, start, max_lag)?;
        }
        let lock = storage.try_lock(&file_name, LockMode::Exclusive).map_err(io)?;
        let lock = lock.ok_or_else(|| {
            let (user, one) = (user(&*storage, &file_name), "one at a time may read as it");
            Error::new(ErrorKind::ConsumerBusy, format!("consumer {name} is in use by {user}; {one}"))
        })?;
        let file = storage.open(&file_name, Access::Write).map_err(io)?;
        // What a predecessor wrote and did not flush has to be durable before it is built on; so has its name.
        file.sync().map_err(io)?;
        storage::sync_names(&*storage).map_err(io)?;
        let dropped = || Error::not_found(format!("consumer {name} was dropped at this moment"));
        if file.is_empty().map_err(io)? {
            // Between our look and our lock, which made an empty file.
            let _ = storage.remove(&file_name);
            return Err(dropped());
        }
        let state = read_state(&*storage, name)?.ok_or_else(dropped)?;
        if state.log != origin.log() {
            let what = format!("consumer {name} belongs to log {}, not to {}", state.log, origin.log());
            return Err(Error::new(ErrorKind::Diverged, what));
        }
        check_history(&origin, name, &state)?;
        let reader = match read_on(&origin, &state) {
            Err(error) if is_new => {
                // Registered too late: a pruning passed it.
                let _ = storage.remove(&file_name);
                return Err(error);
            }
            reader => reader?,
        };
        let mut consumer = Consumer {
            origin,
            name: name.to_owned(),
            file,
            ahead: state.ahead.iter().copied().collect(),
            flushed: state.generation,
            state,
            reader,
            delivered: VecDeque::new(),
            gathered: Gathered::default(),
            owner: Owner::default(),
            failure: None,
            _lock: lock,
        };
        let differs = on_device(&*consumer.file).map_err(io)?.as_ref() != Some(&consumer.state);
        if differs || max_lag.is_some_and(|lag| consumer.state.max_lag != Some(lag)) {
            consumer.state.max_lag = max_lag.or(consumer.state.max_lag);
            consumer.write()?;
            consumer.sync()?;
        }
        Ok(consumer)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last checkpoint that was acknowledged with everything before it.
    pub fn acknowledged(&self) -> Sequence {
        self.state.sequence
    }

    /// The next batch that is due, or `None`. Everything is durable that it gives. Blocks at most [`Limit::wait`] for
    /// new checkpoints.
    pub fn next_batch(&mut self, limit: &Limit) -> Result<Option<Batch>> {
        let deadline = self.origin.elapsed().saturating_add(limit.wait);
        loop {
            let is_all = self.gather(limit)?;
            if is_all || self.is_due(limit) {
                return Ok(self.take_batch());
            }
            let mut wait = deadline.saturating_sub(self.origin.elapsed());
            if wait.is_zero() {
                return Ok(None);
            }
            if let Some(oldest) = self.gathered.checkpoints.first() {
                let due = oldest.time_us().saturating_add(micros(limit.max_age));
                wait =
                    wait.min(Duration::from_micros(due.saturating_sub(self.origin.now_us()).max(1) as u64));
            }
            self.reader.wait(wait)?;
        }
    }

    /// Everything up to here is delivered for good. Every fourth call blocks for a flush. It survives a killed process at once and a power cut after
    /// [`sync`](Consumer::sync) or a pruning; what is lost of it is delivered again.
    pub fn acknowledge(&mut self, position: Position) -> Result<()> {
        if position.sequence <= self.state.sequence {
            return self.check_log(position);
        }
        let (at, id) = self.check_position(position)?;
        while self.delivered.front().is_some_and(|d| d.sequence <= position.sequence) {
            self.delivered.pop_front();
        }
        self.ahead.retain(|_, ahead| *ahead > position.sequence);
        let before = (self.state.sequence, self.state.id, self.state.at);
        (self.state.sequence, self.state.id, self.state.at) = (position.sequence, id, at);
        if let Err(error) = self.write() {
            (self.state.sequence, self.state.id, self.state.at) = before;
            return Err(error);
        }
        self.released();
        Ok(())
    }

    /// Goes on behind checkpoints that are gone, as a [`Gap`](ErrorKind::Gap) has told: whatever the destination lacks of
    /// them it will never get from this log. Everything up to `last` counts as acknowledged, durably. Blocks for a flush.
    pub fn pass_gap(&mut self, last: Sequence) -> Result<()> {
        let horizon = self.origin.horizon()?;
        match Reader::new(self.origin.clone(), last).and_then(|mut reader| reader.next()) {
            Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => {}
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(Error::invalid(format!("checkpoint {last} is there: acknowledge it instead")));
            }
        }
        if last <= self.state.sequence {
            return Ok(());
        }
        self.read_behind(last)?;
        self.ahead.retain(|_, ahead| *ahead > last);
        (self.state.sequence, self.state.id) = (last, CheckpointId::NONE);
        self.state.at = Address::new(horizon.retained.first_live, crate::format::BLOCK);
        self.write()?;
        self.sync()
    }

    /// One stream's records up to here are delivered for good. The others stay as they are.
    pub fn acknowledge_stream(&mut self, stream: &Stream, position: Position) -> Result<()> {
        stream.check_log(self.origin.log())?;
        self.check_position(position)?;
        let ahead = self.ahead.entry(stream.id()).or_insert(self.state.sequence);
        *ahead = position.sequence.max(*ahead);
        while let Some(front) = self.delivered.front() {
            let done = |stream| self.ahead.get(stream).is_some_and(|ahead| *ahead >= front.sequence);
            if !front.streams.iter().all(done) {
                break;
            }
            (self.state.sequence, self.state.id, self.state.at) = (front.sequence, front.id, front.at);
            self.delivered.pop_front();
        }
        self.ahead.retain(|_, ahead| *ahead > self.state.sequence);
        self.write()?;
        self.released();
        Ok(())
    }

    /// Makes the acknowledgements durable; blocks for a flush.
    pub fn sync(&mut self) -> Result<()> {
        self.check_failure()?;
        match self.file.sync() {
            Ok(()) => {
                self.flushed = self.state.generation;
                Ok(())
            }
            Err(e) => {
                let error = Error::io("flushing a consumer's position", names::consumer(&self.name), e);
                self.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    fn check_failure(&self) -> Result<()> {
        self.failure.as_ref().map_or(Ok(()), |first| Err(Error::latched(first)))
    }

    /// Reads ahead; `true` if nothing can follow what it has. An error behind something that was read comes with the next call: who
    /// passes a gap must have got what is before it.
    fn gather(&mut self, limit: &Limit) -> Result<bool> {
        let confirmed = self.reader.horizon()?.confirmed;
        while !self.is_full(limit) && self.reader.next_sequence() <= confirmed {
            match self.reader.next() {
                Ok(Some(checkpoint)) => self.gathered.push(checkpoint),
                Ok(None) => break,
                Err(_) if !self.gathered.checkpoints.is_empty() => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn is_full(&self, limit: &Limit) -> bool {
        self.gathered.bytes >= limit.max_bytes || self.gathered.checkpoints.len() >= limit.max_checkpoints
    }

    fn is_due(&self, limit: &Limit) -> bool {
        let Some(oldest) = self.gathered.checkpoints.first() else { return false };
        // A clock that stepped back makes nothing younger than new.
        let age = self.origin.now_us().saturating_sub(oldest.time_us()).max(0);
        self.is_full(limit) || age >= micros(limit.max_age)
    }

    fn take_batch(&mut self) -> Option<Batch> {
        let end = self.gathered.checkpoints.last()?.position();
        let checkpoints = std::mem::take(&mut self.gathered).checkpoints;
        self.delivered.extend(checkpoints.iter().map(|checkpoint| Delivered {
            sequence: checkpoint.sequence(),
            id: checkpoint.position().checkpoint,
            at: checkpoint.at(),
            streams: checkpoint.stream_ids().collect(),
        }));
        Some(Batch { checkpoints, ahead: self.ahead.clone(), end })
    }

    fn check_log(&self, position: Position) -> Result<()> {
        if position.log == self.origin.log() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Diverged,
            format!("position {position} is of another log; this is {}", self.origin.log()),
        ))
    }

    /// The position has to be on this log's history. Returns where its commit lies.
    fn check_position(&self, position: Position) -> Result<(Address, CheckpointId)> {
        self.check_log(position)?;
        if position.sequence == Sequence::NONE {
            return Ok((Address::NONE, CheckpointId::NONE));
        }
        let acknowledged = position.sequence == self.state.sequence && self.state.id != CheckpointId::NONE;
        let (at, id) = if acknowledged {
            (self.state.at, self.state.id)
        } else if let Some(found) = self.delivered.iter().find(|d| d.sequence == position.sequence) {
            (found.at, found.id)
        } else {
            match find_checkpoint(&self.origin, position.sequence) {
                // It passed this one as gone: whatever the destination has under the number is not of this history.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Gap { .. })
                        && position.sequence == self.state.sequence =>
                {
                    (self.state.at, CheckpointId::NONE)
                }
                found => found?,
            }
        };
        if id != position.checkpoint && !Protection::PositionIdentity.is_off() {
            return Err(Error::new(
                ErrorKind::Diverged,
                format!(
                    "position {position} is not on this log's history: checkpoint {} is {id} here",
                    position.sequence
                ),
            ));
        }
        Ok((at, id))
    }

    fn write(&mut self) -> Result<()> {
        self.owner.check("the consumer was opened")?;
        self.check_failure()?;
        // A power cut may tear whatever is not flushed: the slot of a flushed position is not written over before a newer
        // one is flushed.
        if self.state.generation + 1 >= self.flushed + CONSUMER_SLOTS {
            self.sync()?;
        }
        self.state.generation += 1;
        self.state.ahead =
            self.ahead.iter().map(|(stream, ahead)| (*stream, *ahead)).take(AHEAD_MAX).collect();
        storage::write_all_at(&*self.file, &[&self.state.encode()], self.state.slot_offset())
            .map_err(|e| Error::io("writing a consumer's position", names::consumer(&self.name), e))
    }

    /// Whoever waits for space may find some now.
    fn released(&self) {
        if let Origin::Live(journal) = &self.origin {
            journal.notify();
        }
    }
}
