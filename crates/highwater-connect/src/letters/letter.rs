//! One dead letter, and how it lies in its log: the refused record's payload is the payload; all else is in the metadata.

use highwater::{CheckpointId, OpKind, Position, Record, Sequence, StreamName};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::op;

/// What is known of a refused record, beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Counts the letters of this destination, from 1. A number is not used again.
    pub number: u64,
    /// The record's stream.
    pub stream: StreamName,
    /// The record's checkpoint.
    pub position: Position,
    /// Its place among that checkpoint's records of that stream, from 0.
    pub index: u64,
    /// The generation that it belongs to.
    pub generation: u64,
    /// When its checkpoint was committed, in microseconds since 1970-01-01 UTC.
    pub committed_us: i64,
    /// What it does.
    pub op: OpKind,
    /// When it was refused last, in microseconds since 1970-01-01 UTC.
    pub refused_us: i64,
    /// How often it was refused.
    pub attempts: u32,
    /// Why, on one line, for people.
    pub reason: String,
}

/// Which record it is, whatever its number: a redelivery finds it again by this.
pub(super) type Identity = (CheckpointId, StreamName, u64);

impl Letter {
    pub(super) fn identity(&self) -> Identity {
        (self.position.checkpoint, self.stream.clone(), self.index)
    }

    /// What the record does, in a word: `upsert`.
    pub fn op_name(&self) -> &'static str {
        op::name(self.op)
    }

    /// The number of the record's checkpoint.
    pub fn sequence(&self) -> Sequence {
        self.position.sequence
    }
}

/// Stands in front of the record's own key and metadata, on a line of its own.
#[derive(Serialize, Deserialize)]
struct Head {
    stream: StreamName,
    position: String,
    index: u64,
    generation: u64,
    committed_us: i64,
    op: String,
    refused_us: i64,
    reason: String,
    /// Bytes of the record's key; its metadata is what follows.
    key: usize,
}

/// A later refusal of the same record.
#[derive(Serialize, Deserialize)]
pub(super) struct Again {
    pub(super) refused_us: i64,
    pub(super) reason: String,
}

fn odd(what: impl std::fmt::Display) -> Failure {
    Failure::permanent(format!("the dead letters hold what nobody wrote there: {what}"))
}

/// The metadata under which a letter is kept.
pub(super) fn encode(letter: &Letter, record: &Record) -> Result<Vec<u8>> {
    let head = Head {
        stream: letter.stream.clone(),
        position: letter.position.to_string(),
        index: letter.index,
        generation: letter.generation,
        committed_us: letter.committed_us,
        op: op::name(letter.op).to_owned(),
        refused_us: letter.refused_us,
        reason: letter.reason.clone(),
        key: record.key.len(),
    };
    let mut bytes = serde_json::to_vec(&head).map_err(|e| Failure::permanent("a dead letter").because(e))?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&record.key);
    bytes.extend_from_slice(&record.metadata);
    Ok(bytes)
}

/// The letter of a record of its log, with the refused record as it was.
pub(super) fn decode(kept: &Record) -> Result<(Letter, Record)> {
    let end = memchr::memchr(b'\n', &kept.metadata).ok_or_else(|| odd("a letter without a head"))?;
    let head: Head = serde_json::from_slice(&kept.metadata[..end]).map_err(odd)?;
    let rest = kept.metadata.slice(end + 1..);
    if head.key > rest.len() {
        return Err(odd("a key that is longer than its letter"));
    }
    let letter = Letter {
        number: number_of(&kept.key)?,
        stream: head.stream,
        position: head.position.parse().map_err(odd)?,
        index: head.index,
        generation: head.generation,
        committed_us: head.committed_us,
        op: op::parse(&head.op).ok_or_else(|| odd(format!("operation {:?}", head.op)))?,
        refused_us: head.refused_us,
        attempts: 1,
        reason: head.reason,
    };
    let record = Record {
        op: letter.op,
        key: rest.slice(..head.key),
        metadata: rest.slice(head.key..),
        payload: kept.payload.clone(),
        ..kept.clone()
    };
    Ok((letter, record))
}

impl Letter {
    /// Takes a later refusal.
    pub(super) fn refused_again(&mut self, kept: &Record) -> Result<()> {
        let again: Again = serde_json::from_slice(&kept.metadata).map_err(odd)?;
        (self.refused_us, self.reason) = (again.refused_us, again.reason);
        self.attempts = self.attempts.saturating_add(1);
        Ok(())
    }
}

/// The key under which a letter is kept.
pub(super) fn key_of(number: u64) -> String {
    format!("[{number}]")
}

pub(super) fn number_of(key: &[u8]) -> Result<u64> {
    let [number]: [u64; 1] = serde_json::from_slice(key).map_err(odd)?;
    Ok(number)
}
