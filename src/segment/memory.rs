//! Memory that was read into before, to be used again: a fresh piece for each read costs as much as a part of the reading.

use bytes::Bytes;

use crate::sync::Mutex;

/// So many pieces are remembered.
const PIECES_MAX: usize = 4;

/// What was lent last. A piece of it is free again once nobody else holds a part of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lent: Mutex<Vec<Bytes>>,
}

impl Memory {
    /// Some that is free, with what was read into it, or none.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut lent = self.lent.lock();
        let free = lent.iter().position(Bytes::is_unique).map(|i| lent.swap_remove(i));
        drop(lent);
        free.and_then(|bytes| bytes.try_into_mut().ok()).map(Vec::from).unwrap_or_default()
    }

    /// Remembers what was read into it.
    pub(super) fn lend(&self, memory: Vec<u8>) -> Bytes {
        let bytes = Bytes::from(memory);
        let mut lent = self.lent.lock();
        if lent.len() == PIECES_MAX {
            lent.remove(0);
        }
        lent.push(bytes.clone());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_used_again_once_nobody_holds_a_part_of_it() {
        let memory = Memory::default();
        let piece = memory.lend(vec![7; 1000]);
        let (part, place) = (piece.slice(10..20), piece.as_ptr());
        drop(piece);
        assert!(memory.take().is_empty());
        assert_eq!(part[..], [7; 10]);
        drop(part);
        let again = memory.take();
        assert_eq!((again.len(), again.as_ptr()), (1000, place));
    }
}
