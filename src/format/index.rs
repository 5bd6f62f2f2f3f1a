//! The body of an index frame: where each stream's definition and state lie, or what changed of that since the
//! index before it.

use crate::format::commit::StateAt;
use crate::format::define::StreamName;
use crate::format::wire::{Decoded, Malformed, Take, put_bytes, put_varint};
use crate::position::{Address, Sequence, StreamId};

const DEFINED: u8 = 1;
const NAMESPACE: u8 = 2;
const DROPPED: u8 = 4;
const STATE: u8 = 8;

/// What the index knows of a stream's definition; the rest is read when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DefinedAt {
    pub at: Address,
    pub name: StreamName,
    pub fingerprint: u64,
    pub dropped: bool,
}

/// All that is known of one stream (or of the global state, as stream 0).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub defined: Option<DefinedAt>,
    pub state: Option<StateAt>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    /// The index that this one changes; `NONE` for a full one.
    pub previous: Address,
    pub entries: Vec<(StreamId, Entry)>,
}

impl Index {
    pub(crate) fn encode<'a>(
        out: &mut Vec<u8>,
        previous: Address,
        entries: impl Iterator<Item = (StreamId, &'a Entry)>,
    ) {
        out.extend_from_slice(&previous.0.to_le_bytes());
        for (stream, entry) in entries {
            put_entry(out, stream, entry);
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Decoded<Index> {
        let mut take = Take::new(body);
        let previous = Address(take.u64()?);
        let mut entries = Vec::new();
        while !take.is_empty() {
            entries.push(take_entry(&mut take)?);
        }
        Ok(Index { previous, entries })
    }
}

/// The encoded length of an entry, about: to choose between a full index and a change.
pub(crate) fn entry_len(entry: &Entry) -> usize {
    let name = |n: &StreamName| n.name.len() + n.namespace.as_ref().map_or(0, |ns| ns.len() + 1);
    5 + entry.defined.as_ref().map_or(0, |d| 18 + name(&d.name)) + entry.state.map_or(0, |_| 28)
}

fn put_entry(out: &mut Vec<u8>, stream: StreamId, entry: &Entry) {
    put_varint(out, stream.get().into());
    let what = out.len();
    out.push(0);
    if let Some(defined) = &entry.defined {
        out[what] |= DEFINED;
        out.extend_from_slice(&defined.at.0.to_le_bytes());
        out.extend_from_slice(&defined.fingerprint.to_le_bytes());
        put_bytes(out, defined.name.name.as_bytes());
        if let Some(namespace) = &defined.name.namespace {
            out[what] |= NAMESPACE;
            put_bytes(out, namespace.as_bytes());
        }
        if defined.dropped {
            out[what] |= DROPPED;
        }
    }
    if let Some(state) = &entry.state {
        out[what] |= STATE;
        out.extend_from_slice(&state.frame.0.to_le_bytes());
        put_varint(out, state.offset.into());
        put_varint(out, state.len.into());
        out.extend_from_slice(&state.crc.to_le_bytes());
        put_varint(out, state.since.get());
    }
}

fn take_entry(take: &mut Take<'_>) -> Decoded<(StreamId, Entry)> {
    let stream = StreamId::new(take.varint_u32()?);
    let what = take.u8()?;
    if what & !(DEFINED | NAMESPACE | DROPPED | STATE) != 0 {
        return Err(Malformed("an index entry has unknown flags"));
    }
    let mut entry = Entry::default();
    if what & DEFINED != 0 {
        let (at, fingerprint) = (Address(take.u64()?), take.u64()?);
        let name = take.text()?.to_owned();
        let namespace = if what & NAMESPACE != 0 { Some(take.text()?.to_owned()) } else { None };
        entry.defined = Some(DefinedAt {
            at,
            name: StreamName { namespace, name },
            fingerprint,
            dropped: what & DROPPED != 0,
        });
    }
    if what & STATE != 0 {
        entry.state = Some(StateAt {
            frame: Address(take.u64()?),
            offset: take.varint_u32()?,
            len: take.varint_u32()?,
            crc: take.u32()?,
            since: Sequence::new(take.varint()?),
        });
    }
    Ok((stream, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_round_trips() {
        let state = StateAt { frame: Address(8), offset: 60, len: 10, crc: 3, since: Sequence::new(4) };
        let defined = DefinedAt {
            at: Address(9),
            name: StreamName { namespace: Some("public".into()), name: "orders".into() },
            fingerprint: 11,
            dropped: false,
        };
        let entries = [
            (StreamId::GLOBAL, Entry { defined: None, state: Some(state) }),
            (StreamId::new(1), Entry { defined: Some(defined), state: None }),
            (StreamId::new(2), Entry::default()),
        ];
        let mut body = Vec::new();
        Index::encode(&mut body, Address(5), entries.iter().map(|(s, e)| (*s, e)));
        let index = Index::decode(&body).unwrap();
        assert_eq!((index.previous, &index.entries[..]), (Address(5), &entries[..]));
    }
}
