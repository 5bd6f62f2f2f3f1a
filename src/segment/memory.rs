//! Memory that was read into before, to be used again: a fresh piece for each read costs as much as a part of the reading.

use bytes::{Bytes, BytesMut};

use crate::sync::Mutex;

/// So many pieces are remembered.
const PIECES_MAX: usize = 4;
/// And none that is larger: who reads something large does not read it again and again.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// What is read takes a piece that is at most so many times as long: whoever keeps it keeps the whole piece.
const TIMES_MAX: usize = 4;

/// What was lent last. A piece of it is free again once nobody else holds a part of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lent: Mutex<Vec<Bytes>>,
}

impl Memory {
    /// So many bytes, as `read` fills them. They may hold anything before: what is written over as a whole need not be cleared.
    pub(super) fn filled<E>(
        &self,
        len: usize,
        read: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        if len > PIECE_BYTES_MAX {
            let mut piece = BytesMut::zeroed(len);
            return read(&mut piece).map(|()| piece.freeze());
        }
        let mut piece = self.free(len).unwrap_or_else(|| BytesMut::zeroed(len));
        read(&mut piece[..len])?;
        Ok(self.lend(piece.freeze()).slice(..len))
    }

    /// The shortest piece that nobody holds a part of and that is long enough.
    fn free(&self, len: usize) -> Option<BytesMut> {
        let fits = |piece: &Bytes| (len..=len.saturating_mul(TIMES_MAX)).contains(&piece.len());
        let mut lent = self.lent.lock();
        let free = lent.iter().enumerate().filter(|(_, piece)| fits(piece) && piece.is_unique());
        let (place, _) = free.min_by_key(|(_, piece)| piece.len())?;
        lent.swap_remove(place).try_into_mut().ok()
    }

    /// Remembers a piece, in the place of the shortest if there are enough of them.
    fn lend(&self, piece: Bytes) -> Bytes {
        let mut lent = self.lent.lock();
        if lent.len() == PIECES_MAX
            && let Some((place, _)) = lent.iter().enumerate().min_by_key(|(_, piece)| piece.len())
        {
            lent.swap_remove(place);
        }
        lent.push(piece.clone());
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(memory: &Memory, len: usize, byte: u8) -> Bytes {
        let fill = |piece: &mut [u8]| {
            piece.fill(byte);
            Ok::<_, ()>(())
        };
        memory.filled(len, fill).unwrap()
    }

    #[test]
    fn a_piece_is_used_again_once_nobody_holds_a_part_of_it() {
        let memory = Memory::default();
        let first = piece(&memory, 1000, 7);
        let (part, place) = (first.slice(10..20), first.as_ptr());
        drop(first);
        assert_ne!(piece(&memory, 1000, 8).as_ptr(), place);
        assert_eq!(part[..], [7; 10]);
        drop(part);
        let again = [piece(&memory, 1000, 9), piece(&memory, 1000, 9)];
        assert!(again.iter().any(|piece| piece.as_ptr() == place));
    }

    #[test]
    fn a_shorter_piece_leaves_the_memory_as_long_as_it_was() {
        let memory = Memory::default();
        let place = piece(&memory, 1000, 1).as_ptr();
        let short = piece(&memory, 300, 2);
        assert_eq!((short.as_ptr(), &short[..]), (place, &[2; 300][..]));
        drop(short);
        assert_eq!(piece(&memory, 1000, 3).as_ptr(), place);
    }

    #[test]
    fn what_is_much_shorter_holds_no_long_piece() {
        let memory = Memory::default();
        let place = piece(&memory, 1000, 1).as_ptr();
        assert_ne!(piece(&memory, 200, 2).as_ptr(), place);
    }

    #[test]
    fn pieces_that_are_held_do_not_make_it_remember_more() {
        let memory = Memory::default();
        let held: Vec<Bytes> = (1..10).map(|i| piece(&memory, i * 100, i as u8)).collect();
        assert_eq!(memory.lent.lock().len(), PIECES_MAX);
        assert!(held.iter().enumerate().all(|(i, piece)| piece.iter().all(|byte| *byte == i as u8 + 1)));
        drop(piece(&memory, PIECE_BYTES_MAX + 1, 0));
        assert!(memory.lent.lock().iter().all(|piece| piece.len() <= PIECE_BYTES_MAX));
    }
}
