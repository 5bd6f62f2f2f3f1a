//! raft-engine: a log batch per checkpoint, records as entries of one region per thread, states as its key-value pairs.
//! Compression off, for nobody compresses here; old files are purged as soon as 256 MiB lie there, and recycled (the
//! default). A second contender prefills files to be recycled when it opens, as its configuration offers.

use std::collections::BTreeMap;

use anyhow::Result;
use protobuf::descriptor::UninterpretedOption;
use raft_engine::{Config, Engine as Log, LogBatch, MessageExt, ReadableSize};

use super::Contender;
use crate::engine::{Engine, Flush, Life, Session, Setup, State};

pub(crate) const DEFAULT: Contender = Contender::rival(
    "raft-engine",
    |setup| Ok(Box::new(RaftEngine::open(setup, false)?)),
    |setup, visit| replay(setup, false, visit),
);

pub(crate) const PREFILLED: Contender = Contender::rival(
    "raft-engine-prefilled",
    |setup| Ok(Box::new(RaftEngine::open(setup, true)?)),
    |setup, visit| replay(setup, true, visit),
);

const PURGE_BYTES: u64 = 256 << 20;
const PREFILL_BYTES: u64 = 512 << 20;
/// Entries that are read at a time.
const READ_ENTRIES: u64 = 1000;

/// An entry has to be a protobuf message with an index. This one comes with the protobuf crate and has, beside others that
/// stay empty, the two fields that count in Raft's own entry: a number and bytes.
struct Entries;

impl MessageExt for Entries {
    type Entry = UninterpretedOption;

    fn index(entry: &UninterpretedOption) -> u64 {
        entry.get_positive_int_value()
    }
}

struct RaftEngine {
    log: Log,
    /// Per checkpoint: region, and the index behind its last entry.
    checkpoints: parking_lot::Mutex<Vec<(u64, u64)>>,
}

impl RaftEngine {
    fn open(setup: &Setup, prefill: bool) -> Result<RaftEngine> {
        let steady = setup.life == Life::Steady;
        let mut config = Config { dir: setup.dir.to_string_lossy().into_owned(), ..Config::default() };
        config.batch_compression_threshold = ReadableSize(0);
        config.purge_threshold = if steady { ReadableSize(PURGE_BYTES) } else { ReadableSize::gb(1024) };
        config.prefill_for_recycle = prefill;
        config.prefill_limit = prefill.then_some(ReadableSize(PREFILL_BYTES));
        Ok(RaftEngine { log: Log::open(config)?, checkpoints: parking_lot::Mutex::default() })
    }
}

fn replay(setup: &Setup, prefill: bool, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    let log = RaftEngine::open(setup, prefill)?.log;
    for region in log.raft_groups() {
        let (Some(first), Some(last)) = (log.first_index(region), log.last_index(region)) else { continue };
        let mut entries = Vec::new();
        for from in (first..=last).step_by(READ_ENTRIES as usize) {
            log.fetch_entries_to::<Entries>(
                region,
                from,
                (from + READ_ENTRIES).min(last + 1),
                None,
                &mut entries,
            )?;
            entries.drain(..).for_each(|entry| visit(entry.get_string_value()));
        }
    }
    Ok(())
}

impl Engine for RaftEngine {
    fn session(&self, thread: usize) -> Result<Box<dyn Session + '_>> {
        // Region 0 is not used by its own examples either.
        let region = thread as u64 + 1;
        let next = self.log.last_index(region).map_or(1, |last| last + 1);
        Ok(Box::new(Writing { engine: self, region, next, entries: Vec::new(), batch: LogBatch::default() }))
    }

    fn prune(&self, keep: u64) -> Result<()> {
        let mut checkpoints = self.checkpoints.lock();
        let surplus = checkpoints.len().saturating_sub(keep as usize);
        let ends: BTreeMap<u64, u64> = checkpoints.drain(..surplus).collect(); // each region's last
        drop(checkpoints);
        for (region, end) in ends {
            self.log.compact_to(region, end);
        }
        self.log.purge_expired_files()?;
        Ok(())
    }
}

struct Writing<'a> {
    engine: &'a RaftEngine,
    region: u64,
    next: u64,
    entries: Vec<UninterpretedOption>,
    batch: LogBatch,
}

impl Session for Writing<'_> {
    fn append(&mut self, record: &[u8]) -> Result<()> {
        let mut entry = UninterpretedOption::default();
        entry.set_positive_int_value(self.next);
        entry.set_string_value(record.to_vec());
        self.entries.push(entry);
        self.next += 1;
        Ok(())
    }

    fn commit(&mut self, states: &[State<'_>], flush: Flush) -> Result<()> {
        self.batch.add_entries::<Entries>(self.region, &self.entries)?;
        self.entries.clear();
        for (stream, state) in states {
            self.batch.put(self.region, format!("state-{stream}").into_bytes(), state.to_vec())?;
        }
        self.engine.log.write(&mut self.batch, flush == Flush::Yes)?;
        self.engine.checkpoints.lock().push((self.region, self.next));
        Ok(())
    }
}
