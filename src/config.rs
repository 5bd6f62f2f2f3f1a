//! Every setting and every limit, named, with its reason.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::environment::{Environment, System};
use crate::error::{Error, ErrorKind, Result};
use crate::position::Sequence;
use crate::replacement::Replacement;

/// How a log is opened and kept. `Config::default()` is right for most.
///
/// ```
/// use std::time::Duration;
/// let config = highwater::Config { lock_wait: Duration::from_secs(5), ..Default::default() };
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Create the log if the directory holds none. Default: true. Say `false` where a mistyped path must not
    /// make a new, empty log.
    pub create: bool,
    /// How long to wait for another process to give the log up. Default: no wait.
    pub lock_wait: Duration,
    /// Open on a network file system although its locks and flushes may not keep the promises. Default: false.
    pub allow_network: bool,
    /// The size segments grow to, in bytes, 64 KiB to 2 GiB. Default: 64 MiB. The first is 1 MiB at most and each
    /// doubles, so a small log stays small.
    pub segment_bytes: u32,
    /// The largest record, key, metadata and payload together, in bytes, at most 512 MiB. Default: 64 MiB.
    pub record_bytes_max: u32,
    /// The largest state, in bytes, at most 512 MiB. Default: 10 MiB.
    pub state_bytes_max: u32,
    /// How much a writer holds in memory before records go to the log, in bytes. Default: 8 MiB.
    pub buffer_bytes_max: usize,
    /// How much may be written without a flush, in bytes: what opening after a crash has to look at. Default: 8 MiB.
    pub unflushed_bytes_max: u32,
    /// The largest uncommitted unit of one writer, in bytes. Default: none but [`Config::size_max`].
    pub unit_bytes_max: Option<u64>,
    /// The most that the log's segments and base files may occupy, in bytes ([`Status::size_bytes`](crate::Status::size_bytes)).
    /// About 1 MiB more is beside them: the reserve for a pruning on a full disk, positions. Default: no limit.
    pub size_max: Option<u64>,
    /// What an append does when `size_max` is reached. Default: fail.
    pub when_full: WhenFull,
    /// What is kept although every consumer has acknowledged it, where an append prunes for room: at `size_max`, on a full disk, or
    /// with a consumer beyond its `max_lag`.
    pub retention: Retention,
    /// Buffered checkpoints are flushed after this time at the latest, by the next call that writes or by
    /// [`maintain`](crate::Log::maintain), which may do it sooner where much waits. Default: with the next flush, or by the next
    /// `maintain`.
    pub flush_interval: Option<Duration>,
    /// How many pruned segments are kept to be written over. Default: 2.
    pub spare_segments: usize,
    /// How sealed segments are read. Default: [`ReadMode::Copy`].
    pub read_mode: ReadMode,
    /// The content digest of a checkpoint. Default: [`Digest::Crc32`].
    pub digest: Digest,
    /// How records are compressed, where their stream does not say it itself
    /// ([`StreamSpec::compression`](crate::StreamSpec::compression)). Default: not at all. It holds for what this opening
    /// writes; whatever is in the log can be read.
    pub compression: Compression,
    /// Let [`maintain`](crate::Log::maintain) compact when at least [`Compaction::dead_share_min`] of what can be compacted is
    /// dead. It looks again only when so much was sealed since its last look that this may be so. Default: not at all. Not for a
    /// log whose records are replaced without truncates, as a pipeline's: what it has to be told ([`Compaction::replacements`]) is
    /// known anew each time, and no setting.
    pub compaction: Option<Compaction>,
    /// Run [`maintain`](crate::Log::maintain) on a thread named `highwater` every so often. Default: no thread.
    pub background: Option<Duration>,
    /// Clocks, ids and the identity of this boot. Default: the system's.
    pub environment: Arc<dyn Environment>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            create: true,
            lock_wait: Duration::ZERO,
            allow_network: false,
            segment_bytes: 64 << 20,
            record_bytes_max: 64 << 20,
            state_bytes_max: 10 << 20,
            buffer_bytes_max: 8 << 20,
            unflushed_bytes_max: 8 << 20,
            unit_bytes_max: None,
            size_max: None,
            when_full: WhenFull::Fail,
            retention: Retention::default(),
            flush_interval: None,
            spare_segments: 2,
            read_mode: ReadMode::Copy,
            digest: Digest::Crc32,
            compression: Compression::None,
            compaction: None,
            background: None,
            environment: Arc::new(System),
        }
    }
}

