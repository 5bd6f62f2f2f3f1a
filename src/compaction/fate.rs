//! Which records stay: of each key the last whole row (or its deletion) and what came after it.
//!
//! What is known of a key is one entry, under a hash of 128 bits, in a table of bounded size. Where there are more keys than
//! it holds, they are judged in ranges of their hashes, one after another, and a bit for each record remembers the verdict.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::Range;

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use super::meter::Meter;
use super::source::{Frame, Placed, Sink, Source};
use super::streams::Streams;
use crate::error::Result;
use crate::format::data::OpKind;
use crate::position::StreamId;
use crate::protection::Protection;

/// An entry takes 24 bytes and a byte beside it, in a table that is seven eighths full at most; while it grows, the half
/// as large one before it is there, too.
const BUCKET_BYTES: usize = 38;

/// How many keys may be known at once with so much memory.
pub(super) fn keys_max(memory_bytes: usize) -> usize {
    let buckets = (memory_bytes / BUCKET_BYTES).max(2);
    let power = 1 << (usize::BITS - 1 - buckets.leading_zeros());
    (power / 8 * 7).max(1)
}

/// A stream's key, as far as is remembered: 128 bits of SipHash. Two keys with one hash would lose a row; under a secret that is
/// drawn anew for each compaction they do not happen by chance, and nobody can choose keys so that they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeyHash {
    /// Finds the entry in the table.
    place: u64,
    /// Says to which range it belongs.
    range: u64,
}

impl KeyHash {
    fn of(secret: u128, stream: StreamId, key: &[u8]) -> KeyHash {
        let mut hasher = SipHasher13::new_with_key(&secret.to_le_bytes());
        hasher.write(&stream.get().to_le_bytes());
        hasher.write(key);
        let Hash128 { h1: place, h2: range } = hasher.finish128();
        KeyHash { place, range }
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.place);
    }
}

/// What is a hash already needs no other.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// How many records of each 64 of a stream may stay, as far as is known: the last of their key, and those that nothing
/// replaces. What holds none of them need not be read again.
#[derive(Debug, Default)]
struct Groups(BTreeMap<StreamId, Vec<u8>>);

impl Groups {
    const RECORDS: u64 = 64;

    fn add(&mut self, stream: StreamId, ordinal: u64) {
        let groups = self.0.entry(stream).or_default();
        let group = (ordinal / Self::RECORDS) as usize;
        if groups.len() <= group {
            groups.resize(group + 1, 0);
        }
        groups[group] += 1;
    }

    /// A later record took its place.
    fn take(&mut self, stream: StreamId, ordinal: u64) {
        let groups = self.0.entry(stream).or_default();
        groups[(ordinal / Self::RECORDS) as usize] -= 1;
    }

    fn are_empty(&self, stream: StreamId, ordinals: &Range<u64>) -> bool {
        let (first, end) = (ordinals.start / Self::RECORDS, ordinals.end.div_ceil(Self::RECORDS));
        let groups = self.0.get(&stream).map_or(&[][..], Vec::as_slice);
        groups
            .get(first as usize..(end as usize).min(groups.len()))
            .is_none_or(|some| some.iter().all(|n| *n == 0))
    }
}

/// Where each key of a range of hashes was last set as a whole, or deleted.
struct Known<'a> {
    streams: &'a Streams,
    low: u64,
    /// The last hash of the range.
    high: u64,
    closed: HashMap<KeyHash, u64, BuildHasherDefault<AsItIs>>,
    /// The last truncate of each stream.
    truncated: BTreeMap<StreamId, u64>,
    /// Kept as long as the range is everything.
    groups: Groups,
    rules: Rules,
}

impl<'a> Known<'a> {
    fn new(streams: &'a Streams, low: u64, rules: Rules) -> Self {
        let (closed, truncated) = (HashMap::default(), BTreeMap::new());
        Known { streams, low, high: u64::MAX, closed, truncated, groups: Groups::default(), rules }
    }

    fn is_all(&self) -> bool {
        (self.low, self.high) == (0, u64::MAX)
    }

    fn hash(&self, stream: StreamId, key: &[u8]) -> KeyHash {
        KeyHash::of(self.rules.secret, stream, key)
    }

    fn is_in_range(&self, hash: KeyHash) -> bool {
        (self.low..=self.high).contains(&hash.range)
    }

    /// Learns of a record.
    fn learn(&mut self, stream: StreamId, placed: &Placed<'_>) {
        let ordinal = placed.ordinal;
        let mut replaced = None;
        match placed.record.op {
            OpKind::Truncate => drop(self.truncated.insert(stream, ordinal)),
            OpKind::Insert | OpKind::Upsert | OpKind::Delete if !placed.record.key.is_empty() => {
                let hash = self.hash(stream, placed.record.key);
                if self.is_in_range(hash) {
                    replaced = self.closed.insert(hash, ordinal);
                    self.keep_small();
                }
            }
            _ => {}
        }
        if self.is_all() {
            self.groups.add(stream, ordinal);
            replaced.into_iter().for_each(|replaced| self.groups.take(stream, replaced));
        }
    }

