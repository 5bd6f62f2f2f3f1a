//! One process that is written to, and listened to meanwhile. It is written to by the caller, into a pipe that is as long as the
//! system makes it, and listened to by a thread: whatever it says while it does not read, it is heard, and neither waits for
//! the other.

use std::io::{self, BufWriter, Write};
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use highwater::Position;

use super::ledger::{Ledger, Sent};
use crate::airbyte::Connector;
use crate::destination::Counted;
use crate::failure::{Failure, Result};
use crate::process::{Heard, Mark, Talk};
use crate::stop::Urgency;

const BUFFER_BYTES: usize = 256 << 10;
/// Whoever can't be written to any more has ended, or will be seen to have within this time.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Understands what a program says.
pub(crate) trait Ears: Send {
    /// Takes a line.
    fn line(&mut self, line: &[u8], said: &Said<'_>) -> Result<()>;
}

/// Where what was understood goes.
pub(crate) struct Said<'s>(&'s Shared);

impl Said<'_> {
    /// A state came back on a lane; whether it is one that was sent.
    pub(crate) fn echo(&self, lane: usize, position: Position) -> bool {
        self.0.lock().ledger.echo(lane, position)
    }

    /// How many records it says it refused before that state; `None` if it does not say.
    pub(crate) fn refused(&self, count: Option<u64>) {
        self.0.lock().counted.add(Counted { refused: count.unwrap_or(0), is_verified: count.is_some() });
    }

    /// It says that something went wrong; what it says first counts.
    pub(crate) fn failure(&self, failure: Failure) {
        self.0.lock().failure.get_or_insert(failure);
    }
}

/// What the two threads share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes that the pipe took.
    written: Arc<AtomicU64>,
    /// It is being written to: if it does not read, it is silent.
    is_writing: AtomicBool,
    /// Nobody wants it any more.
    is_abandoned: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    counted: Counted,
    failure: Option<Failure>,
    /// When its input was closed.
    closed: Option<Instant>,
    /// How it ended.
    ended: Option<Result<()>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that runs. Dropped, it is killed with all its children.
#[derive(Debug)]
pub(crate) struct Session {
    /// `None` when it is closed.
    input: Option<BufWriter<Metered>>,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// The pipe, with a count: what is taken from it is a sign of life.
#[derive(Debug)]
struct Metered {
    pipe: ChildStdin,
    written: Arc<AtomicU64>,
}

impl Write for Metered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.pipe.write(bytes)?;
        self.written.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

impl Session {
    /// Starts it, and the thread that listens.
    pub(crate) fn start(
        connector: Arc<Connector>,
        arguments: &[String],
        ears: Box<dyn Ears>,
    ) -> Result<Session> {
        let (mut running, mark) = connector.start(arguments, true)?;
        let pipe =
            running.input().ok_or_else(|| Failure::permanent("the process has no input to write to"))?;
        let talk = Talk::new(running, connector.settings().silence_timeout)?;
        let shared = Arc::new(Shared::default());
        let metered = Metered { pipe, written: shared.written.clone() };
        let listener = Listener { shared: shared.clone(), connector, ears, written: 0, _mark: mark };
        let listener = std::thread::spawn(move || listener.run(talk));
        let input = Some(BufWriter::with_capacity(BUFFER_BYTES, metered));
        Ok(Session { input, shared, listener: Some(listener) })
    }

    /// Writes a line, with its end. Blocks while the pipe is full.
    pub(crate) fn write(&mut self, line: &[u8]) -> Result<()> {
        let written = match &mut self.input {
            Some(input) => input.write_all(line),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|error| self.why(error))
    }

    /// It is about to be written to: if it does not read what comes, its silence counts.
    pub(crate) fn begin(&self) {
        self.shared.is_writing.store(true, Ordering::Relaxed);
    }

    /// Writes what is buffered. Blocks while the pipe is full.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let flushed = self.input.as_mut().map_or(Ok(()), BufWriter::flush);
        self.shared.is_writing.store(false, Ordering::Relaxed);
        flushed.map_err(|error| self.why(error))
    }

