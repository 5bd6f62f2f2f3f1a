//! Calls that fail: the n-th of a kind from now on, once; and a disk with little room.

use std::io;

use crate::random::Random;

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
}

/// What a call is, to a fault that waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Write,
    Allocate,
    Sync,
    Name,
}

/// What is about to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Option<(Fault, u64)>,
    /// Bytes that can still be allocated; `None`: no end of them.
    pub(crate) room: Option<u64>,
    /// How many calls failed so far.
    pub(crate) fired: u64,
}

impl Fault {
    fn concerns(self, call: Call) -> bool {
        match self {
            Fault::Error => true,
            Fault::PartialWrite | Fault::ShortWrite => call == Call::Write,
            Fault::NoSpace => call == Call::Allocate,
            Fault::SyncFails => call == Call::Sync,
        }
    }

    pub(crate) fn error(self) -> io::Error {
        match self {
            Fault::NoSpace => io::ErrorKind::StorageFull.into(),
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
    }

    /// How this call fails, if it does.
    pub(crate) fn meet(&mut self, call: Call) -> Option<Fault> {
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
        if fault != Fault::ShortWrite {
            self.fired += 1;
        }
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