impl Config {
    /// The smallest segment: sixteen blocks, of which three are kept for bookkeeping.
    pub(crate) const SEGMENT_BYTES_MIN: u32 = 64 << 10;
    /// The first segment of a log; later ones double.
    pub(crate) const SEGMENT_BYTES_FIRST: u32 = 1 << 20;
    /// Offsets are 32 bits and a little room above the largest frame is needed.
    const SEGMENT_BYTES_MAX: u32 = 2 << 30;
    /// Lengths inside frames are 32 bits; half a GiB leaves room for headers and doubling.
    pub(crate) const ITEM_BYTES_MAX: u32 = 512 << 20;
    /// A data frame is closed, and goes out, when it holds this much: the device works while records still arrive. Smaller
    /// ones cost headers.
    pub(crate) const DATA_FRAME_BYTES: usize = 128 << 10;

    pub(crate) fn validate(&self) -> Result<()> {
        let within = |name: &str, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(format!("Config::{name} is {value}; expected {min} to {max}")))
        };
        within(
            "segment_bytes",
            self.segment_bytes.into(),
            Self::SEGMENT_BYTES_MIN.into(),
            Self::SEGMENT_BYTES_MAX.into(),
        )?;
        within("record_bytes_max", self.record_bytes_max.into(), 1, Self::ITEM_BYTES_MAX.into())?;
        within("state_bytes_max", self.state_bytes_max.into(), 1, Self::ITEM_BYTES_MAX.into())?;
        within("unflushed_bytes_max", self.unflushed_bytes_max.into(), 64 << 10, 1 << 30)?;
        within("buffer_bytes_max", self.buffer_bytes_max as u64, 4 << 10, 1 << 40)?;
        self.compaction.as_ref().map_or(Ok(()), Compaction::check)?;
        self.compression.check()
    }

    /// A data frame's target size: small segments get small frames, so that they do not end half empty.
    pub(crate) fn data_frame_bytes(&self) -> usize {
        Self::DATA_FRAME_BYTES.min(self.segment_bytes as usize / 8)
    }
}

/// What an append does when the log is at [`Config::size_max`] and pruning frees nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It fails with [`ErrorKind::Full`](crate::ErrorKind::Full).
    Fail,
    /// It waits for consumers to acknowledge, at most this long, and then fails.
    Wait(Duration),
}

/// When a commit returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the flush: the checkpoint survives a power cut (P1).
    #[default]
    Sync,
    /// After the kernel has it: the checkpoint survives a killed process, not a power cut; any later flush makes it
    /// durable. Consumers see it from then on.
    Buffered,
}

/// What pruning keeps although every consumer has acknowledged it. All rules hold at once; the newest checkpoint
/// always stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Keep at least this many checkpoints.
    pub min_count: u64,
    /// Keep every checkpoint younger than this.
    pub min_age: Duration,
}

/// What a compaction leaves as it is, and what it may take.
///
/// ```
/// use std::time::Duration;
/// let week = Duration::from_secs(7 * 86_400);
/// let compaction = highwater::Compaction { tombstones_min_age: week, ..Default::default() };
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Compaction {
    /// Checkpoints that stay as they are, beside those that a consumer or a pin needs. The newest always does.
    pub retention: Retention,
    /// A deletion (or a truncate) stays as a tombstone until it is so old, for destinations that come late. Default: zero, none
    /// stays: who begins with the base checkpoint has nothing to delete.
    pub tombstones_min_age: Duration,
    /// Nothing is rewritten if less than this share of the bytes would go, 0 to 1. Default: 0.
    pub dead_share_min: f64,
    /// Memory for what is known of keys, in bytes. With more keys than fit everything is read several times. Default: 64 MiB.
    pub memory_bytes_max: usize,
    /// What took the place of other records without a truncate, in any order, of every checkpoint that may be taken in. Old records
    /// whose replacement is whole by the base checkpoint go, with or without a key, also out of an earlier base checkpoint that lies
    /// before its beginning. The base checkpoint lies before one that is under way, since who begins there could not tell old
    /// records from new. Default: none. Fails with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for one that is over before it
    /// began; of a stream that was dropped they do not matter.
    pub replacements: Vec<Replacement>,
    /// Checkpoints behind this one stay as they are: what is told of replacements is told up to here, and writers go on. Default: all
    /// may be taken in.
    pub up_to: Option<Sequence>,
}

