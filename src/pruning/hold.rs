//! Who needs what: retention, consumers, pins.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::config::Retention;
use crate::consumer::{ConsumerInfo, is_diverged, on_device, read_state};
use crate::environment::micros;
use crate::error::{Error, ErrorKind, Result};
use crate::format::consumer::{ConsumerState, LagPolicy, MaxLag};
use crate::format::names;
use crate::format::snapshot::Retained;
use crate::journal::Journal;
use crate::locate;
use crate::origin::{Horizon, Origin};
use crate::pin;
use crate::position::{Address, CheckpointId, Sequence};
use crate::recovery::Survey;
use crate::segment::Files;
use crate::storage::{Access, Storage};

/// What the holds are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What nobody needs goes: who may be left behind, is.
    Prune,
    /// What nobody reads any more as it was is rewritten. Nobody is left behind for that.
    Compact,
}

/// Who needs checkpoints to stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Holder {
    /// A consumer that has not acknowledged them.
    Consumer {
        /// Its name.
        name: String,
    },
    /// A pin.
    Pin {
        /// Its name.
        name: String,
        /// Who made it.
        owner: String,
    },
    /// The newest so many are kept.
    MinCount {
        /// So many.
        checkpoints: u64,
    },
    /// The young ones are kept.
    MinAge,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Consumer { name } => write!(f, "consumer {name}"),
            Holder::Pin { name, owner } => write!(f, "pin {name} of {owner}"),
            Holder::MinCount { checkpoints: 1 } => f.write_str("the newest checkpoint"),
            Holder::MinCount { checkpoints } => write!(f, "the newest {checkpoints} (min_count)"),
            Holder::MinAge => f.write_str("min_age"),
        }
    }
}

/// The checkpoints that have to stay, each with who needs them.
#[derive(Debug)]
pub(crate) struct Holds {
    needs: Vec<(Sequence, Holder)>,
    names: Vec<(String, Sequence)>,
    /// Consumers that fell too far behind, with what they had acknowledged.
    pub(super) detached: Vec<(String, Sequence)>,
}

impl Holds {
    pub(crate) fn of(
        origin: &Origin,
        horizon: &Horizon,
        retention: &Retention,
        purpose: Purpose,
    ) -> Result<Holds> {
        let files = origin.files();
        let wanted = Wanted { retention, purpose, now_us: origin.now_us() };
        let first = horizon.retained.first_sequence;
        let as_known = |standing: Standing| {
            (standing.name, standing.state.unwrap_or_else(|_| at_the_beginning(origin, first)))
        };
        let positions = standings(&*files.storage)?.into_iter().map(as_known).collect();
        collect(files, horizon, &origin.horizon()?, wanted, positions)
    }

    pub(crate) fn of_journal(
        journal: &Journal,
        horizon: &Horizon,
        retention: &Retention,
        purpose: Purpose,
    ) -> Result<Holds> {
        let mut positions = positions(journal.storage())?;
        for (name, state) in &mut positions {
            if let Some(durable) = durable_position(journal.storage(), name)? {
                *state = durable;
            }
        }
        let wanted = Wanted { retention, purpose, now_us: journal.config.environment.now_us() };
        collect(&journal.files, horizon, &super::horizon(journal), wanted, positions)
    }

    /// The first checkpoint that has to stay.
    pub(crate) fn keep_from(&self) -> Sequence {
        self.needs.iter().map(|(sequence, _)| *sequence).min().unwrap_or(Sequence::FIRST)
    }

    /// Who needs what: the first checkpoint that has to stay for each.
    pub(crate) fn needs(&self) -> &[(Sequence, Holder)] {
        &self.needs
    }

    /// Whether this consumer was seen, at this very position.
    pub(super) fn knew(&self, consumer: &str, sequence: Sequence) -> bool {
        self.names.iter().any(|(name, at)| name == consumer && *at == sequence)
    }

    /// What keeps the oldest checkpoint.
    pub(crate) fn describe(&self) -> String {
        let first = self.needs.iter().min_by_key(|(sequence, _)| *sequence);
        first.map_or_else(String::new, |(sequence, who)| {
            format!("checkpoint {sequence} and later are held by {who}")
        })
    }
}

/// What is asked for, and when.
struct Wanted<'a> {
    retention: &'a Retention,
    purpose: Purpose,
    now_us: i64,
}

