//! wal-db, in segments of 64 MiB as the others' are (only a segmented log can be pruned). A record is what it keeps whole
//! or not at all; so a checkpoint is a record.

use anyhow::Result;
use parking_lot::Mutex;
use wal_db::{Lsn, SegmentedStore, Wal};

use super::Contender;
use super::bundle::{self, Bundle};
use crate::engine::{Engine, Flush, Session, Setup, State};

pub(crate) const WAL_DB: Contender = Contender {
    states: false,
    ..Contender::rival(
        "wal-db",
        |setup| Ok(Box::new(WalDb { wal: open(setup)?, checkpoints: Mutex::new(Vec::new()) })),
        replay,
    )
};

const SEGMENT_BYTES: u64 = 64 << 20;

fn open(setup: &Setup) -> Result<Wal<SegmentedStore>> {
    Ok(Wal::open_segmented(&setup.dir, SEGMENT_BYTES)?)
}

fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    for record in open(setup)?.iter()? {
        bundle::records(record?.data(), visit)?;
    }
    Ok(())
}

struct WalDb {
    wal: Wal<SegmentedStore>,
    checkpoints: Mutex<Vec<Lsn>>,
}

impl Engine for WalDb {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { engine: self, bundle: Bundle::default() }))
    }

    fn prune(&self, keep: u64) -> Result<()> {
        let first = {
            let mut checkpoints = self.checkpoints.lock();
            let surplus = checkpoints.len().saturating_sub(keep as usize);
            checkpoints.drain(..surplus);
            checkpoints.first().copied()
        };
        if let Some(first) = first {
            let _oldest = self.wal.truncate_before(first)?;
        }
        Ok(())
    }
}

struct Writing<'a> {
    engine: &'a WalDb,
    bundle: Bundle,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.bundle.record(record);
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        let bytes = self.bundle.finish(states);
        let lsn = match flush {
            Flush::Yes => self.engine.wal.append_and_sync(bytes)?,
            Flush::No => self.engine.wal.append(bytes)?,
        };
        self.engine.checkpoints.lock().push(lsn);
        self.bundle.clear();
        Ok(())
    }
}
