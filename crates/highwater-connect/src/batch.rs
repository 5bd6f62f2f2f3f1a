//! Whole checkpoints on their way to a destination.

use std::sync::Arc;

use highwater::{Checkpoint, CheckpointId, LogReader, Position, Records, Sequence, StreamCounts, StreamName};

use crate::bookkeeping::{self, Shared};
use crate::definition::StreamDefinition;
use crate::pipeline::OnReject;

/// Whole checkpoints to be applied together, oldest first, with what is known of their streams. Never empty.
#[derive(Debug)]
pub struct Batch {
    inner: highwater::Batch,
    log: LogReader,
    /// As many as there are checkpoints.
    definitions: Vec<Shared>,
    on_reject: OnReject,
    order: Arc<[String]>,
}

impl Batch {
    /// Of this log. `definitions` has one entry for each checkpoint of `inner`.
    pub(crate) fn new(inner: highwater::Batch, log: LogReader, definitions: Vec<Shared>) -> Self {
        Batch { inner, log, definitions, on_reject: OnReject::default(), order: Arc::default() }
    }

    /// The same, with what becomes of records that the destination refuses.
    #[must_use]
    pub fn with_on_reject(self, on_reject: OnReject) -> Self {
        Batch { on_reject, ..self }
    }

    /// The same, with the streams in this order within each checkpoint, parents before their children. Those that are not named come
    /// behind.
    #[must_use]
    pub fn with_order(self, order: Arc<[String]>) -> Self {
        Batch { order, ..self }
    }

    /// What becomes of records that the destination refuses.
    pub fn on_reject(&self) -> OnReject {
        self.on_reject
    }

    /// Its checkpoints.
    pub fn checkpoints(&self) -> impl Iterator<Item = Delivered<'_>> {
        let pairs = self.inner.checkpoints().iter().zip(&self.definitions);
        pairs.map(|(checkpoint, definitions)| Delivered {
            order: &self.order,
            ..Delivered::new(checkpoint, &self.log, definitions)
        })
    }

    /// The number of its first checkpoint.
    pub fn first(&self) -> Sequence {
        self.inner.checkpoints().first().map_or(self.end().sequence, Checkpoint::sequence)
    }

    /// The position to store with the records, in one transaction where there are transactions.
    pub fn end(&self) -> Position {
        self.inner.end()
    }

    /// Records in it, of the source's streams.
    pub fn record_count(&self) -> u64 {
        self.counts().map(|counts| counts.records).sum()
    }

    /// Bytes of keys, metadata and payloads in it, of the source's streams.
    pub fn byte_count(&self) -> u64 {
        self.counts().map(|counts| counts.bytes).sum()
    }

    fn counts(&self) -> impl Iterator<Item = &StreamCounts> {
        let counts = self.inner.checkpoints().iter().flat_map(|checkpoint| checkpoint.streams());
        counts.filter(|counts| !bookkeeping::is_ours(&counts.name))
    }
}

/// One checkpoint of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Delivered<'a> {
    checkpoint: &'a Checkpoint,
    log: &'a LogReader,
    definitions: &'a Shared,
    order: &'a [String],
}

impl<'a> Delivered<'a> {
    pub(crate) fn new(checkpoint: &'a Checkpoint, log: &'a LogReader, definitions: &'a Shared) -> Self {
        Delivered { checkpoint, log, definitions, order: &[] }
    }

    /// The log that it is in.
    pub(crate) fn log(&self) -> &'a LogReader {
        self.log
    }

    /// Its number.
    pub fn sequence(&self) -> Sequence {
        self.checkpoint.sequence()
    }

    /// Its UUID; a number may be used again after a repair, this is not.
    pub fn id(&self) -> CheckpointId {
        self.checkpoint.position().checkpoint
    }

    /// When it was committed, in microseconds since 1970-01-01 UTC.
    pub fn committed_us(&self) -> i64 {
        self.checkpoint.time_us()
    }

    /// Whether a compaction made it out of all checkpoints up to this one. A destination that gets it begins with it.
    pub fn is_compacted(&self) -> bool {
        self.checkpoint.is_compacted()
    }

    /// Bytes of keys, metadata and payloads in it, of the source's streams.
    pub fn byte_count(&self) -> u64 {
        let counts = self.checkpoint.streams().iter();
        counts.filter(|counts| !bookkeeping::is_ours(&counts.name)).map(|counts| counts.bytes).sum()
    }

    /// Every stream that is defined at this checkpoint, with records in it or not: a generation may become complete in
    /// a checkpoint that has none.
    pub fn definitions(&self) -> &'a [StreamDefinition] {
        self.definitions
    }

    /// The same, shared by the checkpoints between which nothing changed.
    pub(crate) fn shared(&self) -> &'a Shared {
        self.definitions
    }

    /// Whether its streams have an order of their own: then they are written in it, one after another, before the next checkpoint's are.
    pub fn is_ordered(&self) -> bool {
        !self.order.is_empty()
    }

    /// Where it stands in the log.
    pub fn position(&self) -> Position {
        self.checkpoint.position()
    }

    /// The streams of which it holds records: those that the destination's `order` names, in that order, then the others in the order in
    /// which they were registered.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        let checkpoint = self.checkpoint;
        let definitions = self.definitions;
        let visible = checkpoint.streams().iter().filter(|counts| !bookkeeping::is_ours(&counts.name));
        let mut visible: Vec<&StreamCounts> = visible.collect();
        if !self.order.is_empty() {
            let place = |name: String| self.order.iter().position(|named| *named == name);
            visible.sort_by_key(|counts| place(counts.name.to_string()).unwrap_or(usize::MAX));
        }
        visible.into_iter().map(move |counts| Part {
            checkpoint,
            counts,
            definition: definitions.get(&counts.name),
        })
    }
}

/// What one checkpoint holds of one stream.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    checkpoint: &'a Checkpoint,
    counts: &'a StreamCounts,
    definition: Option<&'a StreamDefinition>,
}

impl Part<'_> {
    /// The stream's name.
    pub fn name(&self) -> &StreamName {
        &self.counts.name
    }

    /// The stream as it was defined at this checkpoint; `None` if the log knows nothing of it but its name.
    pub fn definition(&self) -> Option<&StreamDefinition> {
        self.definition
    }

    /// How many records it has.
    pub fn record_count(&self) -> u64 {
        self.counts.records
    }

    /// The records, in the order in which the source sent them. It reads in pieces, so memory stays bounded, and every
    /// byte's checksum is checked on the way. A record's index, as [`Rejected`](crate::Rejected) names it, is its place here, from 0.
    pub fn records(&self) -> Records {
        self.checkpoint.records_of(self.counts.stream)
    }
}
