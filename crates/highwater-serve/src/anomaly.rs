//! Whether a pipeline did what it usually does at this time of day: how old its last success is, and how much that brought,
//! against the same hours of earlier days. The history of runs tells it; of a log that no pipeline writes, its checkpoints do.
//!
//! What is usual needs three days. Nights, working hours and a nightly job are so told apart without any setting; a weekly rhythm
//! is not, and a weekend may look like an anomaly.

use std::collections::BTreeMap;

use highwater_connect::runs::Attempt;
use serde::Serialize;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// So many days are looked back.
const DAYS: i64 = 14;
/// What is usual is not said by fewer.
const DAYS_MIN: usize = 3;
/// Another day's success is of the same hours if it came within this, before or after.
const NEAR_US: i64 = 2 * HOUR_US;

/// What the history of runs says.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct Habit {
    /// When a sync came last to its end, in microseconds since 1970.
    pub last_success_us: Option<i64>,
    /// Records that it committed, over all its attempts.
    pub last_records: Option<u64>,
    /// The greatest age that the last success had on earlier days at this time of day, in seconds.
    pub usual_age_s: Option<f64>,
    /// The median of what syncs brought on earlier days around the time of day of the last one.
    pub usual_records: Option<f64>,
    /// No runs are on record: a sync is a burst of checkpoints here.
    #[serde(skip)]
    pub is_of_checkpoints: bool,
}

/// A pause of so long ends a burst.
const PAUSE_US: i64 = 30 * 60 * 1_000_000;
/// One that goes on for ever is cut into pieces of this length.
const LENGTH_US: i64 = 60 * 60 * 1_000_000;

/// Checkpoints that came in one go: a nightly job is one, a job that never rests is one for each hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    pub began_us: i64,
    /// When its last checkpoint was committed.
    pub ended_us: i64,
    pub records: u64,
}

impl Burst {
    /// A checkpoint at this time is not of it any more.
    pub(crate) fn is_over(&self, at_us: i64) -> bool {
        at_us - self.ended_us > PAUSE_US || at_us - self.began_us > LENGTH_US
    }
}

/// A sync that came to its end.
#[derive(Debug, Clone, Copy)]
struct Success {
    ended_us: i64,
    records: u64,
}

impl Habit {
    /// Learns it from attempts, in any order.
    pub fn of(attempts: &[Attempt], now_us: i64) -> Habit {
        let successes = successes(attempts);
        let Some(last) = successes.last() else { return Habit::default() };
        Habit {
            last_success_us: Some(last.ended_us),
            last_records: Some(last.records),
            usual_age_s: usual_age(&successes, now_us),
            usual_records: usual_records(&successes, last),
            is_of_checkpoints: false,
        }
    }

    /// Learns it from bursts of checkpoints, oldest first. What the last one brings is not known before it is over.
    pub(crate) fn of_bursts(bursts: &[Burst], now_us: i64) -> Habit {
        let success = |burst: &Burst| Success { ended_us: burst.ended_us, records: burst.records };
        let all: Vec<Success> = bursts.iter().map(success).collect();
        let over: Vec<Success> = bursts.iter().filter(|burst| burst.is_over(now_us)).map(success).collect();
        let last = over.last();
        Habit {
            last_success_us: all.last().map(|newest| newest.ended_us),
            last_records: last.map(|last| last.records),
            usual_age_s: usual_age(&all, now_us),
            usual_records: last.and_then(|last| usual_records(&over, last)),
            is_of_checkpoints: true,
        }
    }

    /// The last success is far older than it used to be at this time of day.
    pub fn is_stale(&self, now_us: i64) -> bool {
        /// So much later may come what is early as a rule.
        const SLACK_S: f64 = 15.0 * 60.0;
        let (Some(last_us), Some(usual)) = (self.last_success_us, self.usual_age_s) else { return false };
        seconds(now_us - last_us) > 2.0 * usual + SLACK_S
    }

    /// The last success brought far more or far less than usual: how many times as much.
    pub fn odd_volume(&self) -> Option<f64> {
        /// A difference of fewer records is never odd.
        const FEW: f64 = 100.0;
        let (last, usual) = (self.last_records? as f64, self.usual_records?);
        let is_odd = (last < usual / 3.0 || last > usual * 3.0) && (last - usual).abs() > FEW;
        is_odd.then(|| last / usual.max(1.0))
    }
}

/// Syncs that came to their end, oldest first. A sync may take several attempts; what they brought counts together.
fn successes(attempts: &[Attempt]) -> Vec<Success> {
    let mut syncs: BTreeMap<u64, (u64, Option<i64>)> = BTreeMap::new();
    for end in attempts.iter().filter_map(|attempt| attempt.end.as_ref()) {
        let (records, ended_us) = syncs.entry(end.sync).or_default();
        *records = records.saturating_add(end.records);
        if end.outcome == "complete" {
            *ended_us = (*ended_us).max(Some(end.ended_us));
        }
    }
    let ended = syncs.into_values().filter_map(|(records, ended_us)| Some((records, ended_us?)));
    let mut found: Vec<_> = ended.map(|(records, ended_us)| Success { ended_us, records }).collect();
    found.sort_by_key(|success| success.ended_us);
    found
}

fn usual_age(successes: &[Success], now_us: i64) -> Option<f64> {
    let age_then = |day: i64| {
        let then_us = now_us - day * DAY_US;
        let before = successes.iter().rev().find(|success| success.ended_us <= then_us)?;
        Some(then_us - before.ended_us)
    };
    let ages: Vec<i64> = (1..=DAYS).filter_map(age_then).collect();
    (ages.len() >= DAYS_MIN).then(|| ages.into_iter().max().map(seconds)).flatten()
}

