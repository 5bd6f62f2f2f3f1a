//! SQLite in WAL mode with `synchronous=FULL`, which flushes the WAL at each commit; one transaction per checkpoint,
//! prepared statements. The WAL may grow to 64 MiB before it is checkpointed, instead of 4 MiB: SQLite's documentation says
//! that a larger WAL makes writing faster.

use std::time::Duration;

use anyhow::Result;
use rusqlite::{Connection, params};

use super::Contender;
use crate::engine::{Engine, Flush, Session, Setup, State};
use crate::ledger::Ledger;

pub(crate) const SQLITE: Contender =
    Contender::rival("sqlite", |setup| Ok(Box::new(Sqlite::open(setup)?)), replay);

const AUTOCHECKPOINT_PAGES: u32 = 16 << 10;
/// Writers take turns by sleeping; with less they would give up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

fn connect(setup: &Setup) -> Result<Connection> {
    std::fs::create_dir_all(&setup.dir)?;
    let connection = Connection::open(setup.dir.join("log.sqlite"))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn replay(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let connection = connect(setup)?;
    let mut select = connection.prepare("SELECT data FROM records ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        visit(row.get_ref(0)?.as_blob()?);
    }
    Ok(())
}

struct Sqlite {
    setup: Setup,
    ledger: Ledger,
}

impl Sqlite {
    fn open(setup: &Setup) -> Result<Sqlite> {
        connect(setup)?.execute_batch(
            "CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS states (stream INTEGER PRIMARY KEY, data BLOB NOT NULL);",
        )?;
        Ok(Sqlite { setup: setup.clone(), ledger: Ledger::default() })
    }
}

impl Engine for Sqlite {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing {
            connection: connect(&self.setup)?,
            ledger: &self.ledger,
            begun: false,
            flush: Flush::Yes,
        }))
    }

    fn prune(&self, keep: u64) -> Result<()> {
        if let Some(end) = self.ledger.cut(keep) {
            connect(&self.setup)?.execute("DELETE FROM records WHERE id < ?1", [end as i64])?;
        }
        Ok(())
    }
}

/// A connection with at most one open transaction.
struct Writing<'a> {
    connection: Connection,
    ledger: &'a Ledger,
    begun: bool,
    flush: Flush,
}

impl Writing<'_> {
    fn begin(&mut self) -> Result<()> {
        if !self.begun {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.begun = true;
        }
        Ok(())
    }

    /// With NORMAL a commit does not flush the WAL; the next one with FULL flushes all of it.
    fn will(&mut self, flush: Flush) -> Result<()> {
        if self.flush != flush {
            let synchronous = if flush == Flush::Yes { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            self.flush = flush;
        }
        Ok(())
    }
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.begin()?;
        let mut insert = self.connection.prepare_cached("INSERT INTO records VALUES (?1, ?2)")?;
        insert.execute(params![self.ledger.record() as i64, record])?;
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        self.begin()?;
        for (stream, state) in states {
            let mut replace =
                self.connection.prepare_cached("INSERT OR REPLACE INTO states VALUES (?1, ?2)")?;
            replace.execute(params![*stream as i64, *state])?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.begun = false;
        self.ledger.checkpoint();
        self.will(flush)
    }
}
