//! PostgreSQL, loaded by COPY.

mod chunk;
mod copy_text;
mod failure;
mod fresh;
mod merge;
mod options;
mod send;
mod server;
mod session;
mod tls;

use std::fmt;
use std::path::Path;

use highwater::Sequence;

use super::delivery::Delivery;
use super::settings::Settings;
use crate::batch::Batch;
use crate::destination::{Again, Applied, Destination, Rejected, Retried, Stored};
use crate::failure::Result;
use crate::pipeline::Section;

use session::PostgresSession;

/// Delivers to a schema of a PostgreSQL database, of version 12 or later. Each batch is one transaction, durable when
/// [`apply`](Destination::apply) returns. Some MiB of rows are gathered and sent by COPY, so memory does not grow with a batch.
/// Blocks for the server: 30 seconds for a connection, a minute for a lock that somebody else holds.
///
/// The connection is encrypted as the URL asks for: `sslmode` is `disable`, `prefer` (the default: if the server can), `require`,
/// `verify-ca` or `verify-full`; `sslrootcert` names a file of certificates to trust in place of the system's. A server that is not
/// the one it should be is a failure of the configuration, and not tried again.
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
    /// Fails with [`FailureKind::Config`](crate::FailureKind::Config) for a URL that is none, without telling what it holds, and for
    /// certificates that can't be read.
    pub fn new(url: &str, schema: impl Into<String>, settings: Settings) -> Result<Self> {
        Self::with_base(url, Path::new(""), schema.into(), settings)
    }

    fn with_base(url: &str, base: &Path, schema: String, settings: Settings) -> Result<Self> {
        let session = PostgresSession::new(url, base, schema)?;
        Ok(Postgres { delivery: Delivery::new(session, settings) })
    }

    /// Takes its settings from a section of a pipeline file, whose `type` is taken already.
    pub fn read(pipeline: &str, mut section: Section<'_>) -> Result<Self> {
        let settings = Settings::read(pipeline, &mut section)?;
        let url = section.needed_text("url")?;
        let schema = section.text("schema")?.unwrap_or_else(|| "public".to_owned());
        let made = Self::with_base(&url, section.variables().base(), schema, settings);
        let made = made.map_err(|failure| failure.while_doing(section.path()));
        section.finish()?;
        made
    }
}

impl Destination for Postgres {
    fn stored(&mut self) -> Result<Stored> {
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
