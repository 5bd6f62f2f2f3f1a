//! What a repair would keep and what it would give up, in numbers that people can decide by.

use std::fmt;

use serde::Serialize;

use super::Mode;
use super::aside;
use crate::consumer;
use crate::error::{Error, ErrorKind, Result};
use crate::format::define::StreamName;
use crate::format::{BLOCK, names};
use crate::pin;
use crate::position::{Address, CheckpointId, Sequence, StreamId};
use crate::recovery::{self, Look};
use crate::salvage::{Amount, Assessment, Loss, Salvage};
use crate::storage::Access;

/// What is damaged, what a repair keeps, and what it gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairPlan {
    /// What it does with whole checkpoints behind the damage.
    pub mode: Mode,
    /// Each damage: file, byte, and what was found there.
    pub problems: Vec<String>,
    /// The files that it sets aside are called `damaged-NUMBER.NAME`.
    pub number: u32,
    /// The last checkpoint before the damage; 0 if the damage comes before all.
    pub last_before: Sequence,
    /// The last checkpoint of all, as far as is known.
    pub last: Sequence,
    /// Whole checkpoints behind the damage: kept by [`Mode::SkipDamaged`], given up by [`Mode::Cut`].
    pub whole_behind: u64,
    /// Checkpoints that are given up.
    pub lost: Vec<LostCheckpoints>,
    /// How many they are.
    pub lost_checkpoints: u64,
    /// Records in them, at least: of a checkpoint whose own frame is gone nobody knows.
    pub lost_records: u64,
    /// Bytes of keys, metadata and payloads in these records.
    pub lost_bytes: u64,
    /// The same by stream, where it is known.
    pub streams: Vec<StreamLoss>,
    /// Consumers that have acknowledged what is given up: they will be told that they have diverged.
    pub consumers_ahead: Vec<ConsumerLoss>,
    /// Consumers whose position can't be read: they begin again with the oldest checkpoint.
    pub consumers_reset: Vec<String>,
    /// Pins that can't be read: they are set aside, and hold nothing any more.
    pub pins_lifted: Vec<String>,
    /// Streams that lose their definition: they go on without key and schema until they are registered again.
    pub definitions_lost: Vec<DefinitionLoss>,
    /// Cutting is possible: something before the damage is whole.
    pub can_cut: bool,
}

/// Checkpoints from one number to another that are given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LostCheckpoints {
    /// The first.
    pub first: Sequence,
    /// The last.
    pub last: Sequence,
    /// Where the damage is.
    pub why: String,
}

/// What is given up of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamLoss {
    /// Its number.
    pub stream: StreamId,
    /// Its name, if that is known.
    pub name: Option<StreamName>,
    /// Checkpoints that hold records of it.
    pub checkpoints: u64,
    /// Records.
    pub records: u64,
    /// Bytes of keys, metadata and payloads.
    pub bytes: u64,
}

/// A stream whose definition is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DefinitionLoss {
    /// Its number.
    pub stream: StreamId,
    /// What it is called from now on: its last known name, or one made up from its number.
    pub name: StreamName,
}

/// A consumer that is further than the log will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsumerLoss {
    /// Its name.
    pub name: String,
    /// What it has acknowledged.
    pub acknowledged: Sequence,
}

/// How much is damaged: a place is in one file, or begins in one and ends in another.
fn extent(from: Address, to: Address) -> String {
    let (first, last) = (from.segment(), to.segment());
    match () {
        () if first == last => format!("{} bytes", to.offset() - from.offset()),
        () if first.next() == last && to.offset() <= BLOCK => "to its end".to_owned(),
        () => format!("to {} byte {}", names::segment(last), to.offset()),
    }
}

impl RepairPlan {
    pub(super) fn of(salvage: &Salvage, found: &Assessment, mode: Mode) -> Result<RepairPlan> {
        let mut problems: Vec<String> = found
            .holes
            .iter()
            .map(|hole| {
                let extent = extent(hole.from, hole.to);
                format!("{} byte {}: {} ({extent})", hole.file, hole.from.offset(), hole.what)
            })
            .collect();
        problems.extend(found.base.lost().map(|lost| lost.why.clone()));
        if problems.is_empty()
            && let Some(what) = refused(salvage)?
        {
            problems.push(what);
        }
        let cut =
            found.cut.as_ref().filter(|_| found.holes.iter().all(|hole| !hole.from.segment().is_base()));
        let last_before = cut.map_or(Sequence::NONE, |cut| cut.last.sequence);
        let losses: &[&Loss] = match mode {
            Mode::Cut => &[&found.damaged, &found.behind],
            Mode::SkipDamaged => &[&found.damaged],
        };
        let all = losses.iter().fold(Amount::default(), |sum, loss| sum.plus(&loss.all));
        let mut plan = RepairPlan {
            mode,
            number: aside::next_number(&salvage.survey),
            last_before,
            last: found.last,
            whole_behind: found.behind.all.checkpoints
                + u64::from(cut.is_none() && found.base.whole().is_some()),
            lost: lost_runs(found, mode, last_before.max(salvage.retained.first_sequence.previous())),
            lost_checkpoints: all.checkpoints,
            lost_records: all.records,
            lost_bytes: all.bytes,
            streams: stream_losses(found, losses),
            consumers_ahead: Vec::new(),
            consumers_reset: Vec::new(),
            pins_lifted: Vec::new(),
            definitions_lost: definitions_lost(found, mode),
            can_cut: cut.is_some(),
            problems,
        };
        plan.look_at_consumers(salvage)?;
        plan.look_at_pins(salvage)?;
        plan.problems.extend(salvage.unreadable());
        Ok(plan)
    }

