//! Changing the log: cutting it where the damage begins, or beginning it anew, and going on from there by the ordinary
//! means of opening and appending.

use std::sync::Arc;

use super::aside::{self, UnderWay};
use super::copy::Copier;
use super::{Mode, RepairPlan};
use crate::config::Config;
use crate::consumer::{self, Start};
use crate::error::{Error, Result};
use crate::format::mark::Mark;
use crate::format::note::{Pruned, Repaired};
use crate::format::snapshot::{LastCheckpoint, Retained};
use crate::format::{BLOCK, names};
use crate::journal::Journal;
use crate::log;
use crate::origin::Origin;
use crate::position::{Address, SegmentId, Sequence};
use crate::recovery::{self, Look};
use crate::salvage::{Assessment, Salvage};
use crate::segment::Files;
use crate::storage::{Access, Lock};
use crate::view::View;

/// Does what the plan says. On an error the caller takes it back.
pub(super) fn change(
    salvage: Salvage,
    found: &Assessment,
    plan: &RepairPlan,
    under_way: &UnderWay,
    config: Config,
    lock: Box<dyn Lock>,
) -> Result<()> {
    let storage = salvage.files.storage.clone();
    for name in &plan.consumers_reset {
        aside::move_away(&*storage, plan.number, &names::consumer(name))?;
    }
    for name in &plan.pins_lifted {
        aside::move_away(&*storage, plan.number, &names::pin(name))?;
    }
    let journal = match &found.cut {
        Some(_) if plan.can_cut => cut(&salvage, found, plan, config, lock)?,
        _ => begin_anew(&salvage, found, plan, config, lock)?,
    };
    let journal = Arc::new(journal);
    // It ends before the lock is given up: else somebody could find it interrupted.
    fill(salvage, found, plan, &journal)?;
    journal.flush_all()?;
    aside::end(&*storage, under_way)?;
    // What could fail now is done by the next opening.
    if let Err(error) = journal.close() {
        tracing::warn!(%error, "repaired, and not closed cleanly");
    }
    Ok(())
}

fn fill(salvage: Salvage, found: &Assessment, plan: &RepairPlan, journal: &Arc<Journal>) -> Result<()> {
    if let Some(lost) = found.base.lost() {
        journal.note_repaired(&Repaired {
            time_us: journal.config.environment.now_us(),
            repair: plan.number,
            first: lost.sequence,
            last: lost.sequence,
            skipped: true,
            why: lost.why.clone(),
        })?;
    }
    if plan.lost.is_empty() {
        note_nothing_lost(plan, journal)?;
    }
    match plan.mode {
        Mode::Cut => {
            if let Some(lost) = plan.lost.iter().find(|lost| lost.first > plan.last_before) {
                journal.note_repaired(&Repaired {
                    time_us: journal.config.environment.now_us(),
                    repair: plan.number,
                    first: lost.first,
                    last: lost.last,
                    skipped: false,
                    why: lost.why.clone(),
                })?;
            }
        }
        Mode::SkipDamaged => {
            let files = Files::before_repair(journal.files.storage.clone(), journal.log(), plan.number);
            let before = salvage.through(Arc::new(files));
            let mut copier = Copier::new(journal, &before, found, plan);
            found.base.whole().into_iter().for_each(|base| copier.know_streams(base));
            found.survivors(&before, &mut |survivor| copier.take(survivor))?;
            copier.finish()?;
            prune_again(journal, before.retained.first_sequence)?;
        }
    }
    let origin = Origin::Live(journal.clone());
    plan.consumers_reset.iter().try_for_each(|name| consumer::register(&origin, name, Start::Oldest, None))
}

/// A repair is on record, also one that gives no checkpoint up.
fn note_nothing_lost(plan: &RepairPlan, journal: &Journal) -> Result<()> {
    let last = journal.state().view.last.sequence;
    journal.note_repaired(&Repaired {
        time_us: journal.config.environment.now_us(),
        repair: plan.number,
        first: last.next(),
        last,
        skipped: false,
        why: plan.problems.first().cloned().unwrap_or_default(),
    })
}

/// What had been pruned below whole checkpoints stays so.
fn prune_again(journal: &Journal, first_sequence: Sequence) -> Result<()> {
    let (last, mut retained) = {
        let state = journal.state();
        (state.view.last.sequence, state.view.retained.clone())
    };
    if retained.first_sequence >= first_sequence || last < first_sequence {
        return Ok(());
    }
    retained.first_sequence = first_sequence;
    let time_us = journal.config.environment.now_us();
    journal.note_pruned(&Pruned { time_us, retained, detached: Vec::new() })
}

