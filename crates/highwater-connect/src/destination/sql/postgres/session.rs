//! A connection to PostgreSQL.

use std::collections::BTreeMap;
use std::path::Path;

use postgres::Client;
use postgres::types::{ToSql, Type};

use super::chunk::Chunk;
use super::failure;
use super::fresh::Fresh;
use super::merge::Merge;
use super::send::{self, Unwritten};
use super::server::Server;
use crate::destination::Rejected;
use crate::destination::sql::dialect::Dialect;
use crate::destination::sql::row::Row;
use crate::destination::sql::session::{Cell, Param, Session, texts};
use crate::destination::sql::table::Table;
use crate::failure::{Failure, Result};

/// So many bytes of rows wait at most, all tables together.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Waits a minute for locks.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '60s'";

pub(super) struct PostgresSession {
    server: Server,
    schema: String,
    dialect: Dialect,
    client: Option<Client>,
    /// By table.
    waiting: BTreeMap<String, Chunk>,
    /// Their tables as they came: one may refer to those before it.
    waiting_order: Vec<String>,
    waiting_bytes: usize,
    /// Stages that this transaction has made.
    stages: BTreeMap<String, Merge>,
    /// By table, whether rows are likely to be new.
    fresh: BTreeMap<String, Fresh>,
}

impl PostgresSession {
    /// The paths in the URL start from `base`.
    pub(super) fn new(url: &str, base: &Path, schema: String) -> Result<Self> {
        Ok(PostgresSession {
            server: Server::new(url, base)?,
            dialect: Dialect::Postgres { schema: schema.clone() },
            schema,
            client: None,
            waiting: BTreeMap::new(),
            waiting_order: Vec::new(),
            waiting_bytes: 0,
            stages: BTreeMap::new(),
            fresh: BTreeMap::new(),
        })
    }

    fn client(&mut self) -> Result<&mut Client> {
        self.client.as_mut().ok_or_else(|| Failure::transient("the connection to PostgreSQL is closed"))
    }

    /// Asks first, since making a schema needs a privilege even where it is there.
    fn make_schema(&mut self) -> Result<()> {
        let found = self.query(
            "SELECT 1::bigint FROM pg_catalog.pg_namespace WHERE nspname::text = $1",
            &[Param::Text(&self.schema.clone())],
        )?;
        if found.is_empty() {
            let sql = format!("CREATE SCHEMA {}", crate::destination::sql::names::quote(&self.schema));
            self.execute(&sql, &[])?;
        }
        Ok(())
    }

    /// Holds others off until the transaction ends: those of one name from another, those that make tables from each other.
    fn lock(&mut self, what: &str) -> Result<()> {
        let hash = blake3::hash(format!("highwater\0{}\0{what}", self.schema).as_bytes());
        let number = hash.as_bytes().first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
        self.client()?
            .execute("SELECT pg_catalog.pg_advisory_xact_lock($1)", &[&number])
            .map(drop)
            .map_err(|error| failure::of(&error))
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.waiting_order.clear();
        self.waiting_bytes = 0;
        self.stages.clear();
    }

    /// Sends some rows of a chunk. Where the server refuses one of them, halves are sent instead, until it stands alone: the order
    /// stays, so what one row does to another stays, too.
    fn send(&mut self, chunk: &Chunk, from: usize, to: usize, rejected: &mut Vec<Rejected>) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        let reason = match send::in_savepoint(self.client()?, |client| send::rows(client, chunk, from, to))? {
            Ok(()) => return Ok(()),
            Err(Unwritten::Failed(failure)) => return Err(failure),
            Err(Unwritten::Refused(reason)) => reason,
        };
        if to - from > 1 {
            let middle = from + (to - from) / 2;
            self.send(chunk, from, middle, rejected)?;
            return self.send(chunk, middle, to, rejected);
        }
        if let Some(place) = chunk.place(from) {
            let (sequence, index) = (place.sequence, place.index);
            rejected.push(Rejected { stream: chunk.stream.clone(), sequence, index, reason });
        }
        Ok(())
    }

    /// Whether all rows of the chunk were new to the table, and are there now.
    fn send_new(&mut self, table: &str, chunk: &Chunk) -> Result<bool> {
        let Some(copy) = chunk.merge.copy_new() else { return Ok(false) };
        if !self.fresh.entry(table.to_owned()).or_default().is_worth_a_try() {
            return Ok(false);
        }
        let Some(rows) = chunk.whole_rows() else { return Ok(false) };
        // Whatever is wrong with them shows once more on the way by the stage.
        let sent = send::in_savepoint(self.client()?, |client| send::new_rows(client, copy, chunk, &rows))?;
        self.fresh.entry(table.to_owned()).or_default().learn(sent.is_ok());
        Ok(sent.is_ok())
    }

    fn send_chunk(&mut self, table: &str, chunk: &Chunk, rejected: &mut Vec<Rejected>) -> Result<()> {
        if self.send_new(table, chunk)? {
            return Ok(());
        }
        if let Some(create) = chunk.merge.create().filter(|_| !self.stages.contains_key(table)) {
            self.client()?.batch_execute(create).map_err(|error| failure::of(&error))?;
            self.stages.insert(table.to_owned(), chunk.merge.clone());
        }
        self.send(chunk, 0, chunk.len(), rejected)
    }

    /// Before a table may get other columns.
    fn drop_stages(&mut self) -> Result<()> {
        let stages = std::mem::take(&mut self.stages);
        let drops: Vec<String> = stages.values().filter_map(Merge::drop).collect();
        if drops.is_empty() {
            return Ok(());
        }
        self.client()?.batch_execute(&drops.join("; ")).map_err(|error| failure::of(&error))
    }
}

