//! What goes wrong short of a power cut: processes end, calls fail, room runs out.

use highwater::testing::Fault;

use super::Life;
use crate::check::Checked;
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
        self.end();
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
            self.end();
            if evict {
                self.disk.evict();
            }
        } else {
            self.live = None;
        }
    }

    /// The process is killed.
    pub(super) fn end(&mut self) {
        let ended = self.live.take();
        self.disk = self.disk.kill();
        // Whatever its destructors try reaches nothing.
        drop(ended);
    }

    pub(super) fn arm(&mut self, fault: Fault, nth: u8) {
        self.disk.arm(fault, nth.into());
        self.disturbed |= !matches!(fault, Fault::ReadFails | Fault::BadBlock);
    }

    /// Nobody opens a log for ever that can't be opened: sooner or later the disk is put right.
    pub(super) fn mend_sometimes(&mut self) {
        if self.disk.is_failing() && self.random.one_in(2) {
            self.disk.mend();
        }
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
