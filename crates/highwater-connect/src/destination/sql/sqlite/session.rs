//! A connection to a SQLite file.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql};

use super::functions;
use super::plan::Plan;
use crate::destination::Rejected;
use crate::destination::sql::TABLE_IS_GONE;
use crate::destination::sql::dialect::Dialect;
use crate::destination::sql::row::{Action, Row};
use crate::destination::sql::session::{Cell, Param, Session, texts};
use crate::destination::sql::table::{Shape, Table};
use crate::destination::typed::number;
use crate::destination::typed::value::Value;
use crate::failure::{Failure, FailureKind, Result};

/// How long another program may hold the file's lock.
const BUSY: Duration = Duration::from_secs(5);
/// Statements that are kept prepared: a few for each table of a usual pipeline.
const STATEMENTS_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct SqliteSession {
    path: PathBuf,
    connection: Option<Connection>,
    /// By table; made anew after every statement that may have changed one.
    plans: HashMap<String, Plan>,
}

/// Why a row was not written.
enum Unwritten {
    /// The database refuses this row, and another would do.
    Refused(String),
    Failed(Failure),
}

impl From<rusqlite::Error> for Unwritten {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                Unwritten::Refused(format!("SQLite refuses it: {error}"))
            }
            _ => Unwritten::Failed(failure(error)),
        }
    }
}

fn failure(error: rusqlite::Error) -> Failure {
    let kind = match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed,
        ) => FailureKind::Transient,
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::NotADatabase
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) => FailureKind::Config,
        _ => FailureKind::Permanent,
    };
    // It has no code of its own.
    if error.to_string().contains("no such table") {
        return Failure::new(kind, format!("SQLite: {error}; {TABLE_IS_GONE}"));
    }
    Failure::new(kind, "SQLite").because(error)
}

impl SqliteSession {
    pub(crate) fn new(path: PathBuf) -> Self {
        SqliteSession { path, connection: None, plans: HashMap::new() }
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Readers never wait for us, nor we for them. And a commit is on the disk when it returns: the log forgets what we
        // have acknowledged.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        functions::register(&connection)?;
        Ok(connection)
    }

    fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or_else(closed)
    }

    fn write_row(&mut self, table: &Table<'_>, row: &Row<'_>) -> std::result::Result<(), Unwritten> {
        let connection = self.connection.as_ref().ok_or_else(|| Unwritten::Failed(closed()))?;
        if !self.plans.contains_key(table.name) {
            self.plans.insert(table.name.to_owned(), Plan::new(table));
        }
        let Some(plan) = self.plans.get_mut(table.name) else { return Ok(()) };
        let sql = match row.action {
            Action::Put => &plan.put,
            Action::Remove => &plan.remove,
            Action::Bury => &plan.bury,
            Action::Patch => {
                let has = row.values.iter().map(Option::is_some).chain([row.extra.is_some()]);
                plan.patch(table, has.collect())
            }
        };
        if table.shape != Shape::Versions || row.action == Action::Remove {
            return Ok(run(connection, sql, table, row)?);
        }
        // Two statements, and both or none.
        connection.prepare_cached("SAVEPOINT _highwater_row")?.execute([])?;
        let sql = sql.to_owned();
        let done =
            run(connection, &sql, table, row).and_then(|()| run(connection, &plan.supersede, table, row));
        if done.is_err() {
            connection.prepare_cached("ROLLBACK TO _highwater_row")?.execute([])?;
        }
        connection.prepare_cached("RELEASE _highwater_row")?.execute([])?;
        Ok(done?)
    }
}

fn closed() -> Failure {
    Failure::transient("the connection to SQLite is closed")
}

/// Runs a statement with those of the row's columns that it has parameters for.
fn run(connection: &Connection, sql: &str, table: &Table<'_>, row: &Row<'_>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let count = statement.parameter_count();
    let absent = Value::Null;
    for (index, value) in row.values.iter().enumerate() {
        bind(&mut statement, count, index, value.as_ref().unwrap_or(&absent))?;
    }
    for (index, own) in table.shape.own_columns().iter().enumerate() {
        bind(&mut statement, count, row.values.len() + index, &row.own(*own))?;
    }
    statement.raw_execute().map(drop)
}

