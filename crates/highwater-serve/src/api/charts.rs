//! Numbers over time, thinned out to what a chart can show.

use std::collections::VecDeque;

use highwater::Histogram;
use highwater_connect::runs::now_us;
use serde::{Deserialize, Serialize};

use super::app::Sample;
use super::overview::micros;
use super::{App, Nothing, Refused};
use crate::index::Row;

/// So many points has a chart.
const POINTS: usize = 120;

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    #[serde(default)]
    range: Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
enum Range {
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "7d")]
    Week,
    /// From the first checkpoint that is known to the last one.
    #[default]
    #[serde(rename = "all")]
    All,
}

impl Range {
    fn length_us(self) -> Option<i64> {
        const HOUR_US: i64 = 3_600_000_000;
        match self {
            Range::Hour => Some(HOUR_US),
            Range::Day => Some(24 * HOUR_US),
            Range::Week => Some(7 * 24 * HOUR_US),
            Range::All => None,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Series {
    from_us: i64,
    /// Each point is of so long a time.
    step_us: i64,
    checkpoints: Vec<u64>,
    records: Vec<u64>,
    bytes: Vec<u64>,
}

pub(crate) fn series(app: &App, question: Question) -> Result<Series, Refused> {
    Ok(thin_out(app.index().rows(), question.range, now_us()))
}

fn thin_out(rows: &VecDeque<Row>, range: Range, now_us: i64) -> Series {
    let (first_us, last_us) =
        rows.front().zip(rows.back()).map_or((now_us, now_us), |(first, last)| (first.time_us, last.time_us));
    let (from_us, to_us) = match range.length_us() {
        Some(length) => (now_us - length, now_us),
        None => (first_us, last_us),
    };
    let step_us = ((to_us - from_us) / POINTS as i64 + 1).max(1);
    let none = || vec![0; POINTS];
    let (checkpoints, records, bytes) = (none(), none(), none());
    let mut series = Series { from_us, step_us, checkpoints, records, bytes };
    // Times never go back in a log.
    let begin = rows.partition_point(|row| row.time_us < from_us);
    for row in rows.range(begin..).take_while(|row| row.time_us <= to_us) {
        let Ok(at) = usize::try_from((row.time_us - from_us) / step_us) else { continue };
        if let Some(checkpoints) = series.checkpoints.get_mut(at) {
            *checkpoints += 1;
            series.records[at] += row.records;
            series.bytes[at] += row.bytes;
        }
    }
    series
}

#[derive(Serialize)]
pub(crate) struct Latency {
    /// Of the last hour, as far as it was watched. A point without commits is left out.
    points: Vec<Point>,
    /// All commits of the writing process.
    buckets: Vec<Bucket>,
}

#[derive(Serialize)]
struct Point {
    time_us: i64,
    commits: u64,
    p50_us: Option<u64>,
    p99_us: Option<u64>,
}

#[derive(Serialize)]
struct Bucket {
    /// `null`: without a bound.
    to_us: Option<u64>,
    commits: u64,
}

pub(crate) fn latency(app: &App, _: Nothing) -> Result<Latency, Refused> {
    let points = points(&app.samples());
    let all = app.measured().and_then(|measured| measured.writer).map(|writer| writer.commit_duration);
    Ok(Latency { points, buckets: buckets(&all.unwrap_or_default()) })
}

fn points(samples: &VecDeque<Sample>) -> Vec<Point> {
    let together = samples.len().div_ceil(POINTS).max(1);
    let edges: Vec<&Sample> = samples.iter().step_by(together).chain(samples.back()).collect();
    let between = |pair: &[&Sample]| {
        let commits = pair[1].commits.since(&pair[0].commits);
        let quantile = |q| commits.quantile(q).map(micros);
        Point {
            time_us: pair[1].at_us,
            commits: commits.count(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
        }
    };
    edges.windows(2).map(between).filter(|point| point.commits > 0).collect()
}

fn buckets(all: &Histogram) -> Vec<Bucket> {
    let mut before = 0;
    let bucket = |(to, so_far): (Option<std::time::Duration>, u64)| {
        let commits = so_far - before;
        before = so_far;
        Bucket { to_us: to.map(micros), commits }
    };
    all.buckets().map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: u64, time_us: i64) -> Row {
        Row { sequence, time_us, records: 2, bytes: 10 }
    }

    #[test]
    fn nothing_is_lost_when_it_is_thinned_out() {
        let rows: VecDeque<Row> = (0..10_000).map(|n| row(n, 1_000_000 + n as i64 * 777)).collect();
        let series = thin_out(&rows, Range::All, 0);
        assert_eq!(series.checkpoints.len(), POINTS);
        assert_eq!(series.checkpoints.iter().sum::<u64>(), 10_000);
        assert_eq!(series.records.iter().sum::<u64>(), 20_000);
        assert_eq!(series.bytes.iter().sum::<u64>(), 100_000);
    }

    #[test]
    fn a_range_has_what_came_in_it() {
        let now_us = 100 * 3_600_000_000;
        let rows: VecDeque<Row> = (0..100).map(|n| row(n, n as i64 * 3_600_000_000 + 1)).collect();
        let of = |range| thin_out(&rows, range, now_us).checkpoints.iter().sum::<u64>();
        assert_eq!((of(Range::Hour), of(Range::Day), of(Range::Week)), (1, 24, 100));
        assert_eq!(thin_out(&VecDeque::new(), Range::All, now_us).checkpoints.iter().sum::<u64>(), 0);
    }
}
