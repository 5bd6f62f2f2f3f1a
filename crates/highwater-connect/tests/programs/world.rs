//! A log, a destination that is tests/programs/program.py, and what that holds: the vocabulary of these tests.

use std::time::Duration;

use highwater::{By, Config, Limit, Log, Meta, Op, Sequence, Start, StreamName, backup};
use highwater_connect::event::Reporter;
use highwater_connect::pipeline::CheckpointPolicy;
use highwater_connect::{
    Batch, Confirmed, Destination, Feed, Offer, Output, Pipeline, Reading, Stop, StreamDefinition,
    Surroundings, runtime,
};
use serde_json::{Value, json};

pub(crate) const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/program.py");

pub(crate) const ONWARD: Reading = Reading::Onward;
pub(crate) const ANEW: Reading = Reading::Anew { is_resumable: true, replaces: true };

/// The destination `to` of a pipeline in this directory. `table` is what its table has beside its type and command, `config`
/// what the program's configuration has beside its path.
pub(crate) fn destination(
    dir: &std::path::Path,
    protocol: &str,
    table: &str,
    config: &str,
    stop: &Stop,
) -> Box<dyn Destination> {
    let path = dir.join("held");
    let text = format!(
        "version = 1\nname = 'p'\nlog = 'log.hw'\n[source]\ntype = 'files'\npath = '.'\nstream = 's'\n\
         [destinations.to]\ntype = '{protocol}'\ncommand = ['python3', '{PROGRAM}']\nstop_timeout = '2s'\n{table}\n\
         [destinations.to.config]\npath = '{}'\n{config}\n",
        path.display()
    );
    let pipeline = Pipeline::parse(&text, dir).unwrap();
    let (_, section) = pipeline.destination("to").unwrap();
    runtime::destination(&pipeline, "to", section, &Reporter::silent(), stop).unwrap()
}

/// The lines of a file that the program wrote; none where there is none.
pub(crate) fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) log: Log,
    pub(crate) stop: Stop,
    around: Surroundings,
}

impl World {
    pub(crate) fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path().join("log.hw"), Config::default()).unwrap();
        let around = Surroundings {
            policy: CheckpointPolicy { min_interval: Duration::ZERO, ..CheckpointPolicy::default() },
            reporter: Reporter::silent(),
            stop: Stop::default(),
            waits_when_full: true,
            destinations: Default::default(),
            given_up: std::sync::Arc::default(),
            labels: Vec::new(),
            schema: Default::default(),
            source: Default::default(),
            reads_all: true,
            lookback: None,
        };
        World { dir, log, stop: Stop::default(), around }
    }

    /// Begins a sync of streams with the key `id`, or goes on with one.
    pub(crate) fn begin(&self, streams: &[(&str, Reading)]) -> Output<'_> {
        let offers: Vec<Offer> = streams
            .iter()
            .map(|(name, reading)| {
                let mut definition =
                    StreamDefinition::new(StreamName { namespace: None, name: (*name).to_owned() });
                definition.key = vec![vec!["id".to_owned()]];
                definition.schema =
                    Some(r#"{"type":"object","properties":{"id":{"type":"integer"}}}"#.to_owned());
                Offer { reading: *reading, ..Offer::onward(definition) }
            })
            .collect();
        Output::begin(&self.log, &offers, &self.around).unwrap()
    }

    /// A whole sync of one stream: a checkpoint for each group of ids.
    pub(crate) fn sync(&self, stream: &str, reading: Reading, groups: &[&[u64]]) {
        let mut out = self.begin(&[(stream, reading)]);
        for ids in groups {
            put(&mut out, stream, ids);
        }
        out.finish().unwrap();
    }

    /// The number of the log's last checkpoint.
    pub(crate) fn end(&self) -> Sequence {
        self.log.end().unwrap().sequence
    }

    /// Where the destination goes on.
    pub(crate) fn seek(&self, to: Start) {
        self.log.seek_consumer("to", to, None).unwrap();
    }

    /// The same with its log restored to a checkpoint; the destination goes on with what comes now.
    pub(crate) fn restored(self, to: Sequence) -> World {
        let World { dir, log, stop, around } = self;
        let lost = format!("lost-{}.hw", log.end().unwrap().sequence);
        log.close().unwrap();
        let (path, lost) = (dir.path().join("log.hw"), dir.path().join(lost));
        std::fs::rename(&path, &lost).unwrap();
        let by = By { who: "ops", why: "a test" };
        backup::restore(&lost, &path, Some(to), by, Config::default()).unwrap();
        let (log, _) = Log::open(&path, Config::default()).unwrap();
        let world = World { dir, log, stop, around };
        world.seek(Start::Now);
        world
    }

    pub(crate) fn open(&self, protocol: &str, table: &str, config: &str) -> Box<dyn Destination> {
        destination(self.dir.path(), protocol, table, config, &self.stop)
    }

    pub(crate) fn feed(&self) -> Feed {
        Feed::open(&self.log, "to", Start::Earliest, None).unwrap()
    }

    /// The next batch, of so many checkpoints at most.
    pub(crate) fn batch(&self, feed: &mut Feed, checkpoints: usize) -> Batch {
        feed.next(&Limit { max_checkpoints: checkpoints, ..Limit::default() }).unwrap().unwrap()
    }

    /// Gives a destination everything that is not acknowledged, in batches of so many checkpoints, as the runtime does.
    pub(crate) fn deliver(
        &self,
        destination: &mut dyn Destination,
        checkpoints: usize,
    ) -> highwater_connect::Result<()> {
        let mut feed = self.feed();
        feed.align(destination.stored()?)?;
        let limit = Limit { max_checkpoints: checkpoints, ..Limit::default() };
        let mut given = Ok(());
        while given.is_ok() {
            let Some(batch) = feed.next(&limit)? else { break };
            given = destination.apply(&batch).map(drop);
        }
        let flushed = given.and_then(|()| destination.flush());
        if let Confirmed::UpTo(Some(position)) = destination.confirmed()? {
            feed.acknowledge(position)?;
        }
        flushed
    }

    /// The ids that the program holds of a stream, in its order.
    pub(crate) fn ids(&self, stream: &str) -> Vec<u64> {
        let rows = lines(&self.dir.path().join("held.jsonl")).into_iter();
        rows.filter(|row| row["stream"] == stream).map(|row| row["data"]["id"].as_u64().unwrap()).collect()
    }

    /// What it was told beside records and states.
    pub(crate) fn told(&self) -> Vec<Value> {
        lines(&self.dir.path().join("held.told"))
    }
}

/// Records with these ids, and a state.
pub(crate) fn put(out: &mut Output<'_>, stream: &str, ids: &[u64]) {
    let handle = out.find(None, stream).unwrap();
    for id in ids {
        let (key, row) = (format!("[{id}]"), json!({"id": id}).to_string());
        let op = Op::Upsert { key: key.as_bytes(), row: row.as_bytes() };
        out.record(handle, op, Meta::default()).unwrap();
    }
    out.state(handle, "{}").unwrap();
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
