//! What a log must hold, as its user knows it: nothing in here knows how the engine works.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater::{OpKind, Position, StreamId};

/// A record that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordModel {
    pub(crate) op: OpKind,
    pub(crate) emitted_us: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) payload: Arc<[u8]>,
}

/// A stream as it was defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) slot: u8,
    pub(crate) name: String,
    pub(crate) schema: Option<String>,
}

/// Streams and states behind a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// `None` is the global one.
    pub(crate) states: BTreeMap<Option<StreamId>, String>,
    pub(crate) streams: BTreeMap<StreamId, Definition>,
}

/// A checkpoint that was tried.
#[derive(Debug)]
pub(crate) struct CheckpointModel {
    pub(crate) records: BTreeMap<StreamId, Vec<RecordModel>>,
    pub(crate) global: bool,
    /// `None`: the engine's own.
    pub(crate) labels: Option<Vec<(String, String)>>,
    pub(crate) after: Snapshot,
    /// As the commit told it, if it returned.
    pub(crate) position: Option<Position>,
}

/// A consumer's file, as a crash may leave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerModel {
    /// It is there for certain.
    pub(crate) certain: bool,
    /// The positions that it may have; the last is the newest.
    pub(crate) positions: Vec<u64>,
    /// Its registration may be under way: any position will do.
    pub(crate) any: bool,
}

/// What happened, at one call of the disk.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A commit began.
    Attempt(Arc<CheckpointModel>),
    /// Everything up to here is durable: a commit returned, or somebody was shown it.
    Durable(u64),
    /// An opening said that the log ends here.
    Accepted(u64),
    /// A consumer's registration began.
    Registering(u8),
    /// A consumer is there, durably, at this position.
    Registered(u8, u64),
    /// A consumer's acknowledgement began.
    Acknowledging(u8, u64),
    /// A consumer's last acknowledgement is durable.
    Synced(u8),
    /// A consumer is being dropped.
    Dropping(u8),
    /// It is gone.
    Dropped(u8),
    /// A pin is there.
    Pinned(u8, u64),
    /// A pin may go.
    Unpinning(u8),
    /// Whatever is below this may be pruned from now on.
    Pruning(u64),
    /// Whatever is below this is gone, and stays so.
    Pruned(u64),
    /// Whatever is not above this may become one checkpoint from now on.
    Compacting(u64),
    /// Everything up to this is one checkpoint.
    Compacted(u64),
}

/// What must hold after a crash at one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// Every checkpoint that was tried and may be there; the first has number 1.
    pub(crate) history: Vec<Arc<CheckpointModel>>,
    /// So many of them are there for certain.
    pub(crate) floor: u64,
    pub(crate) consumers: BTreeMap<u8, ConsumerModel>,
    pub(crate) pins: BTreeMap<u8, u64>,
    /// The oldest that is kept is not below, and not above.
    pub(crate) first: (u64, u64),
    /// No base checkpoint is above.
    pub(crate) compacted_max: u64,
    /// Something may have been pruned.
    pub(crate) may_be_pruned: bool,
    /// Compactions keep tombstones, for ever.
    pub(crate) tombstones: bool,
    /// Positions of checkpoints that a power cut took back.
    pub(crate) ghosts: Vec<Position>,
}

impl Model {
    /// A log that nobody has made yet.
    pub(crate) fn new() -> Model {
        Model { first: (1, 1), ..Model::default() }
    }

    /// How many checkpoints were tried.
    pub(crate) fn tried(&self) -> u64 {
        self.history.len() as u64
    }

    /// Streams and states behind a checkpoint.
    pub(crate) fn after(&self, sequence: u64) -> Snapshot {
        match sequence.checked_sub(1) {
            Some(index) => self.history[index as usize].after.clone(),
            None => Snapshot::default(),
        }
    }

