//! How long to wait before something is tried again, and when to give up.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::failure::{Failure, FailureKind};
use crate::pipeline::RetryPolicy;

/// Counts the attempts of one part.
#[derive(Debug)]
pub struct Retry {
    policy: RetryPolicy,
    failed: u32,
    waits: ExponentialBackoff,
}

impl Retry {
    /// Nothing was tried yet.
    pub fn new(policy: RetryPolicy) -> Self {
        Retry { policy, failed: 0, waits: waits(&policy) }
    }

    /// An attempt got somewhere: what failed before counts no more.
    pub fn progress(&mut self) {
        self.failed = 0;
        self.waits = waits(&self.policy);
    }

    /// Failures in a row without progress.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// An attempt failed: how long to wait before the next; `None` to give up.
    pub fn next(&mut self, failure: &Failure) -> Option<Duration> {
        self.failed += 1;
        if !failure.kind().is_worth_a_retry() || self.failed >= self.policy.attempts_without_progress {
            return None;
        }
        let wait = self.waits.next().unwrap_or(self.policy.max);
        // The longest wait is the longest, whatever chance has added.
        let wait = wait.min(self.policy.max);
        Some(match failure.kind() {
            FailureKind::RateLimit { wait: asked } => wait.max(asked),
            _ => wait,
        })
    }
}

fn waits(policy: &RetryPolicy) -> ExponentialBackoff {
    let builder = ExponentialBuilder::new()
        .with_min_delay(policy.initial)
        .with_max_delay(policy.max)
        .with_factor(policy.factor as f32)
        .without_max_times();
    if policy.has_jitter { builder.with_jitter().build() } else { builder.build() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(has_jitter: bool) -> RetryPolicy {
        RetryPolicy {
            attempts_without_progress: 4,
            initial: Duration::from_secs(10),
            factor: 3.0,
            max: Duration::from_secs(60),
            has_jitter,
        }
    }

    #[test]
    fn waits_grow_until_it_gives_up_and_progress_starts_anew() {
        let mut retry = Retry::new(policy(false));
        let mut waits = || -> Vec<u64> {
            std::iter::from_fn(|| retry.next(&Failure::transient("no"))).map(|wait| wait.as_secs()).collect()
        };
        assert_eq!(waits(), [10, 30, 60]);
        retry.progress();
        assert_eq!(retry.next(&Failure::transient("no")).map(|wait| wait.as_secs()), Some(10));
        assert_eq!(retry.next(&Failure::config("wrong")), None);
    }

    #[test]
    fn a_rate_limit_is_waited_for() {
        let limit = Failure::rate_limit(Duration::from_secs(500), "slow");
        assert_eq!(Retry::new(policy(true)).next(&limit), Some(Duration::from_secs(500)));
        let first = Retry::new(policy(true)).next(&Failure::transient("no")).unwrap();
        assert!((10..=20).contains(&first.as_secs()), "{first:?}");
    }
}
