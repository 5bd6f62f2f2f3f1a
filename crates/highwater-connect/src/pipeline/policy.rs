//! The parts of a pipeline file that say how, not what: checkpoints, retries, storage, changed schemas, lookback.

use std::time::Duration;

use highwater::{Compression, Config, Retention, WhenFull};

use super::section::Section;
use crate::failure::Result;

/// When checkpoints are made, and when somebody is warned that none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// States that come faster are merged. Default: 1 s.
    pub min_interval: Duration,
    /// But not once so many bytes wait: who delivers can begin with them while the source is read on. Default: 64 MiB. In a pipeline
    /// file with a `storage.max_size` this and `every_bytes` are an eighth of that at most: a checkpoint that fills the cap alone
    /// would stop the pipeline for good, though its source has offered smaller ones.
    pub merge_max: u64,
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
            merge_max: 64 << 20,
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
    pub(super) fn read(mut section: Section<'_>, storage: &Storage) -> Result<Self> {
        let mut policy = CheckpointPolicy::default();
        set(&mut policy.min_interval, section.time("min_interval")?);
        set(&mut policy.merge_max, section.size("merge_max")?);
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
        let most = storage.max_size.map_or(u64::MAX, |cap| cap / 8);
        policy.merge_max = policy.merge_max.min(most);
        policy.every_bytes = policy.every_bytes.min(most);
        Ok(policy)
    }
}

/// What becomes of a changed schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaPolicy {
    /// It holds from now on.
    #[default]
    Propagate,
    /// New columns are taken; columns that went stay, and those that changed stay as they were.
    PropagateAdditions,
    /// The old one holds on. Records come as the source sends them.
    Ignore,
    /// Nothing is read before a person has accepted it.
    Pause,
}

impl SchemaPolicy {
    /// As it stands in a pipeline file.
    pub const NAMES: [(&'static str, SchemaPolicy); 4] = [
        ("propagate", SchemaPolicy::Propagate),
        ("propagate_additions", SchemaPolicy::PropagateAdditions),
        ("ignore", SchemaPolicy::Ignore),
        ("pause", SchemaPolicy::Pause),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, policy)| *policy == self).map_or("propagate", |(name, _)| name)
    }
}

/// How far before its end a sync begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookbackPolicy {
    /// It goes on from the newest state that is older than this.
    pub window: Duration,
    /// So many records inside the window are remembered, to recognise them: about 50 bytes each. Default: 1,000,000.
    pub records_max: u64,
}

impl LookbackPolicy {
    /// `None` where no window is named.
    pub(super) fn read(mut section: Section<'_>, storage: &Storage) -> Result<Option<Self>> {
        let (window, records_max) =
            (section.time("window")?, section.count("remember")?.unwrap_or(1_000_000));
        let Some(window) = window else {
            section.finish()?;
            return Ok(None);
        };
        if storage.retain.min_age < window {
            let what = "states that old have to be kept: let storage.retain.min_age be as long, at least";
            return Err(section.wrong("window", what));
        }
        section.finish()?;
        Ok(Some(LookbackPolicy { window, records_max }))
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
    /// Somebody is told when the file system has less left, in bytes. Default: 1 GiB.
    pub warn_free_bytes: u64,
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
            warn_free_bytes: 1 << 30,
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
        set(&mut storage.warn_free_bytes, section.size("warn_free")?);
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

pub(super) fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
