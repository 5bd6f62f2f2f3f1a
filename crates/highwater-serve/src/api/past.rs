//! What happened: the attempts to read the source, and everything that is on record beside the work of pipelines.

use std::collections::VecDeque;

use highwater::{AuditEvent, Sequence};
use highwater_connect::record::{Entry, record};
use highwater_connect::runs::{Attempt, now_us};
use serde::{Deserialize, Serialize};

use super::{App, Nothing, Refused, limit};
use crate::anomaly::Habit;
use crate::history::History;

/// So many of the newest entries are kept while the record is read.
const ENTRIES_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Runs {
    /// The newest first.
    attempts: Vec<Attempt>,
    /// How many are known.
    total: usize,
    /// The last one is under way.
    live: bool,
    habit: Habit,
}

pub(crate) fn runs(app: &App, question: Question) -> Result<Runs, Refused> {
    let history = History::of(&app.index());
    let habit = history.habit(now_us());
    let mut attempts = history.attempts().to_vec();
    let total = attempts.len();
    attempts.reverse();
    attempts.truncate(limit(question.limit)?);
    let live = app.log()?.is_live()? && attempts.first().is_some_and(|last| last.end.is_none());
    Ok(Runs { attempts, total, live, habit })
}

#[derive(Serialize)]
pub(crate) struct Audit {
    /// The newest first.
    entries: Vec<Entry>,
    /// The newest recovery that dropped something or wrote something again, as far as it is on record.
    recovery: Option<Entry>,
}

pub(crate) fn audit(app: &App, _: Nothing) -> Result<Audit, Refused> {
    let log = app.log()?;
    log.refresh()?;
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let entries = app.audit.get(end, || read(app))?;
    let is_recovery =
        |entry: &&Entry| matches!(entry, Entry::Log(one) if matches!(one.event, AuditEvent::Recovery { .. }));
    let recovery = entries.iter().rev().find(is_recovery).cloned();
    Ok(Audit { entries: entries.iter().rev().take(super::LIMIT_MAX).cloned().collect(), recovery })
}

fn read(app: &App) -> highwater_connect::Result<VecDeque<Entry>> {
    let mut entries = VecDeque::new();
    record(app.log()?, &mut |entry| {
        if entries.len() == ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(entry);
    })?;
    Ok(entries)
}
