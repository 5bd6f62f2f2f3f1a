//! The numbers of a log, each with a type of its own, so that none is mistaken for another.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of a checkpoint: dense, from 1. `Sequence::NONE` (0) stands before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first checkpoint.
    pub const NONE: Sequence = Sequence(0);
    /// The first checkpoint of a log.
    pub const FIRST: Sequence = Sequence(1);

    /// The sequence with this number.
    pub const fn new(number: u64) -> Self {
        Sequence(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Sequence(self.0.saturating_add(1))
    }

    /// The sequence before this one; `NONE` stays `NONE`.
    #[must_use]
    pub const fn previous(self) -> Self {
        Sequence(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a stream inside its log. It is never given to another stream once a checkpoint has used it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(u32);

impl StreamId {
    /// Stands for the global state where a stream could stand. No stream has it.
    pub(crate) const GLOBAL: StreamId = StreamId(0);

    pub(crate) const fn new(number: u32) -> Self {
        StreamId(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A map from streams, for paths that each record takes.
pub(crate) type StreamMap<T> = HashMap<StreamId, T, BuildHasherDefault<StreamHasher>>;

/// Spreads the numbers of streams, which are dense and ours, so nobody can choose them to collide.
#[derive(Debug, Default)]
pub(crate) struct StreamHasher(u64);

impl Hasher for StreamHasher {
    fn write_u32(&mut self, number: u32) {
        self.0 = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Names one log for ever; a copy or a restored backup keeps it, a new log gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub(crate) Uuid);

/// Names one checkpoint for ever (a UUIDv7). A sequence number may be used again after a repair; this is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckpointId(pub(crate) Uuid);

impl CheckpointId {
    /// Stands before the first checkpoint.
    pub const NONE: CheckpointId = CheckpointId(Uuid::nil());
}

macro_rules! uuid_text {
    ($name:ident) => {
        impl $name {
            /// The UUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = crate::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let uuid =
                    text.parse().map_err(|_| crate::Error::invalid(format!("not a UUID: {text:?}")))?;
                Ok($name(uuid))
            }
        }
    };
}
uuid_text!(LogId);
uuid_text!(CheckpointId);

/// A place in the history of one log, as a destination stores it beside the records it applied.
///
/// It prints as `LOG/SEQUENCE/CHECKPOINT` and parses back:
///
/// ```
/// use highwater::Position;
/// let text = "0190a5c0-0000-7000-8000-000000000001/42/0190a5c0-0000-7000-8000-00000000002a";
/// let position: Position = text.parse()?;
/// assert_eq!(position.sequence.get(), 42);
/// assert_eq!(position.to_string(), text);
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The log.
    pub log: LogId,
    /// The checkpoint's number.
    pub sequence: Sequence,
    /// The checkpoint's UUID: numbers are used again after a repair or a restore, this is not.
    pub checkpoint: CheckpointId,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.log, self.sequence, self.checkpoint)
    }
}

impl FromStr for Position {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = || {
            let mut parts = text.split('/');
            let log = LogId(parts.next()?.parse().ok()?);
            let sequence = Sequence(parts.next()?.parse().ok()?);
            let checkpoint = CheckpointId(parts.next()?.parse().ok()?);
            parts.next().is_none().then_some(Position { log, sequence, checkpoint })
        };
        parsed().ok_or_else(|| {
            crate::Error::invalid(format!(
                "not a position: {text:?}; expected LOG-UUID/SEQUENCE/CHECKPOINT-UUID"
            ))
        })
    }
}

/// The number of a segment: dense, from 1, never used again. Base files have numbers of their own, with the
/// highest bit set, so that one [`Address`] can point into either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId(pub u32);

impl SegmentId {
    pub(crate) const FIRST: SegmentId = SegmentId(1);
    const BASE: u32 = 1 << 31;

    pub(crate) const fn base(number: u32) -> Self {
        SegmentId(number | Self::BASE)
    }

    pub(crate) const fn base_number(self) -> u32 {
        self.0 & !Self::BASE
    }

    pub(crate) const fn is_base(self) -> bool {
        self.0 & Self::BASE != 0
    }

    pub(crate) const fn next(self) -> Self {
        SegmentId(self.0 + 1)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_base() { write!(f, "base {}", self.base_number()) } else { write!(f, "{}", self.0) }
    }
}

/// Where a byte lies: segment and offset in it, ordered as the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(pub u64);

impl Address {
    /// Points nowhere: offset 0 belongs to the segment's header, so no frame ever has it.
    pub(crate) const NONE: Address = Address(0);

    pub(crate) const fn new(segment: SegmentId, offset: u32) -> Self {
        Address((segment.0 as u64) << 32 | offset as u64)
    }

    pub(crate) const fn segment(self) -> SegmentId {
        SegmentId((self.0 >> 32) as u32)
    }

    pub(crate) const fn offset(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} byte {}", self.segment(), self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_round_trips_and_junk_is_refused() {
        let text = "0190a5c0-0000-7000-8000-000000000001/42/0190a5c0-0000-7000-8000-00000000002a";
        assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        for junk in ["", "a/b/c", &text[1..], &format!("{text}/1")] {
            assert!(junk.parse::<Position>().is_err(), "{junk}");
        }
    }

    #[test]
    fn addresses_sort_as_the_log_is_written() {
        let early = Address::new(SegmentId(1), u32::MAX);
        let late = Address::new(SegmentId(2), 4096);
        assert!(early < late);
        assert_eq!((late.segment(), late.offset()), (SegmentId(2), 4096));
    }
}
