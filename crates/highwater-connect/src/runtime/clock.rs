//! A clock that went back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use highwater::LogReader;

use crate::failure::Result;
use crate::quantity::timestamp;

/// So far the clocks of two machines may be apart.
const APART_MAX: Duration = Duration::from_secs(60);

/// What to tell where the log's last checkpoint is of a time that has not come yet: its commit times never go back, so all that depends on
/// them waits for that time.
pub(super) fn told(log: &LogReader) -> Result<Option<String>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let soon_us = i64::try_from((now + APART_MAX).as_micros()).unwrap_or(i64::MAX);
    let last_us = log.status()?.last_checkpoint_us.filter(|last_us| *last_us > soon_us);
    Ok(last_us.map(|last_us| {
        format!(
            "the log's last checkpoint is of {}, and by this machine's clock that has not come yet: until then all checkpoints get that time, \
             and what is kept by its age (storage.retain.min_age, lookback) stays longer",
            timestamp(last_us)
        )
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use highwater::environment::Stepped;
    use highwater::{Commit, Config, Log};

    use super::*;

    #[test]
    fn a_checkpoint_of_a_time_that_has_not_come_is_told() {
        for (at_us, is_told) in [(1_700_000_000_000_000, false), (32_503_680_000_000_000, true)] {
            let dir = tempfile::tempdir().unwrap();
            let environment = Arc::new(Stepped::new(1, at_us));
            let (log, _) = Log::open(dir.path(), Config { environment, ..Config::default() }).unwrap();
            assert_eq!(told(&log).unwrap(), None, "it has no checkpoint");
            log.writer(&[]).unwrap().commit(Commit::new().all()).unwrap();
            let told = told(&log).unwrap();
            assert_eq!(told.is_some_and(|text| text.contains("is of 3000-01-01T")), is_told);
        }
    }
}
