//! The engine under a schedule explorer: threads run one at a time, and at every lock, wait and storage call another one
//! may go on. Nothing times out there, so a wakeup that is lost is a deadlock, which is reported with its schedule.
//!
//! `.ci/schedules` builds this with `--cfg highwater_schedules`; any other build has no test here.
#![cfg(highwater_schedules)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod cut;
mod disk;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use disk::Disk;
use highwater::environment::Stepped;
use highwater::storage::Storage;
use highwater::{
    Commit, Config, Durability, ErrorKind, Limit, Log, LogReader, Op, Retention, Sequence, Start, Stream,
    StreamSpec,
};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Runner, thread};

/// The longest wait; only the explorer's deadlocks are longer.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// Half of the schedules choose at random, half change their mind at three places only, which finds what is rare.
fn explore(scenario: impl Fn() + Copy + Send + Sync + 'static) {
    let count = std::env::var("HIGHWATER_SCHEDULES").ok().map_or(200, |text| text.parse().unwrap());
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    Runner::new(RandomScheduler::new(count / 2), config.clone()).run(scenario);
    Runner::new(PctScheduler::new(3, count / 2), config).run(scenario);
}

fn config() -> Config {
    Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(1, 1)), ..Config::default() }
}

/// A log with a stream for each writer.
fn open<const N: usize>(disk: &Disk) -> (Arc<Log>, [Stream; N]) {
    let (log, _) = Log::open_on(Arc::new(disk.clone()), config()).unwrap();
    let streams = std::array::from_fn(|i| log.stream(StreamSpec::new(format!("s{i}"))).unwrap());
    (Arc::new(log), streams)
}

/// A checkpoint of one record of `bytes` bytes; its number is in record and state.
fn commit(
    log: &Log,
    stream: &Stream,
    number: u32,
    bytes: usize,
    durability: Durability,
) -> highwater::Result<Sequence> {
    let mut writer = log.writer(&[stream])?;
    writer.append(stream, Op::Insert { key: b"", row: &vec![number as u8; bytes] })?;
    Ok(writer.commit(Commit::new().stream(stream, &number).durability(durability))?.sequence())
}

/// What was acknowledged as durable, with what a power cut at that very moment would have left.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<Vec<(Sequence, highwater::storage::Memory)>>>);

impl Acknowledged {
    fn note(&self, sequence: Sequence, disk: &Disk) {
        self.0.lock().unwrap().push((sequence, disk.durable()));
    }

    fn all_are_there(&self) {
        for (sequence, left) in self.0.lock().unwrap().drain(..) {
            assert!(
                read(&left) >= sequence.get(),
                "checkpoint {sequence} was acknowledged and is not durable"
            );
        }
    }
}

