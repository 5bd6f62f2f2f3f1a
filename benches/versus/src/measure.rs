//! Figures: percentiles of latencies, medians over rounds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What one measurement gave, by name; the name ends with the unit.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Latencies of one operation.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Times one operation.
    pub(crate) fn time<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = operation();
        self.0.push(begun.elapsed());
        result
    }

    /// Takes in a latency that was measured elsewhere.
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Takes in another thread's.
    pub(crate) fn merge(&mut self, other: Latencies) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The latency that this share of all does not exceed, in microseconds.
    pub(crate) fn percentile_us(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        self.0.sort_unstable();
        let last = self.0.len() - 1;
        self.0[(last as f64 * share).round() as usize].as_secs_f64() * 1e6
    }

    /// p10, p50 and p99 into the figures.
    pub(crate) fn report(&mut self, figures: &mut Figures) {
        for (name, share) in [("p10_us", 0.1), ("p50_us", 0.5), ("p99_us", 0.99)] {
            figures.insert(name.to_owned(), self.percentile_us(share));
        }
    }
}

/// A median and how far the rounds were apart.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of at least one finite value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: f64::midpoint(low, high), least, most })
    }
}

/// Mebibytes.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Megabytes a second.
pub(crate) fn mb_s(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let mut latencies = Latencies((0..=100).rev().map(Duration::from_micros).collect());
        assert!((latencies.percentile_us(0.5) - 50.0).abs() < 1e-6);
        assert!((latencies.percentile_us(0.99) - 99.0).abs() < 1e-6);
    }

    #[test]
    fn a_median_of_an_even_number_lies_between() {
        let spread = Spread::of([4.0, 1.0, 2.0, f64::NAN, 3.0]);
        assert_eq!(spread, Some(Spread { median: 2.5, least: 1.0, most: 4.0 }));
        assert_eq!(Spread::of([f64::NAN]), None);
    }
}
