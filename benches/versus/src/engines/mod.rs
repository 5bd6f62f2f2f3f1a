//! The contenders, one file each.

mod bundle;
mod fjall;
mod highwater;
mod lmdb;
mod okaywal;
mod open_wal;
mod raft_engine;
mod raw;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod slow_flush;
mod sqlite;
mod wal_db;

use anyhow::{Context, Result};

use crate::engine::{Engine, Keyed, Setup};

/// What stands in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Highwater,
    Limit,
    Rival,
}

/// Reads every record of a closed engine, oldest first, opening included.
pub(crate) type Replay = fn(&Setup, &mut dyn FnMut(&[u8])) -> Result<()>;

/// Opens an engine for rows with keys, which nothing rewrites before it is asked for.
pub(crate) type OpenKeyed = fn(&Setup) -> Result<Box<dyn Keyed>>;

/// An engine, or a raw limit, and what it can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) open: fn(&Setup) -> Result<Box<dyn Engine>>,
    /// It is a contender where one writes; some are only there for how they read.
    pub(crate) writes: bool,
    /// Several threads may commit at once.
    pub(crate) threads: bool,
    /// Whatever is not pruned is still there, and can be opened again.
    pub(crate) retains: bool,
    /// Old records can be dropped and new ones kept.
    pub(crate) prunes: bool,
    /// A state can be written, and found, without the others.
    pub(crate) states: bool,
    /// A flush can be made to take longer.
    pub(crate) slow_flush: bool,
    pub(crate) replay: Option<Replay>,
    /// For rewriting by key.
    pub(crate) keyed: Option<OpenKeyed>,
}

impl Contender {
    /// A rival that can do everything but slow its flushes; each says what it can't.
    const fn rival(
        name: &'static str,
        open: fn(&Setup) -> Result<Box<dyn Engine>>,
        replay: Replay,
    ) -> Contender {
        Contender {
            name,
            kind: Kind::Rival,
            open,
            writes: true,
            threads: true,
            retains: true,
            prunes: true,
            states: true,
            slow_flush: false,
            replay: Some(replay),
            keyed: None,
        }
    }

    /// A raw limit: it writes, and knows nothing about what it wrote.
    const fn limit(name: &'static str, open: fn(&Setup) -> Result<Box<dyn Engine>>) -> Contender {
        Contender {
            name,
            kind: Kind::Limit,
            open,
            writes: true,
            threads: true,
            retains: false,
            prunes: false,
            states: false,
            slow_flush: true,
            replay: None,
            keyed: None,
        }
    }
}

/// All of them, in the order of the tables.
pub(crate) fn all() -> Vec<Contender> {
    let mut all = vec![highwater::COPY, highwater::MAP];
    all.extend(raw::ALL);
    all.extend([okaywal::OKAYWAL, open_wal::OPEN_WAL, wal_db::WAL_DB]);
    all.extend([raft_engine::DEFAULT, raft_engine::PREFILLED, lmdb::LMDB, sqlite::SQLITE]);
    #[cfg(feature = "rocksdb")]
    all.push(rocksdb::ROCKSDB);
    all.extend([fjall::FJALL, redb::REDB]);
    all
}

/// The one of this name.
pub(crate) fn find(name: &str) -> Result<Contender> {
    let found = all().into_iter().find(|contender| contender.name == name);
    found.with_context(|| format!("there is no engine {name:?} in this build"))
}
