//! Writers: records, commits, and what changes a stream.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use highwater::testing::Random;
use highwater::{
    Commit, Committed, Compaction, Durability, ErrorKind, Meta, Op, OpKind, Stream, StreamId, Writer,
};

use super::{Known, Life, Outcome, spec};
use crate::check::{Checked, blames_disk, demand};
use crate::model::{CheckpointModel, Definition, Event, RecordModel, Snapshot};
use crate::program::{Cover, SIZES};

/// A writer, and what it has not committed.
#[derive(Debug)]
pub(super) struct WriterLife {
    writer: Writer,
    slots: Vec<u8>,
    pending: BTreeMap<StreamId, Vec<RecordModel>>,
}

/// A state that a commit changes: `None` removes it.
type NewState = (Option<StreamId>, Option<String>);

impl Life {
    /// A stream, registered if need be.
    fn known(&mut self, slot: u8) -> Checked<Known> {
        if let Some(known) = self.live()?.streams.get(&slot) {
            return Ok(known.clone());
        }
        let name = format!("s{slot}.{:06}", self.number() % 1_000_000);
        let definition = Definition { slot, name, schema: None };
        let live = self.live()?;
        let stream = live.log.stream(spec(&definition))?;
        let known = Known { stream, definition };
        live.streams.insert(slot, known.clone());
        Ok(known)
    }

    /// The stream, and the writer that has it.
    fn writing(&mut self, slot: u8) -> Checked<(Stream, &mut WriterLife)> {
        let Known { stream, .. } = self.known(slot)?;
        let live = self.live()?;
        let place = &mut live.writers[usize::from(live.assigned >> slot & 1)];
        let owner = match place {
            Some(owner) => owner,
            None => {
                let writer = live.log.writer(&[])?;
                place.insert(WriterLife { writer, slots: Vec::new(), pending: BTreeMap::new() })
            }
        };
        if !owner.slots.contains(&slot) {
            owner.writer.add(&stream)?;
            owner.slots.push(slot);
        }
        Ok((stream, owner))
    }

    pub(super) fn append(&mut self, slot: u8, op: u8, size: u8, count: u8) -> Checked {
        for _ in 0..count {
            let record = self.record(slot, op, SIZES[usize::from(size)]);
            if !self.append_one(slot, record)? {
                break;
            }
        }
        Ok(())
    }

    fn append_one(&mut self, slot: u8, record: RecordModel) -> Checked<bool> {
        let (stream, owner) = self.writing(slot)?;
        let (key, row) = (&record.key[..], &record.payload[..]);
        let op = match record.op {
            OpKind::Upsert => Op::Upsert { key, row },
            OpKind::Update => Op::Update { key, row },
            OpKind::Delete => Op::Delete { key, row },
            OpKind::Truncate => Op::Truncate,
            _ => Op::Insert { key, row },
        };
        let meta = Meta { emitted_us: Some(record.emitted_us), metadata: &record.metadata };
        let result = owner.writer.append_with(&stream, op, meta);
        match self.outcome(result)? {
            Outcome::Done(()) => {
                let (stream, owner) = self.writing(slot)?;
                owner.pending.entry(stream.id()).or_default().push(record);
                Ok(true)
            }
            Outcome::Full | Outcome::Broken => Ok(false),
        }
    }

    fn record(&mut self, slot: u8, op: u8, size: usize) -> RecordModel {
        let number = self.number();
        let ops = [OpKind::Insert, OpKind::Upsert, OpKind::Update, OpKind::Delete, OpKind::Truncate];
        let op = ops[usize::from(op)];
        let empty = op == OpKind::Truncate;
        let size = if empty { 0 } else { size };
        RecordModel {
            op,
            emitted_us: 1_700_000_000_000_000 + (number % 1_000_000) as i64,
            key: if empty || slot.is_multiple_of(2) {
                Vec::new()
            } else {
                // Few keys, so that rows are written again, changed and deleted.
                format!("[{:012}]", number % 6).into_bytes()
            },
            metadata: if number.is_multiple_of(7) { b"metadata".to_vec() } else { Vec::new() },
            payload: payload(number, size).into(),
        }
    }

