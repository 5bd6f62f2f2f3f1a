//! Pieces of 128 KiB are on their way while records still arrive, and one flush comes behind them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::buffer::Aligned;
use super::space::Space;
use crate::engine::{Engine, Flush, Session, Setup, State};

const PIECE_BYTES: usize = 128 << 10;
/// Pieces in flight. More gained nothing on the disks this was tried on.
const THREADS: usize = 4;

#[derive(Debug)]
pub(super) struct Streamed {
    space: std::sync::Arc<Space>,
    flush_delay: Duration,
}

impl Streamed {
    pub(super) fn new(space: Space, setup: &Setup) -> Streamed {
        Streamed { space: space.into(), flush_delay: setup.flush_delay }
    }
}

impl Engine for Streamed {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writing::new(self)))
    }

    fn prune(&self, _keep: u64) -> Result<()> {
        Ok(())
    }
}

/// A full buffer and where it goes.
type Piece = (Aligned, u64);

/// One session's records, and the threads that write them. They end with the channel.
struct Writing<'a> {
    engine: &'a Streamed,
    buffer: Aligned,
    spare: Vec<Aligned>,
    in_flight: usize,
    pieces: SyncSender<Piece>,
    written: Receiver<Result<Aligned>>,
}

impl<'a> Writing<'a> {
    fn new(engine: &'a Streamed) -> Writing<'a> {
        let (pieces, to_write) = sync_channel::<Piece>(THREADS);
        let (done, written) = sync_channel(2 * THREADS);
        let to_write = std::sync::Arc::new(parking_lot::Mutex::new(to_write));
        for _ in 0..THREADS {
            let (space, to_write, done) = (engine.space.clone(), to_write.clone(), done.clone());
            std::thread::spawn(move || {
                while let Some((piece, at)) = next(&to_write) {
                    let result = space.write_at(piece.blocks(), at).map(|()| piece);
                    if done.send(result).is_err() {
                        return;
                    }
                }
            });
        }
        Writing { engine, buffer: Aligned::default(), spare: Vec::new(), in_flight: 0, pieces, written }
    }

    fn send(&mut self) -> Result<()> {
        if self.in_flight == THREADS {
            self.receive()?;
        }
        let empty = self.spare.pop().unwrap_or_default();
        let piece = std::mem::replace(&mut self.buffer, empty);
        let at = self.engine.space.take(piece.blocks().len() as u64)?;
        self.pieces.send((piece, at)).map_err(|_| anyhow!("the writing threads are gone"))?;
        self.in_flight += 1;
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let mut piece = self.written.recv()??;
        self.in_flight -= 1;
        piece.clear();
        self.spare.push(piece);
        Ok(())
    }
}

fn next(to_write: &parking_lot::Mutex<Receiver<Piece>>) -> Option<Piece> {
    to_write.lock().recv().ok()
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        let room = PIECE_BYTES - self.buffer.len();
        let (now, later) = record.split_at(room.min(record.len()));
        self.buffer.extend(now);
        if self.buffer.len() == PIECE_BYTES {
            self.send()?;
            return self.append(later);
        }
        Ok(())
    }

    /// The last piece is written by this thread itself: a hand-over would only cost time.
    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        if flush == Flush::No {
            return Ok(());
        }
        for (_, state) in states {
            self.append(state)?;
        }
        self.engine.space.write(self.buffer.blocks())?;
        self.buffer.clear();
        while self.in_flight > 0 {
            self.receive()?;
        }
        self.engine.space.flush()?;
        if !self.engine.flush_delay.is_zero() {
            std::thread::sleep(self.engine.flush_delay);
        }
        Ok(())
    }
}