/// Reads all there is, in order; returns how many checkpoints that are.
fn read(storage: &(impl Storage + Clone + 'static)) -> u64 {
    let log = LogReader::open_on(Arc::new(storage.clone())).unwrap();
    let mut reader = log.reader(log.first()).unwrap();
    while let Some(checkpoint) = reader.next().unwrap() {
        assert_eq!(checkpoint.records().map(Result::unwrap).count() as u64, checkpoint.record_count());
    }
    log.end().map_or(0, |end| end.sequence.get())
}

#[test]
fn commits_share_flushes_and_each_is_durable_when_it_returns() {
    explore(|| {
        let disk = Disk::default();
        let (log, streams) = open::<3>(&disk);
        let acknowledged = Acknowledged::default();
        let writers = streams.map(|stream| {
            let (log, disk, acknowledged) = (log.clone(), disk.clone(), acknowledged.clone());
            thread::spawn(move || {
                for number in 0..3 {
                    if number == 1 {
                        commit(&log, &stream, number, 100, Durability::Buffered).unwrap();
                    } else {
                        let sequence = commit(&log, &stream, number, 100, Durability::Sync).unwrap();
                        acknowledged.note(sequence, &disk);
                    }
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        acknowledged.all_are_there();
        drop(log);
        assert_eq!(read(&disk), 9);
    });
}

#[test]
fn a_close_meets_commits_and_loses_none() {
    explore(|| {
        let disk = Disk::default();
        let (log, _) = Log::open_on(Arc::new(disk.clone()), config()).unwrap();
        let streams = ["a", "b"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
        let writers = streams.map(|stream| {
            let mut writer = log.writer(&[&stream]).unwrap();
            thread::spawn(move || {
                let mut done = 0;
                for number in 0..3u32 {
                    let row = [number as u8; 100];
                    let result = writer
                        .append(&stream, Op::Insert { key: b"", row: &row })
                        .and_then(|()| writer.commit(Commit::new().stream(&stream, &number)));
                    match result {
                        Ok(committed) => assert!(committed.durable),
                        Err(error) => {
                            assert_eq!(*error.kind(), ErrorKind::Invalid, "{error}");
                            break;
                        }
                    }
                    done += 1;
                }
                done
            })
        });
        let closing = thread::spawn(move || log.close().unwrap());
        closing.join().unwrap();
        let closed = disk.durable();
        let done: u64 = writers.map(|writer| writer.join().unwrap()).into_iter().sum();
        // What came back as an error is not there; what came back well was there when the close returned.
        assert_eq!(read(&closed), done);
        let (_, recovery) = Log::open_on(Arc::new(closed), config()).unwrap();
        assert!(!recovery.torn && recovery.dropped_frames == 0, "{recovery}");
    });
}

#[test]
fn a_follower_is_woken_for_every_checkpoint() {
    explore(|| {
        let disk = Disk::default();
        let (log, [stream]) = open(&disk);
        let followed = log.clone();
        let follower = thread::spawn(move || {
            let mut reader = followed.reader(Sequence::FIRST).unwrap();
            for expected in 1..=4 {
                let checkpoint = loop {
                    match reader.next().unwrap() {
                        Some(checkpoint) => break checkpoint,
                        None => assert!(reader.wait(FOR_EVER).unwrap()),
                    }
                };
                assert_eq!(checkpoint.sequence().get(), expected);
                assert_eq!(checkpoint.records().map(Result::unwrap).count(), 1);
            }
        });
        for number in 0..4 {
            let durability = if number < 2 { Durability::Sync } else { Durability::Buffered };
            commit(&log, &stream, number, 100, durability).unwrap();
        }
        log.flush().unwrap();
        follower.join().unwrap();
    });
}

#[test]
fn a_roll_meets_threads_that_make_the_next_segment() {
    explore(|| {
        let disk = Disk::default();
        let (log, streams) = open::<2>(&disk);
        let acknowledged = Acknowledged::default();
        let writers = streams.map(|stream| {
            let (log, disk, acknowledged) = (log.clone(), disk.clone(), acknowledged.clone());
            thread::spawn(move || {
                for number in 0..3 {
                    let sequence = commit(&log, &stream, number, 20_000, Durability::Sync).unwrap();
                    acknowledged.note(sequence, &disk);
                }
            })
        });
        let keeper = {
            let log = log.clone();
            thread::spawn(move || (0..3).for_each(|_| log.maintain().unwrap()))
        };
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        keeper.join().unwrap();
        acknowledged.all_are_there();
        drop(log);
        assert_eq!(read(&disk), 6);
    });
}

#[test]
fn pruning_goes_on_beside_commits_and_readers() {
    explore(|| {
        let disk = Disk::default();
        let (log, [first, second]) = open(&disk);
        for number in 0..5 {
            commit(&log, &first, number, 20_000, Durability::Sync).unwrap();
        }
        let mut lake = log.consumer("lake", Start::Earliest).unwrap();
        let limit = Limit { max_checkpoints: 4, ..Limit::default() };
        let batch = lake.next_batch(&limit).unwrap().unwrap();
        lake.acknowledge(batch.end()).unwrap();
        lake.sync().unwrap();
        let spawn = |work: fn(&Log, Stream)| {
            let (log, stream) = (log.clone(), second.clone());
            thread::spawn(move || work(&log, stream))
        };
        let threads = [
            spawn(|log, stream| {
                for number in 0..3 {
                    commit(log, &stream, number, 20_000, Durability::Sync).unwrap();
                }
            }),
            spawn(|log, _| drop(log.prune(&Retention::default()).unwrap())),
            spawn(|log, _| {
                let first = log.reader(Sequence::FIRST).and_then(|mut reader| reader.next());
                match first.and_then(|first| first.unwrap().records().collect::<highwater::Result<Vec<_>>>())
                {
                    Ok(records) => assert_eq!(records.len(), 1),
                    Err(error) => assert!(matches!(error.kind(), ErrorKind::Gap { .. }), "{error}"),
                }
            }),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(log.first() > Sequence::FIRST, "nothing was pruned");
        let rest = lake.next_batch(&Limit::default()).unwrap().unwrap();
        assert_eq!(rest.checkpoints().len(), 4);
        drop((lake, log));
        assert_eq!(read(&disk), 8);
    });
}

#[test]
fn a_reader_as_in_another_process_keeps_up() {
    explore(|| {
        let disk = Disk::default();
        let (log, [stream]) = open(&disk);
        commit(&log, &stream, 0, 100, Durability::Sync).unwrap();
        let far = disk.clone();
        let reader = thread::spawn(move || {
            let log = LogReader::open_on(Arc::new(far)).unwrap();
            let mut reader = log.reader(Sequence::FIRST).unwrap();
            let mut seen = 0;
            while seen < 3 {
                match reader.next().unwrap() {
                    Some(checkpoint) => {
                        seen += 1;
                        assert_eq!(checkpoint.sequence().get(), seen);
                        assert_eq!(checkpoint.records().map(Result::unwrap).count(), 1);
                    }
                    None => thread::yield_now(),
                }
            }
        });
        for number in 1..3 {
            commit(&log, &stream, number, 100, Durability::Sync).unwrap();
        }
        reader.join().unwrap();
    });
}
