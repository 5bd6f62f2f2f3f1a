//! Answers that cost more than a moment are kept for a while: so long that making them takes a small share of the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An answer is good for so many times what it took to make.
const TIMES: u32 = 20;
const AGE_MIN: Duration = Duration::from_secs(1);
/// And while nothing was committed for so long: what hangs on more than that shows then.
const SAME_AGE_MIN: Duration = Duration::from_secs(10);

/// One answer. `K` tells of what it is, mostly of which checkpoint: for another one it is made anew sooner.
#[derive(Debug)]
pub(super) struct Cache<K, T>(Mutex<Option<Kept<K, T>>>);

#[derive(Debug)]
struct Kept<K, T> {
    key: K,
    made: Instant,
    took: Duration,
    value: Arc<T>,
}

impl<K, T> Default for Cache<K, T> {
    fn default() -> Self {
        Cache(Mutex::default())
    }
}

impl<K: PartialEq, T> Cache<K, T> {
    /// The kept answer, or a new one. Who asks while it is made waits for it.
    pub(super) fn get<E>(&self, key: K, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept {
            let least = if kept.key == key { SAME_AGE_MIN } else { AGE_MIN };
            if kept.made.elapsed() < least.max(kept.took * TIMES) {
                return Ok(kept.value.clone());
            }
        }
        let begun = Instant::now();
        let value = Arc::new(make()?);
        let (made, took) = (Instant::now(), begun.elapsed());
        *kept = Some(Kept { key, made, took, value: value.clone() });
        Ok(value)
    }

    /// What comes next is made anew.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_made_anew_only_for_another_key_and_not_at_once() {
        let cache = Cache::default();
        let get = |key: u32, value: u32| *cache.get(key, || Ok::<_, ()>(value)).unwrap();
        assert_eq!((get(1, 10), get(1, 11), get(2, 12)), (10, 10, 10));
        cache.forget();
        assert_eq!(get(2, 12), 12);
        assert_eq!(cache.get(2, || Err(())), Ok(Arc::new(12)));
    }
}