    /// Enters what its states will acknowledge; before they are written.
    pub(crate) fn expect(&self, sent: Sent) {
        self.shared.lock().ledger.enter(sent);
    }

    /// It does not read any more: what it said, or how it ended, tells why.
    fn why(&self, error: io::Error) -> Failure {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, LAST_WORDS, |state| state.ended.is_none());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let said = state.failure.take();
        let ended = state.ended.as_mut().and_then(|ended| std::mem::replace(ended, Ok(())).err());
        said.or(ended).unwrap_or_else(|| Failure::transient("it ended before its input did").because(error))
    }

    /// Nothing more comes: closes its input. Blocks while the pipe is full.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.begin();
        self.flush()?;
        self.input = None;
        self.shared.lock().closed.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Whether its input is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.input.is_none()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.lock().ended.is_some()
    }

    /// Waits for its end, however long it works on what it was given. Fails if it did not take everything.
    pub(crate) fn conclude(&mut self) -> Result<()> {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_while(state, |state| state.ended.is_none());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        // What it is asked for again was told already.
        state.ended.as_mut().map_or(Ok(()), |ended| std::mem::replace(ended, Ok(())))?;
        if state.closed.is_none() {
            return Err(Failure::transient("it ended before its input did"));
        }
        state.ledger.end_well();
        if state.ledger.is_empty() {
            return Ok(());
        }
        Err(Failure::transient("it ended well, and has not given back the last state that it was sent"))
    }

    /// What it says of what it acknowledged since this was asked last.
    pub(crate) fn counted(&self) -> Counted {
        std::mem::take(&mut self.shared.lock().counted)
    }

    /// Looks at what it acknowledged.
    pub(crate) fn ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.lock().ledger)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.is_abandoned.store(true, Ordering::Relaxed);
        self.input = None;
        if let Some(listener) = self.listener.take() {
            // One that panicked has dropped its process, which is all that is wanted here.
            let _ = listener.join();
        }
    }
}

/// The thread that listens.
struct Listener {
    shared: Arc<Shared>,
    connector: Arc<Connector>,
    ears: Box<dyn Ears>,
    /// As it was when it was looked at last.
    written: u64,
    _mark: Mark,
}

impl Listener {
    fn run(mut self, mut talk: Talk) {
        let ended = self.listen(&mut talk);
        // Gone before anybody is told: whoever starts the next one may.
        drop(talk);
        self.shared.lock().ended = Some(ended);
        self.shared.changed.notify_all();
    }

    fn listen(&mut self, talk: &mut Talk) -> Result<()> {
        loop {
            match talk.listen()? {
                Heard::Line(line) => {
                    let (number, bytes) = (line.number, line.bytes);
                    self.ears
                        .line(bytes, &Said(&self.shared))
                        .map_err(|failure| failure.while_doing(format!("line {number} of its output")))?;
                }
                Heard::Nothing if !self.is_waited_for() => talk.excuse(),
                Heard::Nothing => {}
                Heard::End => break,
            }
            if self.is_to_end() {
                talk.end(Duration::from_secs(1))?;
                return Err(Failure::cancelled());
            }
        }
        let stop_timeout = self.connector.settings().stop_timeout;
        talk.conclude(stop_timeout)?.map_or(Ok(()), Err)
    }

    /// Whether its silence means something: it was given what it does not read, or has all and does not end.
    fn is_waited_for(&mut self) -> bool {
        let written = self.shared.written.load(Ordering::Relaxed);
        let is_moving = std::mem::replace(&mut self.written, written) != written;
        let is_asked = self.shared.is_writing.load(Ordering::Relaxed) || self.shared.lock().closed.is_some();
        is_asked && !is_moving
    }

    /// Nobody wants it; or somebody asked to stop, and it had its time for that.
    fn is_to_end(&self) -> bool {
        if self.shared.is_abandoned.load(Ordering::Relaxed) {
            return true;
        }
        match self.connector.urgency() {
            Urgency::None => false,
            Urgency::Now => true,
            Urgency::Soon => {
                let closed = self.shared.lock().closed;
                closed.is_some_and(|since| since.elapsed() > self.connector.settings().stop_timeout)
            }
        }
    }
}