/// Cuts the log in the segment in which the damage begins, and opens it there.
fn cut(
    salvage: &Salvage,
    found: &Assessment,
    plan: &RepairPlan,
    config: Config,
    lock: Box<dyn Lock>,
) -> Result<Journal> {
    let storage = &salvage.files.storage;
    let Some(cut) = &found.cut else { return Err(Error::invalid("there is nowhere to cut")) };
    let id = cut.at.segment();
    aside::copy(&**storage, plan.number, &names::segment(id))?;
    aside::copy(&**storage, plan.number, names::MARK)?;
    for later in salvage.survey.segments.iter().filter(|segment| **segment > id) {
        aside::move_away(&**storage, plan.number, &names::segment(*later))?;
    }
    let lost = found.base.lost().and(salvage.retained.compacted.as_ref());
    let lost = lost.iter().flat_map(|base| &base.files).map(|file| file.id);
    for file in lost {
        aside::move_away(&**storage, plan.number, &names::segment(file))?;
    }
    aside::sync_names(&**storage)?;
    let epoch = found.epoch.max(salvage.mark.map_or(0, |mark| mark.epoch)).saturating_add(1);
    let (retained, now_us) = (newest_retained(salvage, found), config.environment.now_us());
    let end = recovery::erase_behind(&**storage, cut.at, epoch, &retained, now_us)?;
    // The mark goes down before the log is opened: what it had vouched for is gone.
    let mark = Mark {
        log: salvage.files.log,
        generation: salvage.mark.map_or(0, |mark| mark.generation) + 1,
        boot: None,
        pid: std::process::id(),
        epoch,
        durable: Address::new(id, end.offset() / BLOCK * BLOCK),
        sequence: cut.last.sequence,
        id: cut.last.id,
        active: id,
        waypoint: cut.snapshot,
        first_live: retained.first_live,
        clean: false,
    };
    recovery::write_mark(&**storage, &mark)?;
    match recovery::look(storage.clone(), Access::Write, None)? {
        Look::Log(found) => Ok(log::recover(*found, config, lock)?.0),
        Look::Nothing => Err(Error::invalid("nothing is left of the log")),
    }
}

/// What has been pruned stays so, also where the frame that says it lies behind the cut.
fn newest_retained(salvage: &Salvage, found: &Assessment) -> Retained {
    let told = found.retained.as_ref().filter(|told| told.first_live >= salvage.retained.first_live);
    let mut retained = told.unwrap_or(&salvage.retained).clone();
    give_up_lost_base(&mut retained, found);
    // What is committed next can be read, though more had been pruned before.
    if let Some(cut) = &found.cut {
        retained.first_sequence = retained.first_sequence.min(cut.last.sequence.next());
    }
    retained
}

/// A base checkpoint that is damaged goes; what comes behind it stays.
fn give_up_lost_base(retained: &mut Retained, found: &Assessment) {
    if let Some(lost) = found.base.lost() {
        retained.compacted = None;
        retained.first_sequence = retained.first_sequence.max(lost.sequence.next());
    }
}

/// Begins the log anew, behind all segments that there were: the damage comes before everything that could be kept.
fn begin_anew(
    salvage: &Salvage,
    found: &Assessment,
    plan: &RepairPlan,
    config: Config,
    lock: Box<dyn Lock>,
) -> Result<Journal> {
    let storage = &salvage.files.storage;
    // A base checkpoint that is whole stays where it is: nothing in its files points anywhere else.
    let base = found.base.whole().and(salvage.retained.compacted.as_ref());
    let stays = |id: &SegmentId| base.is_some_and(|base| base.files.iter().any(|file| file.id == *id));
    for id in salvage.survey.segments.iter().chain(&salvage.survey.bases).filter(|id| !stays(id)) {
        aside::move_away(&**storage, plan.number, &names::segment(*id))?;
    }
    aside::copy(&**storage, plan.number, names::MARK)?;
    aside::sync_names(&**storage)?;
    let first_live = SegmentId(salvage.last.0.max(salvage.survey.segments.last().map_or(0, |id| id.0)) + 1);
    let mut view = View::empty();
    let first_sequence = salvage.retained.first_sequence;
    view.retained = Retained { first_live, first_sequence, compacted: base.cloned(), ..view.retained };
    give_up_lost_base(&mut view.retained, found);
    if let Some(head) = found.base.whole().map(|commit| commit.head) {
        let at = Address::new(first_live, BLOCK);
        view.last = LastCheckpoint { sequence: head.sequence, id: head.id, at, time_us: head.time_us };
    }
    let epoch = found.epoch.max(salvage.mark.map_or(0, |mark| mark.epoch)).saturating_add(1);
    match storage.remove(names::MARK) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("removing", names::MARK, e));
        }
        _ => {}
    }
    log::create_from(storage.clone(), config, lock, salvage.files.log, view, epoch)
}