    /// With too many keys the upper half of the range is left for later.
    fn keep_small(&mut self) {
        while self.closed.len() > self.rules.keys_max && self.low < self.high {
            self.high = self.low + (self.high - self.low) / 2;
            let high = self.high;
            self.closed.retain(|hash, _| hash.range <= high);
        }
    }

    /// Whether a record of a keyed stream stays; `None` for a key of another range.
    fn stays(&self, stream: StreamId, placed: &Placed<'_>) -> Option<bool> {
        let Placed { record, ordinal, time_us, .. } = *placed;
        let young = time_us >= self.rules.young_us;
        match self.truncated.get(&stream) {
            Some(at) if ordinal < *at => return Some(false),
            _ if record.op == OpKind::Truncate => return Some(young),
            // Without a key nothing can take its place.
            _ if record.key.is_empty() => return Some(true),
            _ => {}
        }
        let hash = self.hash(stream, record.key);
        if !self.is_in_range(hash) {
            return None;
        }
        let closed = self.closed.get(&hash);
        let counts = closed.is_none_or(|at| ordinal >= *at);
        Some(match record.op {
            OpKind::Delete => counts && young,
            OpKind::Update if Protection::CompactionKeepsUpdates.is_off() => closed.is_none(),
            _ => counts,
        })
    }
}

impl Sink for Known<'_> {
    fn wants(&self, stream: StreamId) -> bool {
        self.streams.is_keyed(stream)
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<()> {
        frame.each_record(&mut |placed| {
            self.learn(frame.stream, placed);
            Ok(())
        })
    }
}

/// A bit for each record of the keyed streams: it stays.
#[derive(Debug, Default)]
struct Bits(BTreeMap<StreamId, Vec<u64>>);

impl Bits {
    fn set(&mut self, stream: StreamId, ordinal: u64) {
        let words = self.0.entry(stream).or_default();
        let word = (ordinal / 64) as usize;
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << (ordinal % 64);
    }

    /// Whether any of these is set.
    fn has_any(&self, stream: StreamId, ordinals: &Range<u64>) -> bool {
        let (first, end) = (ordinals.start / 64, ordinals.end.div_ceil(64));
        let words = self.0.get(&stream).map_or(&[][..], Vec::as_slice);
        words
            .get(first as usize..(end as usize).min(words.len()))
            .is_some_and(|some| some.iter().any(|word| *word != 0))
    }

    fn has(&self, stream: StreamId, ordinal: u64) -> bool {
        let word = self.0.get(&stream).and_then(|words| words.get((ordinal / 64) as usize));
        word.is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    }
}

/// Notes what stays of one range.
struct Marking<'a> {
    bits: &'a mut Bits,
    known: &'a Known<'a>,
}

impl Sink for Marking<'_> {
    fn wants(&self, stream: StreamId) -> bool {
        self.known.wants(stream)
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<()> {
        frame.each_record(&mut |placed| {
            if self.known.stays(frame.stream, placed) == Some(true) {
                self.bits.set(frame.stream, placed.ordinal);
            }
            Ok(())
        })
    }
}

/// What decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// So many keys are known at once.
    pub keys_max: usize,
    /// Tombstones from this time on stay.
    pub young_us: i64,
    /// Keys are hashed with it.
    pub secret: u128,
}

/// The fate of every record of the keyed streams.
pub(super) struct Fates<'a>(Verdict<'a>);

enum Verdict<'a> {
    Keys(Known<'a>),
    Bits(Bits),
}

