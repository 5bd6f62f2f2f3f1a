//! How far a compaction has come, and whether it is to go on.

use std::ops::ControlFlow;

use crate::error::{Error, Result};

/// How far a compaction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionProgress {
    /// Bytes that were read so far, in all passes.
    pub read_bytes: u64,
    /// Bytes that there are to read, as far as is known: with very many keys there are more passes.
    pub total_bytes: u64,
}

/// Who is told, after each frame, and may say that it is enough.
pub(super) struct Meter<'a> {
    progress: CompactionProgress,
    tell: &'a mut dyn FnMut(&CompactionProgress) -> ControlFlow<()>,
    pub cancelled: bool,
}

impl std::fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<'a> Meter<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(&CompactionProgress) -> ControlFlow<()>) -> Self {
        let progress = CompactionProgress { read_bytes: 0, total_bytes: 0 };
        Meter { progress, tell, cancelled: false }
    }

    /// There is so much to read, once more.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.progress.total_bytes += bytes;
    }

    /// So much more was read. An error if it is to end here.
    pub(super) fn read(&mut self, bytes: u64) -> Result<()> {
        self.progress.read_bytes += bytes;
        self.progress.total_bytes = self.progress.total_bytes.max(self.progress.read_bytes);
        if (self.tell)(&self.progress).is_continue() {
            return Ok(());
        }
        self.cancelled = true;
        Err(Error::invalid("the compaction was cancelled"))
    }
}