    pub(super) fn commit(&mut self, cover: Cover, buffered: bool, more: u8) -> Checked {
        if self.doubtful {
            return Ok(());
        }
        let slot = match cover {
            Cover::Stream(slot) | Cover::Records(slot) | Cover::Clear(slot) => slot,
            Cover::Set(mask) => mask.trailing_zeros().min(3) as u8,
            Cover::Global | Cover::ClearGlobal => self.one_writer()?,
            Cover::Empty => 0,
        };
        let (stream, owner) = self.writing(slot)?;
        let (id, slots) = (stream.id(), owner.slots.clone());
        let mut commit = Commit::new();
        let mut states: Vec<NewState> = Vec::new();
        let mut covered = Vec::new();
        match cover {
            Cover::Stream(_) => {
                let text = self.state_text(more);
                commit = commit.stream_text(&stream, text.clone());
                states.push((Some(id), Some(text)));
                covered.push(id);
            }
            Cover::Records(_) => {
                commit = commit.records(&stream);
                covered.push(id);
            }
            Cover::Clear(_) => {
                commit = commit.clear(&stream);
                states.push((Some(id), None));
                covered.push(id);
            }
            Cover::Set(mask) => {
                commit = commit.all();
                for slot in slots {
                    let Known { stream, .. } = self.known(slot)?;
                    covered.push(stream.id());
                    if mask >> slot & 1 == 1 {
                        let text = self.state_text(more);
                        commit = commit.stream_text(&stream, text.clone());
                        states.push((Some(stream.id()), Some(text)));
                    }
                }
            }
            Cover::Global | Cover::ClearGlobal => {
                let text = (cover == Cover::Global).then(|| self.state_text(more));
                commit = match &text {
                    Some(text) => commit.global_text(text.clone()),
                    None => commit.clear_global(),
                };
                states.push((None, text));
                for slot in slots {
                    covered.push(self.known(slot)?.stream.id());
                }
            }
            Cover::Empty => {}
        }
        let labels = if more % 4 == 3 { vec![("run".to_owned(), more.to_string())] } else { Vec::new() };
        for (key, value) in &labels {
            commit = commit.label(key, value);
        }
        let durability = if buffered { Durability::Buffered } else { Durability::Sync };
        let (_, owner) = self.writing(slot)?;
        if cover == Cover::Empty && owner.pending.values().any(|records| !records.is_empty()) {
            return self.refused(slot, commit);
        }
        let records: BTreeMap<_, _> = owner
            .pending
            .iter()
            .filter(|(stream, records)| covered.contains(stream) && !records.is_empty())
            .map(|(stream, records)| (*stream, records.clone()))
            .collect();
        let named = records.keys().copied().chain(states.iter().filter_map(|(stream, _)| *stream));
        let after = self.after(named.collect(), &states)?;
        let global = matches!(cover, Cover::Global | Cover::ClearGlobal);
        let tried = CheckpointModel { records, global, labels: Some(labels), after, position: None };
        let call = self.disk.calls();
        let (_, owner) = self.writing(slot)?;
        let result = owner.writer.commit(commit.durability(durability));
        if self.tried(call, tried, !buffered, result)?.is_some() {
            let (_, owner) = self.writing(slot)?;
            owner.pending.retain(|stream, _| !covered.contains(stream));
        }
        Ok(())
    }

    /// A commit that covers nothing while records wait: an error, and nothing has changed.
    fn refused(&mut self, slot: u8, commit: Commit) -> Checked {
        let (_, owner) = self.writing(slot)?;
        let kind = owner.writer.commit(commit).map_err(|error| error.kind().clone()).err();
        demand!(kind == Some(ErrorKind::Invalid), "a commit of nothing while records wait: {kind:?}");
        Ok(())
    }

    /// The global state belongs to a writer that has all streams; whose uncommitted records go?
    fn one_writer(&mut self) -> Checked<u8> {
        let live = self.live()?;
        let keep = usize::from(live.assigned & 1);
        live.writers[1 - keep] = None;
        live.assigned = if keep == 1 { u8::MAX } else { 0 };
        let streams = live.writers[keep].as_ref().and_then(|owner| owner.slots.first().copied());
        Ok(streams.unwrap_or(0))
    }

    fn state_text(&mut self, more: u8) -> String {
        let number = self.number() % 1_000_000;
        match more {
            // Too long to stand in the commit's own frame.
            126 => format!("\"{number:06}{}\"", "x".repeat(70_000)),
            // Kept as the very text that was given.
            _ if more % 5 == 1 => format!("{{ \"page\": 1{number:06}.0, \"big\":12345678901234567890123 }}"),
            _ => format!("\"{number:06}\""),
        }
    }

    /// What there is behind a commit that names these streams and changes these states.
    fn after(&mut self, named: Vec<StreamId>, states: &[NewState]) -> Checked<Snapshot> {
        let mut after = self.model.after(self.model.tried());
        let live = self.live()?;
        for known in live.streams.values().filter(|known| named.contains(&known.stream.id())) {
            after.streams.insert(known.stream.id(), known.definition.clone());
        }
        for (stream, text) in states {
            match text {
                Some(text) => drop(after.states.insert(*stream, text.clone())),
                None => drop(after.states.remove(stream)),
            }
        }
        Ok(after)
    }

