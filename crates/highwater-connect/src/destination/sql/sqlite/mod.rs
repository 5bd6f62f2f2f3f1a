//! SQLite: one file, which any program can read while it is written.

mod functions;
mod plan;
mod session;

use std::path::PathBuf;

use highwater::Sequence;

use super::delivery::Delivery;
use super::settings::Settings;
use crate::batch::Batch;
use crate::destination::{Again, Applied, Destination, Rejected, Retried, Stored};
use crate::failure::Result;
use crate::pipeline::Section;

use session::SqliteSession;

/// Delivers to a SQLite database file. Each batch is one transaction, durable when [`apply`](Destination::apply) returns;
/// records are written one by one, so memory does not grow with them. Blocks for the file's lock, five seconds at most.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use highwater_connect::destination::Stored;
/// use highwater_connect::destination::sql::{Settings, Sqlite};
/// use highwater_connect::Destination;
///
/// let mut shop = Sqlite::new(dir.path().join("shop.sqlite"), Settings::new("shop"));
/// assert_eq!(shop.stored()?, Stored::Nothing);
/// # Ok::<(), highwater_connect::Failure>(())
/// ```
#[derive(Debug)]
pub struct Sqlite {
    delivery: Delivery<SqliteSession>,
}

impl Sqlite {
    /// The file is made when it is first needed.
    pub fn new(path: impl Into<PathBuf>, settings: Settings) -> Self {
        Sqlite { delivery: Delivery::new(SqliteSession::new(path.into()), settings) }
    }

    /// Takes its settings from a section of a pipeline file, whose `type` is taken already.
    pub fn read(pipeline: &str, mut section: Section<'_>) -> Result<Self> {
        let settings = Settings::read(pipeline, &mut section)?;
        let path = section.variables().base().join(section.needed_text("path")?);
        section.finish()?;
        Ok(Self::new(path, settings))
    }
}

impl Destination for Sqlite {
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
