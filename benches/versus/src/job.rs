//! One measurement: a contender, a workload, a directory, and a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::data::Data;
use crate::engine::{Life, Setup};
use crate::engines::Contender;

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What the figures in README come from.
    Full,
    /// Whether all of it works: seconds a workload.
    Quick,
    /// Under a tracer that counts flushes: some commits are enough.
    Counted,
}

/// What a child process was asked to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) contender: Contender,
    pub(crate) workload: &'static str,
    pub(crate) dir: PathBuf,
    pub(crate) extent: Extent,
    pub(crate) data: Data,
    /// The `highwater` command, where it was built.
    pub(crate) command: Option<PathBuf>,
}

impl Job {
    /// One of two amounts.
    pub(crate) fn amount<T>(&self, full: T, quick: T) -> T {
        if self.extent == Extent::Full { full } else { quick }
    }

    /// The engine's directory.
    pub(crate) fn engine_dir(&self) -> PathBuf {
        self.dir.join("engine")
    }

    /// How the engine is to be opened.
    pub(crate) fn setup(&self, life: Life, record_bytes: usize) -> Setup {
        Setup {
            dir: self.engine_dir(),
            life,
            record_bytes,
            recycled_bytes: self.amount(256 << 20, 32 << 20),
            flush_delay: Duration::ZERO,
        }
    }

    /// A file beside the engine's directory.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        Path::join(&self.dir, name)
    }
}
