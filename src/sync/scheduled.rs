//! What the engine uses of parking_lot, on shuttle. A timeout never comes: who is not woken waits for ever, and shuttle
//! reports the deadlock. So a wakeup that gets lost is seen, though in earnest a waiter looks again after a while.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use shuttle::sync as shuttled;
use shuttle::thread::ThreadId;

/// A thread that panics fails the whole run, so nobody sees a poisoned lock.
const POISONED: &str = "a thread panicked";

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttled::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Absent only while the lock is given up.
    held: Option<shuttled::MutexGuard<'a, T>>,
}

#[expect(clippy::expect_used, reason = "only tests are built with this")]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(shuttled::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.0.lock().expect(POISONED)) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        Some(MutexGuard { mutex: self, held: Some(self.0.try_lock().ok()?) })
    }
}

#[expect(clippy::expect_used, reason = "only tests are built with this")]
impl<T> MutexGuard<'_, T> {
    /// Gives the lock up while `run` runs.
    pub(crate) fn unlocked<R>(guard: &mut Self, run: impl FnOnce() -> R) -> R {
        guard.held = None;
        let result = run();
        guard.held = Some(guard.mutex.0.lock().expect(POISONED));
        result
    }
}

const HELD: &str = "a guard holds its lock";

#[expect(clippy::expect_used, reason = "only tests are built with this")]
impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

#[expect(clippy::expect_used, reason = "only tests are built with this")]
impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttled::Condvar);

/// Whether a wait ended for nothing: never.
#[derive(Debug)]
pub(crate) struct WaitTimeoutResult;

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

#[expect(clippy::expect_used, reason = "only tests are built with this")]
impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) -> WaitTimeoutResult {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.0.wait(held).expect(POISONED));
        WaitTimeoutResult
    }
}

/// A lock that its holder may take again.
#[derive(Debug, Default)]
pub(crate) struct ReentrantMutex<T> {
    gate: shuttled::Mutex<()>,
    holder: shuttled::Mutex<Option<ThreadId>>,
    value: T,
}

#[derive(Debug)]
pub(crate) struct ReentrantMutexGuard<'a, T> {
    mutex: &'a ReentrantMutex<T>,
    /// The first of a thread's guards holds it.
    gate: Option<shuttled::MutexGuard<'a, ()>>,
}

#[expect(clippy::expect_used, reason = "only tests are built with this")]
impl<T> ReentrantMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        ReentrantMutex { gate: shuttled::Mutex::default(), holder: shuttled::Mutex::default(), value }
    }

    pub(crate) fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        let me = Some(shuttle::thread::current().id());
        let mine = *self.holder.lock().expect(POISONED) == me;
        let gate = (!mine).then(|| {
            let gate = self.gate.lock().expect(POISONED);
            *self.holder.lock().expect(POISONED) = me;
            gate
        });
        ReentrantMutexGuard { mutex: self, gate }
    }
}

impl<T> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.mutex.value
    }
}

impl<T> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.gate.is_some()
            && let Ok(mut holder) = self.mutex.holder.lock()
        {
            *holder = None;
        }
    }
}
