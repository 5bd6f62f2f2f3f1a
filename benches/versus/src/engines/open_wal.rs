//! open-wal with its default of 128 MiB segments. Its documentation: what must be all or nothing goes into *one* record;
//! so a checkpoint is a record, and the limit on a record's size is raised to hold it.

use anyhow::Result;
use open_wal::{Lsn, Wal, WalConfig};
use parking_lot::Mutex;

use super::Contender;
use super::bundle::{self, Bundle};
use crate::engine::{Engine, Flush, Session, Setup, State};

pub(crate) const OPEN_WAL: Contender = Contender {
    // One writer by construction.
    threads: false,
    states: false,
    ..Contender::rival(
        "open-wal",
        |setup| Ok(Box::new(OpenWal(Mutex::new(Inner { wal: open(setup)?, checkpoints: Vec::new() })))),
        replay,
    )
};

const RECORD_BYTES_MAX: u32 = 16 << 20;

fn open(setup: &Setup) -> Result<Wal> {
    std::fs::create_dir_all(&setup.dir)?;
    let config = WalConfig { max_record_size: RECORD_BYTES_MAX, ..WalConfig::default() };
    let (wal, _) = Wal::open(&setup.dir, config)?;
    Ok(wal)
}

fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let wal = open(setup)?;
    let mut reader = wal.reader_from(Lsn(0))?;
    while let Some(record) = reader.next() {
        bundle::records(record?.1, visit)?;
    }
    Ok(())
}

struct OpenWal(Mutex<Inner>);

struct Inner {
    wal: Wal,
    checkpoints: Vec<Lsn>,
}

impl Engine for OpenWal {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { engine: self, bundle: Bundle::default() }))
    }

    fn prune(&self, keep: u64) -> Result<()> {
        let mut inner = self.0.lock();
        let surplus = inner.checkpoints.len().saturating_sub(keep as usize);
        let last = inner.checkpoints.drain(..surplus).next_back();
        if let Some(last) = last {
            inner.wal.checkpoint(last)?;
        }
        Ok(())
    }
}

struct Writing<'a> {
    engine: &'a OpenWal,
    bundle: Bundle,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.bundle.record(record);
        Ok(())
    }

    /// A commit always flushes. What is only appended stays in memory, all of it: a bulk load is flushed per checkpoint.
    fn commit(&mut self, states: &[State<'_>], _flush: Flush) -> Result<()> {
        let mut inner = self.engine.0.lock();
        let lsn = inner.wal.append(self.bundle.finish(states))?;
        inner.wal.commit()?;
        inner.checkpoints.push(lsn);
        self.bundle.clear();
        Ok(())
    }
}
