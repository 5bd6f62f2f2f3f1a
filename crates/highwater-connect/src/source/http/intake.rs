//! Between the listener and the source's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

/// So many requests wait at most: what comes then is asked to come again.
const WAITING_MAX: usize = 256;
/// Work on one commit that lasts so long means that there is no room in the log, in microseconds.
const STUCK_US: i64 = 2_000_000;

/// A row that was read and found to be one.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Vec<u8>,
    pub(super) text: String,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Push {
    /// The place of its path.
    pub(super) stream: usize,
    pub(super) rows: Vec<Row>,
    /// When it came, in microseconds since 1970.
    pub(super) came_us: i64,
    answer: oneshot::Sender<()>,
}

impl Push {
    pub(super) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

    /// It is durable. Who has gone meanwhile does not hear it.
    pub(super) fn answer(self) {
        let _ = self.answer.send(());
    }
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The run comes to its end.
    Stopping,
    /// There is no room in the log, or too much waits already.
    Full,
}

/// Where requests come in. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Door {
    sender: SyncSender<Push>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_closed: AtomicBool,
    /// Since when one commit is worked on; 0 if none is.
    busy_since_us: AtomicI64,
}

/// A commit is worked on; dropped, it is not.
pub(super) struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy_since_us.store(0, Ordering::Relaxed);
    }
}

impl Door {
    pub(super) fn new() -> (Door, Receiver<Push>) {
        let (sender, pushes) = sync_channel(WAITING_MAX);
        (Door { sender, shared: Arc::default() }, pushes)
    }

    /// Nothing more is taken.
    pub(super) fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn busy(&self) -> Busy {
        self.shared.busy_since_us.store(now_us(), Ordering::Relaxed);
        Busy(self.shared.clone())
    }

    /// Whether it is worth reading a request at all.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if self.shared.is_closed.load(Ordering::Relaxed) {
            return Some(Refusal::Stopping);
        }
        let since = self.shared.busy_since_us.load(Ordering::Relaxed);
        (since > 0 && now_us() - since > STUCK_US).then_some(Refusal::Full)
    }

    /// Hands rows on; what comes back tells when they are durable, or is dropped if they are not.
    pub(super) fn push(&self, stream: usize, rows: Vec<Row>) -> Result<oneshot::Receiver<()>, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let (answer, told) = oneshot::channel();
        match self.sender.try_send(Push { stream, rows, came_us: now_us(), answer }) {
            Ok(()) => Ok(told),
            Err(TrySendError::Full(_)) => Err(Refusal::Full),
            Err(TrySendError::Disconnected(_)) => Err(Refusal::Stopping),
        }
    }
}

fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
