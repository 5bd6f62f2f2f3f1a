//! What goes wrong short of a power cut: processes end, calls fail, room runs out.

use super::Life;
use crate::check::Checked;
use crate::fault::Fault;
use crate::program::Step;

impl Life {
    pub(super) fn close(&mut self, look: bool) -> Checked {
        let Some(live) = self.live.take() else { return Ok(()) };
        let super::Live { log, writers, consumers, follower, .. } = live;
        drop((writers, consumers, follower));
        let result = log.close();
        if let super::Outcome::Done(()) = self.outcome(result)? {
            self.closed = self.disk.faults() == 0;
            self.note(crate::model::Event::Durable(self.returned));
        }
        if look { self.look_at_rest() } else { Ok(()) }
    }

    pub(super) fn kill(&mut self, evict: bool, look: bool) -> Checked {
        let ended = self.live.take();
        self.disk = self.disk.kill();
        // Whatever its destructors try reaches nothing.
        drop(ended);
        if evict {
            self.disk.evict();
        }
        if look { self.look_at_rest() } else { Ok(()) }
    }

    /// A process whose log refuses to go on ends, one way or another.
    pub(super) fn give_up(&mut self) {
        let step = [
            Step::Close { look: false },
            Step::Kill { evict: false, look: false },
            Step::Kill { evict: true, look: false },
        ][self.random.index(3)];
        if let Step::Kill { evict, .. } = step {
            let ended = self.live.take();
            self.disk = self.disk.kill();
            drop(ended);
            if evict {
                self.disk.evict();
            }
        } else {
            self.live = None;
        }
    }

    pub(super) fn arm(&mut self, fault: Fault, nth: u8) {
        self.disk.arm(fault, nth.into());
        self.disturbed = true;
    }

    pub(super) fn limit(&mut self, blocks: u8) {
        self.disk.limit_room(u64::from(blocks) * 4096);
        (self.limited, self.disturbed) = (true, true);
    }

    pub(super) fn heal(&mut self) {
        self.disk.heal();
        self.limited = false;
    }
}
