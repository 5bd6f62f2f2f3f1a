//! Copying one file of a log to another directory, and checking every frame of the copy.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::consumer::{CONSUMER_FILE, ConsumerState};
use crate::format::frame::Kind;
use crate::format::{BLOCK, names};
use crate::position::SegmentId;
use crate::segment::{Segment, Walker};
use crate::storage::{self, Access, Storage, StorageFile};

/// So much is copied at once.
const PIECE: usize = 1 << 20;

/// A part of a segment or base file that is copied: from one byte to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub from: u32,
    pub to: u32,
}

/// Where it comes from and goes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copier<'a> {
    pub from: &'a dyn Storage,
    pub to: &'a dyn Storage,
}

impl Copier<'_> {
    /// Copies a segment or base file up to `to`, under its name, durably but for the name. Nothing has that name before every
    /// frame of it was checked; those of a base checkpoint are when its records are read.
    pub(super) fn whole(&self, segment: &Segment, to: u32, is_checked: bool) -> Result<()> {
        let name = segment.name();
        let io = |e| Error::io("copying", name, e);
        let source = self.from.open(name, Access::Read).map_err(io)?;
        let file = storage::make_anew(self.to, names::NEW).map_err(io)?;
        file.allocate(segment.bytes().into()).map_err(io)?;
        copy(&*source, &*file, name, Range { from: 0, to })?;
        file.sync().map_err(io)?;
        let copied = Segment::open_named(self.to, names::NEW.to_owned(), segment.id(), Access::Read)
            .map_err(|fault| fault.into_error(segment.id()))?;
        if is_checked {
            check(copied, segment, Range { from: BLOCK, to })?;
        }
        self.to.rename(names::NEW, name).map_err(io)
    }

    /// Copies what follows `range.from` of a segment that was copied up to there, flushed. With `erase` what stood behind from an
    /// attempt that did not come to its end goes.
    pub(super) fn rest(&self, segment: &Segment, range: Range, erase: bool) -> Result<()> {
        let name = segment.name();
        let io = |e| Error::io("copying", name, e);
        let source = self.from.open(name, Access::Read).map_err(io)?;
        let file = self.to.open(name, Access::Write).map_err(io)?;
        copy(&*source, &*file, name, range)?;
        if erase {
            erase_behind(&*file, range.to).map_err(io)?;
        }
        file.sync().map_err(io)?;
        let copied = Segment::open(self.to, segment.id(), Access::Read)
            .map_err(|fault| fault.into_error(segment.id()))?;
        check(copied, segment, range)
    }

    /// Copies a consumer's position as it was read, durably but for the name.
    pub(super) fn consumer(&self, name: &str, state: &ConsumerState) -> Result<()> {
        let (made, file_name) = (names::new_consumer(name), names::consumer(name));
        let make = || {
            let file = storage::make_anew(self.to, &made)?;
            file.allocate(CONSUMER_FILE as u64)?;
            storage::write_all_at(&*file, &[&state.encode()], state.slot_offset())?;
            file.sync()?;
            self.to.rename(&made, &file_name)
        };
        make().map_err(|e| Error::io("copying a consumer's position", &file_name, e))
    }

    /// Whether the last bytes before `at` are the same in both.
    pub(super) fn is_same_before(&self, id: SegmentId, at: u32) -> Result<bool> {
        const LOOK: u32 = 64 << 10;
        let name = names::segment(id);
        let from = at.saturating_sub(LOOK);
        let read = |storage: &dyn Storage| {
            let mut bytes = vec![0; (at - from) as usize];
            storage::read_exact_at(&*storage.open(&name, Access::Read)?, &mut bytes, from.into())?;
            Ok(bytes)
        };
        let both = read(self.from).and_then(|ours| Ok(ours == read(self.to)?));
        both.map_err(|e| Error::io("comparing with the backup before", &name, e))
    }
}

fn copy(from: &dyn StorageFile, to: &dyn StorageFile, name: &str, range: Range) -> Result<()> {
    let mut buf = vec![0; PIECE.min((range.to - range.from) as usize)];
    let mut at = range.from;
    while at < range.to {
        let len = buf.len().min((range.to - at) as usize);
        storage::read_exact_at(from, &mut buf[..len], at.into()).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Error::corrupt(name, at.into(), "the file ends before its bytes do")
            }
            _ => Error::io(format!("reading at byte {at}"), name, e),
        })?;
        storage::write_all_at(to, &[&buf[..len]], at.into()).map_err(|e| Error::io("writing", name, e))?;
        at += len as u32;
    }
    Ok(())
}

/// Zeros behind `from`, where there is something else.
fn erase_behind(file: &dyn StorageFile, from: u32) -> std::io::Result<()> {
    let zeros = vec![0; PIECE];
    let mut buf = vec![0; PIECE];
    let (mut at, len) = (u64::from(from), file.len()?);
    while at < len {
        let piece = buf.len().min((len - at) as usize);
        storage::read_exact_at(file, &mut buf[..piece], at)?;
        if buf[..piece] != zeros[..piece] {
            storage::write_all_at(file, &[&zeros[..piece]], at)?;
        }
        at += piece as u64;
    }
    Ok(())
}

/// Checks every frame of a range of the copy. What is wrong is said of the original.
fn check(copied: Segment, original: &Segment, range: Range) -> Result<()> {
    if copied.header != original.header {
        return Err(original.damaged(0, "the header changed while it was copied"));
    }
    let mut walker = Walker::new(Arc::new(copied), range.from);
    while walker.offset() < range.to && !walker.is_at_end() {
        let offset = walker.offset();
        let header = walker.header()?.map_err(|fault| original.refuses(offset, fault))?;
        walker.check(&header)?.map_err(|fault| original.refuses(offset, fault))?;
        walker.step(&header);
        if header.kind == Kind::Seal || original.id().is_base() && header.kind == Kind::Index {
            return Ok(()); // bytes behind have no meaning
        }
    }
    if walker.offset() == range.to {
        return Ok(());
    }
    Err(original.damaged(walker.offset(), "the segment ends without a seal"))
}

/// Whether somebody pruned or compacted what was being copied: then it is gone, and not damaged.
pub(super) fn may_be_overtaken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Gap { .. })
        || *error.kind() == ErrorKind::Io
}
