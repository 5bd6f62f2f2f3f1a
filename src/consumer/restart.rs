//! Beginning anew, for a destination that has lost what it got.

use super::registry::starting;
use super::{Consumer, Gathered, Start, read_on};
use crate::error::Result;
use crate::format::consumer::ConsumerState;
use crate::lock;
use crate::position::Sequence;

impl Consumer {
    /// Whether it acknowledged anything behind the place where it was made, or moved to by hand. If it did, a destination that
    /// stores positions has one.
    pub fn has_acknowledged(&self) -> bool {
        self.state.has_acknowledged()
    }

    /// Where it was made, or moved to by hand: [`Start::Earliest`] or [`Start::After`].
    pub fn start(&self) -> Start {
        match self.state.start {
            Sequence::NONE => Start::Earliest,
            start => Start::After(start),
        }
    }

    /// Begins anew, as if it were made there: for a destination that has lost what it got. Durable when it returns; blocks for a
    /// flush. Fails with [`ErrorKind::Gap`](crate::ErrorKind::Gap) where what follows the place is pruned, and stays where it is then.
    pub fn restart(&mut self, start: Start) -> Result<()> {
        // No pruning passes the place before it is written.
        let _turn = lock::turn_to_hold(&*self.origin.files().storage)?;
        let (generation, max_lag) = (self.state.generation, self.state.max_lag);
        let state = ConsumerState { generation, max_lag, ..starting(&self.origin, start)? };
        self.reader = read_on(&self.origin, &state)?;
        self.delivered.clear();
        self.gathered = Gathered::default();
        self.ahead.clear();
        self.state = state;
        self.write()?;
        self.sync()
    }
}
