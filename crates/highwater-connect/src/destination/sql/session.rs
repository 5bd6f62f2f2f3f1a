//! What a database does for a delivery: transactions, statements, and rows in bulk.

use super::dialect::Dialect;
use super::row::Row;
use super::table::Table;
use crate::destination::Rejected;
use crate::failure::{Failure, Result};

/// A value that goes with a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param<'a> {
    Integer(i64),
    Text(&'a str),
}

/// A value that a query gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

impl Cell {
    pub(crate) fn integer(&self) -> Result<u64> {
        match self {
            Cell::Integer(number) => u64::try_from(*number).map_err(|_| odd("a negative number")),
            _ => Err(odd("no number")),
        }
    }

    pub(crate) fn text(&self) -> Result<&str> {
        match self {
            Cell::Text(text) => Ok(text),
            _ => Err(odd("no text")),
        }
    }

    pub(crate) fn optional_text(&self) -> Result<Option<&str>> {
        if *self == Cell::Null { Ok(None) } else { self.text().map(Some) }
    }
}

/// The first cell of each row.
pub(crate) fn texts(rows: &[Vec<Cell>]) -> Result<Vec<String>> {
    rows.iter().filter_map(|row| row.first()).map(|cell| cell.text().map(str::to_owned)).collect()
}

fn odd(what: &str) -> Failure {
    Failure::permanent(format!("a table of ours holds {what} where it should not: somebody changed it"))
}

/// A connection to a database, opened when it is needed. After a failure it may be lost, and is opened anew.
pub(crate) trait Session {
    fn dialect(&self) -> &Dialect;

    /// Opens the connection, unless it is open. Whether it was opened now.
    fn connect(&mut self) -> Result<bool>;

    /// Begins a transaction that nobody else writes beside, as far as `name` and our own tables go.
    fn begin(&mut self, name: &str) -> Result<()>;

    /// What comes before our own tables are made. In a transaction.
    fn set_up(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes the transaction durable.
    fn commit(&mut self) -> Result<()>;

    /// Gives the transaction up, with all rows that wait. If that fails the connection is closed, which does it, too.
    fn rollback(&mut self);

    /// Closes the connection.
    fn close(&mut self);

    /// Runs a statement that gives no rows.
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<()>;

    /// Runs a statement that gives a few rows, of numbers and text.
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Vec<Cell>>>;

    /// The names that a new table can't have.
    fn relations(&mut self) -> Result<Vec<String>>;

    /// The columns that a table has, whoever made them; none if it is not there.
    fn columns(&mut self, table: &str) -> Result<Vec<String>>;

    /// Writes a row, now or with a later one; a row that the database refuses is put among the rejected, and changes nothing.
    fn write(&mut self, table: &Table<'_>, row: &Row<'_>, rejected: &mut Vec<Rejected>) -> Result<()>;

    /// Writes all rows that wait.
    fn flush(&mut self, rejected: &mut Vec<Rejected>) -> Result<()>;
}
