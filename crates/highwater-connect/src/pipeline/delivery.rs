//! How a destination is delivered to, whatever its type.

use std::sync::Arc;
use std::time::Duration;

use highwater::{LagPolicy, Limit, MaxLag, Start};

use super::policy::{RetryPolicy, set};
use super::section::Section;
use crate::failure::Result;
use crate::letters::LettersMax;

/// What becomes of a record that a destination refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnReject {
    /// It goes to the consumer's dead letters, and the delivery goes on.
    #[default]
    DeadLetter,
    /// The delivery fails, before the batch is applied where the destination can undo it.
    Fail,
}

/// What is the same for destinations of every type.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Where it begins the first time.
    pub start: Start,
    /// How much is applied together.
    pub batch: Limit,
    /// How far it may fall behind.
    pub max_lag: Option<MaxLag>,
    /// How it is left alone when it stays down. Default: not at all; it is given up after some attempts.
    pub breaker: Option<BreakerPolicy>,
    /// Somebody is told when it has not moved for so long, although there is something for it. Default: 30 min.
    pub warn_after: Duration,
    /// What becomes of records that it refuses. Default: they go to its dead letters.
    pub on_reject: OnReject,
    /// Streams in the order in which a checkpoint's are delivered, as `namespace.name` or `name`: parents before their children. Those
    /// that are not named come behind.
    pub order: Arc<[String]>,
    /// How many dead letters are kept.
    pub letters_max: LettersMax,
    /// How it is tried again.
    pub retry: RetryPolicy,
}

/// When a destination that fails again and again is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// After so many failures in a row. Default: 5.
    pub failures: u32,
    /// So long. Default: 5 min.
    pub cooldown: Duration,
}

/// How long a delivery waits for new checkpoints before it looks whether it should stop.
const BATCH_WAIT: Duration = Duration::from_millis(200);

impl Delivery {
    pub(super) fn read(section: &mut Section<'_>, retry: RetryPolicy) -> Result<Self> {
        let start = section.choice("start", &[("earliest", Start::Earliest), ("now", Start::Now)])?;
        let mut limit = Limit { wait: BATCH_WAIT, ..Limit::default() };
        let mut batch = section.section("batch")?;
        set(&mut limit.max_bytes, batch.size("max_size")?.map(|size| size.max(1)));
        set(&mut limit.max_age, batch.time("max_age")?);
        let checkpoints = batch.count("max_checkpoints")?;
        set(&mut limit.max_checkpoints, checkpoints.map(|n| usize::try_from(n).unwrap_or(usize::MAX).max(1)));
        batch.finish()?;
        let mut lag = section.section("max_lag")?;
        let bytes = lag.size("size")?;
        let then = lag.choice("then", &[("block", LagPolicy::Block), ("detach", LagPolicy::Detach)])?;
        if bytes.is_none() && then.is_some() {
            return Err(lag.wrong("size", "is missing"));
        }
        lag.finish()?;
        let on_reject = section
            .choice("on_reject", &[("dead_letter", OnReject::DeadLetter), ("fail", OnReject::Fail)])?;
        Ok(Delivery {
            breaker: breaker(section.section("circuit_breaker")?)?,
            warn_after: section.time("warn_after")?.unwrap_or(Duration::from_secs(30 * 60)),
            on_reject: on_reject.unwrap_or_default(),
            order: section.texts("order")?.into(),
            letters_max: letters_max(section.section("dead_letters")?)?,
            start: start.unwrap_or(Start::Earliest),
            batch: limit,
            max_lag: bytes.map(|bytes| MaxLag { bytes, then: then.unwrap_or(LagPolicy::Block) }),
            retry: RetryPolicy::read(section.section("retry")?, retry)?,
        })
    }
}

fn breaker(mut section: Section<'_>) -> Result<Option<BreakerPolicy>> {
    let (failures, cooldown) = (section.count("failures")?, section.time("cooldown")?);
    section.finish()?;
    if failures.is_none() && cooldown.is_none() {
        return Ok(None);
    }
    let failures = failures.map_or(5, |n| u32::try_from(n).unwrap_or(u32::MAX).max(1));
    Ok(Some(BreakerPolicy { failures, cooldown: cooldown.unwrap_or(Duration::from_secs(5 * 60)) }))
}

fn letters_max(mut section: Section<'_>) -> Result<LettersMax> {
    let mut max = LettersMax::default();
    set(&mut max.count, section.count("max_count")?);
    set(&mut max.bytes, section.size("max_size")?);
    section.finish()?;
    Ok(max)
}
