//! The open segments of a log, found by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Segment;
use super::memory::Memory;
use crate::error::{Error, Result};
use crate::format::commit::StateAt;
use crate::format::frame::{HEADER, Header, Kind};
use crate::format::names;
use crate::position::{Address, LogId, SegmentId};
use crate::storage::{Access, Storage};
use crate::sync::Mutex;

/// So many segments stay open for reading.
const OPEN_MAX: usize = 32;

/// Opens segments when they are asked for, and keeps some of them open.
#[derive(Debug)]
pub(crate) struct Files {
    pub storage: Arc<dyn Storage>,
    pub log: LogId,
    access: Access,
    /// What the repair of this number has set aside is read in place of what it made.
    aside: Option<u32>,
    open: Mutex<BTreeMap<SegmentId, Arc<Segment>>>,
    memory: Memory,
}

impl Files {
    pub(crate) fn new(storage: Arc<dyn Storage>, log: LogId, access: Access) -> Self {
        Files { storage, log, access, aside: None, open: Mutex::default(), memory: Memory::default() }
    }

    /// The files as they were before a repair set some aside.
    pub(crate) fn before_repair(storage: Arc<dyn Storage>, log: LogId, repair: u32) -> Self {
        Files { aside: Some(repair), ..Files::new(storage, log, Access::Read) }
    }

    pub(crate) fn get(&self, id: SegmentId) -> Result<Arc<Segment>> {
        if let Some(segment) = self.open.lock().get(&id) {
            return Ok(segment.clone());
        }
        let opened = match self.aside {
            Some(repair) if self.is_aside(repair, id)? => {
                let name = names::aside(repair, &names::segment(id));
                Segment::open_named(&*self.storage, name, id, self.access)
            }
            _ => Segment::open(&*self.storage, id, self.access),
        };
        let segment = opened.map_err(|fault| fault.into_error(id))?;
        if segment.header.log != self.log {
            return Err(Error::corrupt(
                names::segment(id),
                24,
                format!("it belongs to log {}, expected {}", segment.header.log, self.log),
            ));
        }
        let segment = Arc::new(segment);
        self.insert(segment.clone());
        Ok(segment)
    }

    fn is_aside(&self, repair: u32, id: SegmentId) -> Result<bool> {
        let name = names::aside(repair, &names::segment(id));
        let names = self.storage.names().map_err(|e| Error::io("listing the log's directory", &name, e))?;
        Ok(names.contains(&name))
    }

    pub(crate) fn insert(&self, segment: Arc<Segment>) {
        let mut open = self.open.lock();
        if open.len() >= OPEN_MAX {
            // The oldest that nobody uses right now; the newest are needed again soonest.
            let idle = open.iter().find(|(_, segment)| Arc::strong_count(segment) == 1 && !segment.in_use());
            if let Some(id) = idle.map(|(id, _)| *id) {
                open.remove(&id);
            }
        }
        open.insert(segment.id(), segment);
    }

    /// Closes a segment, as far as this cache is concerned; returns it if it was open.
    pub(crate) fn forget(&self, id: SegmentId) -> Option<Arc<Segment>> {
        self.open.lock().remove(&id)
    }

    /// A piece of a segment that is not kept for long, in memory that is used again.
    pub(crate) fn read(&self, segment: &Segment, offset: u32, len: usize) -> Result<Bytes> {
        segment.read_into(&self.memory, offset, len)
    }

    /// The frame at an address, with everything about it checked.
    pub(crate) fn frame(&self, at: Address) -> Result<(Header, Bytes)> {
        self.get(at.segment())?.frame(at.offset())
    }

    /// The body of the frame at an address, which has to be of this kind.
    pub(crate) fn body(&self, at: Address, kind: Kind) -> Result<Bytes> {
        let (header, body) = self.frame(at)?;
        if header.kind != kind {
            return Err(
                self.damaged(at, format!("expected a {kind:?} frame, found a {:?} frame", header.kind))
            );
        }
        Ok(body)
    }

    /// A state's text, checked by its own CRC.
    pub(crate) fn state_text(&self, state: &StateAt) -> Result<String> {
        let offset = u64::from(state.frame.offset()) + HEADER as u64 + u64::from(state.offset);
        let offset = u32::try_from(offset)
            .map_err(|_| self.damaged(state.frame, "a state lies beyond its segment"))?;
        let bytes = self.get(state.frame.segment())?.read(offset, state.len as usize)?;
        let found = crc32fast::hash(&bytes);
        if found != state.crc {
            let at = Address::new(state.frame.segment(), offset);
            return Err(
                self.damaged(at, format!("state checksum: expected {:08x}, found {found:08x}", state.crc))
            );
        }
        String::from_utf8(bytes.into()).map_err(|_| self.damaged(state.frame, "a state is not UTF-8"))
    }

    pub(crate) fn damaged(&self, at: Address, what: impl std::fmt::Display) -> Error {
        Error::corrupt(names::segment(at.segment()), at.offset().into(), what.to_string())
    }
}
