//! zstd frames, by the reference library.

use parking_lot::Mutex;
use zstd::bulk;

/// The library's contexts are not for two threads at once. Nobody ever waits for these locks: `get_mut` needs none.
type Context<T> = Option<Mutex<T>>;

#[derive(Default)]
pub(super) struct Compressor {
    context: Context<(i32, bulk::Compressor<'static>)>,
}

impl Compressor {
    pub(super) fn compress(
        &mut self,
        level: i32,
        content: &[u8],
        max: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        if self.context.is_none() {
            self.context = Some(Mutex::new((level, bulk::Compressor::new(level).ok()?)));
        }
        let (set, context) = self.context.as_mut()?.get_mut();
        if *set != level {
            context.set_compression_level(level).ok()?;
            *set = level;
        }
        if out.len() < max {
            out.resize(max, 0);
        }
        // It gives up as soon as the room is used up. A context that gave up takes no other level any more.
        let len = context.compress_to_buffer(content, &mut out[..max]).ok();
        if len.is_none() {
            self.context = None;
        }
        len
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    context: Context<bulk::Decompressor<'static>>,
}

impl Decompressor {
    pub(super) fn decompress(&mut self, stored: &[u8], len: usize) -> Option<Vec<u8>> {
        if self.context.is_none() {
            self.context = Some(Mutex::new(bulk::Decompressor::new().ok()?));
        }
        let context = self.context.as_mut()?.get_mut();
        let mut out = vec![0; len];
        let found = context.decompress_to_buffer(stored, &mut out[..]).ok()?;
        (found == len).then_some(out)
    }
}
