//! Memory maps.

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use super::FileMap;

struct Mapped(Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The first `bytes` of a file, read-only.
pub(super) fn map(file: &File, bytes: u64) -> io::Result<FileMap> {
    let len = usize::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    if file.metadata()?.len() < bytes {
        // Beyond the end a map answers with SIGBUS; the caller reads by `pread` and gets an error instead.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // SAFETY: a map is sound as long as nobody changes or shortens the file under it. Only sealed segments are
    // mapped, and only in the process that holds the log's exclusive lock. Nothing writes to a sealed segment, no
    // code of ours ever shortens a segment, and pruning does not recycle a segment while a map of it is alive
    // (`Segment::in_use`). What another program does to the files of a locked log is the documented risk of this
    // mode (`ReadMode::Map`); and every byte is checked against its CRC before it is given out.
    let map = unsafe { MmapOptions::new().len(len).map(file)? };
    Ok(Arc::new(Mapped(map)))
}
