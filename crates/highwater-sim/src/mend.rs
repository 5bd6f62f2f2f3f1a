//! Repairs of damaged logs: what is kept is what was committed, what is missing was announced, and the log goes on.

use std::sync::Arc;

use highwater::repair::{self, Mode, RepairPlan};
use highwater::testing::{Fault, SimDisk, State};
use highwater::{Config, Log, Sequence};

use crate::check::{Checked, Violation, blames_disk, check_checkpoint, demand};
use crate::model::Model;

/// Repairs a damaged log and holds what is left against what was there: from a base checkpoint on, if it had one, up to `end`.
pub(crate) fn mend(
    damaged: State,
    model: &Model,
    (base, end): (Option<u64>, u64),
    mode: Mode,
    config: Config,
) -> Checked {
    let disk = Arc::new(SimDisk::new(damaged, 7));
    let planned = repair::plan_on(disk.clone(), mode);
    let plan = match apply(&disk, mode, &config, end) {
        Ok(plan) => plan,
        Err(error) => {
            let is_honest = planned.as_ref().map_or_else(
                |why| why.to_string() == error.to_string(),
                |plan| !plan.can_cut && (mode == Mode::Cut || plan.whole_behind == 0),
            );
            demand!(is_honest, "a repair was possible ({planned:?}), and failed: {error}");
            return Ok(());
        }
    };
    demand!(
        planned.is_ok_and(|planned| planned == plan),
        "a repair did not do what it had planned: {plan:?}"
    );
    let (log, _) = Log::open_on(disk, Config { create: false, ..config })
        .map_err(|error| Violation::from(error).within("opening a repaired log"))?;
    let verified = log.verify(&mut |_| {})?;
    demand!(verified.is_sound(), "P5: repaired, and verify says {:?}; {plan:?}", verified.problems);
    check_kept(&log, model, (base, end), &plan).map_err(|violation| violation.within(&format!("{plan:?}")))
}

/// Repairs while one read fails. That takes nothing that can be read: it is tried again, or the repair is an error that leaves
/// everything as it was, and the next one does what was planned.
fn apply(disk: &Arc<SimDisk>, mode: Mode, config: &Config, any: u64) -> highwater::Result<RepairPlan> {
    disk.arm(Fault::ReadFails, any * 7 % 60);
    let first = repair::apply_on(disk.clone(), mode, config.clone());
    let failed = disk.failed_reads() > 0;
    disk.heal();
    match first {
        Err(error) if failed && blames_disk(&error) => repair::apply_on(disk.clone(), mode, config.clone()),
        first => first,
    }
}

/// Every checkpoint is what it was, or was announced as lost.
fn check_kept(log: &Log, model: &Model, (base, end): (Option<u64>, u64), plan: &RepairPlan) -> Checked {
    let lost =
        |sequence: u64| plan.lost.iter().any(|run| (run.first.get()..=run.last.get()).contains(&sequence));
    let mut reader = log.reader(log.first().max(Sequence::FIRST))?;
    let mut next = base.unwrap_or_else(|| log.first().get().max(model.first.1));
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(checkpoint)) => {
                let sequence = checkpoint.sequence().get();
                let restored = checkpoint.labels().iter().any(|(name, _)| name == "repair");
                if restored || sequence < next {
                    continue; // a log that began anew says which states it has restored; what was pruned may be back
                }
                let silent = (next..sequence).find(|missing| !lost(*missing));
                demand!(silent.is_none(), "P5: checkpoint {silent:?} is gone, and the repair did not say so");
                check_checkpoint(&checkpoint, model, sequence)?;
                next = sequence + 1;
            }
            Err(error) => demand!(reader.pass_gap().is_some(), "reading a repaired log: {error}"),
        }
    }
    let silent = (next..=end).find(|missing| !lost(*missing));
    demand!(silent.is_none(), "P5: checkpoint {silent:?} of {end} is gone, and the repair did not say so");
    Ok(())
}
