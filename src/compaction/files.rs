//! The files of a base checkpoint: bounded in size, one after another, the last with the commit frame.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::frame::SealedFrame;
use crate::format::snapshot::Base;
use crate::journal::Journal;
use crate::position::{Address, SegmentId};
use crate::segment::Growing;

/// A file has the size of so many segments, at most: what is rewritten is freed in pieces, too.
const SEGMENTS: u64 = 4;

/// Writes frames into as many files as they need.
#[derive(Debug)]
pub(super) struct DataFiles<'a> {
    journal: &'a Journal,
    next: SegmentId,
    current: Option<Growing>,
    done: Vec<Base>,
}

impl<'a> DataFiles<'a> {
    /// From the file `first` on.
    pub(super) fn new(journal: &'a Journal, first: SegmentId) -> Self {
        DataFiles { journal, next: first, current: None, done: Vec::new() }
    }

    /// Adds a frame behind the others.
    pub(super) fn push(&mut self, frame: SealedFrame) -> Result<Address> {
        let bytes_max = SEGMENTS * u64::from(self.journal.config.segment_bytes);
        let len = u64::from(frame.len());
        let is_full = self.current.as_ref().is_some_and(|file| u64::from(file.offset()) + len > bytes_max);
        if is_full {
            self.end_file()?;
        }
        let file = match &mut self.current {
            Some(file) => file,
            None => {
                let header = self.journal.segment_header(self.next, 0);
                self.next = self.next.next();
                self.current.insert(Growing::begin(self.journal.storage(), header)?)
            }
        };
        if !file.fits(len) {
            return Err(Error::too_large("a frame", u32::MAX.into(), len));
        }
        file.push(frame)
    }

    fn end_file(&mut self) -> Result<()> {
        let Some(file) = self.current.take() else { return Ok(()) };
        let segment = Arc::new(file.finish(self.journal.storage())?);
        self.done.push(Base { id: segment.id(), bytes: segment.bytes() });
        self.journal.files.forget(segment.id());
        self.journal.files.insert(segment);
        Ok(())
    }

    /// All of them, durable, and named by nobody yet.
    pub(super) fn finish(mut self) -> Result<Vec<Base>> {
        self.end_file()?;
        Ok(self.done)
    }
}
