//! Records that no compression makes smaller, from a seed, the same for every contender.

/// Small enough to stay in the cache, as a record does that a pipeline has just made; large enough that no compressor's
/// window sees a record twice.
const POOL_BYTES: usize = 4 << 20;

/// A prime step, so that neighbours are far apart and every offset comes before one comes again.
const STEP: u64 = 1_000_003;

const SEED: u64 = 0x6869_6768_7761_7465;

/// A pool of pseudo-random bytes; record `i` is a slice of it.
#[derive(Debug)]
pub(crate) struct Data {
    pool: Vec<u8>,
}

impl Data {
    pub(crate) fn new() -> Self {
        let mut state = SEED;
        let words = (0..POOL_BYTES / 8).flat_map(|_| split_mix(&mut state).to_le_bytes());
        Data { pool: words.collect() }
    }

    /// The `index`th record of so many bytes.
    pub(crate) fn record(&self, index: u64, bytes: usize) -> &[u8] {
        let places = (self.pool.len() - bytes) as u64;
        let at = (index.wrapping_mul(STEP) % places) as usize;
        &self.pool[at..at + bytes]
    }

    /// A state of so many bytes: a JSON string, since states are JSON.
    pub(crate) fn state(&self, index: u64, bytes: usize) -> Vec<u8> {
        let digits = b"0123456789abcdef";
        let text = self.record(index, bytes - 2).iter().map(|byte| digits[usize::from(byte & 15)]);
        std::iter::once(b'"').chain(text).chain(std::iter::once(b'"')).collect()
    }
}

/// Steele, Lea and Flood's generator: eight bytes a step, and any seed will do.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_record_twice_and_another_beside_it() {
        let (one, other) = (Data::new(), Data::new());
        assert_eq!(one.record(7, 1024), other.record(7, 1024));
        assert_ne!(one.record(7, 1024), one.record(8, 1024));
    }

    #[test]
    fn a_state_is_a_json_string() {
        let state = Data::new().state(3, 200);
        assert_eq!(state.len(), 200);
        assert!(serde_json::from_slice::<String>(&state).is_ok());
    }
}
