//! Our own tables: the position, the streams with their tables, and what was refused. They change in the transaction that brings the
//! records, so all of it is there or nothing.

use std::collections::HashMap;

use highwater::{CheckpointId, Position, Sequence, StreamName};

use super::catalog::Entry;
use super::row::saturating;
use super::session::{Cell, Param, Session};
use crate::destination::Rejected;
use crate::failure::{Failure, Result};

/// Of these tables. Another version's are refused.
const VERSION: i64 = 1;
/// So many positions are kept, to tell a redelivery from another history under the same numbers.
const POSITIONS_KEPT: i64 = 1000;

const VERSIONS: &str = "_highwater_version";
const POSITIONS: &str = "_highwater_positions";
const STREAMS: &str = "_highwater_streams";
const REJECTED: &str = "_highwater_rejected";

/// Columns that hold whole numbers; the others hold text.
const TABLES: [(&str, &str); 4] = [
    (VERSIONS, "version bigint NOT NULL PRIMARY KEY"),
    (
        POSITIONS,
        "name text NOT NULL, sequence bigint NOT NULL, checkpoint text NOT NULL, log text NOT NULL, \
         PRIMARY KEY (name, sequence)",
    ),
    (
        STREAMS,
        "name text NOT NULL, stream text NOT NULL, table_name text NOT NULL, definition text NOT NULL, \
         PRIMARY KEY (name, stream)",
    ),
    (
        REJECTED,
        "name text NOT NULL, stream text NOT NULL, sequence bigint NOT NULL, row_index bigint NOT NULL, \
         reason text NOT NULL, taken bigint NOT NULL, PRIMARY KEY (name, stream, sequence, row_index)",
    ),
];

/// One delivery's part of our tables.
#[derive(Debug)]
pub(crate) struct Ledger<'s, S> {
    pub(crate) session: &'s mut S,
    pub(crate) name: &'s str,
}

