//! Reading the log forward from a snapshot: what an opening does, and a reader in another process.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::BLOCK;
use crate::format::commit::Commit;
use crate::format::define::Definition;
use crate::format::frame::{Fault, Header, Kind};
use crate::format::index::Index;
use crate::format::note::{Pruned, Repaired, Seal};
use crate::format::segment::HeaderFault;
use crate::format::snapshot::{Retained, Snapshot, Start};
use crate::format::wire::Malformed;
use crate::position::{Address, SegmentId};
use crate::segment::{Files, OpenFault, Segment, Walker};
use crate::storage::Access;

/// Something that changes the view.
#[derive(Debug)]
pub(crate) enum Event {
    Start,
    Commit { commit: Box<Commit>, at: Address },
    Define { definition: Definition, at: Address },
    Index { at: Address, index: Index },
    Pruned { retained: Retained },
    Repaired { note: Repaired },
}

/// Why the chain of valid frames ends where it does.
#[derive(Debug)]
pub(crate) enum Stop {
    /// What stands there is not the next frame.
    Fault(Fault),
    /// The segment is full, without a seal.
    SegmentEnd,
    /// The segment is sealed, and the next one is not there or has no valid header.
    NextSegment(OpenFault),
    /// The caller wanted no more.
    Limit,
}

/// Where reading stands, and what it met.
#[derive(Debug)]
pub(crate) struct Replay {
    walker: Walker,
    /// Of the last valid frame.
    pub epoch: u32,
    /// The end of the last frame that settles what is before it.
    pub accepted: Address,
    /// What an opening makes durable: up to the last settled frame, or to the last end of a batch behind it, if only records
    /// lie between. Such a batch may have been flushed, and then no block of it is written again: its first one may hold
    /// the end of an acknowledged commit. (Without such an end the commit's own batch was not flushed whole. A definition
    /// never ends a batch: it goes out with its commit.)
    pub keeps: Address,
    /// The greatest durable mark in valid frames.
    pub durable: Address,
    /// The last settling frame was a clean close.
    pub closed: bool,
    /// The newest snapshot that is settled.
    pub waypoint: Address,
    /// The newest snapshot met.
    snapshot: Address,
    /// Some commits of the current segment, for its seal.
    pub directory: Vec<(crate::Sequence, u32)>,
    /// The last seal met, and its end.
    pub seal: (Address, Address),
    /// Valid frames and their bytes behind `accepted`.
    pub loose: (u64, u64),
    /// Events that only count once a settling frame follows.
    pending: Vec<Event>,
}

impl Replay {
    /// Starts behind the snapshot in the start or waypoint frame at `at`.
    pub(crate) fn from(files: &Files, at: Address) -> Result<(Snapshot, Replay)> {
        let (header, body) = files.frame(at)?;
        let malformed = |e: Malformed| files.damaged(at, e);
        let snapshot = match header.kind {
            Kind::Start => Start::decode(&body).map_err(malformed)?.snapshot,
            Kind::Waypoint => Snapshot::decode(&body).map_err(malformed)?,
            kind => return Err(files.damaged(at, format!("expected a snapshot, found a {kind:?} frame"))),
        };
        let segment = files.get(at.segment())?;
        let end = at.offset() + header.frame_len() as u32;
        let replay = Replay {
            accepted: segment.address(end),
            keeps: segment.address(end),
            walker: Walker::new(segment, end),
            epoch: header.epoch,
            durable: header.durable,
            closed: false,
            waypoint: at,
            snapshot: at,
            directory: Vec::new(),
            seal: (Address::NONE, Address::NONE),
            loose: (0, 0),
            pending: Vec::new(),
        };
        Ok((snapshot, replay))
    }

    /// Where the chain of valid frames ends so far.
    pub(crate) fn end(&self) -> Address {
        self.walker.address()
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.walker.segment()
    }

    /// Forgets what was read ahead: more may have been written since.
    pub(crate) fn refresh(&mut self) {
        self.walker.refresh();
    }

    /// Reads on to `limit`, or to the end of the chain. What settled is given to `apply`, in order.
    pub(crate) fn run(
        &mut self,
        files: &Files,
        limit: Option<Address>,
        mut apply: impl FnMut(Event) -> Result<()>,
    ) -> Result<Stop> {
        loop {
            if limit.is_some_and(|limit| self.end() >= limit) {
                return Ok(Stop::Limit);
            }
            if self.walker.is_at_end() {
                return Ok(Stop::SegmentEnd);
            }
            let header = match self.walker.header()? {
                Ok(header) if header.epoch < self.epoch => {
                    return Ok(Stop::Fault(Fault::Stale { epoch: header.epoch, at_least: self.epoch }));
                }
                Ok(header) => header,
                Err(fault) => return Ok(Stop::Fault(fault)),
            };
            if let Err(fault) = self.frame(files, &header)? {
                return Ok(Stop::Fault(fault));
            }
            self.epoch = header.epoch;
            self.durable = self.durable.max(header.durable.min(self.end()));
            self.walker.step(&header);
            if header.kind.settles() || header.kind == Kind::Pad && self.loose.0 == 0 {
                self.accepted = self.end();
                self.keeps = self.accepted;
                self.waypoint = self.snapshot;
                self.loose = (0, 0);
                self.pending.drain(..).try_for_each(&mut apply)?;
            } else {
                self.loose.0 += 1;
                self.loose.1 += header.frame_len();
                if self.end().offset().is_multiple_of(BLOCK) && self.pending.is_empty() {
                    self.keeps = self.end();
                }
            }
            if header.kind == Kind::Seal
                && let Some(stop) = self.next_segment(files)?
            {
                return Ok(stop);
            }
        }
    }

