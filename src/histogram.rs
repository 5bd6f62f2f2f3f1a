//! How long something took, counted by size: what one adds is a few instructions, and what one reads are quantiles.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The buckets' upper bounds, in microseconds: from what a flush to memory takes to what nobody waits for.
const BOUNDS_US: [u64; 18] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Durations, counted in buckets that are the same everywhere, so that histograms of several processes can be added up.
///
/// ```
/// use highwater::Histogram;
/// use std::time::Duration;
/// let mut took = Histogram::default();
/// for ms in [1, 2, 2, 400] {
///     took.observe(Duration::from_millis(ms));
/// }
/// assert_eq!((took.count(), took.sum()), (4, Duration::from_millis(405)));
/// assert_eq!(took.quantile(0.5), Some(Duration::from_micros(2500))); // not more than this
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Of each bucket by itself; the last one has no upper bound.
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Histogram {
    /// Counts a duration.
    pub fn observe(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[BOUNDS_US.partition_point(|bound| *bound < us)] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// So many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, to the microsecond.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// The buckets' upper bounds, each with how many durations are not longer; the last, without a bound, has all.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| Some(Duration::from_micros(*us))).chain([None]);
        let mut so_far = 0;
        bounds.zip(self.counts).map(move |(bound, count)| {
            so_far += count;
            (bound, so_far)
        })
    }

    /// Of all durations the share `q` (0 to 1) is not longer than this: the upper bound of its bucket. `None` if nothing was
    /// counted, or if that bucket has no bound.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        self.buckets().find(|(_, so_far)| *so_far >= rank).and_then(|(bound, _)| bound)
    }

    /// What was counted since `before`, an earlier look at the same histogram.
    #[must_use]
    pub fn since(&self, before: &Histogram) -> Histogram {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(before.counts) {
            *count = count.saturating_sub(before);
        }
        Histogram { counts, sum_us: self.sum_us.saturating_sub(before.sum_us) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_the_last_has_none() {
        let mut took = Histogram::default();
        assert_eq!(took.quantile(0.99), None);
        for us in [0, 50, 51, 30_000_000, 30_000_001] {
            took.observe(Duration::from_micros(us));
        }
        let so_far: Vec<u64> = took.buckets().map(|(_, so_far)| so_far).collect();
        assert_eq!((so_far[0], so_far[1], so_far[16], so_far[17], so_far[18]), (2, 3, 3, 4, 5));
        assert_eq!(took.quantile(0.0), Some(Duration::from_micros(50)));
        assert_eq!(took.quantile(0.8), Some(Duration::from_secs(30)));
        assert_eq!(took.quantile(1.0), None);
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let mut took = Histogram::default();
        took.observe(Duration::from_millis(7));
        let before = took;
        took.observe(Duration::from_millis(70));
        let since = took.since(&before);
        assert_eq!((since.count(), since.sum()), (1, Duration::from_millis(70)));
    }
}