    /// Whether anything is damaged at all.
    pub fn is_needed(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Refuses a repair that would leave nothing.
    pub(super) fn check_worth_it(&self) -> Result<()> {
        let what = match self.mode {
            Mode::Cut if !self.can_cut => {
                "nothing before the damage can be kept; what lies behind it can (skip damaged)"
            }
            Mode::SkipDamaged if !self.can_cut && self.whole_behind == 0 => {
                "nothing in this log can be kept; move it away and begin a new one"
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Corrupt, format!("{what}; first damage: {}", self.problems[0])))
    }

    fn look_at_consumers(&mut self, salvage: &Salvage) -> Result<()> {
        // Skipping keeps all numbers but those at the very end.
        let end = match self.mode {
            Mode::Cut => self.last_before,
            Mode::SkipDamaged => match self.lost.last() {
                Some(run) if run.last == self.last => run.first.previous(),
                _ => self.last,
            },
        };
        for name in &salvage.survey.consumers {
            match consumer::read_state(&*salvage.files.storage, name) {
                Ok(Some(state)) if state.sequence > end && state.id != CheckpointId::NONE => {
                    self.consumers_ahead
                        .push(ConsumerLoss { name: name.clone(), acknowledged: state.sequence });
                }
                Ok(_) => {}
                Err(error) if *error.kind() == ErrorKind::Corrupt => {
                    self.problems.push(format!("{} byte 0: {}", names::consumer(name), error.what()));
                    self.consumers_reset.push(name.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One that can't be read would stop every pruning.
    fn look_at_pins(&mut self, salvage: &Salvage) -> Result<()> {
        for name in &salvage.survey.pins {
            match pin::read(&*salvage.files.storage, name) {
                Ok(_) => {}
                Err(error) if *error.kind() == ErrorKind::Corrupt => {
                    self.problems.push(format!("{} byte 0: {}", names::pin(name), error.what()));
                    self.pins_lifted.push(name.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Why the log can't be opened, though every frame of it is valid.
fn refused(salvage: &Salvage) -> Result<Option<String>> {
    match recovery::look(salvage.files.storage.clone(), Access::Read, None) {
        Ok(Look::Log(_) | Look::Nothing) => Ok(None),
        Err(error) if *error.kind() == ErrorKind::Corrupt => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

fn lost_runs(found: &Assessment, mode: Mode, last_before: Sequence) -> Vec<LostCheckpoints> {
    let base = found.base.lost().map(|lost| LostCheckpoints {
        first: lost.sequence,
        last: lost.sequence,
        why: lost.why.clone(),
    });
    match mode {
        Mode::Cut if found.last <= last_before => base.into_iter().collect(),
        Mode::Cut => {
            let why = found.holes.first().map_or_else(String::new, |hole| hole.to_string());
            let rest = LostCheckpoints { first: last_before.next(), last: found.last, why };
            base.into_iter().chain([rest]).collect()
        }
        Mode::SkipDamaged => found
            .lost_runs
            .iter()
            .map(|run| LostCheckpoints { first: run.first, last: run.last, why: run.why.clone() })
            .collect(),
    }
}

/// Before the damage every definition is whole.
fn definitions_lost(found: &Assessment, mode: Mode) -> Vec<DefinitionLoss> {
    let undefined = if mode == Mode::SkipDamaged { found.undefined() } else { Vec::new() };
    let named = |stream| DefinitionLoss { stream, name: found.definition(stream).name };
    undefined.into_iter().map(named).collect()
}

fn stream_losses(found: &Assessment, losses: &[&Loss]) -> Vec<StreamLoss> {
    let mut streams: Vec<StreamId> = losses.iter().flat_map(|loss| loss.streams.keys().copied()).collect();
    streams.sort_unstable();
    streams.dedup();
    let sum = |stream: &StreamId| {
        let amounts = losses.iter().filter_map(|loss| loss.streams.get(stream));
        amounts.fold(Amount::default(), |sum, amount| sum.plus(amount))
    };
    streams
        .into_iter()
        .map(|stream| {
            let Amount { checkpoints, records, bytes } = sum(&stream);
            let name = found.names.get(&stream).map(|definition| definition.name.clone());
            StreamLoss { stream, name, checkpoints, records, bytes }
        })
        .collect()
}

impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_needed() {
            return write!(f, "nothing is damaged");
        }
        let kept = match (self.mode, self.can_cut) {
            (Mode::Cut, true) => format!("the log ends with checkpoint {}", self.last_before),
            (Mode::Cut, false) => "a cut would leave nothing".to_owned(),
            (Mode::SkipDamaged, _) => {
                format!("{} whole checkpoints behind the damage stay", self.whole_behind)
            }
        };
        write!(
            f,
            "{} damaged places; {kept}; {} checkpoints with at least {} records ({} bytes) are given up",
            self.problems.len(),
            self.lost_checkpoints,
            self.lost_records,
            self.lost_bytes
        )
    }
}
