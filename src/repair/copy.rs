//! Appending again, unchanged, what stands whole behind the damage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::RepairPlan;
use crate::config::Durability;
use crate::error::{Error, Result};
use crate::format::commit::{BUFFERED, Commit, CommitStream, decode_extents_part};
use crate::format::data::BASE_TIME;
use crate::format::define::Definition;
use crate::format::frame::{FrameBuf, Header, Kind};
use crate::format::index::{Entry, Index};
use crate::format::note::Repaired;
use crate::journal::{Again, CommitRequest, Journal, Unit, UnitStream};
use crate::position::{Address, StreamId};
use crate::salvage::{Assessment, LostRun, Salvage, Survivor, no_damage};

/// Takes survivors, in order, into the log that a repair has cut.
pub(super) struct Copier<'a> {
    journal: &'a Arc<Journal>,
    /// The log as it was.
    before: &'a Salvage,
    found: &'a Assessment,
    repair: u32,
    /// Lost, and nothing has followed yet.
    lost: Option<LostRun>,
    /// Definitions that the next commit writes.
    defines: BTreeSet<StreamId>,
    /// What held before the first checkpoint of a log that begins anew.
    initial: BTreeMap<StreamId, Entry>,
    /// Streams whose state a survivor has changed.
    touched: BTreeSet<StreamId>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(
        journal: &'a Arc<Journal>,
        before: &'a Salvage,
        found: &'a Assessment,
        plan: &RepairPlan,
    ) -> Self {
        let known = found.names.keys().last().map_or(0, |stream| stream.get());
        {
            let mut state = journal.state();
            state.view.next_stream = state.view.next_stream.max(known.saturating_add(1));
        }
        Copier {
            journal,
            before,
            found,
            repair: plan.number,
            lost: None,
            defines: BTreeSet::new(),
            initial: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    pub(super) fn take(&mut self, survivor: Survivor<'_>) -> Result<()> {
        match survivor {
            Survivor::Define(definition) => self.define(definition.clone()),
            Survivor::Index(index) => self.index(index),
            Survivor::Lost(run) => self.lose(run.clone()),
            Survivor::Commit(commit) => self.commit(commit)?,
        }
        Ok(())
    }

    /// Restores states that nothing has changed since, and puts on record what is missing at the very end.
    pub(super) fn finish(mut self) -> Result<()> {
        let mut states = Vec::new();
        for (stream, entry) in std::mem::take(&mut self.initial) {
            self.know(stream);
            let Some(state) = entry.state.filter(|_| !self.touched.contains(&stream)) else { continue };
            if let Some(text) = no_damage(self.before.files.state_text(&state))? {
                states.push((stream, Some(text)));
            }
        }
        if !states.is_empty() || !self.defines.is_empty() {
            self.note_lost(true)?;
            let request = CommitRequest {
                defines: std::mem::take(&mut self.defines).into_iter().collect(),
                states,
                flags: crate::format::commit::ADMINISTRATIVE,
                labels: vec![("repair".into(), self.repair.to_string())],
                ..CommitRequest::default()
            };
            self.journal.commit(&Unit::default(), &request)?;
        }
        self.note_lost(false)
    }

    /// A definition that is not there yet is written with the next commit.
    fn define(&mut self, mut definition: Definition) {
        let stream = definition.stream;
        let mut state = self.journal.state();
        let defined = state.view.entry(stream).and_then(|entry| entry.defined.as_ref());
        definition.previous = defined.map_or(Address::NONE, |defined| defined.at);
        state.unwritten.insert(stream, definition);
        self.defines.insert(stream);
    }

    /// A stream that somebody names is defined, by its name at least.
    fn know(&mut self, stream: StreamId) {
        let known = {
            let state = self.journal.state();
            stream == StreamId::GLOBAL
                || state.unwritten.contains_key(&stream)
                || state.view.entry(stream).is_some_and(|entry| entry.defined.is_some())
        };
        if !known {
            self.define(self.found.definition(stream));
        }
    }

    /// What stays where it is names streams, too: their numbers must not be given to others.
    pub(super) fn know_streams(&mut self, commit: &Commit) {
        commit.streams.iter().for_each(|part| self.know(part.stream));
    }

    /// The oldest index tells what held at the beginning; later ones tell what came then.
    fn index(&mut self, index: &Index) {
        for (stream, entry) in &index.entries {
            self.initial.entry(*stream).or_insert_with(|| entry.clone());
        }
    }

    fn lose(&mut self, run: LostRun) {
        match &mut self.lost {
            Some(before) => before.last = run.last,
            None => self.lost = Some(run),
        }
    }

    fn note_lost(&mut self, skipped: bool) -> Result<()> {
        let Some(run) = self.lost.take() else { return Ok(()) };
        let time_us = self.journal.config.environment.now_us();
        let LostRun { first, last, why } = run;
        self.journal.note_repaired(&Repaired { time_us, repair: self.repair, first, last, skipped, why })
    }

    fn commit(&mut self, commit: &Commit) -> Result<()> {
        self.note_lost(true)?;
        let named = commit.streams.iter().map(|part| part.stream);
        named.chain(commit.states.iter().map(|change| change.stream)).for_each(|stream| self.know(stream));
        let unit = Unit::default();
        let mut request = CommitRequest {
            labels: commit.labels.clone(),
            flags: commit.head.flags & !BUFFERED,
            durability: Durability::Buffered,
            again: Some(Again {
                sequence: commit.head.sequence,
                id: commit.head.id,
                time_us: commit.head.time_us,
            }),
            ..CommitRequest::default()
        };
        for part in &commit.streams {
            let copied = self.copy_records(&unit, part)?;
            request.low = request.low.into_iter().chain(copied.low()).min();
            request.streams.push(CommitStream {
                parts: copied.parts,
                extents: copied.extents,
                ..part.clone()
            });
        }
        for change in &commit.states {
            let text = change.to.map(|state| self.before.files.state_text(&state)).transpose()?;
            request.states.push((change.stream, text));
            self.touched.insert(change.stream);
        }
        request.defines = std::mem::take(&mut self.defines).into_iter().collect();
        self.journal.commit(&unit, &request)?;
        Ok(())
    }

    /// Appends a stream's records of one checkpoint, frame by frame as they were.
    fn copy_records(&self, unit: &Unit, part: &CommitStream) -> Result<UnitStream> {
        let files = &self.before.files;
        let mut extents = Vec::new();
        for at in &part.parts {
            let body = files.body(*at, Kind::Part)?;
            extents.extend(decode_extents_part(&body).map_err(|e| files.damaged(*at, e))?);
        }
        extents.extend(part.extents.iter().copied());
        for extent in extents {
            let end = extent.at.0 + u64::from(extent.bytes);
            let mut at = extent.at;
            while at.0 < end {
                let (header, body) = files.frame(at)?;
                if header.kind != Kind::Data || body.len() < BASE_TIME {
                    return Err(files.damaged(at, "a checkpoint names a frame that holds no records"));
                }
                let header = Header { stream: part.stream.get(), ..header };
                let mut sealed = Some(FrameBuf::again(&header, &body));
                let extent = self.journal.append(unit, &mut sealed)?;
                unit.record(part.stream, extent);
                self.journal.spill_extents(unit, part.stream)?;
                at = Address(at.0 + header.frame_len());
            }
        }
        unit.streams.lock().remove(&part.stream).map_or_else(
            || if part.records == 0 { Ok(UnitStream::default()) } else { Err(Error::invalid("no records")) },
            Ok,
        )
    }
}
