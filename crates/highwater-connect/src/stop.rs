//! Being asked to stop.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How urgently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Urgency {
    /// Go on.
    #[default]
    None,
    /// Stop at the next checkpoint.
    Soon,
    /// Stop at once; what is not committed is dropped and read again, what is not acknowledged is delivered again.
    Now,
}

/// Asks all parts of a run to stop. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    urgency: Mutex<Urgency>,
    changed: Condvar,
}

impl Stop {
    /// Asks more urgently than before; a lesser urgency changes nothing.
    pub fn ask(&self, urgency: Urgency) {
        let mut now = self.0.urgency.lock().unwrap_or_else(PoisonError::into_inner);
        *now = urgency.max(*now);
        self.0.changed.notify_all();
    }

    /// How urgently somebody has asked.
    pub fn urgency(&self) -> Urgency {
        *self.0.urgency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody has asked.
    pub fn is_asked(&self) -> bool {
        self.urgency() > Urgency::None
    }

    /// Waits so long, or until somebody asks; whether somebody did.
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now().checked_add(time);
        let mut urgency = self.0.urgency.lock().unwrap_or_else(PoisonError::into_inner);
        while *urgency == Urgency::None {
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => time,
            };
            if left.is_zero() {
                return false;
            }
            let woken = self.0.changed.wait_timeout(urgency, left);
            urgency = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_somebody_asks() {
        let stop = Stop::default();
        assert!(!stop.wait(Duration::from_millis(1)));
        let other = stop.clone();
        let asker = std::thread::spawn(move || other.ask(Urgency::Soon));
        assert!(stop.wait(Duration::from_secs(60)));
        asker.join().unwrap();
        stop.ask(Urgency::None);
        assert_eq!(stop.urgency(), Urgency::Soon);
    }
}
