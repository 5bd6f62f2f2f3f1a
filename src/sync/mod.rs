//! Locks and waiting. An ordinary build has parking_lot's; one with `--cfg highwater_schedules` has the same on top of
//! shuttle, which runs threads one at a time and chooses who goes on at each of these calls (`tests/schedules.rs`).

#[cfg(highwater_schedules)]
mod scheduled;

#[cfg(not(highwater_schedules))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, ReentrantMutex};
#[cfg(highwater_schedules)]
pub(crate) use scheduled::{Condvar, Mutex, MutexGuard, ReentrantMutex};
#[cfg(highwater_schedules)]
pub(crate) use shuttle::thread::sleep;

/// Waits for something that can't wake us: another process.
#[cfg(not(highwater_schedules))]
#[expect(clippy::disallowed_methods, reason = "this is where waiting comes in")]
pub(crate) fn sleep(time: std::time::Duration) {
    std::thread::sleep(time);
}
