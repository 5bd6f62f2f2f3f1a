//! What the checkpoints are made of: a function of the seed and their number alone.

/// Streams of the single writer.
pub(crate) const STREAMS: u64 = 4;

/// A stream's name.
pub(crate) fn name(stream: u64) -> String {
    format!("s{stream}")
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64, sequence: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ sequence.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// How many records a checkpoint has.
    fn count(&mut self) -> u64 {
        match self.below(10) {
            0 => 0,
            1 => 100 + self.below(200),
            _ => self.below(20),
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        let len = match self.below(40) {
            0 => 0,
            1 => 20_000 + self.below(100_000),
            _ => self.below(600),
        };
        let mut bytes = Vec::with_capacity(len as usize + 8);
        while (bytes.len() as u64) < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len as usize);
        bytes
    }
}

/// A checkpoint of the single writer.
pub(crate) struct Plan {
    /// The stream it covers; `None`: all, with the global state.
    pub(crate) covers: Option<u64>,
    /// Stream and payload. Records of streams that it does not cover are appended, left uncommitted, and discarded
    /// before the next, so that every checkpoint is a function of its number.
    pub(crate) records: Vec<(u64, Vec<u8>)>,
    pub(crate) state: String,
}

impl Plan {
    pub(crate) fn new(seed: u64, sequence: u64) -> Plan {
        let mut random = Random::new(seed, sequence);
        let covers = if random.below(4) == 0 { None } else { Some(random.below(STREAMS)) };
        let count = random.count();
        let records = (0..count).map(|_| (random.below(STREAMS), random.payload())).collect();
        let state = match random.below(20) {
            0 => format!("\"{}\"", "s".repeat(random.below(100_000) as usize)),
            _ => format!("{{\"at\":{sequence}}}"),
        };
        Plan { covers, records, state }
    }
}

/// A checkpoint of one of several writers.
pub(crate) struct LanePlan {
    /// Appended and discarded before the records.
    pub(crate) discarded: Vec<Vec<u8>>,
    pub(crate) records: Vec<Vec<u8>>,
    /// It tells the number within the stream, from which the next process goes on.
    pub(crate) state: String,
}

impl LanePlan {
    pub(crate) fn new(seed: u64, stream: u64, number: u64) -> LanePlan {
        let mut random = Random::new(seed ^ (stream + 1).rotate_right(8), number);
        let discarded = if random.below(8) == 0 { random.count() } else { 0 };
        let discarded = (0..discarded).map(|_| random.payload()).collect();
        let count = random.count();
        let records = (0..count).map(|_| random.payload()).collect();
        let padding = if random.below(20) == 0 { random.below(100_000) as usize } else { 0 };
        let state = format!("{{\"at\":{number},\"padding\":\"{}\"}}", "s".repeat(padding));
        LanePlan { discarded, records, state }
    }
}
