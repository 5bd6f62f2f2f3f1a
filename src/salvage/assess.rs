//! What damage takes: which checkpoints are whole, which are not, which are missing without a trace.

use std::collections::{BTreeMap, BTreeSet};

use super::links::Links;
use super::{BaseFound, Hole, Item, LostBase, Salvage};
use crate::error::Result;
use crate::format::commit::{Commit, decode_extents_part};
use crate::format::define::{Definition, StreamName};
use crate::format::frame::{Header, Kind};
use crate::format::index::Index;
use crate::format::note::{Pruned, Repaired};
use crate::format::snapshot::{LastCheckpoint, Retained, Snapshot, Start, Totals};
use crate::position::{Address, Sequence, StreamId};

const NONSENSE: &str = "whose content makes no sense";
const LEFT_OVER: &str = "that had been written over, and is back";

/// Checkpoints from one number to another, and what is known of their records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub checkpoints: u64,
    pub records: u64,
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn plus(self, other: &Amount) -> Amount {
        let mut sum = self;
        sum.add(other.checkpoints, other.records, other.bytes);
        sum
    }

    fn add(&mut self, checkpoints: u64, records: u64, bytes: u64) {
        self.checkpoints = self.checkpoints.saturating_add(checkpoints);
        self.records = self.records.saturating_add(records);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Where the log can be cut: behind the last frame before the damage that settles what is before it.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub at: Address,
    pub last: LastCheckpoint,
    /// The newest snapshot before it.
    pub snapshot: Address,
}

/// A run of checkpoints that are lost, with what was found where they stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostRun {
    pub first: Sequence,
    pub last: Sequence,
    pub why: String,
}

/// What is given up, stream by stream. Of checkpoints whose own frame is gone only their number is known.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    pub all: Amount,
    pub streams: BTreeMap<StreamId, Amount>,
}

impl Loss {
    fn note(&mut self, commit: &Commit) {
        self.all.add(1, 0, 0);
        for part in &commit.streams {
            self.all.add(0, part.records, part.bytes);
            self.streams.entry(part.stream).or_default().add(1, part.records, part.bytes);
        }
        for change in &commit.states {
            self.streams.entry(change.stream).or_default();
        }
    }
}

