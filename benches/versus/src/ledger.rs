//! Which records belong to which checkpoint: engines that know no checkpoints delete by it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Numbers records, and remembers where each checkpoint ended.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    next: AtomicU64,
    ends: Mutex<VecDeque<u64>>,
}

impl Ledger {
    /// A number for the next record.
    pub(crate) fn record(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Everything numbered so far was committed.
    pub(crate) fn checkpoint(&self) {
        self.ends.lock().push_back(self.next.load(Ordering::Relaxed));
    }

    /// The records of all but the last `keep` checkpoints end here; they are forgotten.
    pub(crate) fn cut(&self, keep: u64) -> Option<u64> {
        let mut ends = self.ends.lock();
        let surplus = ends.len().checked_sub(keep as usize)?;
        ends.drain(..surplus).next_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_the_last_checkpoints() {
        let ledger = Ledger::default();
        for _ in 0..5 {
            ledger.record();
            ledger.record();
            ledger.checkpoint();
        }
        assert_eq!(ledger.cut(2), Some(6));
        assert_eq!(ledger.cut(2), None);
        assert_eq!(ledger.cut(1), Some(8));
    }
}
