//! Random programs on a disk whose calls fail, against a list of what was committed.
//!
//! A failed call says nothing of what became of the commit in it: it is there whole or not at all, once the log is open
//! again. Everything that came back well is there for good (a crash here is a killed process: what was written stays).

use std::sync::Arc;

use super::choices::Choices;
use super::small_disk::{Fault, SmallDisk};
use crate::environment::Stepped;
use crate::storage::Memory;
use crate::{
    Commit, Compression, Config, Consumer, Durability, Limit, Log, Op, Result, Retention, Sequence, Start,
    Stream, StreamSpec, Writer,
};

const STREAMS: [(&str, Compression); 3] =
    [("a", Compression::None), ("b", Compression::Lz4), ("c", Compression::Zstd(1))];
const STEPS_MAX: usize = 200;
/// Steps of an append's size, in bytes.
const SIZE: usize = 97;

/// Each step takes three bytes: what, and two numbers for it.
pub fn program(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        world.step(choices.u8(), choices.u8(), choices.u8());
    }
    world.disk.disarm();
    world.kill();
    let verified = world.live().log.verify(&mut |_| {}).expect("memory can be read");
    assert!(verified.is_sound(), "{verified:?}");
}

/// A commit that was tried: its number is a label, its records tell their stream's number and their own.
#[derive(Debug)]
struct Tried {
    number: u32,
    records: Vec<u8>,
    /// It came back well.
    sure: bool,
}

struct World {
    disk: SmallDisk,
    environment: Arc<Stepped>,
    live: Option<Live>,
    tried: Vec<Tried>,
    /// Numbers given to commits and records.
    count: u32,
    /// What the consumer may have acknowledged.
    acknowledged: Sequence,
}

struct Live {
    consumer: Option<Consumer>,
    writer: Option<Writer>,
    /// Appended and not committed, per stream.
    open: [Vec<u8>; STREAMS.len()],
    streams: [Stream; STREAMS.len()],
    log: Log,
}

impl Live {
    fn open(disk: &SmallDisk, environment: &Arc<Stepped>) -> Result<Live> {
        let config =
            Config { segment_bytes: 64 << 10, environment: environment.clone(), ..Config::default() };
        let (log, _) = Log::open_on(Arc::new(disk.clone()), config)?;
        let [a, b, c] = STREAMS.map(|(name, how)| log.stream(StreamSpec::new(name).compression(how)));
        Ok(Live { consumer: None, writer: None, open: Default::default(), streams: [a?, b?, c?], log })
    }

    fn writer(&mut self) -> Result<&mut Writer> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.log.writer(&self.streams.each_ref())?,
        };
        Ok(self.writer.insert(writer))
    }

    /// What is uncommitted goes.
    fn discard(&mut self) {
        self.writer = None;
        self.open = Default::default();
    }
}

impl World {
    fn new() -> Self {
        let disk = SmallDisk::new(Memory::new());
        let environment = Arc::new(Stepped::new(1, 1));
        let live = Some(Live::open(&disk, &environment).expect("memory opens"));
        World { disk, environment, live, tried: Vec::new(), count: 0, acknowledged: Sequence::NONE }
    }

    fn live(&mut self) -> &mut Live {
        self.live.as_mut().expect("it was opened")
    }

    fn step(&mut self, what: u8, one: u8, two: u8) {
        let stream = usize::from(one) % STREAMS.len();
        let result = match what {
            0 => self.append(stream, usize::from(two) * SIZE),
            1 => self.commit(stream, Durability::Sync),
            2 => self.commit(stream, Durability::Buffered),
            3 => {
                self.live().discard();
                Ok(())
            }
            4 => self.live().log.flush(),
            5 => {
                self.live().log.prune(&Retention { min_count: one.into(), ..Retention::default() }).map(drop)
            }
            6 => self.consume(),
            7 => {
                let closed = self.live.take().map_or(Ok(()), |live| live.log.close());
                self.reopen();
                closed
            }
            8 => {
                self.kill();
                Ok(())
            }
            9 => {
                let faults = [Fault::Io, Fault::Full, Fault::Short, Fault::Torn];
                self.disk.arm(one.into(), faults[usize::from(two) % faults.len()]);
                Ok(())
            }
            10 => self.live().log.maintain(),
            _ => Ok(()),
        };
        // What failed half way is not gone on with.
        if result.is_err() {
            self.live().discard();
            self.live().consumer = None;
        }
    }

