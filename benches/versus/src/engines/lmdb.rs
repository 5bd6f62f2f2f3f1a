//! LMDB with its defaults, through heed: one transaction per checkpoint, records appended with `MDB_APPEND` as its
//! documentation recommends for keys in order. For a bulk load `MDB_NOSYNC` and one flush at the end.

use anyhow::Result;
use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RwTxn};

use super::Contender;
use crate::engine::{Engine, Flush, Life, Session, Setup, State};
use crate::ledger::Ledger;

pub(crate) const LMDB: Contender = Contender::rival("lmdb", |setup| Ok(Box::new(Lmdb::open(setup)?)), replay);

/// Address space, not disk.
const MAP_BYTES: usize = 64 << 30;

type Table = Database<U64<BigEndian>, Bytes>;

fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let lmdb = Lmdb::open(setup)?;
    let transaction = lmdb.env.read_txn()?;
    for row in lmdb.records.iter(&transaction)? {
        visit(row?.1);
    }
    Ok(())
}

struct Lmdb {
    env: Env,
    records: Table,
    states: Table,
    ledger: Ledger,
    bulk: bool,
}

impl Lmdb {
    #[allow(unsafe_code)]
    fn open(setup: &Setup) -> Result<Lmdb> {
        std::fs::create_dir_all(&setup.dir)?;
        let bulk = setup.life == Life::Bulk;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(2);
        // SAFETY: nobody else touches the files of a measurement, and without a flush they are not read after a power cut.
        let env = unsafe {
            options.flags(if bulk { EnvFlags::NO_SYNC } else { EnvFlags::empty() });
            options.open(&setup.dir)?
        };
        let mut transaction = env.write_txn()?;
        let records = env.create_database(&mut transaction, Some("records"))?;
        let states = env.create_database(&mut transaction, Some("states"))?;
        transaction.commit()?;
        Ok(Lmdb { env, records, states, ledger: Ledger::default(), bulk })
    }
}

impl Engine for Lmdb {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { lmdb: self, transaction: None }))
    }

    fn prune(&self, keep: u64) -> Result<()> {
        let Some(end) = self.ledger.cut(keep) else { return Ok(()) };
        let mut transaction = self.env.write_txn()?;
        self.records.delete_range(&mut transaction, &(..end))?;
        transaction.commit()?;
        Ok(())
    }
}

/// At most one transaction: it holds LMDB's lock for writers, so it is begun as late as can be.
struct Writing<'a> {
    lmdb: &'a Lmdb,
    transaction: Option<RwTxn<'a>>,
}

impl<'a> Writing<'a> {
    fn transaction(&mut self) -> Result<&mut RwTxn<'a>> {
        match &mut self.transaction {
            Some(transaction) => Ok(transaction),
            none => Ok(none.insert(self.lmdb.env.write_txn()?)),
        }
    }
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        let (records, key) = (self.lmdb.records, self.lmdb.ledger.record());
        records.put_with_flags(self.transaction()?, PutFlags::APPEND, &key, record)?;
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        let table = self.lmdb.states;
        for (stream, state) in states {
            table.put(self.transaction()?, &(*stream as u64), state)?;
        }
        if let Some(transaction) = self.transaction.take() {
            transaction.commit()?;
        }
        if self.lmdb.bulk && flush == Flush::Yes {
            self.lmdb.env.force_sync()?;
        }
        self.lmdb.ledger.checkpoint();
        Ok(())
    }
}
