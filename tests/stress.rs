//! Everything at once: writers on threads of their own, a follower, a reader as another process would be, a consumer,
//! pruning and maintenance. Ordinary runs take two seconds; `.ci/threads` runs it longer under a race detector
//! (`HIGHWATER_STRESS_SECONDS`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use highwater::storage::{Disk, Memory, Storage};
use highwater::{
    Checkpoint, Commit, Config, Consumer, Durability, ErrorKind, Limit, Log, LogReader, Op, Retention,
    Sequence, Start, StreamId, StreamSpec,
};

const WRITERS: usize = 3;
const PATIENCE: Duration = Duration::from_millis(50);

fn seconds() -> f64 {
    std::env::var("HIGHWATER_STRESS_SECONDS").ok().map_or(1.0, |text| text.parse().unwrap())
}

/// The next number expected of each stream; each record holds its own.
#[derive(Default)]
struct Order(BTreeMap<StreamId, u64>);

impl Order {
    /// Every record of a checkpoint follows the one before it.
    fn check(&mut self, checkpoint: &Checkpoint) -> highwater::Result<()> {
        for record in checkpoint.records() {
            let record = record?;
            let number = u64::from_le_bytes(record.payload[..8].try_into().unwrap());
            assert!(record.payload[8..].iter().all(|byte| *byte == number as u8));
            let next = self.0.entry(record.stream).or_insert(number);
            assert_eq!(*next, number, "{} of checkpoint {}", record.stream, checkpoint.sequence());
            *next += 1;
        }
        Ok(())
    }
}

/// Commits until it is told to stop; returns its stream and how many records it committed.
fn write(log: &Log, name: &str, stop: &AtomicBool) -> (StreamId, u64) {
    let stream = log.stream(StreamSpec::new(name)).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    let mut number = 0u64;
    while !stop.load(SeqCst) {
        for _ in 0..=number % 4 {
            let mut row = vec![number as u8; 8 + (number * 37 % 1500) as usize];
            row[..8].copy_from_slice(&number.to_le_bytes());
            writer.append(&stream, Op::Insert { key: b"", row: &row }).unwrap();
            number += 1;
        }
        let durability = if number.is_multiple_of(3) { Durability::Buffered } else { Durability::Sync };
        writer.commit(Commit::new().stream(&stream, &number).durability(durability)).unwrap();
    }
    (stream.id(), number)
}

/// Follows the log, from the beginning and from where it was pruned to; returns how many checkpoints it saw.
fn follow(log: &LogReader, stop: &AtomicBool) -> u64 {
    let mut seen = 0;
    let mut from = Sequence::FIRST;
    while !stop.load(SeqCst) {
        let mut read = || -> highwater::Result<()> {
            let mut reader = log.reader(from)?;
            let mut order = Order::default();
            while !stop.load(SeqCst) {
                while let Some(checkpoint) = reader.next()? {
                    assert_eq!(checkpoint.sequence(), from);
                    order.check(&checkpoint)?;
                    from = from.next();
                    seen += 1;
                }
                reader.wait(PATIENCE)?;
            }
            Ok(())
        };
        match read() {
            Ok(()) => {}
            Err(error) => match error.kind() {
                ErrorKind::Gap { last, .. } => from = last.next(),
                _ => panic!("{error}"),
            },
        }
    }
    seen
}

/// Takes what there is, in order and without a hole; acknowledges most of it.
fn consume(consumer: &mut Consumer, order: &mut Order) -> bool {
    let limit = Limit { max_checkpoints: 50, wait: PATIENCE, ..Limit::default() };
    let Some(batch) = consumer.next_batch(&limit).unwrap() else { return false };
    for checkpoint in batch.checkpoints() {
        order.check(checkpoint).unwrap();
    }
    consumer.acknowledge(batch.end()).unwrap();
    consumer.sync().unwrap();
    true
}

fn keep_house(log: &Log, stop: &AtomicBool) {
    while !stop.load(SeqCst) {
        log.prune(&Retention { min_count: 5, ..Retention::default() }).unwrap();
        log.maintain().unwrap();
        log.state().unwrap().all().unwrap();
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn stress(storage: &Arc<dyn Storage>) {
    let config = || Config { segment_bytes: 64 << 10, ..Config::default() };
    let (log, _) = Log::open_on(storage.clone(), config()).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let mut order = Order::default();
    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let written = spawn_writers(scope, &log, &stop);
        let near = scope.spawn(|| follow(&log, &stop));
        let far = scope.spawn(|| follow(&LogReader::open_on(storage.clone()).unwrap(), &stop));
        scope.spawn(|| keep_house(&log, &stop));
        let deliver = scope.spawn(|| {
            while !stop.load(SeqCst) {
                consume(&mut lake, &mut order);
            }
        });
        std::thread::sleep(Duration::from_secs_f64(seconds()));
        stop.store(true, SeqCst);
        deliver.join().unwrap();
        assert!(near.join().unwrap() > 0 && far.join().unwrap() > 0, "a reader saw nothing");
        written.into_iter().map(|writer| writer.join().unwrap()).collect::<BTreeMap<_, _>>()
    });
    log.flush().unwrap();
    while consume(&mut lake, &mut order) {}
    assert_eq!(order.0, written, "the consumer has everything, once");
    assert!(log.first() > Sequence::FIRST, "nothing was pruned: it was too calm");
    log.close().unwrap();
    assert!(LogReader::open_on(storage.clone()).unwrap().verify(&mut |_| {}).unwrap().is_sound());
}

type Written<'s> = ScopedJoinHandle<'s, (StreamId, u64)>;

fn spawn_writers<'s>(scope: &'s Scope<'s, '_>, log: &'s Log, stop: &'s AtomicBool) -> Vec<Written<'s>> {
    (0..WRITERS).map(|i| scope.spawn(move || write(log, &format!("s{i}"), stop))).collect()
}

#[test]
fn threads_share_a_log_in_memory() {
    stress(&(Arc::new(Memory::new()) as Arc<dyn Storage>));
}

#[test]
fn threads_share_a_log_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    stress(&(Arc::new(Disk::new(dir.path())) as Arc<dyn Storage>));
}