    /// Checks one frame and notes what it says.
    fn frame(&mut self, files: &Files, header: &Header) -> Result<Result<(), Fault>> {
        if matches!(header.kind, Kind::Data | Kind::Part | Kind::Pad) {
            return self.walker.check(header);
        }
        let body = match self.walker.body(header)? {
            Ok(body) => body,
            Err(fault) => return Ok(Err(fault)),
        };
        let at = self.end();
        self.closed = false;
        self.note(files, header, &body, at).map_err(|what| match what {
            Noted::Malformed(e) => files.damaged(at, e),
            Noted::Error(e) => e,
        })?;
        Ok(Ok(()))
    }

    fn note(&mut self, files: &Files, header: &Header, body: &[u8], at: Address) -> Result<(), Noted> {
        match header.kind {
            Kind::Commit => {
                let commit = Commit::decode(body, at)?;
                let named =
                    commit.streams.iter().map(|s| s.stream).chain(commit.states.iter().map(|s| s.stream));
                super::check_streams(files, at, named).map_err(Noted::Error)?;
                let segment_bytes = self.segment().bytes();
                note_directory(&mut self.directory, commit.head.sequence, at, segment_bytes);
                self.pending.push(Event::Commit { commit: Box::new(commit), at });
            }
            Kind::Define => {
                let definition = Definition::decode(body)?;
                super::check_streams(files, at, [definition.stream]).map_err(Noted::Error)?;
                self.pending.push(Event::Define { definition, at });
            }
            Kind::Index => {
                let index = Index::decode(body)?;
                super::check_streams(files, at, index.entries.iter().map(|e| e.0)).map_err(Noted::Error)?;
                self.pending.push(Event::Index { at, index });
            }
            Kind::Pruned => self.pending.push(Event::Pruned { retained: Pruned::decode(body)?.retained }),
            Kind::Repaired => self.pending.push(Event::Repaired { note: Repaired::decode(body)? }),
            Kind::Start => {
                Start::decode(body)?;
                self.snapshot = at;
                self.pending.push(Event::Start);
            }
            Kind::Waypoint => {
                Snapshot::decode(body)?;
                self.snapshot = at;
            }
            Kind::Seal => {
                Seal::decode(body)?;
                let end = Address(at.0 + header.frame_len());
                self.seal = (at, end);
            }
            Kind::Close => self.closed = true,
            Kind::Recovery | Kind::Opened | Kind::Data | Kind::Part | Kind::Pad => {}
        }
        Ok(())
    }

    /// Steps into the segment behind a sealed one.
    fn next_segment(&mut self, files: &Files) -> Result<Option<Stop>> {
        let id = self.segment().id().next();
        match Segment::open(&*files.storage, id, Access::Read) {
            Ok(segment) if segment.header.log == files.log => {}
            Ok(_) => {
                return Ok(Some(Stop::NextSegment(OpenFault::Header(HeaderFault::Nonsense(
                    "it belongs to another log",
                )))));
            }
            Err(OpenFault::Error(error)) => return Err(error),
            Err(fault) => return Ok(Some(Stop::NextSegment(fault))),
        }
        files.forget(id); // it may have been opened before it was made anew
        self.walker = Walker::new(files.get(id)?, BLOCK);
        self.accepted = self.end();
        self.keeps = self.accepted;
        self.directory.clear();
        Ok(None)
    }
}

/// Keeps the directory of a seal sparse: at most one commit in each 256th of the segment.
pub(crate) fn note_directory(
    directory: &mut Vec<(crate::Sequence, u32)>,
    sequence: crate::Sequence,
    at: Address,
    segment_bytes: u32,
) {
    let apart = segment_bytes / Seal::DIRECTORY_MAX as u32;
    let far = directory.last().is_none_or(|(_, last)| at.offset() - last > apart);
    if far && directory.len() < Seal::DIRECTORY_MAX {
        directory.push((sequence, at.offset()));
    }
}

enum Noted {
    Malformed(Malformed),
    Error(Error),
}

impl From<Malformed> for Noted {
    fn from(e: Malformed) -> Self {
        Noted::Malformed(e)
    }
}

/// The first block of a segment that has begun: its start frame, if it is valid.
pub(crate) fn read_start(files: &Files, id: SegmentId) -> Result<(Header, Start)> {
    let at = Address::new(id, BLOCK);
    let (header, body) = files.frame(at)?;
    if header.kind != Kind::Start {
        return Err(files.damaged(at, format!("expected a start frame, found a {:?} frame", header.kind)));
    }
    Ok((header, Start::decode(&body).map_err(|e| files.damaged(at, e))?))
}
