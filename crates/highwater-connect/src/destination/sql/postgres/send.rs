//! Sends rows that wait, by COPY.

use std::io::Write;

use postgres::Client;

use super::chunk::{Chunk, Together};
use super::failure;
use crate::failure::{Failure, Result};

type Sent = std::result::Result<(), Unwritten>;

/// Why rows were not written.
pub(super) enum Unwritten {
    /// The server refuses one of them.
    Refused(String),
    Failed(Failure),
}

impl From<postgres::Error> for Unwritten {
    fn from(error: postgres::Error) -> Self {
        match failure::refusal(&error) {
            Some(reason) => Unwritten::Refused(reason),
            None => Unwritten::Failed(failure::of(&error)),
        }
    }
}

impl From<std::io::Error> for Unwritten {
    fn from(error: std::io::Error) -> Self {
        // COPY's writer wraps what the server said.
        match error.downcast::<postgres::Error>() {
            Ok(error) => error.into(),
            Err(error) => Unwritten::Failed(Failure::transient("sending rows to PostgreSQL").because(error)),
        }
    }
}

/// Rows of which the table has none yet, at once. Fails if it has one.
pub(super) fn new_rows(client: &mut Client, copy: &str, chunk: &Chunk, rows: &[usize]) -> Sent {
    let mut copy = client.copy_in(copy)?;
    for row in rows {
        copy.write_all(chunk.columns(*row))?;
        copy.write_all(b"\n")?;
    }
    copy.finish()?;
    Ok(())
}

/// Some rows of a chunk, in as many statements as it takes.
pub(super) fn rows(client: &mut Client, chunk: &Chunk, from: usize, to: usize) -> Sent {
    let mut next = from;
    while next < to {
        let some = chunk.together(next, to);
        together(client, chunk, &some)?;
        next = some.end;
    }
    Ok(())
}

fn together(client: &mut Client, chunk: &Chunk, some: &Together) -> Sent {
    let mut copy = client.copy_in(chunk.merge.copy())?;
    for row in &some.rows {
        copy.write_all(chunk.line(*row))?;
    }
    copy.finish()?;
    let statements = chunk.merge.statements(|action| chunk.has(&some.rows, action));
    if !statements.is_empty() {
        client.batch_execute(&statements.join("; "))?;
    }
    Ok(())
}

/// Does what can fail without the transaction's failing: what it did is taken back then.
pub(super) fn in_savepoint(client: &mut Client, act: impl FnOnce(&mut Client) -> Sent) -> Result<Sent> {
    let say = |client: &mut Client, sql: &str| client.batch_execute(sql).map_err(|error| failure::of(&error));
    say(client, "SAVEPOINT highwater_rows")?;
    match act(client) {
        Ok(()) => say(client, "RELEASE SAVEPOINT highwater_rows").map(Ok),
        Err(unwritten) => {
            let back = say(client, "ROLLBACK TO SAVEPOINT highwater_rows; RELEASE SAVEPOINT highwater_rows");
            match (back, unwritten) {
                (Ok(()), unwritten) => Ok(Err(unwritten)),
                // The connection is gone, and that was told before.
                (Err(_), Unwritten::Failed(failure)) | (Err(failure), Unwritten::Refused(_)) => Err(failure),
            }
        }
    }
}
