//! A destination that stays down is left alone for a while, and then tried once.
//!
//! *Why not a crate?* Those guard calls of many threads with windows and rates. Here one thread calls, and what it needs is how
//! long to wait.

use std::time::Duration;

use crate::pipeline::BreakerPolicy;

/// Counts the failures of one destination in a row.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: Option<BreakerPolicy>,
    failures: u32,
}

impl Breaker {
    pub(super) fn new(policy: Option<BreakerPolicy>) -> Self {
        Breaker { policy, failures: 0 }
    }

    /// A batch was applied; whether the breaker was open.
    pub(super) fn succeeded(&mut self) -> bool {
        let was_open = self.is_open();
        self.failures = 0;
        was_open
    }

    /// An attempt failed. So long the destination is left alone; `None` if the breaker is closed still, or there is none.
    pub(super) fn failed(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        self.policy.filter(|_| self.is_open()).map(|policy| policy.cooldown)
    }

    fn is_open(&self) -> bool {
        self.policy.is_some_and(|policy| self.failures >= policy.failures)
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_some_failures_and_closes_with_a_success() {
        let cooldown = Duration::from_secs(7);
        let mut breaker = Breaker::new(Some(BreakerPolicy { failures: 3, cooldown }));
        assert_eq!([breaker.failed(), breaker.failed(), breaker.failed()], [None, None, Some(cooldown)]);
        // The one trial fails: open again at once.
        assert_eq!(breaker.failed(), Some(cooldown));
        assert!(breaker.succeeded());
        assert_eq!(breaker.failed(), None);
        assert!(!breaker.succeeded());
        let mut none = Breaker::new(None);
        assert!((0..100).all(|_| none.failed().is_none()));
    }
}
