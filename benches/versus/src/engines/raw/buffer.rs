//! Memory that begins on a block, as O_DIRECT wants it.

pub(super) const BLOCK: usize = 4096;

/// A growing buffer. What is behind its end is whatever was there before: padding is not cleared.
#[derive(Debug, Default)]
pub(super) struct Aligned {
    memory: Vec<u8>,
    /// Where the aligned part begins.
    start: usize,
    len: usize,
}

impl Aligned {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.start + (self.len + bytes.len()).next_multiple_of(BLOCK) > self.memory.len() {
            self.grow(self.len + bytes.len());
        }
        self.memory[self.start + self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }

    /// Up to the end of the last block that was begun.
    pub(super) fn blocks(&self) -> &[u8] {
        &self.memory[self.start..][..self.len.next_multiple_of(BLOCK)]
    }

    fn grow(&mut self, bytes: usize) {
        let room = bytes.next_power_of_two().max(BLOCK);
        let mut memory = vec![0; room + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        memory[start..][..self.len].copy_from_slice(self.bytes());
        (self.memory, self.start) = (memory, start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_lies_on_a_block() {
        let mut buffer = Aligned::default();
        let bytes: Vec<u8> = (0..10_000).map(|i| (i % 251) as u8).collect();
        bytes.chunks(777).for_each(|piece| buffer.extend(piece));
        assert_eq!(buffer.bytes(), bytes);
        assert_eq!(buffer.blocks().len(), 3 * BLOCK);
        assert!(buffer.blocks().as_ptr().addr().is_multiple_of(BLOCK));
    }
}