impl Default for Compaction {
    fn default() -> Self {
        Compaction {
            retention: Retention::default(),
            tombstones_min_age: Duration::ZERO,
            dead_share_min: 0.0,
            memory_bytes_max: 64 << 20,
            replacements: Vec::new(),
            up_to: None,
        }
    }
}

impl Compaction {
    pub(crate) fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.dead_share_min) {
            return self.replacements.iter().try_for_each(Replacement::check);
        }
        let what = format!("Compaction::dead_share_min is {}; expected 0 to 1", self.dead_share_min);
        Err(Error::invalid(what))
    }
}

/// How sealed segments are read in the process that owns the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// By `pread` into memory: an unreadable block is an error.
    #[default]
    Copy,
    /// By a memory map: no copy, but an unreadable block kills the process (SIGBUS), and the map keeps the segment
    /// from being recycled while a record of it is alive.
    Map,
}

/// The content digest a checkpoint carries per stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digest {
    /// The CRC-32 of the records' encodings, combined from the frames' own: it finds accidents and costs nothing.
    #[default]
    Crc32,
    /// BLAKE3 in addition, for audits.
    Blake3,
}

/// How the records of a stream are compressed on their way to the log. What does not get smaller is stored as it is, and
/// counts, checksums and digests are those of the records: they do not tell whether these were compressed.
///
/// ```
/// use highwater::Compression;
/// assert_eq!("lz4".parse::<Compression>()?, Compression::Lz4);
/// assert!("lz5".parse::<Compression>().is_err());
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// LZ4: little time, about half the bytes of what is like JSON. Needs the feature `lz4`, which is on by default.
    Lz4,
    /// zstd with a [level](Compression::ZSTD_LEVELS); 3 is usual, 1 is fast, and 0 is what the library takes to be usual.
    /// Needs the feature `zstd`.
    Zstd(i32),
}

impl Compression {
    /// The levels of zstd; those below 0 are its fastest.
    pub const ZSTD_LEVELS: RangeInclusive<i32> = -7..=22;
    /// The level for who does not name one.
    const ZSTD_USUAL: i32 = 3;

    /// Whether this build can do it.
    pub(crate) fn check(self) -> Result<()> {
        let lacks = |feature: &str| {
            let what = format!(
                "compression {self} needs the feature `{feature}` of the crate highwater, which this build lacks"
            );
            Err(Error::new(ErrorKind::Unsupported, what))
        };
        match self {
            Compression::Lz4 if !cfg!(feature = "lz4") => lacks("lz4"),
            Compression::Zstd(level) if !Self::ZSTD_LEVELS.contains(&level) => {
                let (least, most) = Self::ZSTD_LEVELS.into_inner();
                Err(Error::invalid(format!("the zstd level is {level}; expected {least} to {most}")))
            }
            Compression::Zstd(_) if !cfg!(feature = "zstd") => lacks("zstd"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compression::None => f.write_str("none"),
            Compression::Lz4 => f.write_str("lz4"),
            Compression::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// `none`, `lz4`, `zstd` or `zstd:LEVEL`.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = match text.split_once(':') {
            None if text == "none" => Some(Compression::None),
            None if text == "lz4" => Some(Compression::Lz4),
            None if text == "zstd" => Some(Compression::Zstd(Self::ZSTD_USUAL)),
            Some(("zstd", level)) => level.parse().ok().map(Compression::Zstd),
            _ => None,
        };
        let parsed = parsed.ok_or_else(|| {
            Error::invalid(format!("the compression is {text:?}; expected none, lz4, zstd or zstd:LEVEL"))
        })?;
        parsed.check().map(|()| parsed)
    }
}
