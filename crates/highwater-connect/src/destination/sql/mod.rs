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
//! Tables of ours: `_highwater_positions` (how far which delivery is), `_highwater_streams` (which table and columns a stream has),
//! `_highwater_rejected` (which records were refused, and why), `_highwater_version`.

mod catalog;
mod delivery;
mod dialect;
mod evolution;
mod fields;
mod json_schema;
mod kind;
mod known;
mod ledger;
mod moment;
mod names;
mod nested;
mod number;
mod postgres;
mod row;
mod run;
mod session;
mod settings;
mod sqlite;
mod statements;
mod table;
mod value;

pub use postgres::Postgres;
pub use settings::{Deletes, Mode, Settings};
pub use sqlite::Sqlite;
