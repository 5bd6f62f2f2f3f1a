//! One writing process per log: the lock, and who holds it.

use std::time::Duration;

use crate::environment::{self, Environment};
use crate::error::{Error, ErrorKind, Result};
use crate::format::names;
use crate::storage::{self, Access, Lock, LockMode, Storage};
use crate::sync::sleep;

/// A reader holds the lock shared for one call, to learn whether a writer lives; a writer waits at least that long
/// before it believes in another.
const GRACE: Duration = Duration::from_millis(50);
const STEP: Duration = Duration::from_millis(2);

/// Takes the log's lock, waiting at most `wait` for another writer.
pub(crate) fn acquire(
    storage: &dyn Storage,
    wait: Duration,
    environment: &dyn Environment,
) -> Result<Box<dyn Lock>> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(lock) = take(storage, environment)? {
            return Ok(lock);
        }
        if waited >= wait.max(GRACE) {
            return Err(Error::new(
                ErrorKind::Locked,
                format!(
                    "{} is being written by {}; one process at a time may write a log",
                    storage.path().display(),
                    holder(storage)
                ),
            ));
        }
        sleep(STEP);
        waited += STEP;
    }
}

/// Takes the lock and says who holds it, with nobody else between the two: who is told that the lock is held believes what
/// it says of its holder, and takes it away from one that is dead.
fn take(storage: &dyn Storage, environment: &dyn Environment) -> Result<Option<Box<dyn Lock>>> {
    let try_lock =
        |name| storage.try_lock(name, LockMode::Exclusive).map_err(|e| Error::io("locking the log", name, e));
    let Some(_guard) = try_lock(names::LOCK_GUARD)? else { return Ok(None) };
    let Some(lock) = try_lock(names::LOCK)? else { return Ok(None) };
    lock.describe(&describe(environment))
        .map_err(|e| Error::io("writing the lock's holder", names::LOCK, e))?;
    Ok(Some(lock))
}

/// The turn of somebody who says what the log has to keep (a consumer, a pin), or of a pruning that lets something go: it is
/// over when what is returned is dropped, or the process ends. Each looks at what the other did before: a hold that is there
/// when a pruning's turn comes keeps what it needs, and one that comes later is told that it is gone. Waits at most `wait`;
/// `None` if that was not enough.
pub(crate) fn turn(storage: &dyn Storage, wait: Duration) -> Result<Option<Box<dyn Lock>>> {
    let io = |e| Error::io("taking turns with prunings", names::HOLDS_GUARD, e);
    let mut waited = Duration::ZERO;
    loop {
        match storage.try_lock(names::HOLDS_GUARD, LockMode::Exclusive).map_err(io)? {
            None if waited < wait => {
                sleep(STEP);
                waited += STEP;
            }
            taken => return Ok(taken),
        }
    }
}

/// The turn of somebody who says what has to be kept. A pruning's turn takes a flush.
pub(crate) fn turn_to_hold(storage: &dyn Storage) -> Result<Box<dyn Lock>> {
    const WAIT: Duration = Duration::from_secs(10);
    turn(storage, WAIT)?.ok_or_else(|| {
        let text = "a pruning, or another who registers, does not come to its end";
        Error::new(ErrorKind::ConsumerBusy, format!("{}: {text}", storage.path().display()))
    })
}

/// Whether a process writes this log right now.
pub(crate) fn is_held(storage: &dyn Storage) -> Result<bool> {
    match storage.try_lock(names::LOCK, LockMode::Shared) {
        Ok(taken) => Ok(taken.is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("looking at the lock", names::LOCK, e)),
    }
}

/// Who holds the lock, in words; what it says is what the holder wrote.
pub(crate) fn holder(storage: &dyn Storage) -> String {
    let read = || storage::read_small(&*storage.open(names::LOCK, Access::Read)?, 1024);
    let text = read().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    // The first line is for people.
    let clean: String =
        text.lines().next().unwrap_or_default().trim().chars().filter(|c| !c.is_control()).collect();
    if clean.is_empty() { "another process".to_owned() } else { clean }
}

fn describe(environment: &dyn Environment) -> String {
    format!("{} since {}\n", environment::this_process(), utc(environment.now_us()))
}

/// A time as `2026-11-20T12:00:00Z`.
pub(crate) fn utc(us: i64) -> String {
    let seconds = us.div_euclid(1_000_000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, counted in eras of 400 years that begin on 1 March (proleptic Gregorian).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::System;
    use crate::storage::Memory;

    #[test]
    fn times_print_as_people_write_them() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59Z");
        assert_eq!(utc(1_795_176_000_000_000), "2026-11-20T12:00:00Z");
    }

    #[test]
    fn the_second_is_told_who_holds_it() {
        let storage = Memory::new();
        assert!(!is_held(&storage).unwrap());
        let lock = acquire(&storage, Duration::ZERO, &System).unwrap();
        assert!(is_held(&storage).unwrap());
        let refused = acquire(&storage, Duration::ZERO, &System).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Locked);
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(lock);
        acquire(&storage, Duration::ZERO, &System).unwrap();
    }
}