fn bind(
    statement: &mut CachedStatement<'_>,
    count: usize,
    index: usize,
    value: &Value<'_>,
) -> rusqlite::Result<()> {
    if index < count { statement.raw_bind_parameter(index + 1, Bound(value)) } else { Ok(()) }
}

/// A value as SQLite stores it.
struct Bound<'a>(&'a Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(SqlValue::Null),
            Value::Boolean(value) => ToSqlOutput::Owned(SqlValue::Integer(i64::from(*value))),
            Value::Integer(number) => ToSqlOutput::Owned(SqlValue::Integer(*number)),
            Value::Decimal(text) => decimal(text),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Json(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// A number as a number where nothing of it is lost, and as its text otherwise.
fn decimal(text: &str) -> ToSqlOutput<'_> {
    if let Ok(integer) = text.parse() {
        return ToSqlOutput::Owned(SqlValue::Integer(integer));
    }
    match number::as_exact_float(text) {
        Some(float) => ToSqlOutput::Owned(SqlValue::Real(float)),
        None => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
    }
}

fn param<'a>(param: &Param<'a>) -> ToSqlOutput<'a> {
    match param {
        Param::Integer(number) => ToSqlOutput::Owned(SqlValue::Integer(*number)),
        Param::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Null,
    }
}

impl Session for SqliteSession {
    fn dialect(&self) -> &Dialect {
        &Dialect::Sqlite
    }

    fn connect(&mut self) -> Result<bool> {
        if self.connection.is_some() {
            return Ok(false);
        }
        let opened = self.open().map_err(failure);
        let opening = || format!("opening {}", self.path.display());
        self.connection = Some(opened.map_err(|failure| failure.while_doing(opening()))?);
        Ok(true)
    }

    fn begin(&mut self, _name: &str) -> Result<()> {
        self.connection()?.execute_batch("BEGIN IMMEDIATE").map_err(failure)
    }

    fn commit(&mut self) -> Result<()> {
        self.connection()?.execute_batch("COMMIT").map_err(failure)
    }

    fn rollback(&mut self) {
        self.plans.clear();
        let is_over = |connection: &Connection| {
            connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok()
        };
        if !self.connection.as_ref().is_some_and(is_over) {
            self.connection = None;
        }
    }

    fn close(&mut self) {
        self.plans.clear();
        self.connection = None;
    }

    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<()> {
        self.plans.clear();
        let params = rusqlite::params_from_iter(params.iter().map(param));
        self.connection()?.execute(sql, params).map(drop).map_err(failure)
    }

    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Vec<Cell>>> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(sql).map_err(failure)?;
        let width = statement.column_count();
        let params = rusqlite::params_from_iter(params.iter().map(param));
        let read = |row: &rusqlite::Row<'_>| (0..width).map(|i| row.get_ref(i).map(cell)).collect();
        let rows = statement.query_map(params, read).map_err(failure)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failure)
    }

    fn relations(&mut self) -> Result<Vec<String>> {
        let sql = Dialect::Sqlite.relations();
        texts(&self.query(sql, &[])?)
    }

    fn columns(&mut self, table: &str) -> Result<Vec<String>> {
        texts(&self.query(Dialect::Sqlite.columns(), &[Param::Text(table)])?)
    }

    fn write(&mut self, table: &Table<'_>, row: &Row<'_>, rejected: &mut Vec<Rejected>) -> Result<()> {
        let reason = match self.write_row(table, row) {
            Ok(()) => return Ok(()),
            Err(Unwritten::Failed(failure)) => return Err(failure),
            Err(Unwritten::Refused(reason)) => reason,
        };
        // A trigger or an index of somebody's may give the whole transaction up, and nothing must seem written then.
        if self.connection()?.is_autocommit() {
            return Err(Failure::permanent(format!("{reason}, and the transaction was rolled back with it")));
        }
        let (sequence, index) = (row.place.sequence, row.place.index);
        rejected.push(Rejected { stream: table.stream.clone(), sequence, index, reason });
        Ok(())
    }

    fn flush(&mut self, _rejected: &mut Vec<Rejected>) -> Result<()> {
        Ok(())
    }
}