/// What somebody who writes the log anew has to take over, in order.
#[derive(Debug)]
pub(crate) enum Survivor<'a> {
    Define(&'a Definition),
    /// What held before the first checkpoint, in a log that is damaged from its beginning on.
    Index(&'a Index),
    /// These come next, and are lost.
    Lost(&'a LostRun),
    Commit(&'a Commit),
}

/// What was learnt in one scan.
#[derive(Debug, Default)]
pub(crate) struct Assessment {
    pub holes: Vec<Hole>,
    /// The last place before the damage; `None`: it comes before everything.
    pub cut: Option<Cut>,
    pub lost_runs: Vec<LostRun>,
    /// The checkpoint that the log begins with, if it was compacted.
    pub base: BaseFound,
    /// What is damaged itself.
    pub damaged: Loss,
    /// What stands behind the first damage and is whole.
    pub behind: Loss,
    pub kept: Amount,
    /// The newest names of streams.
    pub names: BTreeMap<StreamId, Definition>,
    /// Streams of which a definition is whole.
    defined: BTreeSet<StreamId>,
    /// What the newest valid frame says is retained.
    pub retained: Option<Retained>,
    pub epoch: u32,
    /// The greatest number that was ever given out, as far as is known.
    pub last: Sequence,
    /// Records since the log was created, by counting and by what snapshots say.
    totals: Option<Totals>,
    snapshot: Address,
    newest: LastCheckpoint,
    /// The damage that was met last.
    why: String,
    links: Links,
    /// Commits that are none of the log's, as far as that is known before.
    left_over: BTreeSet<Address>,
}

impl Assessment {
    /// Reads everything; once more, if there are commits that are none of the log's: which these are is known at the end.
    pub(crate) fn of(salvage: &Salvage) -> Result<Assessment> {
        let mut found = Assessment::pass(salvage, BTreeSet::new(), &mut |_| Ok(()))?;
        let left_over = std::mem::take(&mut found.links).left_over();
        if left_over.is_empty() {
            return Ok(found);
        }
        Assessment::pass(salvage, left_over, &mut |_| Ok(()))
    }

    /// Reads everything again. `survivors` is told, in order, what is whole behind the damage.
    pub(crate) fn survivors(
        &self,
        salvage: &Salvage,
        survivors: &mut dyn FnMut(Survivor<'_>) -> Result<()>,
    ) -> Result<()> {
        Assessment::pass(salvage, self.left_over.clone(), survivors).map(drop)
    }

    fn pass(
        salvage: &Salvage,
        left_over: BTreeSet<Address>,
        survivors: &mut dyn FnMut(Survivor<'_>) -> Result<()>,
    ) -> Result<Assessment> {
        let last = salvage.retained.first_sequence.previous();
        let mut found = Assessment { last, left_over, ..Assessment::default() };
        found.begin(salvage)?;
        salvage.scan(&mut |item| match item {
            Item::Hole(hole) => {
                found.hole(hole);
                Ok(())
            }
            Item::Frame { at, header, body } => found.frame(salvage, at, &header, body.as_deref(), survivors),
        })?;
        let marked = salvage.mark.map_or(Sequence::NONE, |mark| mark.sequence);
        found.missing(marked.next(), survivors)?;
        Ok(found)
    }

    /// What is known of a stream: if damage has taken its definition, its name at least, or one made up from its number.
    pub(crate) fn definition(&self, stream: StreamId) -> Definition {
        let unnamed = || StreamName { namespace: None, name: format!("stream-{stream}") };
        self.names.get(&stream).cloned().unwrap_or_else(|| Definition::named(stream, unnamed()))
    }

    /// Streams that live on behind the damage without their definition.
    pub(crate) fn undefined(&self) -> Vec<StreamId> {
        let indexed = self.names.keys().filter(|_| self.cut.is_none());
        let live: BTreeSet<StreamId> = self.behind.streams.keys().chain(indexed).copied().collect();
        live.into_iter().filter(|s| *s != StreamId::GLOBAL && !self.defined.contains(s)).collect()
    }

    /// Looks at the base checkpoint, which lies in files of its own: losing it is no damage to anything behind it.
    fn begin(&mut self, salvage: &Salvage) -> Result<()> {
        self.base = salvage.base()?;
        if salvage.retained.compacted.is_some() {
            self.last = salvage.retained.first_sequence;
        }
        let Some(LostBase { sequence, why, commit }) = self.base.lost() else { return Ok(()) };
        match commit {
            Some(commit) => self.damaged.note(commit),
            None => self.damaged.all.add(1, 0, 0),
        }
        self.lost_runs.push(LostRun { first: *sequence, last: *sequence, why: why.clone() });
        Ok(())
    }

    fn frame(
        &mut self,
        salvage: &Salvage,
        at: Address,
        header: &Header,
        body: Option<&[u8]>,
        survivors: &mut dyn FnMut(Survivor<'_>) -> Result<()>,
    ) -> Result<()> {
        self.epoch = self.epoch.max(header.epoch);
        let end = Address(at.0 + header.frame_len());
        let wrong = match body {
            Some(body) => self.bookkeeping(salvage, at, header.kind, body, survivors)?,
            None => None,
        };
        if let Some(wrong) = wrong {
            let what = format!("a {:?} frame {wrong}", header.kind);
            let file = crate::format::names::segment(at.segment());
            self.hole(Hole { from: at, to: end, file, what });
        } else if self.holes.is_empty() && can_end(header.kind) && self.reaches_base(salvage, at) {
            self.cut = Some(Cut { at: end, last: self.newest, snapshot: self.snapshot });
        }
        Ok(())
    }

    /// Whether the log may be cut at `at`: not in front of what the base checkpoint has taken in, whose number would be given
    /// out again.
    fn reaches_base(&self, salvage: &Salvage, at: Address) -> bool {
        let base = salvage.retained.compacted.as_ref().map(|_| salvage.retained.first_sequence);
        !at.segment().is_base() && base.is_none_or(|base| self.newest.sequence >= base)
    }

    /// Holes are kept in the order of their addresses; those of base files come first and have the highest.
    fn hole(&mut self, hole: Hole) {
        self.why = hole.to_string();
        let at = self.holes.partition_point(|other| other.from < hole.from);
        self.holes.insert(at, hole);
    }

    /// Learns from a frame that is not records; what is wrong with it, if that can't be.
    fn bookkeeping(
        &mut self,
        salvage: &Salvage,
        at: Address,
        kind: Kind,
        body: &[u8],
        survivors: &mut dyn FnMut(Survivor<'_>) -> Result<()>,
    ) -> Result<Option<&'static str>> {
        match kind {
            Kind::Commit => match Commit::decode(body, at) {
                Ok(commit) if self.is_left_over(salvage, &commit, at) => return Ok(Some(LEFT_OVER)),
                Ok(commit) => self.commit(salvage, &commit, at, survivors)?,
                Err(_) => return Ok(Some(NONSENSE)),
            },
            Kind::Define => match Definition::decode(body) {
                Ok(definition) => {
                    if !self.holes.is_empty() {
                        survivors(Survivor::Define(&definition))?;
                    }
                    self.defined.insert(definition.stream);
                    self.names.insert(definition.stream, definition);
                }
                Err(_) => return Ok(Some(NONSENSE)),
            },
            Kind::Index => match Index::decode(body) {
                Ok(index) => {
                    if self.cut.is_none() && !self.holes.is_empty() && self.kept == Amount::default() {
                        survivors(Survivor::Index(&index))?;
                    }
                    self.index(&index);
                }
                Err(_) => return Ok(Some(NONSENSE)),
            },
            Kind::Start => match Start::decode(body) {
                Ok(start) => self.snapshot(at, &start.snapshot),
                Err(_) => return Ok(Some(NONSENSE)),
            },
            Kind::Waypoint => match Snapshot::decode(body) {
                Ok(snapshot) => self.snapshot(at, &snapshot),
                Err(_) => return Ok(Some(NONSENSE)),
            },
            Kind::Pruned => match Pruned::decode(body) {
                Ok(pruned) => self.retained = Some(pruned.retained),
                Err(_) => return Ok(Some(NONSENSE)),
            },
            Kind::Repaired => match Repaired::decode(body) {
                Ok(note) => {
                    self.newest = self.newest.repaired(&note);
                    if note.skipped {
                        self.last = self.last.max(note.last);
                    }
                }
                Err(_) => return Ok(Some(NONSENSE)),
            },
            _ => {}
        }
        Ok(None)
    }

    /// Whether an opening or a repair had dropped this commit and written over it, and a lost write has brought it back: a later
    /// one tells, or the mark, which knows the last checkpoint below its end.
    fn is_left_over(&self, salvage: &Salvage, commit: &Commit, at: Address) -> bool {
        let (sequence, id) = (commit.head.sequence, commit.head.id);
        self.left_over.contains(&at)
            || salvage.mark.is_some_and(|mark| {
                at < mark.durable && (sequence > mark.sequence || sequence == mark.sequence && id != mark.id)
            })
    }

    fn commit(
        &mut self,
        salvage: &Salvage,
        commit: &Commit,
        at: Address,
        survivors: &mut dyn FnMut(Survivor<'_>) -> Result<()>,
    ) -> Result<()> {
        let sequence = commit.head.sequence;
        let (records, bytes) = commit.streams.iter().fold((0u64, 0u64), |(records, bytes), part| {
            (records.saturating_add(part.records), bytes.saturating_add(part.bytes))
        });
        if let Some(totals) = &mut self.totals {
            totals.records = totals.records.saturating_add(records);
            totals.bytes = totals.bytes.saturating_add(bytes);
        }
        self.newest = LastCheckpoint::of(&commit.head, at);
        self.links.commit(&commit.head, at);
        if !salvage.retained.shows(sequence) {
            return Ok(()); // pruned or compacted: only a part of it may lie here
        }
        self.missing(sequence, survivors)?;
        self.last = sequence;
        if self.holes.is_empty() {
            self.kept.add(1, records, bytes);
        } else if let Some(why) = self.damage_in(salvage, commit)? {
            self.damaged.note(commit);
            self.lose(sequence, sequence, why, survivors)?;
        } else {
            self.behind.note(commit);
            survivors(Survivor::Commit(commit))?;
        }
        Ok(())
    }

    /// What damage the frames that a commit names have.
    fn damage_in(&self, salvage: &Salvage, commit: &Commit) -> Result<Option<String>> {
        for part in &commit.streams {
            for extent in &part.extents {
                if let Some(hole) = self.hole_in(extent.at, u64::from(extent.bytes)) {
                    return Ok(Some(hole.to_string()));
                }
            }
            for at in &part.parts {
                let listed = super::no_damage(salvage.files.body(*at, Kind::Part))?;
                let Some(extents) = listed.and_then(|body| decode_extents_part(&body).ok()) else {
                    return Ok(Some("a list of its records can't be read".into()));
                };
                if let Some(hole) = extents.iter().find_map(|e| self.hole_in(e.at, u64::from(e.bytes))) {
                    return Ok(Some(hole.to_string()));
                }
            }
        }
        for state in commit.states.iter().filter_map(|change| change.to) {
            if super::no_damage(salvage.files.state_text(&state))?.is_none() {
                return Ok(Some("a state of it can't be read".into()));
            }
        }
        Ok(None)
    }

    fn hole_in(&self, from: Address, bytes: u64) -> Option<&Hole> {
        let first = self.holes.partition_point(|hole| hole.to <= from);
        self.holes.get(first).filter(|hole| hole.from.0 < from.0.saturating_add(bytes))
    }

    /// Numbers before `next` that no commit was found for.
    fn missing(
        &mut self,
        next: Sequence,
        survivors: &mut dyn FnMut(Survivor<'_>) -> Result<()>,
    ) -> Result<()> {
        let first = self.last.next();
        if first >= next {
            return Ok(());
        }
        let last = next.previous();
        self.damaged.all.add(last.get() - first.get(), 0, 0);
        self.damaged.all.add(1, 0, 0);
        self.last = last;
        self.lose(first, last, self.why.clone(), survivors)
    }

    fn lose(
        &mut self,
        first: Sequence,
        last: Sequence,
        why: String,
        survivors: &mut dyn FnMut(Survivor<'_>) -> Result<()>,
    ) -> Result<()> {
        let run = LostRun { first, last, why };
        survivors(Survivor::Lost(&run))?;
        match self.lost_runs.last_mut() {
            Some(before) if before.last.next() == first => before.last = last,
            _ => self.lost_runs.push(run),
        }
        Ok(())
    }

    fn index(&mut self, index: &Index) {
        for (stream, entry) in &index.entries {
            if let Some(defined) = &entry.defined {
                self.names.entry(*stream).or_insert_with(|| Definition::named(*stream, defined.name.clone()));
            }
        }
    }

    /// A snapshot tells how many records there should have been before it.
    fn snapshot(&mut self, at: Address, snapshot: &Snapshot) {
        self.snapshot = at;
        self.newest = snapshot.last;
        self.retained = Some(snapshot.retained.clone());
        if let Some(totals) = self.totals {
            let records = snapshot.totals.records.saturating_sub(totals.records);
            let bytes = snapshot.totals.bytes.saturating_sub(totals.bytes);
            self.damaged.all.add(0, records, bytes);
        }
        self.totals = Some(snapshot.totals);
    }
}

/// Whether a log may end behind such a frame: a seal needs the next segment, a start frame its index.
fn can_end(kind: Kind) -> bool {
    kind.settles() && !matches!(kind, Kind::Seal | Kind::Start)
}
