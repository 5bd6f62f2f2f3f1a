//! redb with its defaults: one transaction per checkpoint, `Durability::Immediate`. For a bulk load
//! `Durability::None`, which the next immediate commit makes durable.

use anyhow::Result;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::Contender;
use crate::engine::{Engine, Flush, Session, Setup, State};
use crate::ledger::Ledger;

pub(crate) const REDB: Contender = Contender::rival(
    "redb",
    |setup| Ok(Box::new(Redb { database: open(setup)?, ledger: Ledger::default() })),
    replay,
);

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
const STATES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("states");

fn open(setup: &Setup) -> Result<Database> {
    std::fs::create_dir_all(&setup.dir)?;
    Ok(Database::create(setup.dir.join("log.redb"))?)
}

fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let database = open(setup)?;
    let records = database.begin_read()?.open_table(RECORDS)?;
    for row in records.iter()? {
        visit(row?.1.value());
    }
    Ok(())
}

struct Redb {
    database: Database,
    ledger: Ledger,
}

impl Engine for Redb {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { engine: self, bytes: Vec::new(), ends: Vec::new() }))
    }

    fn prune(&self, keep: u64) -> Result<()> {
        let Some(end) = self.ledger.cut(keep) else { return Ok(()) };
        let transaction = self.database.begin_write()?;
        transaction.open_table(RECORDS)?.retain_in(..end, |_, _| false)?;
        transaction.commit()?;
        Ok(())
    }
}

/// A table borrows its transaction, so records wait side by side until the checkpoint is committed.
struct Writing<'a> {
    engine: &'a Redb,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        let mut transaction = self.engine.database.begin_write()?;
        if flush == Flush::No {
            transaction.set_durability(Durability::None)?;
        }
        if !self.ends.is_empty() {
            let mut records = transaction.open_table(RECORDS)?;
            let mut start = 0;
            for end in self.ends.drain(..) {
                records.insert(self.engine.ledger.record(), &self.bytes[start..end])?;
                start = end;
            }
        }
        {
            let mut table = transaction.open_table(STATES)?;
            for (stream, state) in states {
                table.insert(*stream as u64, *state)?;
            }
        }
        transaction.commit()?;
        self.bytes.clear();
        self.engine.ledger.checkpoint();
        Ok(())
    }
}
