//! Whether all is well, and if not, what is wrong, and which command comes next. A pure function of facts.

use std::time::Duration;

use highwater_connect::event::PIPELINE;
use highwater_connect::quantity::{bytes, count, plural, time, timestamp};
use highwater_connect::runs::Attempt;
use highwater_connect::text::tame;
use serde::Serialize;

use crate::anomaly::Habit;
use crate::measured::{Measured, Part};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Nothing to do.
    Well,
    /// Somebody should look, in the morning.
    Look,
    /// Somebody has to act now.
    Act,
}

/// One thing that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    pub level: Level,
    pub text: String,
    /// The next command to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What it all comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub level: Level,
    /// In a few words.
    pub text: String,
    /// What is not well, the worst first.
    pub reasons: Vec<Reason>,
}

/// What is known. Times are in microseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    pub now_us: i64,
    /// What a command line calls the log, and what it calls the log or its pipeline.
    pub log: String,
    pub argument: String,
    pub is_pipeline: bool,
    pub is_live: bool,
    pub last_checkpoint_us: Option<i64>,
    pub late_after: Duration,
    /// What the next opening will find, where that is worth a word.
    pub unconfirmed: Option<String>,
    /// Why the history can't be read on.
    pub trouble: Option<String>,
    /// What the cap counts.
    pub size_bytes: u64,
    pub max_size: Option<u64>,
    /// Free bytes of the file system, and all of them.
    pub disk: Option<(u64, u64)>,
    pub measured: Option<&'a Measured>,
    pub last_attempt: Option<&'a Attempt>,
    pub habit: Habit,
    /// Consumers that stand where the log has something else, or nothing, each with what it has acknowledged.
    pub diverged: Vec<(String, u64)>,
    /// Consumers, each with the age of what it lacks.
    pub lags: Vec<(String, Option<i64>)>,
    /// Consumers whose files are damaged.
    pub damaged: Vec<String>,
}

/// A delivery that is so late is worth a look.
const DELIVERY_LATE_US: i64 = 3_600_000_000;
/// A file system with less than this share, and less than this many bytes, is about to be full.
const DISK_SHARE_MIN: u64 = 20;
const DISK_BYTES_MIN: u64 = 10 << 30;

