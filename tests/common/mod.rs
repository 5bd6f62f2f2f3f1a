//! A tiny vocabulary for tests.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses a part of it

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::{
    Commit, Config, Consumer, Limit, Log, LogReader, Op, Position, Recovery, Result, Sequence, Stream,
    StreamSpec,
};

/// A log in a directory of its own, in a world that repeats.
pub struct Fixture {
    dir: tempfile::TempDir,
    pub world: Arc<Stepped>,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Fixture { dir, world: Arc::new(Stepped::new(1, 1_700_000_000_000_000)) }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> Config {
        Config { ..Config::default() }
    }

    /// Segments of 64 KiB: everything that happens at a segment's end happens soon.
    pub fn small(&self) -> Config {
        Config { segment_bytes: 64 << 10, environment: self.world.clone(), ..Config::default() }
    }

    /// The same by the system's clock, for tests that wait.
    pub fn small_in_real_time(&self) -> Config {
        Config { environment: Config::default().environment, ..self.small() }
    }

    pub fn open(&self) -> Log {
        self.open_with(self.config()).unwrap().0
    }

    pub fn open_small(&self) -> Log {
        self.open_with(self.small()).unwrap().0
    }

    pub fn open_with(&self, config: Config) -> Result<(Log, Recovery)> {
        Log::open(self.dir(), config)
    }

    /// As another process would.
    pub fn reader(&self) -> LogReader {
        LogReader::open(self.dir()).unwrap()
    }

    /// A checkpoint of one record of about 2 KB for each number, with the number as state.
    pub fn write(&self, log: &Log, stream: &str, numbers: Range<u32>) {
        self.try_write(log, stream, numbers).unwrap();
    }

    pub fn try_write(&self, log: &Log, stream: &str, numbers: Range<u32>) -> Result<()> {
        let stream = log.stream(StreamSpec::new(stream))?;
        let mut writer = log.writer(&[&stream])?;
        for number in numbers {
            writer.append(&stream, Op::Insert { key: b"", row: &[number as u8; 2000] })?;
            writer.commit(Commit::new().stream(&stream, &number))?;
        }
        Ok(())
    }
}

/// Every payload of every checkpoint, in order.
pub fn payloads(log: &LogReader) -> Vec<Vec<u8>> {
    let mut reader = log.reader(log.first().max(Sequence::FIRST)).unwrap();
    let mut payloads = Vec::new();
    while let Some(checkpoint) = reader.next().unwrap() {
        payloads.extend(checkpoint.records().map(|record| record.unwrap().payload.to_vec()));
    }
    payloads
}

/// A stream's state.
pub fn text_of(log: &LogReader, stream: &Stream) -> Option<String> {
    log.state().unwrap().get_text(stream.name()).unwrap().map(|state| state.text)
}

/// A record without a key.
pub fn insert(row: &[u8]) -> Op<'_> {
    Op::Insert { key: b"", row }
}

/// Takes and acknowledges everything; returns the end of it.
pub fn drain(consumer: &mut Consumer) -> Position {
    let mut end = None;
    while let Some(batch) = consumer.next_batch(&Limit::default()).unwrap() {
        consumer.acknowledge(batch.end()).unwrap();
        end = Some(batch.end());
    }
    end.unwrap()
}
