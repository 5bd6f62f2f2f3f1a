//! Why bytes are no frame.

use std::fmt;

use crate::format::codec::Codec;

/// Why bytes are not the header of a frame here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// All zero: never written.
    Zeros,
    /// The header's own checksum: torn, stale (another life of the segment), misplaced or damaged.
    HeaderCrc { expected: u32, found: u32 },
    /// Valid, but written by something newer.
    UnknownKind(u8),
    /// Valid, but with a flag that this version does not know.
    UnknownFlags(u8),
    /// Valid, but older than the frame before it.
    Stale { epoch: u32, at_least: u32 },
    /// Valid, but it would reach beyond its segment.
    TooLong { end: u64, segment_bytes: u32 },
    /// Valid, but longer than any writer makes one.
    TooLarge { body_len: u32 },
    /// The commit marker behind the body.
    Marker,
    /// The padding between body and marker is not zero.
    Padding,
    /// The body's checksum.
    BodyCrc { expected: u32, found: u32 },
    /// The checksum of what was compressed.
    ContentCrc { expected: u32, found: u32 },
    /// What a data frame holds is no base time and content.
    Content(&'static str),
    /// Valid, but compressed by what this build lacks.
    NoCodec(Codec),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Zeros => write!(f, "expected a frame, found zeros"),
            Fault::HeaderCrc { expected, found } => {
                write!(f, "frame header checksum: expected {expected:08x}, found {found:08x}")
            }
            Fault::UnknownKind(kind) => write!(f, "frame kind {kind} is unknown to this version"),
            Fault::UnknownFlags(flags) => write!(f, "frame flags {flags:#04x} are unknown to this version"),
            Fault::Stale { epoch, at_least } => {
                write!(f, "frame of epoch {epoch}, expected epoch {at_least} or later")
            }
            Fault::TooLong { end, segment_bytes } => {
                write!(f, "frame reaches to byte {end}, the segment ends at {segment_bytes}")
            }
            Fault::TooLarge { body_len } => {
                write!(f, "frame body of {body_len} bytes, expected at most {}", super::frame::BODY_MAX)
            }
            Fault::Marker => write!(f, "commit marker is missing behind the frame"),
            Fault::Padding => write!(f, "padding before the commit marker: expected zeros"),
            Fault::BodyCrc { expected, found } => {
                write!(f, "frame body checksum: expected {expected:08x}, found {found:08x}")
            }
            Fault::ContentCrc { expected, found } => {
                write!(
                    f,
                    "checksum of a frame's content, decompressed: expected {expected:08x}, found {found:08x}"
                )
            }
            Fault::Content(what) => write!(f, "a data frame's content: {what}"),
            Fault::NoCodec(codec) => write!(
                f,
                "compressed with {codec}, and this build has no {codec}: enable the feature `{}` of the crate highwater",
                codec.feature()
            ),
        }
    }
}
