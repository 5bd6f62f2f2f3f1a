//! RocksDB: a write batch per checkpoint, `WriteOptions::sync`, recycled log files (which its documentation recommends for
//! synchronous writes), one background thread per core, no compression, for nobody compresses here.

use anyhow::{Result, anyhow};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, IteratorMode, Options, WriteBatch,
    WriteOptions,
};

use super::Contender;
use crate::engine::{Engine, Flush, Keyed, Session, Setup, State};
use crate::ledger::Ledger;

pub(crate) const ROCKSDB: Contender = Contender {
    keyed: Some(|setup| Ok(Box::new(Rows::open(setup)?))),
    ..Contender::rival(
        "rocksdb",
        |setup| Ok(Box::new(RocksDb { db: open(setup)?, ledger: Ledger::default() })),
        replay,
    )
};

const RECYCLED_LOGS: usize = 4;

fn options() -> Result<Options> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_recycle_log_file_num(RECYCLED_LOGS);
    options.increase_parallelism(std::thread::available_parallelism()?.get() as i32);
    options.set_compression_type(DBCompressionType::None);
    Ok(options)
}

fn open(setup: &Setup) -> Result<DB> {
    let options = options()?;
    let families = ["records", "states"].map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
    Ok(DB::open_cf_descriptors(&options, &setup.dir, families)?)
}

fn family<'a>(db: &'a DB, name: &str) -> Result<&'a ColumnFamily> {
    db.cf_handle(name).ok_or_else(|| anyhow!("RocksDB has no column family {name}"))
}

fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let db = open(setup)?;
    for row in db.iterator_cf(family(&db, "records")?, IteratorMode::Start) {
        visit(&row?.1);
    }
    Ok(())
}

struct RocksDb {
    db: DB,
    ledger: Ledger,
}

impl Engine for RocksDb {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { engine: self, batch: WriteBatch::default() }))
    }

    /// Its documentation for dropping a range: delete it, then delete the files that hold nothing else.
    fn prune(&self, keep: u64) -> Result<()> {
        let Some(end) = self.ledger.cut(keep) else { return Ok(()) };
        let records = family(&self.db, "records")?;
        let (from, to) = (0u64.to_be_bytes(), end.to_be_bytes());
        self.db.delete_range_cf(records, from, to)?;
        self.db.delete_file_in_range_cf(records, from, to)?;
        Ok(())
    }
}

struct Writing<'a> {
    engine: &'a RocksDb,
    batch: WriteBatch,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        let key = self.engine.ledger.record().to_be_bytes();
        self.batch.put_cf(family(&self.engine.db, "records")?, key, record);
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        for (stream, state) in states {
            self.batch.put_cf(family(&self.engine.db, "states")?, stream.to_be_bytes(), state);
        }
        let mut options = WriteOptions::default();
        options.set_sync(flush == Flush::Yes);
        self.engine.db.write_opt(std::mem::take(&mut self.batch), &options)?;
        self.engine.ledger.checkpoint();
        Ok(())
    }
}

/// Rows in the default column family. Nothing is compacted before it is asked for: else half the work would be done already,
/// at a time when nobody looks at the clock.
struct Rows {
    db: DB,
    batch: WriteBatch,
}

impl Rows {
    fn open(setup: &Setup) -> Result<Rows> {
        let mut options = options()?;
        options.set_disable_auto_compactions(true);
        // Or it stops the writer and waits for compactions.
        options.set_level_zero_slowdown_writes_trigger(i32::MAX);
        options.set_level_zero_stop_writes_trigger(i32::MAX);
        // What its documentation recommends for a full compaction: several threads for one.
        options.set_max_subcompactions(std::thread::available_parallelism()?.get() as u32);
        Ok(Rows { db: DB::open(&options, &setup.dir)?, batch: WriteBatch::default() })
    }
}

impl Keyed for Rows {
    fn put(&mut self, key: u64, row: &[u8]) -> Result<()> {
        self.batch.put(key.to_be_bytes(), row);
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.db.write_opt(std::mem::take(&mut self.batch), &options)?)
    }

    fn rewrite(&mut self) -> Result<()> {
        self.db.flush()?;
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    fn rows(&mut self, visit: &mut dyn FnMut(u64, &[u8])) -> Result<()> {
        for row in self.db.iterator(IteratorMode::Start) {
            let (key, row) = row?;
            visit(u64::from_be_bytes(key[..].try_into()?), &row);
        }
        Ok(())
    }
}
