//! The body of a commit frame, the "state frame": which frames a checkpoint takes in, and its states. And of the
//! part frames that hold what does not fit into it.

use crate::format::compacted::Compacted;
use crate::format::wire::{Decoded, Malformed, Take, put_bytes, put_varint};
use crate::position::{Address, CheckpointId, Sequence, StreamId};

/// It covers all streams of its writer and may carry the global state.
pub(crate) const GLOBAL: u32 = 1;
/// It was committed without waiting for the flush.
pub(crate) const BUFFERED: u32 = 2;
/// It was made by an operation on the log (rename, reset, drop), not by a pipeline.
pub(crate) const ADMINISTRATIVE: u32 = 4;
/// It is a base checkpoint: what a compaction left of all up to this one.
pub(crate) const COMPACTED: u32 = 8;
const KNOWN_FLAGS: u32 = GLOBAL | BUFFERED | ADMINISTRATIVE | COMPACTED;

const PART_EXTENTS: u8 = 1;
const PART_STATE: u8 = 2;
/// Where the text begins in a state's part frame.
pub(crate) const PART_STATE_TEXT: u32 = 1;

const STATE_INLINE: u8 = 1;
const STATE_PART: u8 = 2;
const STATE_CLEARED: u8 = 3;

const STREAM_HAS_DIGEST: u8 = 1;

/// A run of adjacent data frames of one stream and one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub at: Address,
    pub bytes: u32,
    pub frames: u32,
}

/// Where a state's text lies: `offset` bytes into the body of the frame at `frame`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateAt {
    pub frame: Address,
    pub offset: u32,
    pub len: u32,
    pub crc: u32,
    /// The checkpoint that set it.
    pub since: Sequence,
}

/// What a checkpoint takes in of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitStream {
    pub stream: StreamId,
    pub records: u64,
    /// Keys, metadata and payloads.
    pub bytes: u64,
    /// Of the schema in force; 0 without one.
    pub fingerprint: u64,
    /// CRC-32 of the records' encodings, one after another.
    pub checksum: u32,
    /// BLAKE3 of the same, where the configuration asked for it.
    pub digest: Option<[u8; 32]>,
    /// Part frames that list the first extents, for a unit with very many.
    pub parts: Vec<Address>,
    pub extents: Vec<Extent>,
}

/// A change of one state, decoded: its new place, or that it was cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateChange {
    pub stream: StreamId,
    pub to: Option<StateAt>,
}

/// A state to be written: inside the commit frame, ahead of it, or cleared.
#[derive(Debug, Clone)]
pub(crate) enum NewState<'a> {
    Inline(&'a str),
    Part { at: Address, len: u32, crc: u32 },
    Clear,
}

/// A commit frame, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub head: CommitHead,
    pub streams: Vec<CommitStream>,
    pub states: Vec<StateChange>,
    pub labels: Vec<(String, String)>,
    /// Of a base checkpoint.
    pub compacted: Option<Compacted>,
}

/// The lower half of a checkpoint's UUID, all of which is random but two bits: by it a commit names the one that it comes behind, so
/// that none passes for its neighbour that an opening has dropped, and that has the same number and place. 0 before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link(pub(crate) u64);

impl Link {
    pub(crate) const NONE: Link = Link(0);

    pub(crate) fn to(id: CheckpointId) -> Link {
        Link(id.0.as_u64_pair().1)
    }
}

/// What stands first, in fixed places: it is filled in last, when the checkpoint's number is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommitHead {
    pub sequence: Sequence,
    pub id: CheckpointId,
    pub time_us: i64,
    pub flags: u32,
    /// Which checkpoint it comes behind.
    pub previous: Link,
    /// The lowest extent; the commit frame's own address if it has none.
    pub low: Address,
}

pub(crate) const COMMIT_HEAD: usize = 8 + 16 + 8 + 4 + 8 + 8;

impl CommitHead {
    pub(crate) fn encode(&self) -> [u8; COMMIT_HEAD] {
        let mut out = [0; COMMIT_HEAD];
        out[0..8].copy_from_slice(&self.sequence.get().to_le_bytes());
        out[8..24].copy_from_slice(&self.id.0.as_u128().to_le_bytes());
        out[24..32].copy_from_slice(&self.time_us.to_le_bytes());
        out[32..36].copy_from_slice(&self.flags.to_le_bytes());
        out[36..44].copy_from_slice(&self.previous.0.to_le_bytes());
        out[44..52].copy_from_slice(&self.low.0.to_le_bytes());
        out
    }

