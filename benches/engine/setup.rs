//! A log in a directory that goes away with it, on the disk that `target` lies on: `/tmp` may be memory.

use std::ops::ControlFlow;

use highwater::{Commit, Compaction, Config, Durability, Log, Op, Retention, Stream, StreamSpec, Writer};
use tempfile::TempDir;

/// What is committed at a time where nothing else is said.
pub(crate) const RECORDS: usize = 1000;
pub(crate) const RECORD_BYTES: usize = 1024;

/// A log with one stream and its writer.
pub(crate) struct Bench {
    pub(crate) writer: Writer,
    pub(crate) stream: Stream,
    pub(crate) log: Log,
    pub(crate) dir: TempDir,
    row: Vec<u8>,
    unpruned: usize,
}

impl Bench {
    /// An empty log; records will be of so many bytes.
    pub(crate) fn new(record_bytes: usize) -> Bench {
        Bench::with(record_bytes, Config::default())
    }

    /// The same, opened as `config` says.
    pub(crate) fn with(record_bytes: usize, config: Config) -> Bench {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (log, _) = Log::open(dir.path(), config).unwrap();
        let stream = log.stream(StreamSpec::new("s")).unwrap();
        let writer = log.writer(&[&stream]).unwrap();
        Bench { writer, stream, log, dir, row: incompressible(record_bytes), unpruned: 0 }
    }

    /// A log that holds so many checkpoints of a thousand records of 1 KiB.
    pub(crate) fn filled(checkpoints: usize) -> Bench {
        Bench::new(RECORD_BYTES).fill(checkpoints)
    }

    /// Commits so many more.
    pub(crate) fn fill(self, checkpoints: usize) -> Bench {
        let mut bench = self;
        for _ in 0..checkpoints {
            bench.append(RECORDS);
            bench.commit(Durability::Buffered, "1");
        }
        bench.log.flush().unwrap();
        bench
    }

    /// A log of so many MiB in checkpoints of a thousand rows: half inserts, then as many updates, upserts and deletes of any of them.
    pub(crate) fn rewritten(mib: u64) -> Bench {
        let mut bench = Bench::new(RECORD_BYTES);
        bench.stream = bench.log.stream(StreamSpec::new("rows").key(["id"])).unwrap();
        bench.writer.add(&bench.stream).unwrap();
        let rows = mib * 512;
        let mut random = 1u64;
        for number in 0..rows * 2 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = if number < rows { number } else { (random >> 33) % rows };
            let (key, row) = (&id.to_be_bytes()[..], &bench.row[..]);
            let op = match (number < rows, random >> 20 & 15) {
                (true, _) => Op::Insert { key, row },
                (_, 0) => Op::Delete { key, row: b"" },
                (_, 1..=5) => Op::Update { key, row },
                _ => Op::Upsert { key, row },
            };
            bench.writer.append(&bench.stream, op).unwrap();
            if number % 1000 == 999 {
                bench.commit(Durability::Buffered, "1");
            }
        }
        bench.commit(Durability::Sync, "1");
        bench
    }

    pub(crate) fn compact(&self) {
        let compaction = Compaction::default();
        assert!(self.log.compact(&compaction, &mut |_| ControlFlow::Continue(())).unwrap().done);
    }

    /// Closes the log; its directory stays as long as what this returns.
    pub(crate) fn close(self) -> TempDir {
        drop(self.writer);
        self.log.close().unwrap();
        self.dir
    }

    pub(crate) fn append(&mut self, records: usize) {
        for _ in 0..records {
            self.writer.append(&self.stream, Op::Insert { key: b"", row: &self.row }).unwrap();
        }
        self.unpruned += records * self.row.len();
    }

    pub(crate) fn commit(&mut self, durability: Durability, state: &str) {
        let commit = Commit::new().durability(durability).stream_text(&self.stream, state);
        self.writer.commit(commit).unwrap();
    }

    /// Prunes when a segment's worth has come, so that segments are recycled as in a steady state.
    pub(crate) fn prune_at_times(&mut self) {
        const EVERY_BYTES: usize = 64 << 20;
        if self.unpruned >= EVERY_BYTES {
            self.prune();
            self.unpruned = 0;
        }
    }

    pub(crate) fn prune(&self) {
        self.log.prune(&Retention { min_count: 10, ..Retention::default() }).unwrap();
    }
}

/// Bytes that no compression makes smaller: the high bytes of a linear congruential generator.
fn incompressible(bytes: usize) -> Vec<u8> {
    let step = |state: &mut u64, _| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 56) as u8)
    };
    (0..bytes).scan(1, step).collect()
}