impl<'a> Fates<'a> {
    /// Reads everything as often as the number of keys makes necessary.
    pub(super) fn judge(
        source: &Source<'_>,
        streams: &'a Streams,
        rules: Rules,
        meter: &mut Meter<'_>,
    ) -> Result<Fates<'a>> {
        let mut bits = Bits::default();
        let mut low = Some(0);
        while let Some(from) = low {
            let mut known = Known::new(streams, from, rules);
            meter.expect(source.bytes);
            source.pass(meter, &mut known)?;
            if known.is_all() {
                return Ok(Fates(Verdict::Keys(known)));
            }
            meter.expect(source.bytes);
            source.pass(meter, &mut Marking { bits: &mut bits, known: &known })?;
            low = known.high.checked_add(1);
        }
        Ok(Fates(Verdict::Bits(bits)))
    }

    /// Whether none of these records of a keyed stream stays; `false` where that is not known without reading them.
    pub(super) fn none_stays(&self, stream: StreamId, ordinals: &Range<u64>) -> bool {
        match &self.0 {
            Verdict::Keys(known) => known.groups.are_empty(stream, ordinals),
            Verdict::Bits(bits) => !bits.has_any(stream, ordinals),
        }
    }

    pub(super) fn stays(&self, stream: StreamId, placed: &Placed<'_>) -> bool {
        match &self.0 {
            Verdict::Keys(known) => known.stays(stream, placed) == Some(true),
            Verdict::Bits(bits) => bits.has(stream, placed.ordinal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::data::RecordParts;

    const STREAM: StreamId = StreamId::new(1);
    const NOW: i64 = 1000;

    /// Operations with one letter as their key; `truncate` with none.
    fn placed(ops: &[(OpKind, &str)], rules: Rules) -> String {
        let records: Vec<RecordParts<'_>> = ops
            .iter()
            .map(|(op, key)| RecordParts {
                op: *op,
                emitted_us: 0,
                key: key.as_bytes(),
                metadata: b"",
                payload: b"",
            })
            .collect();
        let streams = Streams::default();
        let mut stays = vec!['.'; ops.len()];
        let mut low = Some(0);
        while let Some(from) = low {
            let mut known = Known::new(&streams, from, rules);
            let each = || {
                records.iter().enumerate().map(|(i, record)| Placed {
                    record: *record,
                    ordinal: i as u64,
                    time_us: NOW + i as i64,
                    is_of_base: false,
                })
            };
            each().for_each(|placed| known.learn(STREAM, &placed));
            for placed in each().filter(|placed| known.stays(STREAM, placed) == Some(true)) {
                stays[placed.ordinal as usize] = '+';
                let group = placed.ordinal..placed.ordinal + 1;
                assert!(!known.is_all() || !known.groups.are_empty(STREAM, &group), "it would not be read");
            }
            low = known.high.checked_add(1);
        }
        stays.into_iter().collect()
    }

    const NONE_YOUNG: Rules = Rules { keys_max: 1000, young_us: i64::MAX, secret: 1 };

    #[test]
    fn the_last_whole_row_stays_and_the_updates_after_it() {
        use OpKind::*;
        let ops = [(Insert, "a"), (Update, "a"), (Upsert, "a"), (Update, "a"), (Update, "b"), (Update, "a")];
        assert_eq!(placed(&ops, NONE_YOUNG), "..++++");
    }

    #[test]
    fn a_tombstone_stays_while_it_is_young() {
        use OpKind::*;
        let ops = [(Insert, "a"), (Delete, "a"), (Insert, "b"), (Delete, "b"), (Insert, "b"), (Delete, "c")];
        assert_eq!(placed(&ops, NONE_YOUNG), "....+.");
        assert_eq!(placed(&ops, Rules { young_us: NOW + 2, ..NONE_YOUNG }), "....++");
        assert_eq!(placed(&ops, Rules { young_us: 0, ..NONE_YOUNG }), ".+..++");
    }

    #[test]
    fn a_truncate_clears_what_is_before_it() {
        use OpKind::*;
        let ops = [(Insert, "a"), (Truncate, ""), (Insert, ""), (Truncate, ""), (Insert, "a"), (Insert, "")];
        assert_eq!(placed(&ops, NONE_YOUNG), "....++");
        assert_eq!(placed(&ops, Rules { young_us: 0, ..NONE_YOUNG }), "...+++");
    }

    #[test]
    fn any_number_of_ranges_gives_the_same() {
        use OpKind::*;
        let keys: Vec<String> = (0..500).map(|i| format!("k{}", i * 7919 % 90)).collect();
        let kinds = [Insert, Update, Upsert, Update, Delete];
        let ops: Vec<_> = keys.iter().enumerate().map(|(i, key)| (kinds[i % 5], key.as_str())).collect();
        let whole = placed(&ops, NONE_YOUNG);
        for keys_max in [1, 2, 10, 89] {
            assert_eq!(placed(&ops, Rules { keys_max, ..NONE_YOUNG }), whole, "{keys_max}");
        }
    }

    #[test]
    fn what_is_replaced_as_a_whole_is_not_read_again() {
        let rows: Vec<String> = (0..300).map(|i| format!("k{}", i % 100)).collect();
        let streams = Streams::default();
        let mut known = Known::new(&streams, 0, NONE_YOUNG);
        for (i, key) in rows.iter().enumerate() {
            // An update in the second group, which nothing replaces.
            let op = if i == 70 { OpKind::Update } else { OpKind::Upsert };
            let record = RecordParts { op, emitted_us: 0, key: key.as_bytes(), metadata: b"", payload: b"" };
            known.learn(STREAM, &Placed { record, ordinal: i as u64, time_us: NOW, is_of_base: false });
        }
        let fates = Fates(Verdict::Keys(known));
        let none_stays = |ordinals| fates.none_stays(STREAM, &ordinals);
        assert_eq!([none_stays(0..64), none_stays(64..128), none_stays(128..192)], [true, false, true]);
        assert_eq!([none_stays(192..256), none_stays(0..300), none_stays(0..10)], [false, false, true]);
    }

    #[test]
    fn memory_bounds_the_keys() {
        assert_eq!(keys_max(64 << 20), 917_504);
        assert!(keys_max(0) >= 1);
    }
}
