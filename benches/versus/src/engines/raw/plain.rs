//! One write and one flush per checkpoint. Threads that commit at once share them: the first leads, the others follow.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, bail};
use parking_lot::{Condvar, Mutex};

use super::buffer::Aligned;
use super::space::Space;
use crate::engine::{Engine, Flush, Life, Session, Setup, State};

/// What a bulk load writes at a time: it fits into the second-level cache.
const PIECE_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Plain {
    space: Space,
    flush_delay: Duration,
    bulk: bool,
    group: Mutex<Group>,
    finished: Condvar,
}

/// Commits that wait for a leader, and how many were ever finished.
#[derive(Debug, Default)]
struct Group {
    waiting: VecDeque<Aligned>,
    leading: bool,
    joined: u64,
    written: u64,
    failed: bool,
    /// Buffers to be used again.
    spare: Vec<Aligned>,
}

impl Plain {
    pub(super) fn new(space: Space, setup: &Setup) -> Plain {
        Plain {
            space,
            flush_delay: setup.flush_delay,
            bulk: setup.life == Life::Bulk,
            group: Mutex::default(),
            finished: Condvar::new(),
        }
    }

    fn write(&self, buffer: &Aligned) -> Result<()> {
        self.space.write(if self.space.is_direct() { buffer.blocks() } else { buffer.bytes() })
    }

    fn flush(&self) -> Result<()> {
        self.space.flush()?;
        if !self.flush_delay.is_zero() {
            std::thread::sleep(self.flush_delay);
        }
        Ok(())
    }

    /// Returns when the buffer is written and flushed; gives an empty one back.
    fn commit(&self, buffer: Aligned) -> Result<Aligned> {
        let mut group = self.group.lock();
        group.waiting.push_back(buffer);
        group.joined += 1;
        let own = group.joined;
        while group.written < own {
            if group.failed {
                bail!("another thread's write failed");
            }
            if group.leading {
                self.finished.wait(&mut group);
                continue;
            }
            group.leading = true;
            let together: Vec<Aligned> = group.waiting.drain(..).collect();
            let count = together.len() as u64;
            let result = parking_lot::MutexGuard::unlocked(&mut group, || self.lead(together));
            group.leading = false;
            group.failed |= result.is_err();
            self.finished.notify_all();
            group.spare.extend(result?);
            group.written += count;
        }
        Ok(group.spare.pop().unwrap_or_default())
    }

    fn lead(&self, mut together: Vec<Aligned>) -> Result<Vec<Aligned>> {
        if let Some((first, others)) = together.split_first_mut() {
            others.iter().for_each(|other| first.extend(other.bytes()));
            self.write(first)?;
            self.flush()?;
        }
        together.iter_mut().for_each(Aligned::clear);
        Ok(together)
    }
}

impl Engine for Plain {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing { plain: self, buffer: Aligned::default() }))
    }

    fn prune(&self, _keep: u64) -> Result<()> {
        Ok(())
    }
}

struct Writing<'a> {
    plain: &'a Plain,
    buffer: Aligned,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.buffer.extend(record);
        if self.plain.bulk && self.buffer.len() >= PIECE_BYTES {
            self.plain.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        if flush == Flush::No {
            return Ok(());
        }
        states.iter().for_each(|(_, state)| self.buffer.extend(state));
        self.buffer = self.plain.commit(std::mem::take(&mut self.buffer))?;
        Ok(())
    }
}
