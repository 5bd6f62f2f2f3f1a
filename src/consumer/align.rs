//! Where a consumer goes on, by the position that its destination holds.

use super::{Consumer, Gathered, lost_behind};
use crate::error::Result;
use crate::lock;
use crate::origin::gap;
use crate::position::{CheckpointId, Position, Sequence};
use crate::reader::Reader;

impl Consumer {
    /// Compares with the position that the destination holds, and goes on from there.
    ///
    /// `None`, a destination that stores no position, changes nothing. A destination further than the last
    /// acknowledgement counts as acknowledged; one behind it (restored from a backup) is delivered to again; but where a person
    /// has put the consumer behind checkpoints that damage took, and the destination lacks only those, it goes on there. Fails with
    /// [`ErrorKind::Diverged`](crate::ErrorKind::Diverged) for another log, a destination ahead of this one, or another checkpoint under that number.
    pub fn align(&mut self, stored: Option<Position>) -> Result<()> {
        let Some(stored) = stored else { return Ok(()) };
        self.check_log(stored)?;
        if self.stays_behind_loss(stored)? {
            return Ok(());
        }
        let (at, id) = self.check_position(stored)?;
        let retained = self.origin.horizon()?.retained;
        if !retained.follows(stored.sequence) {
            return Err(gap(stored.sequence.next(), &retained));
        }
        self.read_behind(stored.sequence)?;
        self.ahead.retain(|_, ahead| *ahead > stored.sequence);
        let _turn = lock::turn_to_hold(&*self.origin.files().storage)?;
        (self.state.sequence, self.state.id, self.state.at) = (stored.sequence, id, at);
        if stored.sequence <= self.state.start {
            // It was delivered to before this consumer was put where it is: nobody knows from where on.
            self.state.start = Sequence::NONE;
        }
        self.write()?;
        self.sync()?;
        // A pruning or a compaction may have passed it meanwhile.
        let retained = self.origin.horizon()?.retained;
        if !retained.follows(stored.sequence) {
            return Err(gap(stored.sequence.next(), &retained));
        }
        Ok(())
    }

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
        self.read_behind(here)?;
        // It was delivered to before it was put here: nobody knows from where on.
        self.state.start = Sequence::NONE;
        self.write()?;
        self.sync()?;
        Ok(true)
    }

    /// Reads on there; nothing is under way any more.
    pub(super) fn read_behind(&mut self, sequence: Sequence) -> Result<()> {
        self.reader = Reader::new(self.origin.clone(), sequence.next())?;
        self.delivered.clear();
        self.gathered = Gathered::default();
        Ok(())
    }
}
