//! PostgreSQL, loaded by COPY.

mod chunk;
mod copy_text;
mod failure;
mod fresh;
mod merge;
mod send;
mod session;

use std::fmt;

use highwater::{Position, Sequence};

use super::delivery::Delivery;
use super::settings::Settings;
use crate::batch::Batch;
use crate::destination::{Again, Applied, Destination, Rejected, Retried};
use crate::failure::Result;
use crate::pipeline::Section;

use session::PostgresSession;

/// Delivers to a schema of a PostgreSQL database, of version 12 or later. Each batch is one transaction, durable when
/// [`apply`](Destination::apply) returns. Some MiB of rows are gathered and sent by COPY, so memory does not grow with a batch.
/// Blocks for the server: 30 seconds for a connection, a minute for a lock that somebody else holds.
///
/// The connection is not encrypted: a URL that asks for that (`sslmode=require`) is refused.
pub struct Postgres {
    delivery: Delivery<PostgresSession>,
}

impl fmt::Debug for Postgres {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// Into `schema`, which is made if it is not there. Connects when it is first needed.
    ///
    /// Fails with [`FailureKind::Config`](crate::FailureKind::Config) for a URL that is none, without telling what it holds.
    pub fn new(url: &str, schema: impl Into<String>, settings: Settings) -> Result<Self> {
        let session = PostgresSession::new(url, schema.into())?;
        Ok(Postgres { delivery: Delivery::new(session, settings) })
    }

    /// Takes its settings from a section of a pipeline file, whose `type` is taken already.
    pub fn read(pipeline: &str, mut section: Section<'_>) -> Result<Self> {
        let settings = Settings::read(pipeline, &mut section)?;
        let url = section.needed_text("url")?;
        let schema = section.text("schema")?.unwrap_or_else(|| "public".to_owned());
        let made = Self::new(&url, schema, settings).map_err(|failure| failure.while_doing(section.path()));
        section.finish()?;
        made
    }
}

impl Destination for Postgres {
    fn stored(&mut self) -> Result<Option<Position>> {
        self.delivery.stored()
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        self.delivery.apply(batch)
    }

    fn rejected_after(&mut self, sequence: Sequence) -> Result<Vec<Rejected>> {
        self.delivery.rejected_after(sequence)
    }

    fn retry(&mut self, letters: &[Again<'_>]) -> Result<Vec<Retried>> {
        self.delivery.retry(letters)
    }

    fn close(&mut self) -> Result<()> {
        self.delivery.close();
        Ok(())
    }
}
