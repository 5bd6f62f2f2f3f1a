//! Highwater is an embedded checkpoint log for data pipelines. A pipeline appends the records it extracted and commits a
//! *checkpoint*: the records since the last one and the new state (its cursors), together, atomically, durably. After a
//! crash it opens the log, finds the last complete checkpoint, and goes on exactly there. Consumers read committed
//! checkpoints, deliver them, and acknowledge; what everybody has is pruned.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! # let dir = dir.path().join("shop.hw");
//! use highwater::{Commit, Config, Limit, Log, Op, Retention, Start, StreamSpec};
//!
//! let (log, recovery) = Log::open(&dir, Config::default())?;
//! eprintln!("{recovery}"); // what the last crash cost, if anything
//!
//! // Extract: records and cursor are committed together.
//! let orders = log.stream(StreamSpec::new("orders").namespace("shop").key(["id"]))?;
//! let mut writer = log.writer(&[&orders])?;
//! let cursor: u64 = log.state()?.get(&orders)?.unwrap_or(0);
//! for id in cursor..cursor + 3 {
//!     let (key, row) = (format!("[{id}]"), format!("{{\"id\":{id}}}"));
//!     writer.append(&orders, Op::Upsert { key: key.as_bytes(), row: row.as_bytes() })?;
//! }
//! writer.commit(Commit::new().stream(&orders, &(cursor + 3)))?; // durable when it returns
//!
//! // Deliver: at least once, and exactly once where the destination stores the position with the records.
//! let mut warehouse = log.consumer("warehouse", Start::Earliest)?;
//! while let Some(batch) = warehouse.next_batch(&Limit::default())? {
//!     for record in batch.records() {
//!         let record = record?; // verified on the way
//!         assert_eq!(record.stream, orders.id());
//!     }
//!     warehouse.acknowledge(batch.end())?;
//! }
//! log.prune(&Retention::default())?;
//! # Ok::<(), highwater::Error>(())
//! ```
//!
//! What it promises (P1 to P12), the format, and what was decided against are in DESIGN.md.

mod audit;
mod background;
pub mod backup;
mod commit;
mod compaction;
mod config;
mod consumer;
pub mod environment;
mod error;
mod finite;
mod format;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod growth;
mod histogram;
mod journal;
pub mod key;
mod locate;
mod lock;
mod log;
mod log_reader;
mod metrics;
mod notes;
mod operation;
mod origin;
mod packer;
mod pin;
mod position;
mod protection;
mod pruning;
mod reader;
mod recovery;
pub mod repair;
mod replacement;
mod rewind;
mod salvage;
mod segment;
mod space;
mod states;
mod status;
pub mod storage;
mod streams;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod verify;
mod view;
mod writer;

pub use audit::{AuditEntry, AuditEvent};
pub use commit::Commit;
pub use compaction::{Compacted, CompactionProgress, StreamCompacted};
pub use config::{Compaction, Compression, Config, Digest, Durability, ReadMode, Retention, WhenFull};
pub use consumer::{Batch, Consumer, ConsumerInfo, Limit, Start};
pub use error::{Error, ErrorKind, Result};
pub use format::consumer::{LagPolicy, MaxLag};
pub use format::data::OpKind;
pub use format::define::{ColumnPath, StreamName};
pub use growth::Growth;
pub use histogram::Histogram;
pub use journal::Committed;
pub use log::Log;
pub use log_reader::LogReader;
pub use metrics::Metrics;
pub use notes::By;
pub use operation::Operation;
pub use pin::Pin;
pub use position::{CheckpointId, LogId, Position, Sequence, StreamId};
pub use pruning::{Holder, Pruning};
pub use reader::{Checkpoint, OperationRecord, Reader, Record, RecordRef, Records, StreamCounts};
pub use recovery::Recovery;
pub use replacement::{Replacement, ReplacementOutcome};
pub use rewind::{Repeats, Rewinding, StateRewound, Tally};
pub use space::{Held, SegmentSpace, Space};
pub use states::{StateText, States};
pub use status::{SegmentStatus, Status};
pub use streams::{Fingerprint, Stream, StreamInfo, StreamSpec};
pub use verify::Verification;
pub use writer::{Meta, Op, Writer};

/// The README's example is a doctest, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
