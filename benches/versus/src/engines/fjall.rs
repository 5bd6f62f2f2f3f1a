//! fjall with its defaults: one batch per checkpoint, persisted with `SyncData`. Built without its LZ4 feature, for nobody
//! compresses here.

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::Contender;
use crate::engine::{Engine, Flush, Session, Setup, State};
use crate::ledger::Ledger;

pub(crate) const FJALL: Contender =
    Contender::rival("fjall", |setup| Ok(Box::new(Fjall::open(setup)?)), replay);

/// Records that are removed in one batch.
const REMOVED_PER_BATCH: u64 = 10_000;

fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    for guard in Fjall::open(setup)?.records.iter() {
        visit(&guard.value()?);
    }
    Ok(())
}

struct Fjall {
    database: Database,
    records: Keyspace,
    states: Keyspace,
    ledger: Ledger,
}

impl Fjall {
    fn open(setup: &Setup) -> Result<Fjall> {
        let database = Database::builder(&setup.dir).open()?;
        let records = database.keyspace("records", KeyspaceCreateOptions::default)?;
        let states = database.keyspace("states", KeyspaceCreateOptions::default)?;
        Ok(Fjall { database, records, states, ledger: Ledger::default() })
    }
}

impl Engine for Fjall {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { engine: self, batch: self.database.batch() }))
    }

    /// It has no way to delete a range: each key is removed.
    fn prune(&self, keep: u64) -> Result<()> {
        let Some(end) = self.ledger.cut(keep) else { return Ok(()) };
        let Some(first) = self.records.first_key_value() else { return Ok(()) };
        let mut next = u64::from_be_bytes(first.key()?.as_ref().try_into()?);
        while next < end {
            let stop = end.min(next + REMOVED_PER_BATCH);
            let mut batch = self.database.batch();
            (next..stop).for_each(|record| batch.remove(&self.records, record.to_be_bytes()));
            batch.commit()?;
            next = stop;
        }
        Ok(())
    }
}

struct Writing<'a> {
    engine: &'a Fjall,
    batch: OwnedWriteBatch,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.batch.insert(&self.engine.records, self.engine.ledger.record().to_be_bytes(), record);
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        let mut batch = std::mem::replace(&mut self.batch, self.engine.database.batch());
        for (stream, state) in states {
            batch.insert(&self.engine.states, stream.to_be_bytes(), *state);
        }
        let mode = if flush == Flush::Yes { PersistMode::SyncData } else { PersistMode::Buffer };
        batch.durability(Some(mode)).commit()?;
        self.engine.ledger.checkpoint();
        Ok(())
    }
}
