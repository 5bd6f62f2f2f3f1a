//! The parts of a pipeline file that say how, not what: checkpoints, retries, storage, batches.

use std::time::Duration;

use highwater::{Compression, Config, LagPolicy, Limit, MaxLag, Retention, Start, WhenFull};

use super::section::Section;
use crate::failure::Result;

/// When checkpoints are made, and when somebody is warned that none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// States that come faster are merged. Default: 1 s.
    pub min_interval: Duration,
    /// For sources that leave it to us: a checkpoint after so many records. Default: 10,000.
    pub every_records: u64,
    /// For sources that leave it to us: after so many bytes. Default: 16 MiB.
    pub every_bytes: u64,
    /// For sources that leave it to us: after such a time. Default: 10 s.
    pub every_time: Duration,
    /// Warn when nothing was committed for such a time although records came. Default: 30 min.
    pub warn_after_time: Duration,
    /// Warn when so many bytes came without a checkpoint. Default: 5 GiB.
    pub warn_after_bytes: u64,
    /// Warn when so many records came without a checkpoint. Default: 5,000,000.
    pub warn_after_records: u64,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        CheckpointPolicy {
            min_interval: Duration::from_secs(1),
            every_records: 10_000,
            every_bytes: 16 << 20,
            every_time: Duration::from_secs(10),
            warn_after_time: Duration::from_secs(30 * 60),
            warn_after_bytes: 5 << 30,
            warn_after_records: 5_000_000,
        }
    }
}

impl CheckpointPolicy {
    pub(super) fn read(mut section: Section<'_>) -> Result<Self> {
        let mut policy = CheckpointPolicy::default();
        set(&mut policy.min_interval, section.time("min_interval")?);
        let mut every = section.section("every")?;
        set(&mut policy.every_records, every.count("records")?.map(|n| n.max(1)));
        set(&mut policy.every_bytes, every.size("size")?.map(|n| n.max(1)));
        set(&mut policy.every_time, every.time("time")?);
        every.finish()?;
        let mut warn = section.section("warn_after")?;
        set(&mut policy.warn_after_time, warn.time("time")?);
        set(&mut policy.warn_after_bytes, warn.size("size")?);
        set(&mut policy.warn_after_records, warn.count("records")?);
        warn.finish()?;
        section.finish()?;
        Ok(policy)
    }
}

/// How often, and after which waits, something that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// So many attempts in a row without a new checkpoint (or, of a destination, without a batch applied) are the last. Default: 5.
    pub attempts_without_progress: u32,
    /// The first wait. Default: 10 s.
    pub initial: Duration,
    /// Each wait is so many times the one before. Default: 3.
    pub factor: f64,
    /// No wait is longer. Default: 30 min.
    pub max: Duration,
    /// Waits differ at random, so that many pipelines do not come back at the same moment. Default: yes.
    pub has_jitter: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts_without_progress: 5,
            initial: Duration::from_secs(10),
            factor: 3.0,
            max: Duration::from_secs(30 * 60),
            has_jitter: true,
        }
    }
}

impl RetryPolicy {
    /// What the section leaves out is as in `default`.
    pub(super) fn read(mut section: Section<'_>, default: RetryPolicy) -> Result<Self> {
        let mut policy = default;
        let attempts = section.count("attempts_without_progress")?;
        set(
            &mut policy.attempts_without_progress,
            attempts.map(|n| u32::try_from(n).unwrap_or(u32::MAX).max(1)),
        );
        let mut backoff = section.section("backoff")?;
        set(&mut policy.initial, backoff.time("initial")?);
        set(&mut policy.max, backoff.time("max")?);
        set(&mut policy.has_jitter, backoff.flag("jitter")?);
        if let Some(factor) = backoff.number("factor")? {
            if !(1.0..=1000.0).contains(&factor) {
                return Err(backoff.wrong("factor", "expected a number from 1 to 1000"));
            }
            policy.factor = factor;
        }
        backoff.finish()?;
        section.finish()?;
        Ok(policy)
    }
}

/// How the log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The most that it may occupy, in bytes. Default: no limit.
    pub max_size: Option<u64>,
    /// Whether the source waits when it is full, rather than fail. Default: it waits.
    pub fails_when_full: bool,
    /// What is kept although every destination has it. Default: 100 checkpoints, and what is younger than 7 days;
    /// nothing, where there is a `max_size`.
    pub retain: Retention,
    /// How records are stored. Default: as they are.
    pub compression: Compression,
    /// The size that the log's files grow to, in bytes.
    pub segment_bytes: Option<u32>,
    /// How long to wait for another process that writes the log. Not in the file. Default: not at all.
    pub lock_wait: Duration,
}

impl Default for Storage {
    fn default() -> Self {
        let retain = Retention { min_count: 100, min_age: Duration::from_secs(7 * 86_400) };
        Storage {
            max_size: None,
            fails_when_full: false,
            retain,
            compression: Compression::default(),
            segment_bytes: None,
            lock_wait: Duration::ZERO,
        }
    }
}

/// How long an append waits at the cap before the source is asked whether it should stop.
const FULL_WAIT: Duration = Duration::from_millis(200);

impl Storage {
    pub(super) fn read(mut section: Section<'_>) -> Result<Self> {
        let mut storage = Storage { max_size: section.size("max_size")?, ..Storage::default() };
        set(&mut storage.fails_when_full, section.choice("when_full", &[("block", false), ("fail", true)])?);
        if let Some(text) = section.text("compression")? {
            storage.compression = text.parse().map_err(|e| section.wrong("compression", e))?;
        }
        if let Some(size) = section.size("segment_size")? {
            let fits = u32::try_from(size).ok().filter(|size| (64 << 10..=2 << 30).contains(size));
            storage.segment_bytes =
                Some(fits.ok_or_else(|| section.wrong("segment_size", "expected 64KiB to 2GiB"))?);
        }
        let mut retain = section.section("retain")?;
        let (count, age) = (retain.count("min_count")?, retain.time("min_age")?);
        retain.finish()?;
        if count.is_some() || age.is_some() || storage.max_size.is_some() {
            // Who names a rule means that one alone; and a cap with nothing said beside it is to be used well.
            storage.retain = Retention { min_count: count.unwrap_or(0), min_age: age.unwrap_or_default() };
        }
        section.finish()?;
        Ok(storage)
    }

    /// The engine's configuration for it.
    pub fn config(&self) -> Config {
        let mut config = Config {
            size_max: self.max_size,
            retention: self.retain,
            lock_wait: self.lock_wait,
            compression: self.compression,
            // The definitions of a source with many wide streams are one state.
            state_bytes_max: 64 << 20,
            background: Some(Duration::from_secs(1)),
            ..Config::default()
        };
        if !self.fails_when_full {
            config.when_full = WhenFull::Wait(FULL_WAIT);
        }
        if let Some(size) = self.segment_bytes {
            config.segment_bytes = size;
        }
        config
    }
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
    /// How it is tried again.
    pub retry: RetryPolicy,
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
        Ok(Delivery {
            start: start.unwrap_or(Start::Earliest),
            batch: limit,
            max_lag: bytes.map(|bytes| MaxLag { bytes, then: then.unwrap_or(LagPolicy::Block) }),
            retry: RetryPolicy::read(section.section("retry")?, retry)?,
        })
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
