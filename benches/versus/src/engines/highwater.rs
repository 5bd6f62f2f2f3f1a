//! Highwater, as its defaults are, with the background thread that prepares segments.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use highwater::storage::Disk;
use highwater::{
    Commit, Compaction, Config, Durability, Log, Op, ReadMode, Retention, Sequence, Stream, StreamSpec,
    Writer,
};

use super::slow_flush::SlowFlush;
use super::{Contender, Kind};
use crate::engine::{Engine, Flush, Keyed, Session, Setup, State};

/// Sealed segments are read by `pread`.
pub(crate) const COPY: Contender = Contender {
    name: "highwater",
    kind: Kind::Highwater,
    open: |setup| Ok(Box::new(Highwater { log: open(setup, ReadMode::Copy)? })),
    writes: true,
    threads: true,
    retains: true,
    prunes: true,
    states: true,
    slow_flush: true,
    replay: Some(|setup, visit| replay(setup, ReadMode::Copy, visit)),
    keyed: Some(|setup| Ok(Box::new(Rows::open(setup)?))),
};

/// Sealed segments are read by a memory map; it writes as the other does.
pub(crate) const MAP: Contender = Contender {
    name: "highwater-map",
    open: |setup| Ok(Box::new(Highwater { log: open(setup, ReadMode::Map)? })),
    writes: false,
    replay: Some(|setup, visit| replay(setup, ReadMode::Map, visit)),
    keyed: None,
    ..COPY
};

/// How often the background thread looks for something to do: a segment is full within 30 ms at full speed.
const BACKGROUND: Duration = Duration::from_millis(5);

fn open(setup: &Setup, read_mode: ReadMode) -> Result<Log> {
    let config = Config { read_mode, background: Some(BACKGROUND), ..Config::default() };
    let (log, _) = if setup.flush_delay.is_zero() {
        Log::open(&setup.dir, config)?
    } else {
        std::fs::create_dir_all(&setup.dir)?;
        Log::open_on(Arc::new(SlowFlush::new(Disk::new(&setup.dir), setup.flush_delay)), config)?
    };
    Ok(log)
}

fn replay(setup: &Setup, read_mode: ReadMode, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let log = open(setup, read_mode)?;
    let mut reader = log.reader(Sequence::FIRST)?;
    while let Some(checkpoint) = reader.next()? {
        let mut records = checkpoint.records();
        while let Some(record) = records.next_ref() {
            visit(record?.payload);
        }
    }
    Ok(())
}

struct Highwater {
    log: Log,
}

impl Engine for Highwater {
    fn session(&self, thread: usize) -> Result<Box<dyn Session + '_>> {
        let own = self.log.stream(spec(thread))?;
        let writer = self.log.writer(&[&own])?;
        Ok(Box::new(Writing { log: &self.log, writer, thread, own, others: HashMap::new() }))
    }

    fn prune(&self, keep: u64) -> Result<()> {
        self.log.prune(&Retention { min_count: keep, ..Retention::default() })?;
        Ok(())
    }
}

fn spec(stream: usize) -> StreamSpec {
    StreamSpec::new(format!("stream-{stream}"))
}

/// A writer of the thread's own stream. A state of another stream (W9) makes that stream its own, too.
struct Writing<'a> {
    log: &'a Log,
    writer: Writer,
    thread: usize,
    own: Stream,
    others: HashMap<usize, Stream>,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        Ok(self.writer.append(&self.own, Op::Insert { key: b"", row: record })?)
    }

    /// A checkpoint may be as large as it likes, so nothing is committed before the last one of a bulk load.
    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        if flush == Flush::No {
            return Ok(());
        }
        let mut commit = Commit::new().durability(Durability::Sync);
        for (stream, state) in states {
            commit = commit.stream_text(self.stream(*stream)?, str::from_utf8(state)?);
        }
        self.writer.commit(commit)?;
        Ok(())
    }
}

impl Writing<'_> {
    fn stream(&mut self, stream: usize) -> Result<&Stream> {
        use std::collections::hash_map::Entry;
        if stream == self.thread {
            return Ok(&self.own);
        }
        match self.others.entry(stream) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let stream = self.log.stream(spec(stream))?;
                self.writer.add(&stream)?;
                Ok(new.insert(stream))
            }
        }
    }
}

/// A stream with a key.
struct Rows {
    log: Log,
    writer: Writer,
    stream: Stream,
}

impl Rows {
    fn open(setup: &Setup) -> Result<Rows> {
        let log = open(setup, ReadMode::Copy)?;
        let stream = log.stream(StreamSpec::new("rows").key(["id"]))?;
        let writer = log.writer(&[&stream])?;
        Ok(Rows { log, writer, stream })
    }
}

impl Keyed for Rows {
    fn put(&mut self, key: u64, row: &[u8]) -> Result<()> {
        Ok(self.writer.append(&self.stream, Op::Upsert { key: &key.to_be_bytes(), row })?)
    }

    fn commit(&mut self) -> Result<()> {
        self.writer.commit(Commit::new().stream_text(&self.stream, "1"))?;
        Ok(())
    }

    fn rewrite(&mut self) -> Result<()> {
        // The newest checkpoint always stays as it is, so an empty one comes behind the rows.
        self.commit()?;
        let compacted = self.log.compact(&Compaction::default(), &mut |_| ControlFlow::Continue(()))?;
        ensure!(compacted.done, "the compaction was given up");
        Ok(())
    }

    fn rows(&mut self, visit: &mut dyn FnMut(u64, &[u8])) -> Result<()> {
        let mut reader = self.log.reader(self.log.first())?;
        while let Some(checkpoint) = reader.next()? {
            let mut records = checkpoint.records();
            while let Some(record) = records.next_ref() {
                let record = record?;
                visit(u64::from_be_bytes(record.key.try_into()?), record.payload);
            }
        }
        Ok(())
    }
}