impl<S: Session> Ledger<'_, S> {
    fn table(&self, name: &str) -> String {
        self.session.dialect().table(name)
    }

    /// Parameters `from` to `to`.
    fn params(&self, from: usize, to: usize) -> String {
        let params: Vec<String> = (from..=to).map(|number| self.session.dialect().param(number)).collect();
        params.join(", ")
    }

    /// Makes our tables, or checks that they are of our version. Runs in a transaction.
    pub(crate) fn set_up(&mut self) -> Result<()> {
        self.session.set_up()?;
        for (name, columns) in TABLES {
            let sql = format!("CREATE TABLE IF NOT EXISTS {} ({columns})", self.table(name));
            self.session.execute(&sql, &[])?;
        }
        let versions = self.table(VERSIONS);
        let found = self.session.query(&format!("SELECT version FROM {versions}"), &[])?;
        let Some(row) = found.first() else {
            let sql = format!("INSERT INTO {versions} (version) VALUES ({})", self.params(1, 1));
            return self.session.execute(&sql, &[Param::Integer(VERSION)]);
        };
        match row.first() {
            Some(Cell::Integer(VERSION)) if found.len() == 1 => Ok(()),
            _ => Err(Failure::config(format!(
                "{VERSIONS} is not {VERSION}: another version of Highwater made the tables of this database"
            ))),
        }
    }

    /// The last position.
    pub(crate) fn position(&mut self) -> Result<Option<Position>> {
        let sql = format!(
            "SELECT log, sequence, checkpoint FROM {} WHERE name = {} ORDER BY sequence DESC LIMIT 1",
            self.table(POSITIONS),
            self.params(1, 1)
        );
        let found = self.session.query(&sql, &[Param::Text(self.name)])?;
        let Some([log, sequence, checkpoint]) = found.first().map(Vec::as_slice) else { return Ok(None) };
        let text = format!("{}/{}/{}", log.text()?, sequence.integer()?, checkpoint.text()?);
        text.parse().map(Some).map_err(|error| Failure::diverged("the stored position").because(error))
    }

    /// The checkpoint that was applied under this number, if that is still known.
    pub(crate) fn checkpoint_at(&mut self, sequence: Sequence) -> Result<Option<String>> {
        let (table, name, number) = (self.table(POSITIONS), self.params(1, 1), self.params(2, 2));
        let sql = format!("SELECT checkpoint FROM {table} WHERE name = {name} AND sequence = {number}");
        let params = [Param::Text(self.name), Param::Integer(saturating(sequence.get()))];
        let found = self.session.query(&sql, &params)?;
        found.first().and_then(|row| row.first()).map(|cell| cell.text().map(str::to_owned)).transpose()
    }

    /// Stores a checkpoint that is now applied.
    pub(crate) fn store_position(&mut self, position: Position) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (name, sequence, checkpoint, log) VALUES ({})",
            self.table(POSITIONS),
            self.params(1, 4)
        );
        let (checkpoint, log) = (position.checkpoint.to_string(), position.log.to_string());
        self.session.execute(
            &sql,
            &[
                Param::Text(self.name),
                Param::Integer(saturating(position.sequence.get())),
                Param::Text(&checkpoint),
                Param::Text(&log),
            ],
        )
    }

    /// Forgets positions of long ago.
    pub(crate) fn forget_positions(&mut self) -> Result<()> {
        let table = self.table(POSITIONS);
        let (name, kept) = (self.params(1, 1), self.params(2, 2));
        let sql = format!(
            "DELETE FROM {table} WHERE name = {name} AND sequence < (SELECT MIN(sequence) FROM \
             (SELECT sequence FROM {table} WHERE name = {name} ORDER BY sequence DESC LIMIT {kept}) AS newest)"
        );
        self.session.execute(&sql, &[Param::Text(self.name), Param::Integer(POSITIONS_KEPT)])
    }

    /// All streams that have a table.
    pub(crate) fn streams(&mut self) -> Result<HashMap<StreamName, Entry>> {
        let sql =
            format!("SELECT definition FROM {} WHERE name = {}", self.table(STREAMS), self.params(1, 1));
        let found = self.session.query(&sql, &[Param::Text(self.name)])?;
        let entries = found.iter().filter_map(|row| row.first()).map(|cell| {
            let entry: Entry = serde_json::from_str(cell.text()?).map_err(|error| {
                Failure::permanent(format!("{STREAMS} of {} can't be read", self.name)).because(error)
            })?;
            Ok((entry.stream.clone(), entry))
        });
        entries.collect()
    }

    /// The tables of all streams of all deliveries.
    pub(crate) fn table_names(&mut self) -> Result<Vec<String>> {
        let found = self.session.query(&format!("SELECT table_name FROM {}", self.table(STREAMS)), &[])?;
        let names = found.iter().filter_map(|row| row.first());
        names.map(|cell| cell.text().map(str::to_owned)).collect()
    }

    /// Stores what is known of a stream's table.
    pub(crate) fn store_stream(&mut self, entry: &Entry) -> Result<()> {
        let definition = serde_json::to_string(entry)
            .map_err(|error| Failure::permanent("a stream's table").because(error))?;
        let sql = format!(
            "INSERT INTO {} (name, stream, table_name, definition) VALUES ({}) ON CONFLICT (name, stream) \
             DO UPDATE SET table_name = excluded.table_name, definition = excluded.definition",
            self.table(STREAMS),
            self.params(1, 4)
        );
        let stream = identity(&entry.stream);
        let params = [self.name, &stream, &entry.table, &definition].map(Param::Text);
        self.session.execute(&sql, &params)
    }

    /// Forgets a stream's table.
    pub(crate) fn forget_stream(&mut self, stream: &StreamName) -> Result<()> {
        let (table, name, of) = (self.table(STREAMS), self.params(1, 1), self.params(2, 2));
        let sql = format!("DELETE FROM {table} WHERE name = {name} AND stream = {of}");
        self.session.execute(&sql, &[Param::Text(self.name), Param::Text(&identity(stream))])
    }

    /// Keeps what was refused: who delivers may be killed before it has heard of it.
    pub(crate) fn store_rejected(&mut self, rejected: &[Rejected]) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (name, stream, sequence, row_index, reason, taken) VALUES ({}, 0)",
            self.table(REJECTED),
            self.params(1, 5)
        );
        for record in rejected {
            let stream = identity(&record.stream);
            self.session.execute(
                &sql,
                &[
                    Param::Text(self.name),
                    Param::Text(&stream),
                    Param::Integer(saturating(record.sequence.get())),
                    Param::Integer(saturating(record.index)),
                    Param::Text(&record.reason),
                ],
            )?;
        }
        Ok(())
    }

    /// Whether a record that was refused was taken later.
    pub(crate) fn is_taken(&mut self, stream: &StreamName, sequence: Sequence, index: u64) -> Result<bool> {
        let [name, stream_param, at, row] = [1, 2, 3, 4].map(|n| self.params(n, n));
        let sql = format!(
            "SELECT taken FROM {} WHERE name = {name} AND stream = {stream_param} AND sequence = {at} \
             AND row_index = {row}",
            self.table(REJECTED)
        );
        let stream = identity(stream);
        let found = self.session.query(
            &sql,
            &[
                Param::Text(self.name),
                Param::Text(&stream),
                Param::Integer(saturating(sequence.get())),
                Param::Integer(saturating(index)),
            ],
        )?;
        match found.first().and_then(|row| row.first()) {
            Some(cell) => Ok(cell.integer()? != 0),
            None => Ok(false),
        }
    }

    /// A record that was refused is taken now, or will never be needed: in the transaction that brings it, so that no second
    /// attempt brings it twice. It need not be known here: this may be another database than the one that refused it.
    pub(crate) fn store_taken(&mut self, stream: &StreamName, sequence: Sequence, index: u64) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (name, stream, sequence, row_index, reason, taken) VALUES ({}, '', 1) \
             ON CONFLICT (name, stream, sequence, row_index) DO UPDATE SET taken = 1",
            self.table(REJECTED),
            self.params(1, 4)
        );
        let stream = identity(stream);
        self.session.execute(
            &sql,
            &[
                Param::Text(self.name),
                Param::Text(&stream),
                Param::Integer(saturating(sequence.get())),
                Param::Integer(saturating(index)),
            ],
        )
    }

    /// What was refused of the checkpoints from `first` to `last`, and not taken later.
    pub(crate) fn rejected(&mut self, first: Sequence, last: Sequence) -> Result<Vec<Rejected>> {
        let sql = format!(
            "SELECT stream, sequence, row_index, reason FROM {} WHERE name = {} AND sequence BETWEEN {} AND {} \
             AND taken = 0 ORDER BY sequence, stream, row_index",
            self.table(REJECTED),
            self.params(1, 1),
            self.params(2, 2),
            self.params(3, 3)
        );
        let range = [first, last].map(|sequence| Param::Integer(saturating(sequence.get())));
        let found = self.session.query(&sql, &[Param::Text(self.name), range[0], range[1]])?;
        found.iter().map(|row| rejected(row)).collect()
    }
}