fn usual_records(successes: &[Success], last: &Success) -> Option<f64> {
    let nearest = |day: i64| {
        let then_us = last.ended_us - day * DAY_US;
        let distance = |success: &&Success| (success.ended_us - then_us).abs();
        successes.iter().min_by_key(distance).filter(|success| distance(success) <= NEAR_US)
    };
    let mut records: Vec<u64> = (1..=DAYS).filter_map(nearest).map(|success| success.records).collect();
    if records.len() < DAYS_MIN {
        return None;
    }
    records.sort_unstable();
    let middle = records.len() / 2;
    let is_odd = !records.len().is_multiple_of(2);
    Some(if is_odd { records[middle] as f64 } else { (records[middle - 1] + records[middle]) as f64 / 2.0 })
}

fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::Sequence;
    use highwater_connect::runs::End;

    fn attempt(sync: u64, ended_us: i64, outcome: &str, records: u64) -> Attempt {
        let end = End {
            ended_us,
            outcome: outcome.to_owned(),
            error: None,
            sync,
            records,
            first: Sequence::NONE,
            last: Sequence::NONE,
        };
        Attempt { run: "r".to_owned(), attempt: 1, started_us: ended_us - 1, end: Some(end) }
    }

    /// A success each night at two, of so many records, the last one on this day.
    fn nights(last_day: i64, records: impl Fn(i64) -> u64) -> Vec<Attempt> {
        let night = |day: i64| attempt(day as u64, day * DAY_US + 2 * HOUR_US, "complete", records(day));
        (0..=last_day).map(night).collect()
    }

    #[test]
    fn a_nightly_job_is_stale_the_morning_it_did_not_come_and_not_before() {
        let attempts = nights(9, |_| 1000);
        let at = |day: i64, hour: i64| day * DAY_US + hour * HOUR_US;
        let habit = |now_us| Habit::of(&attempts, now_us);
        for (now_us, is_stale) in [(at(9, 3), false), (at(10, 1), false), (at(10, 3), true)] {
            assert_eq!(habit(now_us).is_stale(now_us), is_stale, "{:?}", habit(now_us));
        }
        assert_eq!(habit(at(9, 3)).usual_age_s, Some(3600.0));
    }

    #[test]
    fn the_greatest_age_of_earlier_days_is_usual() {
        let came = |day: i64| day * DAY_US + if day == 5 { 4 } else { 2 } * HOUR_US;
        let attempts: Vec<_> = (0..=9).map(|day| attempt(day as u64, came(day), "complete", 1)).collect();
        // At three in the morning of the fifth day, the last success was that of the fourth.
        let habit = Habit::of(&attempts, 9 * DAY_US + 3 * HOUR_US);
        assert_eq!(habit.usual_age_s, Some(25.0 * 3600.0));
    }

    #[test]
    fn what_is_usual_needs_three_days() {
        let attempts = nights(2, |_| 1000);
        let now_us = 2 * DAY_US + 3 * HOUR_US;
        let habit = Habit::of(&attempts, now_us);
        assert_eq!((habit.usual_age_s, habit.usual_records), (None, None));
        assert!(!habit.is_stale(now_us + 30 * DAY_US - now_us % DAY_US) || habit.usual_age_s.is_some());
        assert_eq!(Habit::of(&[], now_us), Habit::default());
    }

    #[test]
    fn volume_is_compared_with_the_same_hours_of_other_days() {
        let volume = |records: &dyn Fn(i64) -> u64| {
            let mut attempts = nights(8, records);
            // By day comes little, which says nothing about the nights.
            for day in 0..8 {
                attempts.push(attempt(100 + day as u64, day * DAY_US + 14 * HOUR_US, "complete", 3));
            }
            Habit::of(&attempts, 8 * DAY_US + 3 * HOUR_US).odd_volume()
        };
        assert_eq!(volume(&|day| 1000 + day as u64), None);
        assert_eq!(volume(&|day| if day == 8 { 100 } else { 1000 }), Some(0.1));
        assert_eq!(volume(&|day| if day == 8 { 5000 } else { 1000 }), Some(5.0));
        assert_eq!(volume(&|day| if day == 8 { 0 } else { 9 }), None, "few records are never odd");
    }

    #[test]
    fn a_log_without_runs_is_judged_by_its_checkpoints() {
        let night = |day: i64, records| {
            let began_us = day * DAY_US + 2 * HOUR_US;
            Burst { began_us, ended_us: began_us + HOUR_US / 6, records }
        };
        let mut bursts: Vec<Burst> = (0..9).map(|day| night(day, 1000)).collect();
        let at = |day: i64, hour: i64| day * DAY_US + hour * HOUR_US;
        let habit = |bursts: &[Burst], now_us| Habit::of_bursts(bursts, now_us);
        for (now_us, is_stale) in [(at(8, 3), false), (at(9, 1), false), (at(9, 3), true)] {
            assert_eq!(habit(&bursts, now_us).is_stale(now_us), is_stale, "{:?}", habit(&bursts, now_us));
        }
        // The night's work has just begun: nothing is odd yet. When it is over it is.
        bursts.push(night(9, 10));
        assert_eq!(habit(&bursts, at(9, 2) + HOUR_US / 4).odd_volume(), None);
        assert_eq!(habit(&bursts, at(9, 4)).odd_volume(), Some(0.01));
        assert_eq!(habit(&[], at(9, 3)).last_success_us, None);
    }

    #[test]
    fn attempts_of_one_sync_count_together_and_only_its_end_is_a_success() {
        let attempts =
            [attempt(1, 10, "transient", 40), attempt(1, 20, "complete", 2), attempt(2, 30, "transient", 7)];
        let habit = Habit::of(&attempts, 50);
        assert_eq!((habit.last_success_us, habit.last_records), (Some(20), Some(42)));
    }
}
