//! One stream of an output.

use highwater::{Op, Stream};

use crate::failure::{Failure, Result};

/// A stream of an [`Output`](super::Output), found once and then used without looking for its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(pub(super) usize);

impl Handle {
    /// Which of the streams that were announced it is, counted from 0.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// What is known of a stream during one attempt.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) stream: Stream,
    pub(super) pending: Pending,
    /// Appended.
    pub(super) records: u64,
    /// Of them, in a checkpoint.
    pub(super) committed: u64,
    /// Those that came since the last state.
    pub(super) since_state: u64,
    /// Bytes of all that came, and their checksum.
    bytes: u64,
    content: crc32fast::Hasher,
    /// The source counts generations by itself, and has not activated the newest.
    pub(super) has_open_version: bool,
    /// The key of a record that has none of the key's columns; `None` of a stream without a key.
    no_key: Option<Vec<u8>>,
}

impl Entry {
    pub(super) fn new(stream: Stream) -> Self {
        let columns = stream.key().len();
        Entry {
            no_key: (columns > 0).then(|| format!("[{}]", vec!["null"; columns].join(",")).into_bytes()),
            stream,
            pending: Pending::None,
            records: 0,
            committed: 0,
            since_state: 0,
            bytes: 0,
            content: crc32fast::Hasher::new(),
            has_open_version: false,
        }
    }

    /// Takes account of a record that has come; returns its bytes.
    pub(super) fn came(&mut self, op: &Op<'_>) -> u64 {
        let (key, row) = parts(op);
        let bytes = (key.len() + row.len()) as u64;
        self.since_state += 1;
        self.bytes += bytes;
        self.content.update(key);
        self.content.update(row);
        bytes
    }

    /// What tells all that came in this attempt from what came in another.
    pub(super) fn content(&self) -> (u64, u32) {
        (self.bytes, self.content.clone().finalize())
    }

    /// Records without a key would all be one, of which the last is left, in every destination that writes by key and in a
    /// compacted log.
    pub(super) fn check_key(&self, op: &Op<'_>) -> Result<()> {
        let (key, _) = parts(op);
        if self.no_key.as_deref().is_none_or(|no_key| no_key != key) {
            return Ok(());
        }
        let columns: Vec<String> = self.stream.key().iter().map(|path| path.join(".")).collect();
        Err(Failure::permanent(format!(
            "stream {}: a record has nothing in the stream's key ({}), so it would replace every other such record; give the stream a \
             primary_key whose columns are always there, or primary_key = [], which keeps each record as a row of its own",
            self.stream.name(),
            columns.join(", ")
        )))
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

/// Its key and its payload.
fn parts<'a>(op: &Op<'a>) -> (&'a [u8], &'a [u8]) {
    match *op {
        Op::Insert { key, row }
        | Op::Upsert { key, row }
        | Op::Update { key, row }
        | Op::Delete { key, row } => (key, row),
        Op::Truncate => (b"", b""),
    }
}
