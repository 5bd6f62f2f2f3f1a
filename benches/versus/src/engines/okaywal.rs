//! okaywal: an entry per checkpoint, a chunk per record. Its documentation says to make the preallocated segments large
//! enough for several entries and to begin its checkpoints (its word for recycling) well before they are full: 64 MiB
//! and 48 MiB here, as the others' segments, instead of 1 MiB and 768 KiB. Where data has to stay it never recycles.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Result, anyhow};
use okaywal::{
    Configuration, Entry, EntryId, EntryWriter, LogManager, LogVoid, SegmentReader, WriteAheadLog,
};

use super::Contender;
use crate::engine::{Engine, Flush, Life, Session, Setup, State};

pub(crate) const OKAYWAL: Contender = Contender {
    // It recycles by itself, by size; what is to be kept can't be said.
    prunes: false,
    states: false,
    ..Contender::rival("okaywal", |setup| Ok(Box::new(OkayWal { log: open(setup, Kept)? })), replay)
};

const SEGMENT_BYTES: u32 = 64 << 20;
const RECYCLE_AFTER_BYTES: u64 = 48 << 20;
/// A chunk of 1 KiB goes through this buffer; with the default of 16 KiB a large entry takes 64 writes.
const BUFFER_BYTES: usize = 256 << 10;

fn open(setup: &Setup, manager: impl LogManager) -> Result<WriteAheadLog> {
    let recycle_after = if setup.life == Life::Steady { RECYCLE_AFTER_BYTES } else { u64::MAX };
    let configuration = Configuration::default_for(&setup.dir)
        .preallocate_bytes(SEGMENT_BYTES)
        .checkpoint_after_bytes(recycle_after)
        .buffer_bytes(BUFFER_BYTES);
    Ok(configuration.open(manager)?)
}

/// An entry's chunks. One that was being written when the process died ends early, or with a chunk whose CRC does not fit;
/// its documentation says to ignore such an entry.
fn whole(entry: &mut Entry<'_>) -> io::Result<Option<Vec<Vec<u8>>>> {
    match entry.read_all_chunks() {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => Ok(None),
        result => result,
    }
}

/// What is in the log stays in the log. Its manager reads each entry, as a user's has to: version 0.3.1 does not get past the
/// first one otherwise.
#[derive(Debug)]
struct Kept;

impl LogManager for Kept {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        whole(entry)?;
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        last: EntryId,
        entries: &mut SegmentReader,
        log: &WriteAheadLog,
    ) -> io::Result<()> {
        LogVoid.checkpoint_to(last, entries, log)
    }
}

/// Entries can only be read while the log is opened, by a manager that owns all it uses: they come over a channel.
fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let (entries, received) = sync_channel(4);
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| open(setup, Sending(entries)).map(drop));
        for entry in received {
            let (_state, records) = entry.split_last().ok_or_else(|| anyhow!("an entry without a state"))?;
            records.iter().for_each(|record| visit(record));
        }
        opening.join().map_err(|_| anyhow!("okaywal panicked"))?
    })
}

#[derive(Debug)]
struct Sending(SyncSender<Vec<Vec<u8>>>);

impl LogManager for Sending {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        match whole(entry)? {
            Some(chunks) => self.0.send(chunks).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    fn checkpoint_to(
        &mut self,
        last: EntryId,
        entries: &mut SegmentReader,
        log: &WriteAheadLog,
    ) -> io::Result<()> {
        LogVoid.checkpoint_to(last, entries, log)
    }
}

struct OkayWal {
    log: WriteAheadLog,
}

impl Engine for OkayWal {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { log: &self.log, entry: None }))
    }

    fn prune(&self, _keep: u64) -> Result<()> {
        Ok(())
    }
}

/// An entry holds the log from its first chunk on, so one is begun as late as can be.
struct Writing<'a> {
    log: &'a WriteAheadLog,
    entry: Option<EntryWriter<'a>>,
}

impl<'a> Writing<'a> {
    fn entry(&mut self) -> Result<&mut EntryWriter<'a>> {
        match &mut self.entry {
            Some(entry) => Ok(entry),
            none => Ok(none.insert(self.log.begin_entry()?)),
        }
    }
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.entry()?.write_chunk(record)?;
        Ok(())
    }

    /// It has no commit without a flush: a bulk load is one entry.
    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        if flush == Flush::No {
            return Ok(());
        }
        for (_, state) in states {
            self.entry()?.write_chunk(state)?;
        }
        if let Some(entry) = self.entry.take() {
            entry.commit()?;
        }
        Ok(())
    }
}
