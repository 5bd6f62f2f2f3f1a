//! Records that are committed already, recognised when they come again.
//!
//! By a key, the *last* record counts: one that changed and changed back is new. Without a key, a record that is there twice may come
//! twice. Memory is bounded by a number of records; what is not remembered counts as new, and so is delivered again at worst.

use std::collections::HashMap;

use highwater::{LogReader, Op, OpKind, Record, Sequence, Stream};

use crate::failure::Result;

/// What is known of each stream, in the order of the handles.
#[derive(Debug)]
pub(in crate::output) struct Seen {
    streams: Vec<Option<Memory>>,
    repeats: Vec<u64>,
    room: u64,
}

/// Hashes of 128 bits: two records share one only by intent, and not even then.
type Hash = [u8; 16];

#[derive(Debug)]
enum Memory {
    /// By the hash of the key, that of the last content.
    Keyed(HashMap<Hash, Hash>),
    /// By the hash of the content, how often it may come again.
    Keyless(HashMap<Hash, u32>),
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut short = Hash::default();
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}

fn parts<'a>(op: &Op<'a>) -> (OpKind, &'a [u8], &'a [u8]) {
    match *op {
        Op::Insert { key, row } => (OpKind::Insert, key, row),
        Op::Upsert { key, row } => (OpKind::Upsert, key, row),
        Op::Update { key, row } => (OpKind::Update, key, row),
        Op::Delete { key, row } => (OpKind::Delete, key, row),
        Op::Truncate => (OpKind::Truncate, b"", b""),
    }
}

impl Seen {
    /// What is committed of these streams (`None`: nothing is to be known) from `from` on.
    pub(super) fn load(
        log: &LogReader,
        from: Sequence,
        streams: &[Option<&Stream>],
        records_max: u64,
    ) -> Result<Self> {
        let memory = |stream: &Option<&Stream>| {
            stream.map(|stream| match stream.key() {
                [] => Memory::Keyless(HashMap::new()),
                _ => Memory::Keyed(HashMap::new()),
            })
        };
        let mut seen = Seen {
            streams: streams.iter().map(memory).collect(),
            repeats: vec![0; streams.len()],
            room: records_max,
        };
        let Some(end) = log.end().filter(|end| end.sequence >= from) else { return Ok(seen) };
        let mut reader = log.reader(from.max(log.first()))?;
        while reader.next_sequence() <= end.sequence {
            let Some(checkpoint) = reader.next()? else { break };
            for (handle, stream) in streams.iter().enumerate() {
                let Some(stream) = stream else { continue };
                for record in checkpoint.records_of(stream.id()) {
                    seen.learn(handle, &record?);
                }
            }
        }
        Ok(seen)
    }

    /// Whether there was no room for some.
    pub(super) fn is_full(&self) -> bool {
        self.room == 0
    }

    fn learn(&mut self, handle: usize, record: &Record) {
        let (op, key, row) = (record.op, &record.key[..], &record.payload[..]);
        match self.streams.get_mut(handle) {
            Some(Some(memory)) if op == OpKind::Truncate => memory.clear(),
            Some(Some(Memory::Keyed(known))) => {
                remember(known, &mut self.room, hash(&[key]), |content| *content = content_of(op, row));
            }
            Some(Some(Memory::Keyless(known))) => {
                remember(known, &mut self.room, content_of(op, row), |times| *times += 1);
            }
            _ => {}
        }
    }

    /// Whether the record is committed already. One that is not is known from now on where its key was.
    pub(in crate::output) fn is_repeat(&mut self, handle: usize, op: &Op<'_>) -> bool {
        let (op, key, row) = parts(op);
        let is_repeat = match self.streams.get_mut(handle) {
            Some(Some(memory)) if op == OpKind::Truncate => {
                memory.clear();
                false
            }
            Some(Some(Memory::Keyed(known))) => {
                let content = content_of(op, row);
                let before = known.get_mut(&hash(&[key]));
                before.is_some_and(|before| std::mem::replace(before, content) == content)
            }
            Some(Some(Memory::Keyless(known))) => match known.get_mut(&content_of(op, row)) {
                Some(times) if *times > 0 => {
                    *times -= 1;
                    true
                }
                _ => false,
            },
            _ => false,
        };
        self.repeats[handle] += u64::from(is_repeat);
        is_repeat
    }

    /// Some of the stream's records are given up: what is known of it may not be committed.
    pub(in crate::output) fn forget(&mut self, handle: usize) {
        if let Some(stream) = self.streams.get_mut(handle) {
            *stream = None;
        }
    }

    /// How many repeats there were of each stream since it was asked last.
    pub(super) fn take_repeats(&mut self) -> Vec<u64> {
        let none = vec![0; self.repeats.len()];
        std::mem::replace(&mut self.repeats, none)
    }
}

impl Memory {
    fn clear(&mut self) {
        match self {
            Memory::Keyed(known) => known.clear(),
            Memory::Keyless(known) => known.clear(),
        }
    }
}

/// What is known already is kept up to date in any case: an old content under a key would make a new record a repeat.
fn remember<T: Default>(
    known: &mut HashMap<Hash, T>,
    room: &mut u64,
    key: Hash,
    change: impl FnOnce(&mut T),
) {
    if let Some(value) = known.get_mut(&key) {
        change(value);
    } else if *room > 0 {
        *room -= 1;
        change(known.entry(key).or_default());
    }
}

fn content_of(op: OpKind, row: &[u8]) -> Hash {
    hash(&[crate::op::name(op).as_bytes(), row])
}