    fn decode(take: &mut Take<'_>) -> Decoded<Self> {
        let head = CommitHead {
            sequence: Sequence::new(take.u64()?),
            id: CheckpointId(uuid::Uuid::from_u128(take.u128()?)),
            time_us: take.i64()?,
            flags: take.u32()?,
            previous: Link(take.u64()?),
            low: Address(take.u64()?),
        };
        if head.flags & !KNOWN_FLAGS != 0 {
            return Err(Malformed("a commit has flags that this version does not know"));
        }
        Ok(head)
    }
}

fn put_extent(out: &mut Vec<u8>, extent: &Extent) {
    out.extend_from_slice(&extent.at.0.to_le_bytes());
    put_varint(out, extent.bytes.into());
    put_varint(out, extent.frames.into());
}

fn take_extent(take: &mut Take<'_>) -> Decoded<Extent> {
    Ok(Extent { at: Address(take.u64()?), bytes: take.varint_u32()?, frames: take.varint_u32()? })
}

fn take_extents(take: &mut Take<'_>) -> Decoded<Vec<Extent>> {
    (0..take.count(10)?).map(|_| take_extent(take)).collect()
}

/// Where the states of a commit begin in the body it was encoded into, in the order given; for `NewState::Inline`.
pub(crate) type InlineOffsets = Vec<u32>;

