//! What is alerted, and how.

use std::collections::BTreeSet;
use std::time::Duration;

use super::section::Section;
use crate::failure::Result;

/// What somebody may want to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// A source or a destination was given up, or the run could not begin.
    RunFailed,
    /// No checkpoint came for long.
    CheckpointLate,
    /// A destination has not moved for long, although there is something for it.
    DeliveryLate,
    /// A person has to decide about a change before the run goes on.
    SchemaPaused,
    /// The disk, or the room that the log may take, is nearly full.
    DiskLow,
    /// The source counts other records than arrived.
    CountsDiffer,
    /// A destination is left alone for a while, since it fails again and again.
    BreakerOpened,
    /// A destination refused records.
    RecordsRejected,
    /// The source no longer has a stream that has a state.
    StreamGone,
    /// A file came too late to be read.
    FileSkipped,
}

impl AlertKind {
    const NAMES: [(&'static str, AlertKind); 10] = [
        ("run_failed", AlertKind::RunFailed),
        ("checkpoint_late", AlertKind::CheckpointLate),
        ("delivery_late", AlertKind::DeliveryLate),
        ("schema_paused", AlertKind::SchemaPaused),
        ("disk_low", AlertKind::DiskLow),
        ("counts_differ", AlertKind::CountsDiffer),
        ("breaker_opened", AlertKind::BreakerOpened),
        ("records_rejected", AlertKind::RecordsRejected),
        ("stream_gone", AlertKind::StreamGone),
        ("file_skipped", AlertKind::FileSkipped),
    ];

    /// As it stands in a pipeline file, and in the alert.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// The part `alerts` of a pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPolicy {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables of its environment: the place for secrets.
    pub environment: Vec<(String, String)>,
    /// What it is run for.
    pub on: BTreeSet<AlertKind>,
    /// After so long it is ended. Default: 30 s.
    pub timeout: Duration,
    /// The same is not told again before this has passed. Default: 10 min.
    pub repeat_after: Duration,
}

impl AlertPolicy {
    /// Reads the section; `None` if it names no command.
    pub(super) fn read(mut section: Section<'_>) -> Result<Option<Self>> {
        let command = section.words("command")?;
        let mut on = BTreeSet::new();
        for word in section.texts("on")? {
            let found = AlertKind::NAMES.iter().find(|(name, _)| *name == word);
            let (_, kind) = found.ok_or_else(|| {
                let known: Vec<&str> = AlertKind::NAMES.iter().map(|(name, _)| *name).collect();
                section.wrong("on", format!("{word:?} is none of {}", known.join(", ")))
            })?;
            on.insert(*kind);
        }
        let timeout = section.time("timeout")?.unwrap_or(Duration::from_secs(30));
        let repeat_after = section.time("repeat_after")?.unwrap_or(Duration::from_secs(10 * 60));
        let environment = section.pairs("environment")?;
        if command.is_empty() && !on.is_empty() {
            return Err(section.wrong("command", "is missing"));
        }
        section.finish()?;
        if on.is_empty() {
            // Who names nothing means what somebody has to do something about.
            on = AlertKind::NAMES.iter().map(|(_, kind)| *kind).collect();
            on.remove(&AlertKind::RecordsRejected);
        }
        Ok((!command.is_empty()).then_some(AlertPolicy { command, environment, on, timeout, repeat_after }))
    }
}