    fn append(&mut self, stream: usize, bytes: usize) -> Result<()> {
        self.count += 1;
        let number = self.count as u8;
        let live = self.live();
        let of = live.streams[stream].clone();
        live.writer()?.append(&of, Op::Insert { key: &[number], row: &vec![number; bytes] })?;
        live.open[stream].push(number);
        Ok(())
    }

    fn commit(&mut self, stream: usize, durability: Durability) -> Result<()> {
        self.count += 1;
        let number = self.count;
        let live = self.live();
        let of = live.streams[stream].clone();
        let records = std::mem::take(&mut live.open[stream]);
        let commit = Commit::new().stream(&of, &number).label("number", number.to_string());
        let result = live.writer().and_then(|writer| writer.commit(commit.durability(durability)));
        self.tried.push(Tried { number, records, sure: result.is_ok() });
        result.map(drop)
    }

    /// Takes some checkpoints: what follows the acknowledged ones is never left out.
    fn consume(&mut self) -> Result<()> {
        let acknowledged = self.acknowledged;
        let live = self.live();
        let mut consumer = match live.consumer.take() {
            Some(consumer) => consumer,
            None => live.log.consumer("lake", Start::Earliest)?,
        };
        let limit = Limit { max_checkpoints: 3, ..Limit::default() };
        if let Some(batch) = consumer.next_batch(&limit)? {
            if acknowledged > Sequence::NONE {
                assert!(
                    batch.checkpoints()[0].sequence() <= acknowledged.next(),
                    "a hole in what is delivered"
                );
            }
            // From here on it may be acknowledged, whatever comes back.
            self.acknowledged = batch.end().sequence;
            consumer.acknowledge(batch.end())?;
            consumer.sync()?;
        }
        self.live().consumer = Some(consumer);
        Ok(())
    }

    /// The process is gone; what it wrote is there.
    fn kill(&mut self) {
        let image = self.disk.files.image();
        self.live = None;
        self.disk.files = image;
        self.reopen();
    }

    /// Opens the log, again where a fault was in the way, and looks what is there.
    fn reopen(&mut self) {
        self.live = None;
        let live = Live::open(&self.disk, &self.environment).or_else(|_| {
            self.disk.disarm();
            Live::open(&self.disk, &self.environment)
        });
        self.live = Some(live.expect("a log opens on a disk that works"));
        self.check();
    }

    /// Every checkpoint that is there was tried, in this order; every one that came back well is there, but for those pruned.
    fn check(&mut self) {
        let log = &self.live.as_ref().expect("it was opened").log;
        let mut reader = log.reader(log.first()).expect("its first checkpoint");
        let mut found = Vec::new();
        while let Some(checkpoint) = reader.next().expect("a good log can be read") {
            let number = checkpoint.labels()[0].1.parse().expect("a number");
            let records = checkpoint.records().map(|record| {
                let record = record.expect("a good log can be read");
                assert!(record.payload.iter().all(|byte| *byte == record.key[0]));
                record.key[0]
            });
            found.push((number, records.collect::<Vec<u8>>()));
        }
        let pruned = log.first() > Sequence::FIRST;
        if let Some(acknowledged) = Some(self.acknowledged).filter(|it| *it > Sequence::NONE) {
            assert!(log.first() <= acknowledged.next(), "pruned beyond what the consumer has");
        }
        let first = found.first().map_or(u32::MAX, |(number, _)| *number);
        self.tried.retain(|tried| tried.sure || found.iter().any(|(number, _)| *number == tried.number));
        self.tried.iter_mut().for_each(|tried| tried.sure = true);
        if pruned {
            self.tried.retain(|tried| tried.number >= first);
        }
        let expected: Vec<_> = self.tried.iter().map(|tried| (tried.number, tried.records.clone())).collect();
        assert_eq!(found, expected, "what is there is not what was committed");
    }
}