fn rejected(row: &[Cell]) -> Result<Rejected> {
    let [stream, sequence, index, reason] = row else {
        return Err(Failure::permanent(format!("{REJECTED} has other columns than expected")));
    };
    let (namespace, name) = serde_json::from_str(stream.text()?)
        .map_err(|error| Failure::permanent(format!("{REJECTED} can't be read")).because(error))?;
    Ok(Rejected {
        stream: StreamName { namespace, name },
        sequence: Sequence::new(sequence.integer()?),
        index: index.integer()?,
        reason: reason.optional_text()?.unwrap_or_default().to_owned(),
    })
}

/// A stream's name as one text: `[namespace or null, name]`.
pub(crate) fn identity(stream: &StreamName) -> String {
    serde_json::json!([stream.namespace, stream.name]).to_string()
}

/// Whether that is the checkpoint that was applied under its number.
pub(crate) fn is_same(stored: &str, id: CheckpointId) -> bool {
    stored == id.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_texts_of_their_own() {
        let name = |namespace: Option<&str>, name: &str| {
            identity(&StreamName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
        };
        let texts = [name(None, "a"), name(Some(""), "a"), name(Some("a"), ""), name(Some("a"), "a")];
        assert_eq!(texts.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(texts[0], r#"[null,"a"]"#);
    }
}
