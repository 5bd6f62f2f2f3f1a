//! Reading committed checkpoints in order, and their records.

mod operation;
mod records;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{self, Commit, Extent, decode_extents_part};
use crate::format::define::StreamName;
use crate::format::frame::Kind;
use crate::format::snapshot::LastCheckpoint;
use crate::locate::{self, Met};
use crate::origin::{Horizon, Origin, gap, lost};
use crate::position::{Address, Position, SegmentId, Sequence, StreamId};
use crate::protection::Protection;
use crate::segment::Walker;
use crate::streams::Fingerprint;
use crate::view::{check_follows, check_same};

pub use operation::OperationRecord;
pub(crate) use operation::{FROM, WHAT, WHO, WHY};
pub use records::{Record, RecordRef, Records};

/// Reads checkpoints in order, durable ones only. After its first error it gives nothing but that error.
#[derive(Debug)]
pub struct Reader {
    origin: Origin,
    place: Option<Place>,
    next: Sequence,
    end: Address,
    /// The first live segment when the last step began.
    first_live: SegmentId,
    /// It begins with a base checkpoint, which continues nothing.
    begins_compacted: bool,
    failed: Option<Error>,
}

/// Where a reader stands.
#[derive(Debug)]
struct Place {
    walker: Walker,
    /// The commit that it met last.
    before: Option<LastCheckpoint>,
}

impl Reader {
    pub(crate) fn new(origin: Origin, from: Sequence) -> Result<Reader> {
        let horizon = origin.horizon()?;
        let from = from.max(Sequence::FIRST);
        if from < horizon.retained.first_sequence {
            return Err(gap(from, &horizon.retained));
        }
        if from > horizon.last.sequence.next() {
            return Err(Error::not_found(format!(
                "there is no checkpoint {from} in this log; the last is {}",
                horizon.last.sequence
            )));
        }
        let first_live = horizon.retained.first_live;
        let begins_compacted = is_base(&horizon, from);
        let (place, end) = (None, Address::NONE);
        Ok(Reader { origin, place, next: from, end, first_live, begins_compacted, failed: None })
    }

