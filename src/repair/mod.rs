//! Repairing a damaged log: what is damaged, what can be kept, what is given up for it; and doing it.
//!
//! A repair cuts the log behind the last checkpoint before the damage. It may then append again, unchanged and under
//! their own numbers, the checkpoints behind the damage that are whole ([`Mode::SkipDamaged`]): readers meet a
//! [`Gap`](crate::ErrorKind::Gap) where some are missing. Files that it changes or removes are kept under the name
//! `damaged-N.NAME`, to be removed by whoever is content. What was given up is on record in the log.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! # let (log, _) = highwater::Log::open(dir.path(), highwater::Config::default())?;
//! # log.close()?;
//! use highwater::repair::{self, Mode};
//!
//! let plan = repair::plan(dir.path(), Mode::Cut)?; // changes nothing
//! if plan.is_needed() {
//!     println!("{plan}");
//!     repair::apply(dir.path(), Mode::Cut, highwater::Config::default())?;
//! }
//! # Ok::<(), highwater::Error>(())
//! ```

mod aside;
mod change;
mod copy;
mod plan;

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::format::names;
use crate::lock;
use crate::salvage::{Assessment, Salvage};
use crate::storage::{Disk, LockMode, Storage};

pub use plan::{ConsumerLoss, DefinitionLoss, LostCheckpoints, RepairPlan, StreamLoss};

/// What a repair does with whole checkpoints behind the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They are given up, too: the log ends at the last checkpoint before the damage, as if nothing had followed. Its sources
    /// send again what came behind.
    Cut,
    /// They are kept, behind a gap. What the damage took stays missing.
    SkipDamaged,
}

/// What a repair would do. Reads the whole log and changes nothing. Fails with [`ErrorKind::Locked`] while somebody
/// writes the log.
pub fn plan(dir: impl AsRef<Path>, mode: Mode) -> Result<RepairPlan> {
    plan_on(Arc::new(Disk::new(dir.as_ref())), mode)
}

/// The same on any storage.
pub fn plan_on(storage: Arc<dyn Storage>, mode: Mode) -> Result<RepairPlan> {
    if lock::is_held(&*storage)? {
        let text = "it is being written; a repair needs the log for itself";
        return Err(Error::new(ErrorKind::Locked, format!("{}: {text}", storage.path().display())));
    }
    let salvage = Salvage::open(storage)?;
    let assessment = Assessment::of(&salvage)?;
    RepairPlan::of(&salvage, &assessment, mode)
}

/// Repairs the log, if there is need, and says what was done. Reads the whole log, and copies at most what it changes; then
/// opens it as `config` says. An error leaves the log as it was; so does a crash, once a repair is run again.
pub fn apply(dir: impl AsRef<Path>, mode: Mode, config: Config) -> Result<RepairPlan> {
    apply_on(Arc::new(Disk::new(dir.as_ref())), mode, config)
}

/// The same on any storage.
pub fn apply_on(storage: Arc<dyn Storage>, mode: Mode, config: Config) -> Result<RepairPlan> {
    config.validate()?;
    // Before the lock, which would leave a file in a directory that is not a log.
    Salvage::open(storage.clone())?;
    let environment = config.environment.clone();
    // Of two repairs one would take back what the other does.
    let io = |e| Error::io("locking the repair", names::REPAIR_GUARD, e);
    let Some(_guard) = storage.try_lock(names::REPAIR_GUARD, LockMode::Exclusive).map_err(io)? else {
        let text = "another repair is under way";
        return Err(Error::new(ErrorKind::Locked, format!("{}: {text}", storage.path().display())));
    };
    let lock = lock::acquire(&*storage, config.lock_wait, &*environment)?;
    aside::take_back_interrupted(&*storage)?;
    let salvage = Salvage::open(storage.clone())?;
    let assessment = Assessment::of(&salvage)?;
    let plan = RepairPlan::of(&salvage, &assessment, mode)?;
    if !plan.is_needed() {
        return Ok(plan);
    }
    plan.check_worth_it()?;
    let under_way = aside::begin(&*storage, plan.number, &salvage)?;
    if let Err(error) = change::change(salvage, &assessment, &plan, &under_way, config.clone(), lock) {
        // Whoever came meanwhile was refused.
        let _lock = lock::acquire(&*storage, config.lock_wait, &*environment)?;
        aside::take_back(&*storage, &under_way)?;
        return Err(error);
    }
    Ok(plan)
}
