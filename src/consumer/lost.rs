//! Going on behind checkpoints that damage took, where a person has put a consumer there.

use super::{Consumer, Gathered};
use crate::error::{ErrorKind, Result};
use crate::origin::Origin;
use crate::position::{CheckpointId, Position, Sequence};
use crate::reader::Reader;

/// Up to which checkpoint damage took all that came right behind this one; `None` if the next one is there, is still to come, or was
/// pruned.
pub(crate) fn lost_behind(origin: &Origin, after: Sequence) -> Result<Option<Sequence>> {
    let mut reader = match Reader::new(origin.clone(), after.next()) {
        Err(error) if matches!(error.kind(), ErrorKind::Gap { .. } | ErrorKind::NotFound) => return Ok(None),
        reader => reader?,
    };
    let mut last = None;
    loop {
        match reader.next() {
            Ok(_) => return Ok(last),
            Err(error) => match reader.pass_gap() {
                Some((_, passed)) => last = Some(passed),
                None if matches!(error.kind(), ErrorKind::Gap { .. }) => return Ok(last),
                None => return Err(error),
            },
        }
    }
}

impl Consumer {
    /// Stays where it was put, if the destination's position is before that, and nothing lies between that the log still holds: a
    /// person has decided to do without what damage took. Otherwise nothing changes, and the answer is `false`.
    pub(super) fn stays_behind_loss(&mut self, stored: Position) -> Result<bool> {
        let here = self.state.sequence;
        let was_put = self.state.id == CheckpointId::NONE || self.state.start == here;
        // Who stands before a base checkpoint lacks what that does not tell: compaction took it, and no damage.
        if !was_put || stored.sequence > here || !self.origin.horizon()?.retained.follows(here) {
            return Ok(false);
        }
        let reaches = |after| Ok(lost_behind(&self.origin, after)?.is_some_and(|last| last >= here));
        if stored.sequence < here && !reaches(stored.sequence)? {
            return Ok(false);
        }
        // What is lost has no identity any more that could be compared; what is there has.
        if stored.sequence == Sequence::NONE || !reaches(stored.sequence.previous())? {
            self.check_position(stored)?;
        }
        self.reader = Reader::new(self.origin.clone(), here.next())?;
        self.delivered.clear();
        self.gathered = Gathered::default();
        // It was delivered to before it was put here: nobody knows from where on.
        self.state.start = Sequence::NONE;
        self.write()?;
        self.sync()?;
        Ok(true)
    }
}
