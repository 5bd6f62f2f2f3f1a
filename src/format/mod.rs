//! The bytes. Slices in, values out: no files, no clocks, no locks here. DESIGN.md, "The format", tells the
//! same layout once in words; `tests/golden.rs` and `tests/second_opinion.py` hold both to it.

pub(crate) mod codec;
pub(crate) mod commit;
pub(crate) mod compacted;
pub(crate) mod consumer;
pub(crate) mod data;
pub(crate) mod define;
pub(crate) mod fault;
pub(crate) mod frame;
pub(crate) mod index;
pub(crate) mod mark;
pub(crate) mod names;
pub(crate) mod note;
pub(crate) mod segment;
pub(crate) mod snapshot;
pub(crate) mod wire;

/// The unit of flushing: a batch starts on a block, so no write touches a block that holds flushed frames.
pub(crate) const BLOCK: u32 = 4096;
/// Frames start at multiples of this.
pub(crate) const ALIGN: u32 = 8;
/// The newest format this code writes and reads.
pub(crate) const VERSION: u16 = 1;

/// `offset` rounded up to a block.
pub(crate) const fn block_up(offset: u32) -> u32 {
    offset.next_multiple_of(BLOCK)
}