    /// Notes a commit: what was tried at `call`, and what came of it.
    fn tried(
        &mut self,
        call: usize,
        mut checkpoint: CheckpointModel,
        durable: bool,
        result: highwater::Result<Committed>,
    ) -> Checked<Option<Committed>> {
        let may_be_there = |e: &highwater::Error| *e.kind() != ErrorKind::Failed && blames_disk(e);
        let may_be_there = result.as_ref().is_err_and(may_be_there);
        match self.outcome(result)? {
            Outcome::Done(committed) => {
                let sequence = committed.sequence().get();
                let tried = self.model.tried();
                demand!(sequence == tried + 1, "P2: checkpoint {sequence} follows {tried}");
                checkpoint.position = Some(committed.position);
                self.note_at(call, Event::Attempt(Arc::new(checkpoint)));
                demand!(!durable || committed.durable, "P1: {sequence} returned and is not durable");
                if committed.durable {
                    self.note(Event::Durable(sequence));
                }
                self.returned = sequence;
                Ok(Some(committed))
            }
            Outcome::Broken if may_be_there => {
                self.doubtful = true;
                self.note_at(call, Event::Attempt(Arc::new(checkpoint)));
                Ok(None)
            }
            Outcome::Full | Outcome::Broken => Ok(None),
        }
    }

    /// Commits of exactly one block each, not flushed.
    pub(super) fn aligned(&mut self, slot: u8, count: u8) -> Checked {
        const BLOCK: u64 = 4096;
        const TRIAL: usize = 3000;
        self.commit(Cover::Records(slot), false, 0)?;
        let before = self.appended()?;
        self.one_record(slot, TRIAL)?;
        let grown = self.appended()? - before;
        self.flush()?;
        let Some(missing) = BLOCK.checked_sub(grown) else { return Ok(()) };
        for _ in 0..count {
            self.one_record(slot, TRIAL + missing as usize)?;
        }
        Ok(())
    }

    /// A segment's worth of such commits, and old segments go: their files are written over.
    pub(super) fn turn(&mut self, slot: u8) -> Checked {
        self.aligned(slot, 13)?;
        self.prune(1)
    }

    fn one_record(&mut self, slot: u8, size: usize) -> Checked {
        let mut record = self.record(slot, 0, size);
        record.metadata.clear();
        if self.append_one(slot, record)? {
            self.commit(Cover::Stream(slot), true, 0)?;
        }
        Ok(())
    }

    fn appended(&mut self) -> Checked<u64> {
        Ok(self.live()?.log.status()?.appended_bytes)
    }

