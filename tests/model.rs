//! Random programs against a model that knows nothing of the implementation. A crash here is a killed process: the
//! files as they are at that moment. (Lost and torn writes are the simulated disk's.)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::storage::Memory;
use highwater::{
    Commit, Config, Consumer, Durability, ErrorKind, Limit, Log, LogReader, Op, Retention, Sequence, Start,
    Stream, StreamSpec, Writer,
};
use proptest::prelude::*;

const STREAMS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// A stream, so many records, of so many bytes.
    Append(usize, usize, usize),
    /// A stream's records and state.
    CommitStream(usize, bool),
    /// Everything, with the global state.
    CommitGlobal(bool),
    Discard(usize),
    /// The writer goes, and with it what is uncommitted.
    DropWriter,
    /// A consumer takes at most so many checkpoints, and acknowledges them or not.
    Consume(usize, bool),
    Prune(u64),
    Flush,
    Close,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stream = 0..STREAMS.len();
    let step = prop_oneof![
        8 => (stream.clone(), 0..40usize, prop_oneof![0..100usize, 0..3000usize, 9000..20_000usize]).prop_map(|(s, n, b)| Step::Append(s, n, b)),
        6 => (stream.clone(), any::<bool>()).prop_map(|(s, buffered)| Step::CommitStream(s, buffered)),
        3 => any::<bool>().prop_map(Step::CommitGlobal),
        1 => stream.prop_map(Step::Discard),
        1 => Just(Step::DropWriter),
        3 => (1..20usize, any::<bool>()).prop_map(|(n, ack)| Step::Consume(n, ack)),
        2 => (0..6u64).prop_map(Step::Prune),
        1 => Just(Step::Flush),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a checkpoint holds, per stream.
type Content = BTreeMap<String, Vec<Vec<u8>>>;

#[derive(Debug, Default, Clone)]
struct Model {
    checkpoints: Vec<Content>,
    states: BTreeMap<String, u64>,
    state_history: Vec<BTreeMap<String, u64>>,
    open: Content,
    acknowledged: u64,
    next: u64,
}

struct World {
    files: Memory,
    environment: Arc<Stepped>,
    model: Model,
    live: Option<Live>,
}

struct Live {
    consumer: Consumer,
    writer: Writer,
    streams: Vec<Stream>,
    log: Log,
}

impl World {
    fn open(&mut self) -> &mut Live {
        if self.live.is_none() {
            let config = Config {
                segment_bytes: 64 << 10,
                buffer_bytes_max: 16 << 10,
                unflushed_bytes_max: 128 << 10,
                environment: self.environment.clone(),
                ..Config::default()
            };
            let (log, recovery) = Log::open_on(Arc::new(self.files.clone()), config).unwrap();
            assert_eq!(recovery.sequence().get(), self.model.checkpoints.len() as u64, "{recovery}");
            let streams: Vec<_> =
                STREAMS.iter().map(|name| log.stream(StreamSpec::new(*name)).unwrap()).collect();
            let writer = log.writer(&streams.iter().collect::<Vec<_>>()).unwrap();
            let consumer = log.consumer("lake", Start::Earliest).unwrap();
            assert_eq!(consumer.acknowledged().get(), self.model.acknowledged);
            self.model.open.clear();
            self.live = Some(Live { consumer, writer, streams, log });
            self.check();
        }
        self.live.as_mut().unwrap()
    }

    fn run(&mut self, step: &Step) {
        self.open();
        let live = self.live.as_mut().unwrap();
        let model = &mut self.model;
        match *step {
            Step::Append(stream, count, bytes) => {
                for _ in 0..count {
                    model.next += 1;
                    let row = vec![model.next as u8; bytes + model.next as usize % 7];
                    live.writer.append(&live.streams[stream], Op::Insert { key: b"", row: &row }).unwrap();
                    model.open.entry(STREAMS[stream].to_owned()).or_default().push(row);
                }
            }
            Step::CommitStream(stream, buffered) => {
                model.next += 1;
                let commit =
                    Commit::new().stream(&live.streams[stream], &model.next).durability(durability(buffered));
                live.writer.commit(commit).unwrap();
                let records = model.open.remove(STREAMS[stream]).unwrap_or_default();
                model.commit(BTreeMap::from([(STREAMS[stream].to_owned(), records)]), STREAMS[stream]);
            }
            Step::CommitGlobal(buffered) => {
                model.next += 1;
                live.writer
                    .commit(Commit::new().global(&model.next).durability(durability(buffered)))
                    .unwrap();
                let records = std::mem::take(&mut model.open);
                model.commit(records, "");
            }
            Step::Discard(stream) => {
                live.writer.discard(&live.streams[stream]).unwrap();
                model.open.remove(STREAMS[stream]);
            }
            Step::DropWriter => {
                let streams: Vec<_> = live.streams.iter().collect();
                let other = live.log.stream(StreamSpec::new("other")).unwrap();
                drop(std::mem::replace(&mut live.writer, live.log.writer(&[&other]).unwrap()));
                live.writer = live.log.writer(&streams).unwrap();
                model.open.clear();
            }
            Step::Consume(count, acknowledge) => {
                live.log.flush().unwrap();
                let limit = Limit { max_checkpoints: count, ..Limit::default() };
                if let Some(batch) = live.consumer.next_batch(&limit).unwrap() {
                    for checkpoint in batch.checkpoints() {
                        let expected = &model.checkpoints[checkpoint.sequence().get() as usize - 1];
                        assert_eq!(&content(checkpoint), expected);
                    }
                    if acknowledge {
                        live.consumer.acknowledge(batch.end()).unwrap();
                        model.acknowledged = batch.end().sequence.get();
                    }
                }
            }
            Step::Prune(min_count) => {
                let pruned = live.log.prune(&Retention { min_count, ..Retention::default() }).unwrap();
                assert!(pruned.first.get() <= model.acknowledged + 1, "P11: {pruned:?}");
            }
            Step::Flush => live.log.flush().unwrap(),
            Step::Close => self.live = None,
            Step::Kill => {
                self.files = self.files.image();
                self.live = None;
            }
        }
    }

    /// The log, read from the start of what it retains, is what the model says; so is every state.
    fn check(&mut self) {
        let live = self.live.as_mut().unwrap();
        live.log.flush().unwrap();
        let (log, model) = (&live.log, &self.model);
        check_log(log, model);
        // And so is what another process sees.
        let other = LogReader::open_on(Arc::new(self.files.clone())).unwrap();
        check_log(&other, model);
    }
}

fn check_log(log: &LogReader, model: &Model) {
    let end = model.checkpoints.len() as u64;
    assert_eq!(log.end().map_or(0, |end| end.sequence.get()), end);
    let first = log.first();
    assert!(first.get() <= model.acknowledged + 1, "P11");
    let mut reader = log.reader(first).unwrap();
    for expected in first.get()..=end {
        let checkpoint = reader.next().unwrap().unwrap();
        assert_eq!(checkpoint.sequence().get(), expected);
        assert_eq!(content(&checkpoint), model.checkpoints[expected as usize - 1]);
    }
    assert!(reader.next().unwrap().is_none());
    if first > Sequence::FIRST {
        assert!(matches!(log.reader(Sequence::FIRST).unwrap_err().kind(), ErrorKind::Gap { .. }));
    }
    assert_eq!(states(&log.state().unwrap()), model.states);
    for sequence in first.get()..=end {
        let at = log.state_at(Sequence::new(sequence)).unwrap();
        assert_eq!(states(&at), model.state_history[sequence as usize - 1], "at {sequence}");
    }
    let found = log.verify(&mut |_| {}).unwrap();
    assert!(found.is_sound(), "{found:?}");
}

impl Model {
    fn commit(&mut self, mut content: Content, state: &str) {
        content.retain(|_, records| !records.is_empty());
        self.checkpoints.push(content);
        self.states.insert(state.to_owned(), self.next);
        self.state_history.push(self.states.clone());
    }
}

fn durability(buffered: bool) -> Durability {
    if buffered { Durability::Buffered } else { Durability::Sync }
}

fn content(checkpoint: &highwater::Checkpoint) -> Content {
    let mut content = Content::new();
    for counts in checkpoint.streams() {
        let records = checkpoint.records_of(counts.stream).map(|record| record.unwrap().payload.to_vec());
        content.insert(counts.name.name.clone(), records.collect());
    }
    content
}

fn states(states: &highwater::States) -> BTreeMap<String, u64> {
    let mut all: BTreeMap<String, u64> = states
        .all()
        .unwrap()
        .into_iter()
        .map(|(name, state)| (name.name, state.text.parse().unwrap()))
        .collect();
    if let Some(global) = states.global().unwrap() {
        all.insert(String::new(), global.text.parse().unwrap());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_program_does_what_the_model_says(steps in steps(), seed in any::<u64>()) {
        let environment = Arc::new(Stepped::new(seed, 1_700_000_000_000_000));
        let mut world = World { files: Memory::new(), environment, model: Model::default(), live: None };
        for step in &steps {
            world.run(step);
        }
        world.open();
        world.check();
    }
}