/// Encodes all but the head, whose place is left open in front.
pub(crate) fn encode_tail(
    out: &mut Vec<u8>,
    streams: &[CommitStream],
    states: &[(StreamId, NewState<'_>)],
    labels: &[(String, String)],
) -> InlineOffsets {
    let start = out.len();
    out.resize(start + COMMIT_HEAD, 0);
    put_varint(out, streams.len() as u64);
    for part in streams {
        put_varint(out, part.stream.get().into());
        put_varint(out, part.records);
        put_varint(out, part.bytes);
        out.extend_from_slice(&part.fingerprint.to_le_bytes());
        out.extend_from_slice(&part.checksum.to_le_bytes());
        out.push(if part.digest.is_some() { STREAM_HAS_DIGEST } else { 0 });
        out.extend_from_slice(part.digest.as_ref().map_or(&[], |digest| &digest[..]));
        put_varint(out, part.parts.len() as u64);
        for at in &part.parts {
            out.extend_from_slice(&at.0.to_le_bytes());
        }
        put_varint(out, part.extents.len() as u64);
        for extent in &part.extents {
            put_extent(out, extent);
        }
    }
    put_varint(out, states.len() as u64);
    let mut offsets = Vec::with_capacity(states.len());
    for (stream, state) in states {
        put_varint(out, stream.get().into());
        let mut offset = 0;
        match state {
            NewState::Inline(text) => {
                out.push(STATE_INLINE);
                out.extend_from_slice(&crc32fast::hash(text.as_bytes()).to_le_bytes());
                put_varint(out, text.len() as u64);
                offset = (out.len() - start) as u32;
                out.extend_from_slice(text.as_bytes());
            }
            NewState::Part { at, len, crc } => {
                out.push(STATE_PART);
                out.extend_from_slice(&crc.to_le_bytes());
                put_varint(out, (*len).into());
                out.extend_from_slice(&at.0.to_le_bytes());
            }
            NewState::Clear => out.push(STATE_CLEARED),
        }
        offsets.push(offset);
    }
    put_varint(out, labels.len() as u64);
    for (key, value) in labels {
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
    offsets
}

impl Commit {
    /// Decodes the body of the commit frame at `at`.
    pub(crate) fn decode(body: &[u8], at: Address) -> Decoded<Commit> {
        let mut take = Take::new(body);
        let head = CommitHead::decode(&mut take)?;
        let mut streams = Vec::with_capacity(take.count(16)?);
        for _ in 0..streams.capacity() {
            streams.push(Self::decode_stream(&mut take)?);
        }
        let mut states = Vec::with_capacity(take.count(2)?);
        for _ in 0..states.capacity() {
            states.push(Self::decode_state(&mut take, body.len(), at, head.sequence)?);
        }
        let mut labels = Vec::with_capacity(take.count(2)?);
        for _ in 0..labels.capacity() {
            labels.push((take.text()?.to_owned(), take.text()?.to_owned()));
        }
        let is_base = head.flags & COMPACTED != 0;
        let compacted = is_base.then(|| Compacted::decode(&mut take, streams.len())).transpose()?;
        take.finish()?;
        Ok(Commit { head, streams, states, labels, compacted })
    }

    fn decode_stream(take: &mut Take<'_>) -> Decoded<CommitStream> {
        let stream = StreamId::new(take.varint_u32()?);
        let (records, bytes) = (take.varint()?, take.varint()?);
        let (fingerprint, checksum) = (take.u64()?, take.u32()?);
        let digest = match take.u8()? {
            0 => None,
            STREAM_HAS_DIGEST => {
                Some(take.take(32)?.try_into().map_err(|_| Malformed("a digest ends early"))?)
            }
            _ => return Err(Malformed("a commit's stream has unknown flags")),
        };
        let parts = (0..take.count(8)?).map(|_| take.u64().map(Address)).collect::<Decoded<_>>()?;
        let extents = take_extents(take)?;
        Ok(CommitStream { stream, records, bytes, fingerprint, checksum, digest, parts, extents })
    }

    fn decode_state(take: &mut Take<'_>, body: usize, at: Address, since: Sequence) -> Decoded<StateChange> {
        let stream = StreamId::new(take.varint_u32()?);
        let kind = take.u8()?;
        if kind == STATE_CLEARED {
            return Ok(StateChange { stream, to: None });
        }
        let (crc, len) = (take.u32()?, take.varint_u32()?);
        let (frame, offset) = match kind {
            STATE_INLINE => {
                let offset = (body - take.remaining()) as u32;
                take.take(len as usize)?;
                (at, offset)
            }
            STATE_PART => (Address(take.u64()?), PART_STATE_TEXT),
            _ => return Err(Malformed("a state is of an unknown kind")),
        };
        Ok(StateChange { stream, to: Some(StateAt { frame, offset, len, crc, since }) })
    }
}

/// The body of a part frame that holds one state's text.
pub(crate) fn encode_state_part(out: &mut Vec<u8>, text: &[u8]) {
    out.push(PART_STATE);
    out.extend_from_slice(text);
}

/// The body of a part frame that lists extents.
pub(crate) fn encode_extents_part(out: &mut Vec<u8>, extents: &[Extent]) {
    out.push(PART_EXTENTS);
    put_varint(out, extents.len() as u64);
    for extent in extents {
        put_extent(out, extent);
    }
}

pub(crate) fn decode_extents_part(body: &[u8]) -> Decoded<Vec<Extent>> {
    let mut take = Take::new(body);
    if take.u8()? != PART_EXTENTS {
        return Err(Malformed("a part frame holds something else than extents"));
    }
    let extents = take_extents(&mut take)?;
    take.finish()?;
    Ok(extents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_round_trips_and_knows_where_its_states_lie() {
        let streams = vec![CommitStream {
            stream: StreamId::new(4),
            records: 10,
            bytes: 1000,
            fingerprint: 6,
            checksum: 7,
            digest: Some([9; 32]),
            parts: vec![Address(5)],
            extents: vec![Extent { at: Address(4096), bytes: 80, frames: 1 }],
        }];
        let at = Address(1 << 32 | 8192);
        let states = [
            (StreamId::GLOBAL, NewState::Inline("{\"a\":1}")),
            (StreamId::new(4), NewState::Part { at: Address(99), len: 3, crc: 8 }),
            (StreamId::new(5), NewState::Clear),
        ];
        let labels = vec![("run".to_owned(), "7".to_owned())];
        let mut body = Vec::new();
        let offsets = encode_tail(&mut body, &streams, &states, &labels);
        let head = CommitHead {
            sequence: Sequence::new(3),
            id: CheckpointId(uuid::Uuid::from_u128(1)),
            time_us: -5,
            flags: GLOBAL,
            previous: Link(1),
            low: Address(2),
        };
        body[..COMMIT_HEAD].copy_from_slice(&head.encode());
        let commit = Commit::decode(&body, at).unwrap();
        assert_eq!((commit.head, &commit.streams, &commit.labels), (head, &streams, &labels));
        let inline = commit.states[0].to.unwrap();
        assert_eq!((inline.frame, inline.offset), (at, offsets[0]));
        assert_eq!(&body[inline.offset as usize..][..inline.len as usize], b"{\"a\":1}");
        assert_eq!(commit.states[2].to, None);
        for cut in 0..body.len() {
            assert!(Commit::decode(&body[..cut], at).is_err());
        }
    }
}
