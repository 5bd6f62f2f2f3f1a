//! A file, and where in it the next bytes go.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use rustix::fs::{FallocateFlags, OFlags, fallocate};

use super::buffer::{Aligned, BLOCK};
use crate::engine::Setup;

/// What the file is when it is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fresh {
    /// It ends where it was written last.
    Growing,
    /// It has room ahead that was never written.
    Fallocated,
    /// It was written before; behind its end comes its beginning.
    Recycled,
}

/// How it is written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    fresh: Fresh,
    flags: OFlags,
}

/// Room that is allocated ahead at a time, as a log's segment.
const ALLOCATED_BYTES: u64 = 64 << 20;
/// Pieces in which a file is filled: large ones, for large writes gain from large folios.
const FILLED_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Space {
    file: File,
    way: Way,
    next: AtomicU64,
    /// Where recycled space ends, or how far room is allocated.
    end: AtomicU64,
}

impl Space {
    pub(super) const GROWING: Way = Way { fresh: Fresh::Growing, flags: OFlags::empty() };
    pub(super) const FALLOCATED: Way = Way { fresh: Fresh::Fallocated, flags: OFlags::empty() };
    pub(super) const FALLOCATED_DIRECT: Way = Way { fresh: Fresh::Fallocated, flags: OFlags::DIRECT };
    pub(super) const RECYCLED: Way = Way { fresh: Fresh::Recycled, flags: OFlags::empty() };
    pub(super) const RECYCLED_DIRECT: Way = Way { fresh: Fresh::Recycled, flags: OFlags::DIRECT };
    pub(super) const RECYCLED_DSYNC: Way =
        Way { fresh: Fresh::Recycled, flags: OFlags::DIRECT.union(OFlags::DSYNC) };

    pub(super) fn open(setup: &Setup, way: Way) -> Result<Space> {
        std::fs::create_dir_all(&setup.dir)?;
        let path = setup.dir.join(super::FILE);
        if way.fresh == Fresh::Recycled {
            fill(&File::create(&path)?, setup.recycled_bytes)?;
        }
        let flags = way.flags.bits() as i32;
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(&path)?;
        let next = if way.fresh == Fresh::Growing { file.metadata()?.len() } else { 0 };
        let end = if way.fresh == Fresh::Recycled { setup.recycled_bytes } else { 0 };
        Ok(Space { file, way, next: next.into(), end: end.into() })
    }

    /// Whether memory, offsets and lengths have to be aligned.
    pub(super) fn is_direct(&self) -> bool {
        self.way.flags.contains(OFlags::DIRECT)
    }

    /// Writes behind what was written last. One thread at a time.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        let at = self.take(bytes.len() as u64)?;
        self.write_at(bytes, at)
    }

    /// Takes room for so many bytes. One thread at a time.
    pub(super) fn take(&self, bytes: u64) -> Result<u64> {
        let (at, end) = (self.next.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        let at = if self.way.fresh == Fresh::Recycled && at + bytes > end { 0 } else { at };
        if self.way.fresh == Fresh::Fallocated && at + bytes > end {
            fallocate(&self.file, FallocateFlags::empty(), end, ALLOCATED_BYTES.max(bytes))?;
            self.end.store(end + ALLOCATED_BYTES.max(bytes), Ordering::Relaxed);
        }
        self.next.store(at + bytes, Ordering::Relaxed);
        Ok(at)
    }

    pub(super) fn write_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        Ok(self.file.write_all_at(bytes, at)?)
    }

    /// Flushes, unless each write did.
    pub(super) fn flush(&self) -> Result<()> {
        if !self.way.flags.contains(OFlags::DSYNC) {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// Makes a file that was written once.
fn fill(file: &File, bytes: u64) -> Result<()> {
    let mut piece = Aligned::default();
    piece.extend(&vec![0xA5; FILLED_BYTES]);
    for at in (0..bytes).step_by(FILLED_BYTES) {
        file.write_all_at(piece.bytes(), at)?;
    }
    file.sync_all()?;
    debug_assert!(bytes.is_multiple_of(BLOCK as u64));
    Ok(())
}