    /// The number of the checkpoint that comes next.
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// The next checkpoint, or `None` if there is none yet. Blocks for reading, not for new checkpoints.
    #[expect(clippy::should_implement_trait, reason = "None is not the end: more may follow")]
    pub fn next(&mut self) -> Result<Option<Checkpoint>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut result = self.advance();
        while result.is_err() && self.was_overtaken() {
            self.place = None;
            result = self.advance();
        }
        result.map_err(|error| {
            let error = self.origin.tell(error, self.next);
            self.failed = Some(error.clone());
            error
        })
    }

    /// After a [`Gap`](ErrorKind::Gap) that damage has made: goes on behind it, and tells which checkpoints are missing.
    /// `None`, and nothing changes, after any other error and where checkpoints were pruned.
    pub fn pass_gap(&mut self) -> Option<(Sequence, Sequence)> {
        let ErrorKind::Gap { first, last } = *self.failed.as_ref()?.kind() else { return None };
        let is_pruned = |horizon: Horizon| last < horizon.retained.first_sequence || is_base(&horizon, last);
        if self.origin.horizon().is_ok_and(is_pruned) {
            return None;
        }
        (self.failed, self.place, self.next) = (None, None, last.next());
        Some((first, last))
    }

    /// Waits for a next checkpoint, at most so long; `false` if none came. In the process that writes the log it is woken
    /// by the commit; elsewhere it looks at the mark file every few milliseconds.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        self.origin.wait_beyond(self.next.previous(), timeout)
    }

    /// The last checkpoint there is now, and how much of it is confirmed.
    pub(crate) fn horizon(&self) -> Result<Horizon> {
        self.origin.horizon()
    }

    /// Whether pruning removed the segment in which it stands, or where it looked for one: what comes next may still be
    /// there, further on.
    fn was_overtaken(&self) -> bool {
        let stands = self.place.as_ref().map_or(self.first_live, |place| place.walker.segment().id());
        let retained = self.origin.horizon().map(|horizon| horizon.retained);
        retained.is_ok_and(|retained| stands < retained.first_live && self.next >= retained.first_sequence)
    }

    /// The base checkpoint, for who begins with it. Who has read what was before it lacks what it does not tell.
    fn base_checkpoint(&mut self, horizon: &Horizon) -> Result<Option<Checkpoint>> {
        if !self.begins_compacted && !Protection::BaseContinuesNothing.is_off() {
            return Err(gap(self.next, &horizon.retained));
        }
        let Some(commit) = locate::base_commit(self.origin.files(), &horizon.retained)? else {
            return Ok(None);
        };
        (self.place, self.begins_compacted) = (None, false);
        self.next = self.next.next();
        // Its frames lie in no segment; what follows it begins here.
        let at = Address::new(horizon.retained.first_live, crate::format::BLOCK);
        Ok(Some(Checkpoint::new(self.origin.clone(), commit, at)))
    }

    fn advance(&mut self) -> Result<Option<Checkpoint>> {
        let horizon = self.origin.horizon()?;
        if horizon.last.sequence < self.next {
            return Ok(None);
        }
        if self.next < horizon.retained.first_sequence {
            return Err(gap(self.next, &horizon.retained));
        }
        self.first_live = horizon.retained.first_live;
        let files = self.origin.files().clone();
        if is_base(&horizon, self.next) {
            return self.base_checkpoint(&horizon);
        }
        let Place { walker, before } = match &mut self.place {
            Some(place) => place,
            None => {
                let last = horizon.last.at.segment();
                let segment = locate::segment_of(&files, horizon.retained.first_live, last, self.next)?;
                let walker = locate::near(&files, segment, segment < last, self.next)?;
                self.place.insert(Place { walker, before: None })
            }
        };
        if self.end != horizon.end {
            walker.refresh();
            self.end = horizon.end;
        }
        while let Some(met) = locate::next(&files, walker, horizon.end)? {
            let (commit, at) = match met {
                Met::Commit(commit, at) => (commit, at),
                Met::Lost(note) if note.last < self.next => continue,
                Met::Lost(note) => return Err(lost(self.next, &note)),
            };
            let now = LastCheckpoint::of(&commit.head, at);
            if let Some(before) = before.replace(now) {
                check_follows(&files, &before, &commit, at)?;
            }
            if commit.head.sequence < self.next {
                continue;
            }
            if now.sequence == horizon.last.sequence {
                check_same(&files, &now, &horizon.last)?;
            }
            if commit.head.sequence > self.next {
                return Err(files.damaged(
                    at,
                    format!("expected checkpoint {}, found {}", self.next, commit.head.sequence),
                ));
            }
            self.next = self.next.next();
            return Ok(Some(Checkpoint::new(self.origin.clone(), commit, at)));
        }
        Err(files.damaged(
            walker.address(),
            format!("checkpoint {} is missing before the end of the log", self.next),
        ))
    }
}

/// Whether the log begins with this one, and compacted it.
fn is_base(horizon: &Horizon, sequence: Sequence) -> bool {
    horizon.retained.compacted.is_some() && horizon.retained.first_sequence == sequence
}

/// What a checkpoint holds of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamCounts {
    /// The stream's number.
    pub stream: StreamId,
    /// Its name.
    pub name: StreamName,
    /// Records.
    pub records: u64,
    /// Bytes of keys, metadata and payloads.
    pub bytes: u64,
    /// CRC-32 of the records' encodings one after another.
    pub checksum: u32,
    /// Of the schema in force.
    pub fingerprint: Fingerprint,
}

/// A committed checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    origin: Origin,
    commit: Arc<Commit>,
    at: Address,
    counts: Arc<[StreamCounts]>,
}

impl Checkpoint {
    fn new(origin: Origin, commit: Commit, at: Address) -> Self {
        let name = |stream: StreamId| {
            let unnamed = || StreamName { namespace: None, name: stream.to_string() };
            origin.with_view(|view| view.name(stream).cloned()).unwrap_or_else(unnamed)
        };
        let counts = commit.streams.iter().map(|part| StreamCounts {
            stream: part.stream,
            name: name(part.stream),
            records: part.records,
            bytes: part.bytes,
            checksum: part.checksum,
            fingerprint: Fingerprint(part.fingerprint),
        });
        let counts = counts.collect();
        Checkpoint { origin, commit: Arc::new(commit), at, counts }
    }

    /// Its number.
    pub fn sequence(&self) -> Sequence {
        self.commit.head.sequence
    }

    /// Its place in the history.
    pub fn position(&self) -> Position {
        Position { log: self.origin.log(), sequence: self.sequence(), checkpoint: self.commit.head.id }
    }

    /// When it was committed, in microseconds since 1970-01-01 UTC; never less than that of the one before.
    pub fn time_us(&self) -> i64 {
        self.commit.head.time_us
    }

