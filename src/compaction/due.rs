//! Compaction in the background: when it is worth a look. A look reads everything, so it has to be rare.
//!
//! It is for logs in which a truncate says what is replaced. What has to be told of any other is only true of the moment, and here
//! nobody tells anything: a pipeline's log is passed over. It is compacted by `highwater compact`, or by who asks `highwater_connect` first.

use std::sync::atomic::Ordering;

use super::Tell;
use crate::error::Result;
use crate::journal::Journal;

/// With less to gain than so many segments nothing is done.
const SEGMENTS_MIN: u64 = 4;

/// Compacts if the configuration asks for it and enough is dead.
pub(crate) fn compact_if_due(journal: &Journal, tell: Tell<'_>) -> Result<()> {
    let Some(compaction) = &journal.config.compaction else { return Ok(()) };
    if journal.with_view(super::is_of_a_pipeline) {
        return Ok(());
    }
    let (retained, active) = {
        let state = journal.state();
        (state.view.retained.clone(), state.durable.segment())
    };
    // About: the first segments of a log are smaller.
    let segments = u64::from(active.0.saturating_sub(retained.first_live.0));
    let sealed = segments * u64::from(journal.config.segment_bytes);
    let base: u64 =
        retained.compacted.iter().flat_map(|base| &base.files).map(|file| u64::from(file.bytes)).sum();
    let share = compaction.dead_share_min;
    // All that was sealed since the last compaction may be dead, or stand for as much that is dead in the base checkpoint.
    let may_pay = sealed as f64 >= share * (sealed + base) as f64;
    let least = SEGMENTS_MIN * u64::from(journal.config.segment_bytes);
    if !may_pay || sealed < least.max(journal.compact_from.load(Ordering::Relaxed)) {
        return Ok(());
    }
    let compacted = super::compact(journal, compaction, tell)?;
    let next = match compacted.bytes() {
        _ if compacted.done => 0,
        // Somebody holds all of it, which was not read.
        (0, _) => sealed + u64::from(journal.config.segment_bytes),
        (before, after) => {
            let dead = 1.0 - after as f64 / before as f64;
            sealed + more_until(sealed + base, dead, share).max(journal.config.segment_bytes.into())
        }
    };
    journal.compact_from.store(next, Ordering::Relaxed);
    Ok(())
}

/// How much more has to be sealed until the share may be reached, if all of that is dead.
fn more_until(bytes: u64, dead: f64, share: f64) -> u64 {
    let missing = (share - dead).max(0.0) * bytes as f64;
    (missing / (1.0 - share).max(0.01)) as u64
}

#[cfg(test)]
mod tests {
    use super::more_until;

    #[test]
    fn a_look_comes_when_the_share_may_be_reached() {
        // 20 of 100 are dead; with 60 more 80 of 160 may be.
        assert_eq!(more_until(100, 0.2, 0.5), 60);
        assert_eq!(more_until(100, 0.6, 0.5), 0);
    }
}
