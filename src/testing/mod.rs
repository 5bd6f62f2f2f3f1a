//! For tests of your own pipelines: a disk in memory that loses power, and calls that fail. (Feature `testing`.)
//!
//! # Does my pipeline resume?
//!
//! [`Trial`] runs a pipeline to its end, and then again and again with a power cut, a kill or a failed call at *every* call that
//! changes the disk, starting it anew each time until it is through. Whatever happened, the world has to look as it does when
//! nothing does. The pipeline is a function of a storage for its log and of your world: the source, and what it delivers to.
//!
//! ```
//! use std::sync::Arc;
//! use highwater::{Commit, Config, Limit, Log, Op, Position, Result, Start, StreamSpec, storage::Storage, testing::Trial};
//!
//! #[derive(Default)]
//! struct Warehouse { rows: Vec<String>, position: Option<Position> } // no keys: what is there twice shows
//!
//! fn pipeline(disk: Arc<dyn Storage>, warehouse: &mut Warehouse) -> Result<()> {
//!     let (log, _) = Log::open_on(disk, Config::default())?;
//!     let orders = log.stream(StreamSpec::new("orders"))?;
//!     let mut writer = log.writer(&[&orders])?;
//!     for page in log.state()?.get(&orders)?.unwrap_or(0)..3u32 {
//!         writer.append(&orders, Op::Insert { key: b"", row: format!("order {page}").as_bytes() })?;
//!         writer.commit(Commit::new().stream(&orders, &(page + 1)))?; // records and cursor, together
//!     }
//!     let mut consumer = log.consumer("warehouse", Start::Earliest)?;
//!     consumer.align(warehouse.position)?;
//!     while let Some(batch) = consumer.next_batch(&Limit::default())? {
//!         let row = |record: Result<highwater::Record>| Ok(String::from_utf8_lossy(&record?.payload).into_owned());
//!         let rows = batch.records().map(row).collect::<Result<Vec<_>>>()?;
//!         warehouse.rows.extend(rows);
//!         warehouse.position = Some(batch.end()); // in one transaction with the rows
//!         consumer.acknowledge(batch.end())?;
//!     }
//!     log.close()
//! }
//!
//! let rows = |warehouse: &Warehouse| warehouse.rows.clone(); // what has to be the same
//! let tried = Trial::default().run(Warehouse::default, pipeline, rows)?;
//! assert!(tried.calls > 20 && tried.runs > 100, "{tried}");
//!
//! // The same without `align`: what was delivered and not acknowledged comes again.
//! let careless = |disk, warehouse: &mut Warehouse| {
//!     warehouse.position = None;
//!     pipeline(disk, warehouse)
//! };
//! let failure = Trial::default().run(Warehouse::default, careless, rows).unwrap_err();
//! println!("{failure}"); // the power was cut after call 31 (seed ...): expected ["order 0", ...
//! # Ok::<(), highwater::testing::Failure>(())
//! ```
//!
//! What the world itself loses in a power cut the trial does not know: a real destination has to make durable what it says
//! that it has. Use the default [`Config::environment`](crate::Config::environment), or another seed in each run: two checkpoints
//! must not get the same UUID.
//!
//! # The disk
//!
//! [`SimDisk`] is a [`Storage`](crate::storage::Storage): every call that changes something counts, and
//! [`cut_power_after`](SimDisk::cut_power_after) says when the power goes. What was flushed stays; of the rest any subset of
//! sectors does, in any of the versions they had, some torn or as junk; names, too. [`arm`](SimDisk::arm) makes a call fail
//! ([`Fault`]), [`limit_room`](SimDisk::limit_room) fills the disk, [`kill`](SimDisk::kill) ends the process.
//!
//! ```
//! use std::sync::Arc;
//! use highwater::{Commit, Config, ErrorKind, Log, StreamSpec, testing::{Fault, SimDisk, State}};
//! let disk = SimDisk::new(State::default(), 1);
//! let (log, _) = Log::open_on(Arc::new(disk.clone()), Config::default())?;
//! let orders = log.stream(StreamSpec::new("orders"))?;
//! disk.arm(Fault::SyncFails, 0); // the next flush
//! let failed = log.writer(&[&orders])?.commit(Commit::new().stream(&orders, &1)).unwrap_err();
//! assert_eq!(*failed.kind(), ErrorKind::Io);
//! let (log, recovery) = Log::open_on(Arc::new(disk.after_power_cut(7)), Config::default())?;
//! println!("{recovery}: {:?}", log.end());
//! # Ok::<(), highwater::Error>(())
//! ```

mod content;
mod crash;
mod disk;
mod fault;
mod random;
mod state;
mod trial;

pub use content::{Content, SECTOR, Sector};
pub use disk::SimDisk;
pub use fault::Fault;
pub use random::Random;
pub use state::{FileId, Operation, State};
pub use trial::{Event, Failure, Trial, Tried};