    /// What a base checkpoint holds that takes in everything between these: of streams with a key, for each row the last time
    /// it was written as a whole, and every change after that.
    pub(crate) fn compacted(&self, from: u64, to: u64) -> BTreeMap<StreamId, Vec<RecordModel>> {
        let mut left = BTreeMap::new();
        for (stream, definition) in self.after(to).streams {
            let all = (from..=to).filter_map(|sequence| self.checkpoint(sequence)?.records.get(&stream));
            let all: Vec<&RecordModel> = all.flatten().collect();
            let is_keyed = definition.slot % 2 == 1;
            let kept = if is_keyed { self.rows(&all) } else { all.into_iter().cloned().collect() };
            if !kept.is_empty() {
                left.insert(stream, kept);
            }
        }
        left
    }

    fn rows(&self, all: &[&RecordModel]) -> Vec<RecordModel> {
        let mut rows: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for (index, record) in all.iter().enumerate() {
            let only = vec![index];
            match record.op {
                OpKind::Insert | OpKind::Upsert => drop(rows.insert(&record.key, only)),
                OpKind::Update => rows.entry(&record.key).or_default().push(index),
                OpKind::Delete if self.tombstones => drop(rows.insert(&record.key, only)),
                OpKind::Delete => drop(rows.remove(&record.key[..])),
                OpKind::Truncate => {
                    rows.clear();
                    if self.tombstones {
                        rows.insert(b"", only);
                    }
                }
            }
        }
        let mut indexes: Vec<usize> = rows.into_values().flatten().collect();
        indexes.sort_unstable();
        indexes.into_iter().map(|index| all[index].clone()).collect()
    }

    pub(crate) fn checkpoint(&self, sequence: u64) -> Option<&Arc<CheckpointModel>> {
        self.history.get(sequence.checked_sub(1)? as usize)
    }

    /// The oldest checkpoint that must stay, if `keep` of the newest have to.
    pub(crate) fn needed_from(&self, keep: u64) -> u64 {
        let by_count = (self.tried() + 1).saturating_sub(keep.max(1)).max(1);
        self.held_from().map_or(by_count, |held| held.min(by_count))
    }

    /// The oldest checkpoint that a consumer or a pin needs.
    pub(crate) fn held_from(&self) -> Option<u64> {
        let certain = self.consumers.values().filter(|consumer| consumer.certain);
        let consumers = certain.filter_map(|consumer| consumer.positions.last()).map(|at| at + 1);
        consumers.chain(self.pins.values().copied()).min()
    }

    /// Takes in what happened.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Attempt(checkpoint) => self.history.push(checkpoint.clone()),
            Event::Durable(sequence) => self.floor = self.floor.max(*sequence),
            Event::Accepted(sequence) => {
                let lost = self.history.split_off((*sequence as usize).min(self.history.len()));
                self.ghosts.extend(lost.iter().filter_map(|checkpoint| checkpoint.position));
                self.floor = *sequence;
            }
            Event::Registering(consumer) => {
                let consumer = self.consumers.entry(*consumer).or_default();
                consumer.any |= !consumer.certain;
            }
            Event::Registered(consumer, at) => {
                let known = ConsumerModel { certain: true, positions: vec![*at], any: false };
                self.consumers.insert(*consumer, known);
            }
            Event::Acknowledging(consumer, at) => {
                self.consumers.entry(*consumer).or_default().positions.push(*at);
            }
            Event::Synced(consumer) => {
                let positions = &mut self.consumers.entry(*consumer).or_default().positions;
                *positions = positions.last().copied().into_iter().collect();
            }
            Event::Dropping(consumer) => self.consumers.entry(*consumer).or_default().certain = false,
            Event::Dropped(consumer) => drop(self.consumers.remove(consumer)),
            Event::Pinned(pin, from) => drop(self.pins.insert(*pin, *from)),
            Event::Unpinning(pin) => drop(self.pins.remove(pin)),
            Event::Pruning(first) => {
                self.first.1 = self.first.1.max(*first);
                self.may_be_pruned |= *first > 1;
            }
            Event::Pruned(first) | Event::Compacted(first) => self.first.0 = self.first.0.max(*first),
            Event::Compacting(last) => self.compacted_max = self.compacted_max.max(*last),
        }
    }
}
