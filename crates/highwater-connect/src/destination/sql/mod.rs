//! SQL databases: typed tables that follow the streams' schemas, and the position in the same transaction as the records,
//! so what is delivered again is recognised, and nothing is applied twice.
//!
//! A stream has a table of its own name, or as near to that as the database allows; its columns are the members that the
//! stream's JSON schema declares. Members beyond them are kept together in `_highwater_extra`. Every row tells where it comes
//! from: `_highwater_committed_at` (when the log committed it), `_highwater_checkpoint` and `_highwater_row` (which checkpoint,
//! and the record's place in it), `_highwater_generation`, `_highwater_deleted`; with a key, `_highwater_key`; in mode append
//! `_highwater_op`; in mode history `_highwater_valid_from` and `_highwater_valid_to`.
//!
//! Columns are added as the schema grows and widened where no value is lost (integer to number, days and times to text, anything
//! to JSON); another change is refused, and the refusal names the column. An integer beyond 64 bits widens its column by itself.
//!
//! What is exact, and what is not. Numbers of any size are, in PostgreSQL as `numeric`; in SQLite as a number where it holds all of it
//! and as text otherwise. Nested values are: SQLite keeps their text, PostgreSQL's `jsonb` their content. PostgreSQL rounds times to
//! microseconds and keeps a moment without its zone; SQLite keeps the source's text. A value that does not fit its column's type
//! (`"2024-02-31"` as a date, a NUL character in PostgreSQL's text) has its record refused; other records are not touched by that.
//! A string column takes what is no string as its JSON text, since many sources are careless there.
//!
//! Questions: *Why a key as text, and not the key's own columns?* They may be null, nested, or widened; the log's canonical key
//! is none of that. *Why is a complete generation copied into its table, and not the table exchanged?* Grants, indexes and views would
//! be lost with the old one. *Why does the database's commit always wait for the disk?* The log forgets what was acknowledged.
//! *Why a name for each delivery?* Its position is found by it. Found by the log instead, another log would look like a new one.
//! *What of a change that a table can't follow?* It is refused, until a person renames the column (or the table, where it is the key): what
//! was renamed is theirs, with all it holds, and a new one is made. We rename nothing of our own accord: somebody reads it.
//!
//! Tables of ours: `_highwater_positions` (how far which delivery is), `_highwater_streams` (which table and columns a stream has),
//! `_highwater_rejected` (which records were refused and why, and whether they were taken later), `_highwater_version`.

use super::typed::{fields, json_schema, kind, moment, value};

mod again;
mod catalog;
mod delivery;
mod dialect;
mod evolution;
mod known;
mod ledger;
mod names;
mod postgres;
mod renamed;
mod row;
mod run;
mod session;
mod settings;
mod sqlite;
mod statements;
mod table;

pub use postgres::Postgres;
pub use settings::{Deletes, Mode, Settings};
pub use sqlite::Sqlite;

/// What can be done about a table that a person dropped or renamed: docs/sql-destinations.md tells it with its statements.
const TABLE_IS_GONE: &str = "bring it back; or, if it was meant, delete its row in _highwater_streams and have the stream read again with \
                             `highwater refresh`";