/// `now` was looked at behind the positions: they move on, and none of them is beyond it.
fn collect(
    files: &Arc<Files>,
    horizon: &Horizon,
    now: &Horizon,
    wanted: Wanted<'_>,
    positions: Vec<(String, ConsumerState)>,
) -> Result<Holds> {
    let Wanted { retention, purpose, now_us } = wanted;
    let storage = &*files.storage;
    let last = horizon.last.sequence;
    let first = horizon.retained.first_sequence;
    let by_count = Sequence::new(last.next().get().saturating_sub(retention.min_count.max(1)));
    let mut holds = Holds {
        needs: vec![(
            by_count.max(Sequence::FIRST),
            Holder::MinCount { checkpoints: retention.min_count.max(1) },
        )],
        names: Vec::new(),
        detached: Vec::new(),
    };
    if !retention.min_age.is_zero() {
        let before = now_us.saturating_sub(micros(retention.min_age));
        holds.needs.push((younger_than(files, horizon, before)?, Holder::MinAge));
    }
    for (name, state) in positions {
        let has_diverged = has_diverged(files, now, &state);
        let lag = bytes_between(files, &horizon.retained, state.at, horizon.end);
        match state.max_lag {
            Some(MaxLag { bytes, then: LagPolicy::Detach }) if lag > bytes && purpose == Purpose::Prune => {
                holds.detached.push((name.clone(), state.sequence));
            }
            // Nobody knows from where on what it has is another history, and a person is to put it there.
            _ if has_diverged => holds.needs.push((first, Holder::Consumer { name: name.clone() })),
            // One that was left behind before needs nothing that is still here.
            _ if state.sequence.next() < first => {}
            _ => holds.needs.push((state.sequence.next(), Holder::Consumer { name: name.clone() })),
        }
        holds.names.push((name, state.sequence));
    }
    for name in Survey::of(storage)?.pins {
        if let Some(pin) = pin::read(storage, &name)?.filter(|pin| pin.expires_us > now_us) {
            holds.needs.push((pin.from, Holder::Pin { name, owner: pin.owner }));
        }
    }
    Ok(holds)
}

/// Whether what a consumer acknowledged is another history, which a repair or a restore has left behind. What can't be read is told by
/// who reads it.
fn has_diverged(files: &Arc<Files>, horizon: &Horizon, state: &ConsumerState) -> bool {
    if state.id == CheckpointId::NONE {
        return false;
    }
    let here = || locate::identity(files, &horizon.retained, &horizon.last, state.sequence);
    state.log != files.log
        || state.sequence > horizon.last.sequence
        || here().is_ok_and(|here| here.is_some_and(|id| id != state.id))
}

/// The first checkpoint that may be younger than `before_us`, to the granularity of segments.
fn younger_than(files: &Files, horizon: &Horizon, before_us: i64) -> Result<Sequence> {
    let (mut low, mut high) = (horizon.retained.first_live.0, horizon.last.at.segment().0);
    if horizon.last.sequence == Sequence::NONE {
        return Ok(Sequence::FIRST);
    }
    // Commit times never go back, so the segments are sorted by them.
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let snapshot = super::snapshot_of(files, crate::position::SegmentId(middle))?;
        if snapshot.last.time_us < before_us { low = middle } else { high = middle - 1 }
    }
    if low == horizon.retained.first_live.0 {
        return Ok(horizon.retained.first_sequence);
    }
    Ok(super::snapshot_of(files, crate::position::SegmentId(low))?.last.sequence.next())
}

/// A pin that holds what was pruned: it came too late to be seen.
pub(super) fn late_pin(journal: &Journal, retained: &Retained) -> Result<Option<String>> {
    let now_us = journal.config.environment.now_us();
    for name in Survey::of(journal.storage())?.pins {
        let pin = pin::read(journal.storage(), &name)?;
        if pin.is_some_and(|pin| pin.expires_us > now_us && !retained.follows(pin.from.previous())) {
            return Ok(Some(format!("pin {name}")));
        }
    }
    Ok(None)
}

/// Only durable positions release space: flushing the file makes durable what was read, or more, unless an earlier flush of
/// it failed. So what the device holds counts.
fn durable_position(storage: &dyn Storage, name: &str) -> Result<Option<ConsumerState>> {
    let file_name = names::consumer(name);
    let read = || {
        let file = storage.open(&file_name, Access::Write)?;
        file.sync()?;
        on_device(&*file)
    };
    match read() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        result => result.map_err(|e| Error::io("flushing a consumer's position", &file_name, e)),
    }
}

/// Every registered consumer's position.
pub(crate) fn positions(storage: &dyn Storage) -> Result<Vec<(String, ConsumerState)>> {
    let names = Survey::of(storage)?.consumers;
    names
        .into_iter()
        .filter_map(|name| Some(read_state(storage, &name).transpose()?.map(|state| (name, state))))
        .collect()
}

