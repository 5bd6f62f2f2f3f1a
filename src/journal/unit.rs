//! What a writer has in the log and no commit has named yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::Mutex;

use super::Journal;
use crate::error::Result;
use crate::format::commit::{Extent, encode_extents_part};
use crate::format::frame::{FrameBuf, Kind};
use crate::position::{Address, StreamId};

/// When a stream's unit has more extents than this, they go into a part frame, so that memory stays bounded for any
/// checkpoint.
const EXTENTS_MAX: usize = 4096;

/// The frames of one writer that no commit has named yet. Pruning moves them out of old segments, so they are shared.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Held while a commit is under way, so that nothing moves that it names.
    pub streams: Mutex<BTreeMap<StreamId, UnitStream>>,
    /// The lowest address that is recorded: for a pruner who finds the unit locked.
    pub low: AtomicU64,
    /// The address of a frame that is written and not yet recorded.
    pub in_flight: AtomicU64,
}

/// No address is lower.
const NOWHERE: u64 = u64::MAX;

impl Default for Unit {
    fn default() -> Self {
        Unit { streams: Mutex::default(), low: AtomicU64::new(NOWHERE), in_flight: AtomicU64::new(NOWHERE) }
    }
}

impl Unit {
    /// Records the frame that `append` wrote last.
    pub(crate) fn record(&self, stream: StreamId, extent: Extent) {
        let mut streams = self.streams.lock();
        streams.entry(stream).or_default().push(extent);
        self.low.fetch_min(extent.at.0, Ordering::AcqRel);
        self.in_flight.store(NOWHERE, Ordering::Release);
    }

    /// From here on frames may be written that are not recorded yet.
    pub(crate) fn departs(&self, at: Address) {
        self.in_flight.store(at.0, Ordering::Release);
    }

    /// What was in flight is recorded.
    pub(crate) fn landed(&self) {
        self.in_flight.store(NOWHERE, Ordering::Release);
    }

    /// Computes `low` anew after something left the unit or moved.
    pub(crate) fn settle(&self, streams: &BTreeMap<StreamId, UnitStream>) {
        let low = streams.values().filter_map(UnitStream::low).min();
        self.low.store(low.map_or(NOWHERE, |at| at.0), Ordering::Release);
    }

    /// Nothing of this unit lies below.
    pub(crate) fn floor(&self) -> Address {
        Address(self.low.load(Ordering::Acquire).min(self.in_flight.load(Ordering::Acquire)))
    }
}

/// What one stream has in the log, uncommitted.
#[derive(Debug, Default, Clone)]
pub(crate) struct UnitStream {
    /// Part frames that list earlier extents.
    pub parts: Vec<Address>,
    /// The lowest extent listed in parts; `NONE` without parts.
    pub parts_low: Address,
    pub extents: Vec<Extent>,
    /// Of all its frames, on disk.
    pub bytes: u64,
}

impl UnitStream {
    /// Adds a frame behind the others; adjacent frames merge.
    pub(crate) fn push(&mut self, extent: Extent) {
        self.bytes += u64::from(extent.bytes);
        if let Some(last) = self.extents.last_mut()
            && last.at.0 + u64::from(last.bytes) == extent.at.0
            && let Some(bytes) = last.bytes.checked_add(extent.bytes)
        {
            last.bytes = bytes;
            last.frames += extent.frames;
            return;
        }
        self.extents.push(extent);
    }

    /// The lowest address it needs; `None` if it has nothing in the log.
    pub(crate) fn low(&self) -> Option<Address> {
        let parts = self.parts.iter().copied().chain([self.parts_low]).filter(|at| !at.is_none());
        self.extents.iter().map(|extent| extent.at).chain(parts).min()
    }
}

impl Journal {
    /// A unit of very many extents lists the older ones in the log.
    pub(crate) fn spill_extents(&self, unit: &Unit, stream: StreamId) -> Result<()> {
        let mut streams = unit.streams.lock();
        let Some(extents) = streams.get_mut(&stream).filter(|unit| unit.extents.len() >= EXTENTS_MAX) else {
            return Ok(());
        };
        let mut frame = FrameBuf::new(Vec::new());
        encode_extents_part(frame.body_mut(), &extents.extents);
        // Pruning can't move this unit while it is locked; it stays behind the lowest extent.
        let part = self.append(unit, &mut Some(frame.seal(Kind::Part, stream.get())))?;
        let lows = extents.extents.iter().map(|e| e.at).chain([extents.parts_low]).filter(|at| !at.is_none());
        extents.parts_low = lows.min().unwrap_or(extents.parts_low);
        extents.parts.push(part.at);
        extents.extents.clear();
        unit.settle(&streams);
        unit.landed();
        Ok(())
    }
}
