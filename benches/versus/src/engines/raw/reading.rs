//! Reading a cached file with a CRC over every byte: by a map, and by `pread` in pieces that fit into the cache.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::Result;

use crate::engine::Setup;

const PIECE_BYTES: usize = 256 << 10;

pub(super) fn by_pread(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let file = File::open(setup.dir.join(super::FILE))?;
    let length = file.metadata()?.len() as usize;
    let piece_bytes = whole_records(setup);
    let mut piece = vec![0; piece_bytes];
    for at in (0..length).step_by(piece_bytes) {
        let piece = &mut piece[..piece_bytes.min(length - at)];
        file.read_exact_at(piece, at as u64)?;
        show(piece, setup, visit);
    }
    Ok(())
}

#[allow(unsafe_code)]
pub(super) fn by_map(setup: &Setup, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let file = File::open(setup.dir.join(super::FILE))?;
    // SAFETY: nobody else touches the files of a measurement.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    map.chunks(whole_records(setup)).for_each(|piece| show(piece, setup, visit));
    Ok(())
}

/// The largest piece in which no record is cut.
fn whole_records(setup: &Setup) -> usize {
    PIECE_BYTES / setup.record_bytes * setup.record_bytes
}

/// The CRC can't be compared with anything, but it is taken.
fn show(piece: &[u8], setup: &Setup, visit: &mut dyn FnMut(&[u8])) {
    std::hint::black_box(crc32fast::hash(piece));
    piece.chunks_exact(setup.record_bytes).for_each(visit);
}