/// A registered consumer, with its position or what is wrong with its file.
struct Standing {
    name: String,
    state: Result<ConsumerState>,
}

/// Every registered consumer: damage to the file of one keeps nobody from looking at the others.
fn standings(storage: &dyn Storage) -> Result<Vec<Standing>> {
    let mut standings = Vec::new();
    for name in Survey::of(storage)?.consumers {
        let state = match read_state(storage, &name) {
            Ok(None) => continue,
            Ok(Some(state)) => Ok(state),
            Err(error) if *error.kind() == ErrorKind::Corrupt => Err(error),
            Err(error) => return Err(error),
        };
        standings.push(Standing { name, state });
    }
    Ok(standings)
}

/// Who needs everything that is kept.
fn at_the_beginning(origin: &Origin, first: Sequence) -> ConsumerState {
    let (sequence, id, at) = (first.previous(), CheckpointId::NONE, Address::NONE);
    let (log, start, ahead) = (origin.log(), Sequence::NONE, Vec::new());
    ConsumerState { log, generation: 1, sequence, id, start, at, max_lag: None, ahead }
}

/// The consumers with their lag.
pub(crate) fn consumers(origin: &Origin) -> Result<Vec<ConsumerInfo>> {
    let horizon = origin.horizon()?;
    let standings = standings(&*origin.files().storage)?;
    let mut consumers: Vec<_> =
        standings.into_iter().map(|standing| info(origin, &horizon, standing)).collect();
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(consumers)
}

fn info(origin: &Origin, horizon: &Horizon, standing: Standing) -> ConsumerInfo {
    let damage = standing.state.as_ref().err().map(ToString::to_string);
    let diverged = standing.state.as_ref().is_ok_and(|state| is_diverged(origin, &standing.name, state));
    let state = standing.state.unwrap_or_else(|_| at_the_beginning(origin, Sequence::FIRST));
    ConsumerInfo {
        diverged,
        used_by: origin.files().storage.locker(&names::consumer(&standing.name)),
        name: standing.name,
        start: state.start,
        has_acknowledged: state.has_acknowledged(),
        acknowledged: state.sequence,
        lag_checkpoints: horizon.last.sequence.get().saturating_sub(state.sequence.get()),
        lag_bytes: if state.sequence >= horizon.last.sequence {
            0
        } else {
            bytes_between(origin.files(), &horizon.retained, state.at, horizon.end)
        },
        damage,
    }
}

/// Bytes of segments between two places.
pub(crate) fn bytes_between(files: &Files, retained: &Retained, from: Address, end: Address) -> u64 {
    let first = from.segment().max(retained.first_live);
    if first >= end.segment() {
        return u64::from(end.offset().saturating_sub(from.offset()));
    }
    let between = (first.0..end.segment().0).filter_map(|id| files.get(crate::position::SegmentId(id)).ok());
    let whole: u64 = between.map(|segment| u64::from(segment.bytes())).sum();
    (whole + u64::from(end.offset())).saturating_sub(from.offset().into())
}

/// Refuses more segments while a consumer that blocks is too far behind.
pub(crate) fn check_lag(journal: &Journal) -> Result<()> {
    let horizon = super::horizon(journal);
    for (name, state) in positions(journal.storage())? {
        let Some(MaxLag { bytes, then: LagPolicy::Block }) = state.max_lag else { continue };
        let lag = bytes_between(&journal.files, &horizon.retained, state.at, horizon.end);
        if lag > bytes {
            return Err(Error::new(
                ErrorKind::Full,
                format!(
                    "consumer {name} is {lag} bytes behind, its max_lag is {bytes}; let it acknowledge, or drop it"
                ),
            ));
        }
    }
    Ok(())
}

/// Whether a consumer could make room by acknowledging. If none can, the log is full of what is not committed, or of what
/// retention keeps, and waiting would never end.
pub(crate) fn somebody_lags(journal: &Journal) -> Result<bool> {
    let positions = positions(journal.storage())?;
    let horizon = super::horizon(journal);
    let could = |state: &ConsumerState| {
        state.sequence < horizon.last.sequence && !has_diverged(&journal.files, &horizon, state)
    };
    Ok(positions.iter().any(|(_, state)| could(state)))
}

/// What holds the space of a full log, in words.
pub(crate) fn what_holds(journal: &Journal) -> String {
    let horizon = super::horizon(journal);
    match Holds::of_journal(journal, &horizon, &journal.config.retention, Purpose::Prune) {
        Ok(holds) if holds.names.is_empty() => {
            "no consumer is registered, so nothing is pruned by itself: prune, or add a consumer".to_owned()
        }
        Ok(holds) => holds.describe(),
        Err(error) => error.to_string(),
    }
}
