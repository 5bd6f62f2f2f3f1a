//! When a data frame is compressed: when it is full or its checkpoint is committed, before it gets its place, so outside of
//! every lock.

use crate::config::Compression;
use crate::format::codec::{Codec, Compressor, is_credible};
use crate::format::data::BASE_TIME;
use crate::format::frame::{FrameBuf, SealedFrame};
use crate::format::wire::put_varint;

/// Less content than this is stored as it is: frames are padded to multiples of 8, and headers are 48.
const CONTENT_MIN: usize = 64;
/// What saves less than one part in so many is stored as it is: reading it back costs more than it is worth.
const GAIN: usize = 16;
/// After a try in vain so many frames at most are stored without one.
const PAUSE_MAX: u32 = 64;

/// What one stream asked for, and how that went so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Packing {
    compression: Compression,
    /// Frames that go without a try.
    pause: u32,
    /// How many they will be after the next try in vain.
    next_pause: u32,
}

impl Packing {
    pub(crate) fn new(compression: Compression) -> Self {
        Packing { compression, pause: 0, next_pause: 1 }
    }

    /// Whether a frame is worth a try.
    fn is_due(&mut self) -> bool {
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due && self.compression != Compression::None
    }

    /// Content that did not get smaller is likely to be followed by more of its kind.
    fn note(&mut self, gained: bool) {
        (self.pause, self.next_pause) =
            if gained { (0, 1) } else { (self.next_pause, (self.next_pause * 2).min(PAUSE_MAX)) };
    }
}

/// A data frame as it is before it is closed.
#[derive(Debug)]
pub(crate) struct Filled {
    pub frame: FrameBuf,
    pub stream: u32,
    pub items: u32,
    pub content_crc: u32,
}

/// Closes data frames, compressed where that is asked for and gains something.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    compressor: Compressor,
}

impl Packer {
    /// Returns the frame as the log gets it and, if that is another one, the filled one. `memory` is for that other one.
    pub(crate) fn close(
        &mut self,
        packing: &mut Packing,
        filled: Filled,
        memory: impl FnOnce() -> Vec<u8>,
    ) -> (SealedFrame, Option<FrameBuf>) {
        let Filled { frame, stream, items, content_crc } = filled;
        match self.pack(packing, frame.body(), memory) {
            Some((codec, packed)) => (packed.seal_packed(codec, stream, items, content_crc), Some(frame)),
            None => (frame.seal_data(BASE_TIME, stream, items, content_crc), None),
        }
    }

    fn pack(
        &mut self,
        packing: &mut Packing,
        body: &[u8],
        memory: impl FnOnce() -> Vec<u8>,
    ) -> Option<(Codec, FrameBuf)> {
        let (base_time, content) = body.split_at(BASE_TIME);
        if content.len() < CONTENT_MIN || !packing.is_due() {
            return None;
        }
        let max = content.len() - content.len() / GAIN;
        let fill = |stored: &[u8]| {
            is_credible(content.len() as u64, stored.len() as u64).then(|| {
                let mut packed = FrameBuf::new(memory());
                let body = packed.body_mut();
                body.extend_from_slice(base_time);
                put_varint(body, content.len() as u64);
                body.extend_from_slice(stored);
                packed
            })
        };
        let packed = self.compressor.compress(packing.compression, content, max, fill);
        packing.note(packed.is_some());
        Some((packing.compression.into(), packed??))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(content: &[u8]) -> Vec<u8> {
        [&[0; BASE_TIME], content].concat()
    }

    /// Bytes that nothing makes smaller.
    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn tries(packing: &mut Packing, content: &[u8], frames: usize) -> Vec<bool> {
        let mut packer = Packer::default();
        (0..frames)
            .map(|_| {
                let due = packing.pause == 0;
                let packed = packer.pack(packing, &body(content), Vec::new);
                assert!(due || packed.is_none());
                due
            })
            .collect()
    }

    #[test]
    fn what_does_not_get_smaller_is_tried_less_and_less_often() {
        let mut packing = Packing::new(Compression::Lz4);
        let tried = tries(&mut packing, &noise(5000), 200);
        let at: Vec<usize> = (0..200).filter(|i| tried[*i]).collect();
        assert_eq!(at, [0, 2, 5, 10, 19, 36, 69, 134, 199]);
        // One that does is the end of that.
        packing.pause = 0;
        assert_eq!(tries(&mut packing, &[7; 5000], 3), [true; 3]);
        assert_eq!(tries(&mut packing, &noise(5000), 3), [true, false, true]);
    }

    #[test]
    fn a_gain_of_less_than_a_sixteenth_is_none() {
        let mut packer = Packer::default();
        let mut mixed = |zeros: usize| {
            let content = [noise(16_000), vec![0; zeros]].concat();
            let packing = &mut Packing::new(Compression::Zstd(3));
            packer.pack(packing, &body(&content), Vec::new).is_some()
        };
        assert!(!mixed(900) && mixed(1300));
    }

    #[test]
    fn what_a_reader_would_not_believe_is_not_written() {
        let packed = |len: usize| {
            let packing = &mut Packing::new(Compression::Zstd(3));
            Packer::default().pack(packing, &body(&vec![0; len]), Vec::new).is_some()
        };
        // Zeros get ten thousand times smaller.
        assert!(packed(1 << 20) && !packed(8 << 20));
    }
}
