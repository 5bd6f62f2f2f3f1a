//! A log to deliver from, and deliveries from it.

use std::path::Path;

use highwater::{Commit, Config, Limit, Log, Op, OpKind, Start, Stream, StreamSpec, Writer};
use highwater_connect::{Applied, Batch, Destination, Feed, Result};

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) log: Log,
    writer: Writer,
}

/// What `definitions` in the log's bookkeeping says of one stream.
pub(crate) struct Definition<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: &'a [&'a str],
    pub(crate) schema: &'a str,
    /// Number, minimum, complete.
    pub(crate) generation: (u64, u64, bool),
}

impl World {
    pub(crate) fn new() -> World {
        World::at(tempfile::tempdir().unwrap())
    }

    fn at(dir: tempfile::TempDir) -> World {
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        let writer = log.writer(&[]).unwrap();
        World { dir, log, writer }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Another log with the same history up to here.
    pub(crate) fn fork(self) -> (World, World) {
        let World { dir, log, writer } = self;
        drop(writer);
        log.close().unwrap();
        let other = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), other.path().join(file.file_name())).unwrap();
            }
        }
        (World::at(dir), World::at(other))
    }

    pub(crate) fn stream(&mut self, name: &str, key: &[&str], schema: Option<&str>) -> Stream {
        let mut spec = StreamSpec::new(name).key(key.iter().copied());
        if let Some(schema) = schema {
            spec = spec.schema(schema);
        }
        let stream = self.log.stream(spec).unwrap();
        self.writer.add(&stream).unwrap();
        stream
    }

    /// A stream that was registered in another way.
    pub(crate) fn add(&mut self, stream: &Stream) {
        self.writer.add(stream).unwrap();
    }

    pub(crate) fn append(&mut self, stream: &Stream, op: OpKind, key: &str, row: &str) {
        let (key, row) = (key.as_bytes(), row.as_bytes());
        let op = match op {
            OpKind::Insert => Op::Insert { key, row },
            OpKind::Upsert => Op::Upsert { key, row },
            OpKind::Update => Op::Update { key, row },
            OpKind::Delete => Op::Delete { key, row },
            OpKind::Truncate => Op::Truncate,
        };
        self.writer.append(stream, op).unwrap();
    }

    pub(crate) fn insert(&mut self, stream: &Stream, row: &str) {
        self.append(stream, OpKind::Insert, "", row);
    }

    pub(crate) fn commit(&mut self) -> u64 {
        self.writer.commit(Commit::new().all()).unwrap().sequence().get()
    }

    /// Commits with the streams as they are defined from here on.
    pub(crate) fn commit_defined(&mut self, definitions: &[Definition<'_>]) -> u64 {
        let own = |name| StreamSpec::new(name).namespace("_highwater");
        let [of_definitions, of_sync] =
            ["definitions", "sync"].map(|name| self.log.stream(own(name)).unwrap());
        for stream in [&of_definitions, &of_sync] {
            self.writer.add(stream).unwrap();
        }
        let streams: Vec<String> = definitions
            .iter()
            .map(|d| {
                let key: Vec<Vec<&str>> = d.key.iter().map(|column| vec![*column]).collect();
                let key = serde_json::to_string(&key).unwrap();
                format!(r#"{{"name":"{}","key":{key},"schema":{}}}"#, d.name, d.schema)
            })
            .collect();
        let generations: Vec<String> = definitions
            .iter()
            .map(|d| {
                let (number, minimum, complete) = d.generation;
                format!(
                    r#"{{"name":"{}","generation":{number},"minimum":{minimum},"complete":{complete},"sync":1}}"#,
                    d.name
                )
            })
            .collect();
        let text = |list: &str, more: &str| format!(r#"{{"version":1{more},"streams":[{list}]}}"#);
        let commit = Commit::new()
            .all()
            .stream_text(&of_definitions, text(&streams.join(","), ""))
            .stream_text(&of_sync, text(&generations.join(","), r#","sync":1,"ended":false"#));
        self.writer.commit(commit).unwrap().sequence().get()
    }

    /// All of the log, so many checkpoints a batch.
    pub(crate) fn batches(&self, consumer: &str, checkpoints_max: usize) -> Vec<Batch> {
        let mut feed = Feed::open(&self.log, consumer, Start::Earliest, None).unwrap();
        let limit = Limit { max_checkpoints: checkpoints_max, ..Limit::default() };
        std::iter::from_fn(|| feed.next(&limit).unwrap()).collect()
    }

    /// Delivers all there is, as the runtime does.
    pub(crate) fn deliver(&self, to: &mut dyn Destination) -> Result<Applied> {
        let mut feed = Feed::open(&self.log, "delivery", Start::Earliest, None)?;
        feed.align(to.stored()?)?;
        let mut all = Applied::default();
        while let Some(batch) = feed.next(&Limit { max_checkpoints: 3, ..Limit::default() })? {
            all.rejected.extend(to.apply(&batch)?.rejected);
            feed.acknowledge(batch.end())?;
        }
        Ok(all)
    }
}

/// Small random numbers, the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}
