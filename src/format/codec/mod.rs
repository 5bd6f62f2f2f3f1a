//! Codecs: what can be done to the content of a data frame. One that this build lacks is known by name, so that nobody calls
//! damage what another build wrote.

#[cfg(not(all(feature = "lz4", feature = "zstd")))]
mod absent;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(not(feature = "lz4"))]
use absent as lz4;
#[cfg(not(feature = "zstd"))]
use absent as zstd;

use std::fmt;

use crate::config::{Compression, Config};
use crate::format::data::RECORD_HEADER_MAX;

/// A frame's content is some records of together so much, or one record.
const CONTENT_MAX: u64 = Config::ITEM_BYTES_MAX as u64 + RECORD_HEADER_MAX as u64;
/// So much is allocated on the word of a length.
const TRUSTED: u64 = 1 << 20;
/// And more only if it is at most so many times as long as what it was compressed to: LZ4 can't do better, and a few
/// bytes that claim to be half a gigabyte get no memory.
const RATIO_MAX: u64 = 256;
/// Working memory that is larger than this is not kept.
const SCRATCH_MAX: usize = 1 << 20;

/// Whether so few bytes may become so many. Asked where one writes, too.
pub(crate) fn is_credible(content: u64, stored: u64) -> bool {
    content <= CONTENT_MAX && (content <= TRUSTED || content <= stored.saturating_mul(RATIO_MAX))
}

/// How the content of a data frame is stored: its number in the frame's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    Plain = 0,
    /// An LZ4 block.
    Lz4 = 1,
    /// A zstd frame.
    Zstd = 2,
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Option<Codec> {
        [Codec::Plain, Codec::Lz4, Codec::Zstd].into_iter().find(|codec| *codec as u8 == byte)
    }

    /// Whether this build has it.
    pub(crate) const fn is_built(self) -> bool {
        match self {
            Codec::Plain => true,
            Codec::Lz4 => cfg!(feature = "lz4"),
            Codec::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// The feature that puts it into a build.
    pub(crate) const fn feature(self) -> &'static str {
        match self {
            Codec::Plain => "default",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::Plain => "no compression",
            Codec::Lz4 => "LZ4",
            Codec::Zstd => "zstd",
        })
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Codec {
        match compression {
            Compression::None => Codec::Plain,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd(_) => Codec::Zstd,
        }
    }
}

/// Compresses, with working memory that serves one frame after another.
#[derive(Default)]
pub(crate) struct Compressor {
    lz4: lz4::Compressor,
    zstd: zstd::Compressor,
    scratch: Vec<u8>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// Gives `content`, compressed to at most `max` bytes, to `take`; `None` if it does not get so small.
    pub(crate) fn compress<T>(
        &mut self,
        how: Compression,
        content: &[u8],
        max: usize,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let len = match how {
            Compression::None => None,
            Compression::Lz4 => self.lz4.compress(0, content, max, &mut self.scratch),
            Compression::Zstd(level) => self.zstd.compress(level, content, max, &mut self.scratch),
        };
        let small = len.filter(|len| *len <= max).and_then(|len| self.scratch.get(..len));
        let taken = small.map(take);
        if self.scratch.capacity() > SCRATCH_MAX {
            self.scratch = Vec::new();
        }
        taken
    }
}

/// Decompresses, with working memory that serves one frame after another.
#[derive(Default)]
pub(crate) struct Decompressor {
    lz4: lz4::Decompressor,
    zstd: zstd::Decompressor,
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

impl Decompressor {
    /// What `stored` was: exactly `len` bytes, which have to be [credible](is_credible).
    pub(crate) fn decompress(&mut self, codec: Codec, stored: &[u8], len: usize) -> Option<Vec<u8>> {
        let content = match codec {
            Codec::Plain => Some(stored.to_vec()),
            Codec::Lz4 => self.lz4.decompress(stored, len),
            Codec::Zstd => self.zstd.decompress(stored, len),
        };
        content.filter(|content| content.len() == len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 4] =
        [Compression::Lz4, Compression::Zstd(-5), Compression::Zstd(3), Compression::Zstd(19)];

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|i| b"highwater "[i % 10] ^ (i / 999) as u8).collect()
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let (mut there, mut back) = (Compressor::default(), Decompressor::default());
        for how in ALL {
            for len in [1, 2, 12, 13, 100, 65_535, 65_536, 300_000] {
                let content = text(len);
                let stored = there.compress(how, &content, len * 2 + 100, <[u8]>::to_vec).unwrap();
                let found = back.decompress(how.into(), &stored, len);
                assert_eq!(found.as_ref(), Some(&content), "{how:?} {len}");
            }
        }
    }

    #[test]
    fn nothing_is_given_that_is_longer_than_asked_for() {
        let mut there = Compressor::default();
        for how in ALL {
            let len = there.compress(how, &text(5000), 5000, <[u8]>::len).unwrap();
            assert!(len > 50 && len < 2500, "{how:?} {len}");
            for max in 0..len {
                assert_eq!(there.compress(how, &text(5000), max, <[u8]>::len), None, "{how:?} {max}");
            }
        }
    }

    #[test]
    fn another_length_than_the_true_one_gives_nothing() {
        let (mut there, mut back) = (Compressor::default(), Decompressor::default());
        for how in ALL {
            let stored = there.compress(how, &text(3000), 3000, <[u8]>::to_vec).unwrap();
            for len in [0, 1, 2999, 3001, 1 << 20] {
                assert_eq!(back.decompress(how.into(), &stored, len), None, "{how:?} {len}");
            }
        }
    }

    #[test]
    fn a_length_is_believed_as_far_as_the_bytes_bear_it() {
        assert!(is_credible(TRUSTED, 0) && !is_credible(TRUSTED + 1, 0));
        assert!(is_credible(256 << 20, 1 << 20) && !is_credible((256 << 20) + 1, 1 << 20));
        assert!(is_credible(CONTENT_MAX, u64::MAX) && !is_credible(CONTENT_MAX + 1, u64::MAX));
    }
}
