//! What every contender has to do, rival and raw limit alike.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

/// What a workload wants, before it opens an engine.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The directory of the engine's files, empty or as an earlier opening left it.
    pub(crate) dir: PathBuf,
    /// What becomes of old data.
    pub(crate) life: Life,
    /// The size of a record: raw files have no other way to know.
    pub(crate) record_bytes: usize,
    /// How many bytes raw files that are written over have: more than a log keeps alive, so that no block is still hot.
    pub(crate) recycled_bytes: u64,
    /// What each flush takes longer (W13): a cloud disk. Only Highwater and the raw limits can do that.
    pub(crate) flush_delay: Duration,
}

/// What becomes of old data: engines have settings for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It is deleted as new data comes; whoever can writes over it.
    Steady,
    /// It stays.
    Growing,
    /// It stays, and nothing is flushed until the last commit.
    Bulk,
}

/// Whether a commit returns before its data is on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    Yes,
    /// Only [`Life::Bulk`] asks for it; an engine without such a commit holds the records until the next one.
    No,
}

/// A state and whose it is.
pub(crate) type State<'a> = (usize, &'a [u8]);

/// An open engine. Dropping it closes it.
pub(crate) trait Engine: Sync {
    /// What one thread commits with.
    fn session(&self, thread: usize) -> Result<Box<dyn Session + '_>>;

    /// Gives up all records but those of the last `keep` checkpoints, as far as the engine can.
    fn prune(&self, keep: u64) -> Result<()>;
}

/// Records and states that are committed together.
pub(crate) trait Session {
    /// Takes a record.
    fn append(&mut self, record: &[u8]) -> Result<()>;

    /// Commits what was appended and these states, atomically where the engine can.
    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()>;
}

/// An engine that holds rows by key and can be told to give up what was overwritten.
pub(crate) trait Keyed {
    /// Takes a whole row, the newest of its key.
    fn put(&mut self, key: u64, row: &[u8]) -> Result<()>;

    /// Commits what was taken.
    fn commit(&mut self) -> Result<()>;

    /// Rewrites everything, so that of each key the last row is left; on stable storage when it returns.
    fn rewrite(&mut self) -> Result<()>;

    /// Shows every row that is left.
    fn rows(&mut self, visit: &mut dyn FnMut(u64, &[u8])) -> Result<()>;
}
