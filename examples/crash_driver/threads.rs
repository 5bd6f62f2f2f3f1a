//! Several writers at once: a thread and a stream for each, so that commits share flushes; and a consumer that prunes
//! meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use highwater::{
    Commit, Limit, Log, LogReader, Op, Position, Retention, Sequence, Start, Stream, StreamName, StreamSpec,
};
use serde_json::Value;

use crate::content::Content;
use crate::plan::{LanePlan, name};
use crate::{Arguments, KEPT, say, text};

/// The number of a stream's checkpoint, as its state tells it.
fn number_in(state: &str) -> Result<u64, String> {
    let value: Value = serde_json::from_str(state).map_err(|e| format!("a state is not JSON: {e}"))?;
    value["at"].as_u64().ok_or_else(|| format!("a state tells no number: {value}"))
}

pub(crate) fn write(arguments: &Arguments, threads: u64, log: &Log) -> Result<(), String> {
    let lanes: Vec<Lane> =
        (0..threads).map(|stream| Lane::resume(arguments, log, stream)).collect::<Result<_, _>>()?;
    let is_over = AtomicBool::new(false);
    // Who fails ends it for all.
    let end_if_failed = |result: Result<(), String>| {
        if result.is_err() {
            is_over.store(true, Ordering::Relaxed);
        }
        result
    };
    thread::scope(|scope| {
        let consumer =
            arguments.consumer.then(|| scope.spawn(|| end_if_failed(consume(log, threads, &is_over))));
        let write = |lane: Lane| end_if_failed(lane.write(arguments, log, &is_over));
        let writers: Vec<_> = lanes.into_iter().map(|lane| scope.spawn(move || write(lane))).collect();
        let mut results: Vec<_> = writers.into_iter().map(join).collect();
        is_over.store(true, Ordering::Relaxed);
        results.extend(consumer.map(join));
        results.into_iter().collect()
    })
}

