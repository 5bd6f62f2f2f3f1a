//! LZ4 blocks, in safe Rust.

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

#[derive(Default)]
pub(super) struct Compressor {
    /// The large one from the beginning: what comes out depends on nothing but what goes in.
    table: Option<Box<CompressTable>>,
}

impl Compressor {
    pub(super) fn compress(
        &mut self,
        _level: i32,
        content: &[u8],
        _max: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let table = self.table.get_or_insert_with(|| Box::new(CompressTable::large()));
        let bound = get_maximum_output_size(content.len());
        if out.len() < bound {
            out.resize(bound, 0);
        }
        compress_into_with_table(content, out, table).ok()
    }
}

#[derive(Default)]
pub(super) struct Decompressor;

impl Decompressor {
    pub(super) fn decompress(&mut self, stored: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; len];
        let found = decompress_into(stored, &mut out).ok()?;
        (found == len).then_some(out)
    }
}