fn params<'a>(params: &'a [Param<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let param = |param: &'a Param<'_>| match param {
        Param::Integer(number) => number as &(dyn ToSql + Sync),
        Param::Text(text) => text as &(dyn ToSql + Sync),
    };
    params.iter().map(param).collect()
}

fn cell(row: &postgres::Row, index: usize) -> std::result::Result<Cell, postgres::Error> {
    let is_number = row.columns().get(index).is_some_and(|column| *column.type_() == Type::INT8);
    if is_number {
        return Ok(row.try_get::<_, Option<i64>>(index)?.map_or(Cell::Null, Cell::Integer));
    }
    Ok(row.try_get::<_, Option<String>>(index)?.map_or(Cell::Null, Cell::Text))
}

impl Session for PostgresSession {
    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    fn connect(&mut self) -> Result<bool> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(false);
        }
        self.forget();
        self.client = Some(self.server.connect()?);
        Ok(true)
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        self.client()?.batch_execute(BEGIN).map_err(|error| failure::of(&error))?;
        self.lock(name)
    }

    fn set_up(&mut self) -> Result<()> {
        self.lock("")?;
        self.make_schema()
    }

    fn commit(&mut self) -> Result<()> {
        self.forget();
        let committed = self.client()?.batch_execute("COMMIT");
        committed.map_err(|error| failure::of(&error).while_doing("committing"))
    }

    fn rollback(&mut self) {
        self.forget();
        let rolled_back = |client: &mut Client| client.batch_execute("ROLLBACK").is_ok();
        if !self.client.as_mut().is_some_and(rolled_back) {
            self.client = None;
        }
    }

    fn close(&mut self) {
        self.forget();
        self.client = None;
    }

    fn execute(&mut self, sql: &str, with: &[Param<'_>]) -> Result<()> {
        self.drop_stages()?;
        self.client()?.execute(sql, &params(with)).map(drop).map_err(|error| failure::of(&error))
    }

    fn query(&mut self, sql: &str, with: &[Param<'_>]) -> Result<Vec<Vec<Cell>>> {
        let rows = self.client()?.query(sql, &params(with)).map_err(|error| failure::of(&error))?;
        let read = |row: &postgres::Row| (0..row.len()).map(|index| cell(row, index)).collect();
        rows.iter().map(read).collect::<std::result::Result<_, _>>().map_err(|error| failure::of(&error))
    }

    fn relations(&mut self) -> Result<Vec<String>> {
        self.lock("")?;
        let (sql, schema) = (self.dialect.relations(), self.schema.clone());
        texts(&self.query(sql, &[Param::Text(&schema)])?)
    }

    fn columns(&mut self, table: &str) -> Result<Vec<String>> {
        let (sql, schema) = (self.dialect.columns(), self.schema.clone());
        texts(&self.query(sql, &[Param::Text(&schema), Param::Text(table)])?)
    }

    fn write(&mut self, table: &Table<'_>, row: &Row<'_>, rejected: &mut Vec<Rejected>) -> Result<()> {
        if !self.waiting.contains_key(table.name) {
            let chunk = Chunk::new(table, Merge::new(&self.dialect, table));
            self.waiting.insert(table.name.to_owned(), chunk);
            self.waiting_order.push(table.name.to_owned());
        }
        if let Some(chunk) = self.waiting.get_mut(table.name) {
            self.waiting_bytes += chunk.push(table, row);
        }
        if self.waiting_bytes < WAITING_BYTES_MAX {
            return Ok(());
        }
        self.flush(rejected)
    }

    fn flush(&mut self, rejected: &mut Vec<Rejected>) -> Result<()> {
        self.waiting_bytes = 0;
        let mut waiting = std::mem::take(&mut self.waiting);
        for table in std::mem::take(&mut self.waiting_order) {
            if let Some(chunk) = waiting.remove(&table) {
                self.send_chunk(&table, &chunk, rejected)?;
            }
        }
        Ok(())
    }
}