fn join(thread: thread::ScopedJoinHandle<'_, Result<(), String>>) -> Result<(), String> {
    thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

/// One stream and its writer.
struct Lane {
    number: u64,
    stream: Stream,
    /// Of its last checkpoint, within the stream.
    done: u64,
    content: Content,
}

impl Lane {
    fn resume(arguments: &Arguments, log: &Log, number: u64) -> Result<Lane, String> {
        let stream = log.stream(StreamSpec::new(name(number))).map_err(text)?;
        let state = log.state().and_then(|states| states.get_text(stream.name())).map_err(text)?;
        let done = state.map_or(Ok(0), |state| number_in(&state.text))?;
        let mut content = Content::default();
        for sequence in 1..=done {
            content.add_planned_lane(number, &LanePlan::new(arguments.seed, number, sequence));
        }
        say(&format!(
            "resume {stream} {done} {:016x}",
            content.hash(arguments.consumer),
            stream = name(number)
        ));
        Ok(Lane { number, stream, done, content })
    }

    fn write(mut self, arguments: &Arguments, log: &Log, is_over: &AtomicBool) -> Result<(), String> {
        let mut writer = log.writer(&[&self.stream]).map_err(text)?;
        let stream = name(self.number);
        for sequence in self.done + 1..=self.done.saturating_add(arguments.count) {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let plan = LanePlan::new(arguments.seed, self.number, sequence);
            for payload in &plan.discarded {
                writer.append(&self.stream, Op::Insert { key: b"", row: payload }).map_err(text)?;
            }
            writer.discard(&self.stream).map_err(text)?;
            for payload in &plan.records {
                writer.append(&self.stream, Op::Insert { key: b"", row: payload }).map_err(text)?;
            }
            self.content.add_planned_lane(self.number, &plan);
            let hash = self.content.hash(arguments.consumer);
            let (durability, word) = arguments.durability(sequence);
            let commit = Commit::new().stream_text(&self.stream, plan.state).durability(durability);
            say(&format!("try {stream} {sequence} {hash:016x}"));
            writer.commit(commit).map_err(text)?;
            say(&format!("{word} {stream} {sequence} {hash:016x}"));
        }
        Ok(())
    }
}

/// Delivers, acknowledges and prunes until the writers are done. It acknowledges only what lies below the last 16
/// checkpoints of every stream, so those stay.
fn consume(log: &Log, streams: u64, is_over: &AtomicBool) -> Result<(), String> {
    let mut consumer = log.consumer("rig", Start::Oldest).map_err(text)?;
    let limit = Limit { wait: Duration::from_millis(5), ..Limit::default() };
    let mut last: BTreeMap<StreamName, VecDeque<Sequence>> = BTreeMap::new();
    let mut unacknowledged: VecDeque<Position> = VecDeque::new();
    while !is_over.load(Ordering::Relaxed) {
        let Some(batch) = consumer.next_batch(&limit).map_err(text)? else { continue };
        for checkpoint in batch.checkpoints() {
            unacknowledged.push_back(checkpoint.position());
            for (stream, _) in checkpoint.states() {
                let last = last.entry(stream.ok_or("a global checkpoint")?).or_default();
                last.push_back(checkpoint.sequence());
                if last.len() as u64 > KEPT {
                    last.pop_front();
                }
            }
        }
        let Some(needed) = last.values().filter_map(|last| last.front()).min() else { continue };
        let done = unacknowledged.partition_point(|position| position.sequence < *needed);
        if done as u64 >= 2 * streams {
            let position = unacknowledged[done - 1];
            unacknowledged.drain(..done);
            consumer.acknowledge(position).map_err(text)?;
            log.prune(&Retention::default()).map_err(text)?;
        }
    }
    Ok(())
}

/// What was read back of one stream.
#[derive(Default)]
struct Found {
    sequence: u64,
    content: Content,
}

pub(crate) fn verify(arguments: &Arguments, threads: u64, log: Option<&LogReader>) -> Result<(), String> {
    let mut streams: BTreeMap<String, Found> = (0..threads).map(|s| (name(s), Found::default())).collect();
    if let Some(log) = log {
        read_back(arguments, log, &mut streams)?;
    }
    for (stream, found) in &streams {
        let hash = found.content.hash(arguments.consumer);
        say(&format!("recovered {stream} {} {hash:016x}", found.sequence));
    }
    Ok(())
}

fn read_back(
    arguments: &Arguments,
    log: &LogReader,
    streams: &mut BTreeMap<String, Found>,
) -> Result<(), String> {
    let mut reader = log.reader(log.first()).map_err(text)?;
    while let Some(checkpoint) = reader.next().map_err(text)? {
        // What a restore puts on record of itself.
        if checkpoint.operation().is_some() && checkpoint.records().next().is_none() {
            continue;
        }
        let states = checkpoint.states();
        let [(Some(stream), true)] = states.as_slice() else {
            return Err(format!("checkpoint {} sets {} states", checkpoint.sequence(), states.len()));
        };
        let found = streams.get_mut(&stream.name).ok_or(format!("nobody writes stream {stream}"))?;
        let sequence = number_in(&found.content.add_read(&checkpoint)?)?;
        let follows = sequence == found.sequence + 1 || (arguments.consumer && found.sequence == 0);
        if !follows {
            return Err(format!("stream {stream}: checkpoint {sequence} follows {}", found.sequence));
        }
        found.sequence = sequence;
    }
    let states = log.state().map_err(text)?;
    for (stream, state) in states.all().map_err(text)? {
        let found = streams.get_mut(&stream.name).ok_or(format!("nobody writes stream {stream}"))?;
        let told = number_in(&state.text)?;
        if told != found.sequence {
            return Err(format!(
                "stream {stream}: its state is of {told}, its last checkpoint {}",
                found.sequence
            ));
        }
        found.content.set_states(BTreeMap::from([(stream.name, state.text)]));
    }
    Ok(())
}