    pub(super) fn schema(&mut self, slot: u8) -> Checked {
        let mut definition = self.known(slot)?.definition;
        definition.schema = Some(format!("{{\"version\":{}}}", self.number()));
        let result = self.live()?.log.stream(spec(&definition));
        if let Outcome::Done(stream) = self.outcome(result)? {
            self.live()?.streams.insert(slot, Known { stream, definition });
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, slot: u8) -> Checked {
        let Known { stream, definition } = self.free(slot)?;
        let name = format!("r{slot}.{:06}", self.number() % 1_000_000);
        let renamed = Definition { name, ..definition };
        let call = self.disk.calls();
        let live = self.live()?;
        let result = live.log.rename_stream(&stream, highwater::StreamSpec::new(&renamed.name));
        let new = result.as_ref().ok().cloned();
        let last = live.log.end().map_or(0, |end| end.sequence.get());
        let mut after = self.model.after(self.model.tried());
        after.streams.insert(stream.id(), renamed.clone());
        match self.outcome(result)? {
            Outcome::Done(_) => {
                // The handle that comes back tells no position; what was committed is the last there is.
                demand!(last == self.model.tried() + 1, "P1: a rename left the log at {last}");
                self.note_at(call, Event::Attempt(administrative(after)));
                self.note(Event::Durable(last));
                self.returned = last;
                let known = new.map(|stream| Known { stream, definition: renamed });
                self.live()?.streams.extend(known.map(|known| (slot, known)));
            }
            Outcome::Broken => {
                self.doubtful = true;
                self.note_at(call, Event::Attempt(administrative(after)));
            }
            Outcome::Full => {}
        }
        Ok(())
    }

    pub(super) fn reset(&mut self, slot: u8) -> Checked {
        let Known { stream, .. } = self.free(slot)?;
        let after = self.after(vec![stream.id()], &[(Some(stream.id()), None)])?;
        let call = self.disk.calls();
        let result = self.live()?.log.reset_stream(&stream);
        self.tried(call, administered(after), true, result).map(drop)
    }

    pub(super) fn drop_stream(&mut self, slot: u8) -> Checked {
        let Known { stream, .. } = self.free(slot)?;
        let mut after = self.after(Vec::new(), &[(Some(stream.id()), None)])?;
        after.streams.remove(&stream.id());
        let call = self.disk.calls();
        let result = self.live()?.log.drop_stream(&stream);
        // After a failed call it may be dropped or not; nobody uses it before the log was opened again.
        if self.tried(call, administered(after), true, result)?.is_some() || self.broken {
            self.live()?.streams.remove(&slot);
        }
        Ok(())
    }

    /// The stream, owned by no writer.
    fn free(&mut self, slot: u8) -> Checked<Known> {
        let known = self.known(slot)?;
        let live = self.live()?;
        for place in &mut live.writers {
            if place.as_ref().is_some_and(|owner| owner.slots.contains(&slot)) {
                *place = None;
            }
        }
        Ok(known)
    }

    pub(super) fn drop_writers(&mut self, assigned: u8) {
        if let Some(live) = &mut self.live {
            live.writers = [None, None];
            live.assigned = assigned;
        }
    }

    pub(super) fn discard(&mut self, slot: u8) -> Checked {
        let (stream, owner) = self.writing(slot)?;
        owner.writer.discard(&stream)?;
        owner.pending.remove(&stream.id());
        let left = owner.writer.uncommitted(&stream);
        demand!(left == 0, "{left} records are left of a discarded unit");
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Checked {
        let result = self.live()?.log.flush();
        if let Outcome::Done(()) = self.outcome(result)? {
            // Whatever returned before is durable now.
            self.note(Event::Durable(self.returned));
        }
        Ok(())
    }

    pub(super) fn maintain(&mut self) -> Checked {
        let result = self.live()?.log.maintain();
        self.outcome(result).map(drop)
    }

    pub(super) fn prune(&mut self, keep: u8) -> Checked {
        let keep = u64::from(keep);
        let needed = self.model.needed_from(keep);
        self.note(Event::Pruning(needed));
        let retention = highwater::Retention { min_count: keep, ..Default::default() };
        let result = self.live()?.log.prune(&retention);
        if let Outcome::Done(pruned) = self.outcome(result)? {
            let first = pruned.first.get();
            // An earlier pruning that failed may have happened.
            let allowed = self.model.first.1.max(self.model.compacted_max);
            demand!(first <= allowed, "P11: pruned below {first}, {needed} is needed");
            self.note(Event::Pruned(first));
        }
        Ok(())
    }
}

impl Life {
    pub(super) fn compact(&mut self, keep: u8, little: bool, cancel: bool) -> Checked {
        let keep = u64::from(keep);
        let last = self.model.needed_from(keep) - 1;
        self.note(Event::Compacting(last));
        let for_ever = Duration::from_secs(100 * 365 * 86_400);
        let compaction = Compaction {
            retention: highwater::Retention { min_count: keep, ..Default::default() },
            tombstones_min_age: if self.model.tombstones { for_ever } else { Duration::ZERO },
            memory_bytes_max: if little { 1 } else { 1 << 20 },
            ..Compaction::default()
        };
        let mut left = if cancel { self.random.below(30) } else { u64::MAX };
        let result = self.live()?.log.compact(&compaction, &mut |_| {
            left = left.saturating_sub(1);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let Outcome::Done(compacted) = self.outcome(result)? else { return Ok(()) };
        let first = compacted.first.get();
        demand!(!compacted.done || first <= last, "P11: compacted up to {first}, {last} is the most");
        demand!(!compacted.cancelled || cancel, "a compaction was cancelled by nobody");
        if compacted.done {
            self.note(Event::Compacted(first));
        }
        Ok(())
    }
}

fn administered(after: Snapshot) -> CheckpointModel {
    CheckpointModel { records: BTreeMap::new(), global: false, labels: None, after, position: None }
}

fn administrative(after: Snapshot) -> Arc<CheckpointModel> {
    Arc::new(administered(after))
}

/// Every third one is noise, which no compression makes smaller.
fn payload(number: u64, size: usize) -> Vec<u8> {
    if number.is_multiple_of(3) {
        let mut noise = vec![0; size];
        Random::new(number).fill(&mut noise);
        return noise;
    }
    (0..size).map(|i| (number as usize * 31 + i) as u8).collect()
}