    /// Whether it carried the global state.
    pub fn is_global(&self) -> bool {
        self.commit.head.flags & commit::GLOBAL != 0
    }

    /// Whether a compaction made it, out of all checkpoints up to this one. Its records are what counts of theirs: of each
    /// key the last whole row and the updates after it. Counts and checksums are of what is left.
    pub fn is_compacted(&self) -> bool {
        self.compacted_from().is_some()
    }

    /// The first checkpoint that a compacted one takes in; 1: it tells everything since the log was created. `None` if it is as
    /// it was committed.
    pub fn compacted_from(&self) -> Option<Sequence> {
        self.commit.compacted.as_ref().map(|compacted| compacted.from)
    }

    /// Its labels.
    pub fn labels(&self) -> &[(String, String)] {
        &self.commit.labels
    }

    /// The streams of which it holds records.
    pub fn streams(&self) -> &[StreamCounts] {
        &self.counts
    }

    /// Records in it.
    pub fn record_count(&self) -> u64 {
        self.counts.iter().map(|counts| counts.records).fold(0, u64::saturating_add)
    }

    /// Bytes of keys, metadata and payloads in it.
    pub fn byte_count(&self) -> u64 {
        self.counts.iter().map(|counts| counts.bytes).fold(0, u64::saturating_add)
    }

    /// Bytes on disk of its frames that hold a stream's records: headers included, compressed as they are.
    pub fn disk_bytes_of(&self, stream: StreamId) -> Result<u64> {
        let mut bytes = 0;
        self.each_extent(Some(stream), |extent| bytes += u64::from(extent.bytes))?;
        Ok(bytes)
    }

    /// Where its records lie: of one stream, or of all.
    pub(crate) fn each_extent(&self, of: Option<StreamId>, mut tell: impl FnMut(&Extent)) -> Result<()> {
        let files = self.origin.files();
        let mut read = || {
            for part in self.commit.streams.iter().filter(|part| of.is_none_or(|of| of == part.stream)) {
                part.extents.iter().for_each(&mut tell);
                for at in &part.parts {
                    let body = files.body(*at, Kind::Part)?;
                    let extents = decode_extents_part(&body).map_err(|e| files.damaged(*at, e))?;
                    extents.iter().for_each(&mut tell);
                }
            }
            Ok(())
        };
        read().map_err(|error| self.origin.tell(error, self.sequence()))
    }

    /// The states it changed: `None` for the global one; `true` if it was set, `false` if it was cleared.
    pub fn states(&self) -> Vec<(Option<StreamName>, bool)> {
        let name = |stream| self.origin.with_view(|view| view.name(stream).cloned());
        let states = self.commit.states.iter();
        states
            .map(|change| {
                (
                    if change.stream == StreamId::GLOBAL { None } else { name(change.stream) },
                    change.to.is_some(),
                )
            })
            .collect()
    }

    /// The text of the state that it set, of a stream or (`None`) the global one; `None` if it set none.
    pub fn state_text(&self, of: Option<&StreamName>) -> Result<Option<String>> {
        let named = |stream| self.origin.with_view(|view| view.name(stream).cloned());
        let is_wanted = |stream| match of {
            None => stream == StreamId::GLOBAL,
            Some(_) => stream != StreamId::GLOBAL && named(stream).as_ref() == of,
        };
        let set =
            self.commit.states.iter().find(|change| is_wanted(change.stream)).and_then(|change| change.to);
        let text = set.map(|at| self.origin.state_text(&at)).transpose();
        text.map_err(|error| self.origin.tell(error, self.sequence()))
    }

    /// Its records, stream by stream, in the order they were appended.
    pub fn records(&self) -> Records {
        self.records_if(|_| true)
    }

    /// The records of one stream.
    pub fn records_of(&self, stream: StreamId) -> Records {
        self.records_if(|found| found == stream)
    }

    pub(crate) fn records_if(&self, wanted: impl Fn(StreamId) -> bool) -> Records {
        let parts = self.commit.streams.iter().filter(|part| wanted(part.stream)).cloned();
        Records::new(self.origin.clone(), self.sequence(), parts.collect())
    }

    pub(crate) fn at(&self) -> Address {
        self.at
    }

    pub(crate) fn stream_ids(&self) -> impl Iterator<Item = StreamId> {
        self.commit.streams.iter().map(|part| part.stream)
    }
}
