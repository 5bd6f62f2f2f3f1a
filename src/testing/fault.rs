//! Calls that fail: the n-th of a kind from now on, once or from then on; and a disk with little room.

use std::io;

use super::random::Random;
use super::state::FileId;

/// What a disk can't read is a block.
const BLOCK: u64 = 4096;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Any call that changes something: EIO, and nothing happened.
    Error,
    /// A write: EIO, and some of it happened.
    PartialWrite,
    /// A write that does less than it was asked to, and says so.
    ShortWrite,
    /// A call that needs space: ENOSPC, once.
    NoSpace,
    /// A flush: some of it reached the device, and the cache takes the rest for clean.
    SyncFails,
    /// The same, and so does every later flush of that file.
    FlushesFail,
    /// Nothing can be changed any more, as on a file system that has turned itself read-only.
    ReadOnly,
    /// A read: EIO, once.
    ReadFails,
    /// A block that can't be read until it is written.
    BadBlock,
}

/// What a call is, to a fault that waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Write,
    Allocate,
    Sync,
    Name,
    Read,
}

/// What is about to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Option<(Fault, u64)>,
    /// No flush of this file succeeds.
    unflushable: Option<FileId>,
    read_only: bool,
    /// This block of this file can't be read.
    bad: Option<(FileId, u64)>,
    /// Bytes that can still be allocated; `None`: no end of them.
    pub(crate) room: Option<u64>,
    /// How many calls that change something failed so far.
    pub(crate) fired: u64,
    /// How many reads did.
    pub(crate) unread: u64,
}

impl Fault {
    fn concerns(self, call: Call) -> bool {
        match self {
            Fault::Error | Fault::ReadOnly => call != Call::Read,
            Fault::PartialWrite | Fault::ShortWrite => call == Call::Write,
            Fault::NoSpace => call == Call::Allocate,
            Fault::SyncFails | Fault::FlushesFail => call == Call::Sync,
            Fault::ReadFails | Fault::BadBlock => call == Call::Read,
        }
    }

    pub(crate) fn error(self) -> io::Error {
        match self {
            Fault::NoSpace => io::ErrorKind::StorageFull.into(),
            Fault::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
            _ => io::Error::other("the disk said no"),
        }
    }
}

impl Faults {
    /// The `nth` call that `fault` concerns fails; 0 is the next one.
    pub(crate) fn arm(&mut self, fault: Fault, nth: u64) {
        self.armed = Some((fault, nth));
    }

    /// Nothing is about to fail any more.
    pub(crate) fn disarm(&mut self) {
        self.armed = None;
        self.room = None;
        self.mend();
    }

    /// Whatever fails again and again does so no more.
    pub(crate) fn mend(&mut self) {
        (self.unflushable, self.read_only, self.bad) = (None, false, None);
    }

    /// Whether something fails again and again.
    pub(crate) fn is_lasting(&self) -> bool {
        self.unflushable.is_some() || self.read_only || self.bad.is_some()
    }

    /// How this call fails, if it does.
    pub(crate) fn meet(&mut self, call: Call) -> Option<Fault> {
        if self.read_only && call != Call::Read {
            self.fired += 1;
            return Some(Fault::ReadOnly);
        }
        let fault = self.due(call)?;
        self.read_only = fault == Fault::ReadOnly;
        if fault != Fault::ShortWrite {
            self.fired += 1;
        }
        Some(fault)
    }

    /// How a flush of this file fails, if it does.
    pub(crate) fn meet_flush(&mut self, file: FileId) -> Option<Fault> {
        if self.unflushable == Some(file) && !self.read_only {
            self.fired += 1;
            return Some(Fault::FlushesFail);
        }
        let fault = self.meet(Call::Sync);
        if fault == Some(Fault::FlushesFail) {
            self.unflushable = Some(file);
        }
        fault
    }

    /// Whether a read of these bytes fails.
    pub(crate) fn meet_read(&mut self, file: FileId, offset: u64, len: usize) -> bool {
        let due = self.due(Call::Read);
        if due == Some(Fault::BadBlock) {
            self.bad = Some((file, offset / BLOCK));
        }
        let fails = due.is_some() || self.is_bad(file, offset, len);
        self.unread += u64::from(fails);
        fails
    }

    /// These bytes were written: what could not be read there can be.
    pub(crate) fn written(&mut self, file: FileId, offset: u64, len: usize) {
        if self.is_bad(file, offset, len) {
            self.bad = None;
        }
    }

    fn is_bad(&self, file: FileId, offset: u64, len: usize) -> bool {
        self.bad.is_some_and(|(bad, block)| {
            let at = block * BLOCK;
            bad == file && offset < at + BLOCK && offset + len as u64 > at
        })
    }

    /// The fault that waits for this call.
    fn due(&mut self, call: Call) -> Option<Fault> {
        let (fault, left) = self.armed.as_mut()?;
        if !fault.concerns(call) {
            return None;
        }
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let fault = *fault;
        self.armed = None;
        Some(fault)
    }

    /// Takes room for so many more bytes.
    pub(crate) fn take_room(&mut self, bytes: u64) -> io::Result<()> {
        let Some(room) = &mut self.room else { return Ok(()) };
        match room.checked_sub(bytes) {
            Some(left) => *room = left,
            None => return Err(io::ErrorKind::StorageFull.into()),
        }
        Ok(())
    }

    pub(crate) fn free_room(&mut self, bytes: u64) {
        if let Some(room) = &mut self.room {
            *room += bytes;
        }
    }
}

/// How much of a write happens that does not happen whole.
pub(crate) fn part_of(len: usize, random: &mut Random) -> usize {
    random.index(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_block_can_be_read_once_it_was_written() {
        let mut faults = Faults::default();
        faults.arm(Fault::BadBlock, 1);
        assert!(!faults.meet_read(7, 5000, 10));
        assert!(faults.meet_read(7, 5000, 10), "the second read is the one");
        assert!(
            faults.meet_read(7, 0, 4097) && !faults.meet_read(7, 0, 4096) && !faults.meet_read(8, 5000, 10)
        );
        faults.written(7, 8192, 100);
        assert!(faults.is_lasting() && faults.meet_read(7, 8191, 1));
        faults.written(7, 8000, 1);
        assert!(!faults.is_lasting() && !faults.meet_read(7, 5000, 10));
        assert_eq!((faults.fired, faults.unread), (0, 3));
    }

    #[test]
    fn what_lasts_ends_when_it_is_mended() {
        let mut faults = Faults::default();
        faults.arm(Fault::FlushesFail, 0);
        assert_eq!(faults.meet_flush(3), Some(Fault::FlushesFail));
        assert_eq!(faults.meet_flush(4), None);
        assert_eq!(faults.meet_flush(3), Some(Fault::FlushesFail));
        faults.arm(Fault::ReadOnly, 1);
        assert_eq!(faults.meet(Call::Write), None);
        assert_eq!(faults.meet(Call::Name), Some(Fault::ReadOnly));
        assert_eq!(faults.meet_flush(3), Some(Fault::ReadOnly));
        assert!(!faults.meet_read(3, 0, 1));
        faults.mend();
        assert_eq!((faults.meet_flush(3), faults.meet(Call::Write)), (None, None));
    }
}