impl Facts<'_> {
    pub(crate) fn judge(&self) -> Verdict {
        let mut reasons = Vec::new();
        self.judge_log(&mut reasons);
        self.judge_room(&mut reasons);
        self.judge_source(&mut reasons);
        self.judge_destinations(&mut reasons);
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.level));
        let level = reasons.iter().map(|reason| reason.level).max().unwrap_or(Level::Well);
        let text = match (level, reasons.len() as u64) {
            (Level::Well, _) => self.well(),
            (Level::Look, n) => format!("{} to look at", plural(n, "thing")),
            (Level::Act, 1) => "Something has to be done".to_owned(),
            (Level::Act, n) => format!("Something has to be done: {}", plural(n, "thing")),
        };
        Verdict { level, text, reasons }
    }

    fn well(&self) -> String {
        match (self.last_checkpoint_us, self.is_live) {
            (None, _) => "The log is empty".to_owned(),
            (Some(_), true) => "All is well: it is at work".to_owned(),
            (Some(_), false) => "All is well: nobody writes it now".to_owned(),
        }
    }

    fn add(reasons: &mut Vec<Reason>, level: Level, text: String, next: Option<String>) {
        reasons.push(Reason { level, text, next });
    }

    fn judge_log(&self, reasons: &mut Vec<Reason>) {
        let writer = self.measured.and_then(|measured| measured.writer.as_ref());
        if let Some(writer) = writer.filter(|_| self.is_live) {
            if writer.failed {
                let text = "A write or a flush failed: the log takes no more until it is opened again";
                Self::add(
                    reasons,
                    Level::Act,
                    text.to_owned(),
                    Some(format!("highwater verify {}", self.log)),
                );
            }
            if let Some(n) = writer.errors.get("corrupt").filter(|n| **n > 0) {
                let text = format!("Damage was met {} since the log was opened", plural(*n, "time"));
                Self::add(reasons, Level::Act, text, Some(format!("highwater verify {}", self.log)));
            }
        }
        if let Some(why) = &self.trouble {
            let text = format!("The history can't be read on: {}", tame(why));
            Self::add(reasons, Level::Act, text, Some(format!("highwater verify {}", self.log)));
        }
        if let Some(text) = &self.unconfirmed {
            Self::add(reasons, Level::Look, capital(text), None);
        }
        let age_us = self.last_checkpoint_us.map(|us| self.now_us - us);
        if let Some(age_us) = age_us.filter(|age| self.is_live && *age > micros(self.late_after)) {
            let text = format!("A process writes the log, and committed nothing for {}", ago(age_us));
            Self::add(reasons, Level::Look, text, Some(format!("highwater status {}", self.argument)));
        }
    }

    fn judge_room(&self, reasons: &mut Vec<Reason>) {
        let next = || Some(format!("highwater du {}", self.log));
        let is_full = self.measured.and_then(|m| m.writer.as_ref()).is_some_and(|writer| writer.full);
        if is_full && self.is_live {
            let text = "There is no room: appends wait or fail, nothing is lost";
            Self::add(reasons, Level::Act, text.to_owned(), next());
        }
        if let Some(max) = self.max_size.filter(|max| self.size_bytes > max / 10 * 9) {
            let text = format!("The log has {} of at most {}", bytes(self.size_bytes), bytes(max));
            Self::add(reasons, Level::Look, text, next());
        }
        if let Some((free, all)) = self.disk
            && free < DISK_BYTES_MIN
            && free < all / DISK_SHARE_MIN
        {
            let text = format!("Of the disk's {} only {} are free", bytes(all), bytes(free));
            Self::add(reasons, Level::Look, text, next());
        }
    }

    fn judge_source(&self, reasons: &mut Vec<Reason>) {
        if let Some(attempt) = self.last_attempt {
            self.judge_attempt(attempt, reasons);
        }
        if self.habit.is_stale(self.now_us)
            && let (Some(last_us), Some(usual)) = (self.habit.last_success_us, self.habit.usual_age_s)
        {
            let usual = time(Duration::from_secs_f64(usual));
            let what = if self.habit.is_of_checkpoints { "checkpoint was committed" } else { "sync ended" };
            let text = format!(
                "The last {what} {} ago; at this time of day it is usually {usual} at most",
                ago(self.now_us - last_us)
            );
            Self::add(reasons, Level::Look, text, Some(self.past()));
        }
        if let (Some(times), Some(last)) = (self.habit.odd_volume(), self.habit.last_records) {
            let what = if self.habit.is_of_checkpoints { "burst of checkpoints" } else { "sync" };
            let text = format!(
                "The last {what} brought {}, {:.0} % of what is usual at that time of day",
                plural(last, "record"),
                times * 100.0
            );
            Self::add(reasons, Level::Look, text, Some(self.past()));
        }
    }

    /// What shows the past.
    fn past(&self) -> String {
        match self.habit.is_of_checkpoints {
            true => format!("highwater checkpoints {} --last 50", self.log),
            false => format!("highwater runs {}", self.log),
        }
    }

    fn judge_attempt(&self, attempt: &Attempt, reasons: &mut Vec<Reason>) {
        let run = self.is_pipeline.then(|| format!("highwater run {}", self.argument));
        let check = self.is_pipeline.then(|| format!("highwater check {}", self.argument));
        match &attempt.end {
            None if !self.is_live => {
                let text = format!(
                    "The run that began {} left no end: it was killed, or a repair or a restore gave its end up",
                    timestamp(attempt.started_us)
                );
                Self::add(reasons, Level::Look, text, run);
            }
            Some(end) if end.error.is_some() => {
                let why = tame(end.error.as_deref().unwrap_or_default());
                let ended = timestamp(end.ended_us);
                let (level, text) = if self.is_live {
                    (Level::Look, format!("The source failed {ended} and is tried again: {why}"))
                } else {
                    (Level::Act, format!("The source failed {ended}, and nobody tries it again: {why}"))
                };
                Self::add(reasons, level, text, check);
            }
            _ => {}
        }
    }

    fn judge_destinations(&self, reasons: &mut Vec<Reason>) {
        let mut told: Vec<&str> = Vec::new();
        for (name, acknowledged) in &self.diverged {
            let text = format!(
                "{} has diverged: it has acknowledged checkpoint {acknowledged}, which is not of this log, and gets nothing",
                tame(name)
            );
            told.push(name);
            Self::add(reasons, Level::Act, text, Some(format!("highwater status {}", self.argument)));
        }
        let measured = self.measured.into_iter().flat_map(|measured| &measured.destinations);
        let measured: Vec<_> = measured.filter(|(name, _)| !told.contains(&name.as_str())).collect();
        for (name, part) in measured {
            let Part { given_up, failing, breaker_open, .. } = *part;
            let why = self.newest_failure(name).map_or_else(String::new, |why| format!(": {why}"));
            let name_shown = tame(name);
            let (level, text) = match (given_up, failing > 0 && self.is_live) {
                (true, _) if name == PIPELINE => (Level::Act, format!("The last run could not begin{why}")),
                (true, _) => (Level::Act, format!("Destination {name_shown} was given up{why}")),
                (false, true) => {
                    let times = count(failing.into());
                    let left = if breaker_open { ", and is left alone for a while" } else { "" };
                    (
                        Level::Look,
                        format!("Destination {name_shown} failed {times} times in a row{left}{why}"),
                    )
                }
                (false, false) => continue,
            };
            told.push(name);
            Self::add(reasons, level, text, Some(format!("highwater status {}", self.argument)));
        }
        for name in self.damaged.iter().map(|name| tame(name)) {
            let text =
                format!("Where consumer {name} stands can't be read: it gets nothing, and nothing is pruned");
            let next = format!("highwater consumer seek {} {name} --to SEQ", self.log);
            Self::add(reasons, Level::Act, text, Some(next));
        }
        for (name, lag) in self.lags.iter().filter(|(name, _)| !told.contains(&name.as_str())) {
            if let Some(lag) = lag.filter(|lag| *lag > DELIVERY_LATE_US) {
                let text = format!("{} lacks what was committed {} ago", tame(name), ago(lag));
                Self::add(reasons, Level::Look, text, Some(format!("highwater consumer list {}", self.log)));
            }
        }
    }

    fn newest_failure(&self, of: &str) -> Option<String> {
        let failures = &self.measured?.failures;
        failures.iter().rev().find(|failed| failed.of == of).map(|failed| tame(&failed.text))
    }
}

fn ago(us: i64) -> String {
    time(Duration::from_micros(us.max(0).unsigned_abs()))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
