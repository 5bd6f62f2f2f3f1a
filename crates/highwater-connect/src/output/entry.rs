//! One stream of an output.

use highwater::{Op, Stream};

/// A stream of an [`Output`](super::Output), found once and then used without looking for its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(pub(super) usize);

/// What is known of a stream during one attempt.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) stream: Stream,
    pub(super) pending: Pending,
    /// Appended.
    pub(super) records: u64,
    /// Of them, in a checkpoint.
    pub(super) committed: u64,
    /// Appended since the last state.
    pub(super) since_state: u64,
    /// The source counts generations by itself, and has not activated the newest.
    pub(super) has_open_version: bool,
}

impl Entry {
    pub(super) fn new(stream: Stream) -> Self {
        Entry {
            stream,
            pending: Pending::None,
            records: 0,
            committed: 0,
            since_state: 0,
            has_open_version: false,
        }
    }
}

/// A state that is not committed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pending {
    None,
    /// Nothing followed it: it can be committed with all that is there.
    Clean(String),
    /// Records followed it, so it waits for the next, or for the end of the sync.
    Soiled(String),
}

impl Pending {
    pub(super) fn clean(text: &str) -> Self {
        Pending::Clean(text.to_owned())
    }

    pub(super) fn is_clean(&self) -> bool {
        matches!(self, Pending::Clean(_))
    }

    pub(super) fn soil(&mut self) {
        if let Some(text) = self.take_clean() {
            *self = Pending::Soiled(text);
        }
    }

    pub(super) fn take_clean(&mut self) -> Option<String> {
        if self.is_clean() { self.take() } else { None }
    }

    pub(super) fn take(&mut self) -> Option<String> {
        match std::mem::replace(self, Pending::None) {
            Pending::None => None,
            Pending::Clean(text) | Pending::Soiled(text) => Some(text),
        }
    }
}

/// Bytes of a record, for warnings.
pub(super) fn weight(op: &Op<'_>) -> u64 {
    let bytes = match op {
        Op::Insert { key, row }
        | Op::Upsert { key, row }
        | Op::Update { key, row }
        | Op::Delete { key, row } => key.len() + row.len(),
        Op::Truncate => 0,
    };
    bytes as u64
}
