//! Whether the rows of a chunk are worth a try as new ones.
//!
//! Rows of which a table has none yet can be copied into it at once, which takes half as long as by a stage; the table's key refuses
//! them together if one is there already. While a table is filled for the first time all are new; later hardly any.

/// So many chunks are not tried at most after a failure.
const SKIPPED_MAX: u32 = 64;

/// What the last tries of a table say. After each that fails in a row it is tried half as often.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    skipped: u32,
    left: u32,
}

impl Fresh {
    /// Whether to try it with this chunk.
    pub(super) fn is_worth_a_try(&mut self) -> bool {
        let is_due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_due
    }

    /// All of them were new, or not.
    pub(super) fn learn(&mut self, were_new: bool) {
        self.skipped = if were_new { 0 } else { (2 * self.skipped).clamp(1, SKIPPED_MAX) };
        self.left = self.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_ever_less_and_what_goes_well_always() {
        let mut fresh = Fresh::default();
        let mut tried = Vec::new();
        for chunk in 0..300 {
            if fresh.is_worth_a_try() {
                tried.push(chunk);
                fresh.learn(chunk == 0 || chunk == 1);
            }
        }
        assert_eq!(tried, [0, 1, 2, 4, 7, 12, 21, 38, 71, 136, 201, 266]);
    }
}
