//! Walking a segment's frames one after another, through a window that is read ahead.

use std::sync::Arc;

use bytes::Bytes;

use super::Segment;
use super::memory::Memory;
use crate::error::Result;
use crate::format::BLOCK;
use crate::format::frame::{self, FRAME_MIN, Fault, HEADER, Header};
use crate::position::Address;

/// So much is read at once where one small frame follows another.
const WINDOW: usize = 64 << 10;
/// And so much where it comes to a frame by a jump over a large one, and is likely to jump again.
const GLANCE: usize = 4 << 10;
/// Bodies that nobody keeps are checked in pieces of this.
const PIECE: usize = 1 << 20;

/// Stands at a frame of one segment. Bytes behind the end of the file read as zeros: a file's size is not to be
/// trusted after a crash.
#[derive(Debug)]
pub(crate) struct Walker {
    segment: Arc<Segment>,
    at: u32,
    window: Bytes,
    window_at: u32,
    memory: Memory,
}

impl Walker {
    pub(crate) fn new(segment: Arc<Segment>, at: u32) -> Self {
        Walker { segment, at: at.max(BLOCK), window: Bytes::new(), window_at: 0, memory: Memory::default() }
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn offset(&self) -> u32 {
        self.at
    }

    pub(crate) fn address(&self) -> Address {
        self.segment.address(self.at)
    }

    /// Forgets what was read ahead: more may have been written since.
    pub(crate) fn refresh(&mut self) {
        self.window = Bytes::new();
    }

    /// Whether no further frame fits.
    pub(crate) fn is_at_end(&self) -> bool {
        u64::from(self.at) + u64::from(FRAME_MIN) > u64::from(self.segment.bytes())
    }

    /// The header of the frame it stands at.
    pub(crate) fn header(&mut self) -> Result<Result<Header, Fault>> {
        let bytes = self.bytes(self.at, HEADER)?;
        let mut header = [0; HEADER];
        header.copy_from_slice(&bytes);
        Ok(self.segment.frame_header(&header, self.at))
    }

    /// The body of the frame it stands at, checked.
    pub(crate) fn body(&mut self, header: &Header) -> Result<Result<Bytes, Fault>> {
        if header.body_len as usize > WINDOW
            && let Err(fault) = self.check_tail(header)?
        {
            return Ok(Err(fault));
        }
        let rest = self.bytes(self.at + HEADER as u32, header.frame_len() as usize - HEADER)?;
        Ok(self.segment.check(header, self.at, rest))
    }

    /// Checks the frame it stands at in bounded memory, keeping nothing.
    pub(crate) fn check(&mut self, header: &Header) -> Result<Result<(), Fault>> {
        if header.body_len as usize <= WINDOW {
            return Ok(self.body(header)?.map(drop));
        }
        if let Err(fault) = self.check_tail(header)? {
            return Ok(Err(fault));
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut at = self.at + HEADER as u32;
        let end = at + header.body_len;
        while at < end {
            let piece = self.read(at, PIECE.min((end - at) as usize))?;
            hasher.update(&piece);
            at += piece.len() as u32;
        }
        Ok(frame::check_body(header, hasher.finalize()))
    }

    /// Checks what stands behind a large body, before anything is done with that: it is cheap, the usual tear lacks it, and
    /// a length that reaches beyond the file takes no memory.
    fn check_tail(&self, header: &Header) -> Result<Result<(), Fault>> {
        let at = self.at + HEADER as u32 + header.body_len;
        let tail = self.read(at, header.frame_len() as usize - HEADER - header.body_len as usize)?;
        Ok(frame::check_tail(&tail, header, self.address()))
    }

    /// Goes on to the frame behind this one.
    pub(crate) fn step(&mut self, header: &Header) {
        self.at += header.frame_len() as u32;
    }

    /// These bytes, out of the window if they are in it.
    fn bytes(&mut self, offset: u32, len: usize) -> Result<Bytes> {
        let inside = |walker: &Self| {
            let skip = offset.checked_sub(walker.window_at)? as usize;
            (skip + len <= walker.window.len()).then(|| walker.window.slice(skip..skip + len))
        };
        if let Some(bytes) = inside(self) {
            return Ok(bytes);
        }
        if len > WINDOW || offset >= self.segment.bytes() {
            return self.read(offset, len);
        }
        let jumps = u64::from(offset) > u64::from(self.window_at) + self.window.len() as u64;
        let window = if jumps { GLANCE } else { WINDOW };
        self.window = self.read(offset, window.min((self.segment.bytes() - offset) as usize).max(len))?;
        self.window_at = offset;
        Ok(self.window.slice(..len))
    }

    /// Reads past the window; zeros behind the end of the file.
    fn read(&self, offset: u32, len: usize) -> Result<Bytes> {
        self.memory.filled(len, |piece| {
            let mut filled = 0;
            while filled < len {
                match self.segment.read_some(&mut piece[filled..], offset + filled as u32)? {
                    0 => break,
                    n => filled += n,
                }
            }
            piece[filled..].fill(0);
            Ok(())
        })
    }
}
