//! The suite for destinations, in their way of keeping every record (append).

mod loss;
mod refusals;

use highwater::{Commit, Config, Limit, Log, Op, Start, Stream, StreamSpec, Writer};
use serde_json::{Value, json};

use super::Finding;
use crate::destination::{Confirmed, Destination, Stored};
use crate::failure::{Failure, FailureKind};
use crate::feed::Feed;

/// A destination under test: a place that can be opened again and again, and looked into.
pub trait Subject {
    /// The destination, as another process would open it.
    fn open(&mut self) -> Box<dyn Destination>;

    /// Every row that it holds, in the order in which they were delivered.
    fn held(&mut self) -> Vec<Held>;

    /// Whether a row may be there again after a failure, as in a place that can't store a position and has no keys. By
    /// default it may not.
    fn may_repeat(&self) -> bool {
        false
    }

    /// Empties the place, as somebody does who deletes its files or its tables. By default it can't, and what becomes of a
    /// destination that has lost everything is not tested.
    fn lose(&mut self) -> bool {
        false
    }

    /// The payload of a record of stream `plain` that it refuses, if there is one; the default knows of none, and what becomes
    /// of refused records is not tested then.
    fn refused(&self) -> Option<&'static [u8]> {
        None
    }
}

/// A row that a destination holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The stream's name.
    pub stream: String,
    /// The record.
    pub row: Value,
}

/// Runs the suite. `make` gives a fresh, empty subject for each case, which is numbered.
pub fn destination<S: Subject>(mut make: impl FnMut(usize) -> S) -> Result<(), Finding> {
    let cases: &[(&str, Case<S>)] = &[
        ("delivered checkpoint by checkpoint", one_by_one),
        ("killed after every batch, before it was acknowledged", killed_before_acknowledgement),
        ("delivered again in other groups", regrouped),
        ("a batch without records", without_records),
        ("opened again with nothing new", opened_again),
        ("killed before it could tell what it refused", refusals::told_after_a_kill),
        ("told to refuse nothing", refusals::fail_if_so_told),
        ("what it says of its position", loss::says_what_it_is),
        ("another log", another_log),
        ("emptied after it was acknowledged", loss::gets_everything_again),
    ];
    for (number, (name, case)) in cases.iter().enumerate() {
        let dir = Scratch::new().map_err(|e| format!("{name}: {e}"))?;
        let mut subject = make(number);
        case(&mut World::new(&dir).map_err(|e| format!("{name}: {e}"))?, &mut subject)
            .map_err(|finding| format!("{name}: {finding}"))?;
    }
    Ok(())
}

type Case<S> = fn(&mut World, &mut S) -> Result<(), Finding>;

/// A directory that goes when it is dropped.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("highwater-conformance-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A log with two streams, and all that was written to it.
struct World {
    log: Log,
    writer: Writer,
    streams: [Stream; 2],
    written: Vec<Held>,
}

const SCHEMA: &str =
    r#"{"type":"object","properties":{"id":{"type":"integer"},"text":{"type":["null","string"]}}}"#;

impl World {
    fn new(dir: &Scratch) -> highwater::Result<World> {
        let (log, _) = Log::open(dir.0.join("log.hw"), Config::default())?;
        let keyed = log.stream(StreamSpec::new("keyed").key(["id"]).schema(SCHEMA))?;
        let plain = log.stream(StreamSpec::new("plain").schema(SCHEMA))?;
        let writer = log.writer(&[&keyed, &plain])?;
        Ok(World { log, writer, streams: [keyed, plain], written: Vec::new() })
    }

    /// Commits so many checkpoints, with a few records of both streams each.
    fn commit(&mut self, checkpoints: usize) -> Result<(), Finding> {
        for _ in 0..checkpoints {
            for n in 0..3 {
                self.append(n % 2).map_err(|e| e.to_string())?;
            }
            let commit = Commit::new().all();
            self.writer.commit(commit).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn append(&mut self, of: usize) -> highwater::Result<()> {
        let id = self.written.len();
        let row = json!({"id": id, "text": format!("row {id}: \"ü\"")});
        let text = row.to_string();
        let key = format!("[{id}]");
        let stream = &self.streams[of];
        let op = match of {
            0 => Op::Upsert { key: key.as_bytes(), row: text.as_bytes() },
            _ => Op::Insert { key: b"", row: text.as_bytes() },
        };
        self.writer.append(stream, op)?;
        self.written.push(Held { stream: stream.name().name.clone(), row });
        Ok(())
    }

    fn feed(&self) -> Result<Feed, Finding> {
        Feed::open(&self.log, "subject", Start::Earliest, None).map_err(|e| e.to_string())
    }

    /// Each stream's records, once each and in their order.
    fn check(&self, subject: &mut impl Subject) -> Result<(), Finding> {
        let mut held = subject.held();
        if subject.may_repeat() {
            // Again, but not out of order: what comes first counts.
            let mut seen = std::collections::HashSet::new();
            held.retain(|row| seen.insert((row.stream.clone(), row.row.to_string())));
        }
        for stream in &self.streams {
            let name = &stream.name().name;
            let of = |rows: &[Held]| -> Vec<Value> {
                rows.iter().filter(|row| row.stream == *name).map(|row| row.row.clone()).collect()
            };
            let (expected, found) = (of(&self.written), of(&held));
            if expected != found {
                let at = expected.iter().zip(&found).position(|(one, other)| one != other);
                return Err(format!(
                    "stream {name}: {} rows were delivered, {} are there; they differ first at {at:?}",
                    expected.len(),
                    found.len()
                ));
            }
        }
        Ok(())
    }
}

fn limit(checkpoints: usize) -> Limit {
    Limit { max_checkpoints: checkpoints, ..Limit::default() }
}

/// Delivers what there is, as the runtime does; acknowledged or not.
fn deliver(
    world: &World,
    destination: &mut dyn Destination,
    checkpoints: usize,
    is_acknowledged: bool,
    batches_max: usize,
) -> Result<usize, Failure> {
    let mut feed = Feed::open(&world.log, "subject", Start::Earliest, None)?;
    feed.align(destination.stored()?)?;
    let mut batches = 0;
    while batches < batches_max {
        let Some(batch) = feed.next(&limit(checkpoints))? else { break };
        let applied = destination.apply(&batch)?;
        if let Some(rejected) = applied.rejected.first() {
            return Err(Failure::permanent(format!("it refused a plain record: {}", rejected.reason)));
        }
        if is_acknowledged {
            destination.flush()?;
            if let Confirmed::UpTo(confirmed) = destination.confirmed()?
                && confirmed != Some(batch.end())
            {
                return Err(Failure::permanent(format!("flushed, it has confirmed {confirmed:?} only")));
            }
            feed.acknowledge(batch.end())?;
        }
        batches += 1;
    }
    Ok(batches)
}

const ALL: usize = usize::MAX;

fn one_by_one<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(5)?;
    let mut destination = subject.open();
    deliver(world, &mut *destination, 1, true, ALL).map_err(|e| e.to_string())?;
    world.check(subject)?;
    world.commit(2)?;
    deliver(world, &mut *destination, 1, true, ALL).map_err(|e| e.to_string())?;
    destination.close().map_err(|e| e.to_string())?;
    world.check(subject)
}

fn killed_before_acknowledgement<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(6)?;
    for _ in 0..20 {
        let applied = deliver(world, &mut *subject.open(), 1, false, 1).map_err(|e| e.to_string())?;
        if applied == 0 {
            break;
        }
        // Whoever can't store a position gets the same batch until it is acknowledged.
        let mut destination = subject.open();
        let stored = destination.stored().map_err(|e| e.to_string())?;
        if stored == Stored::NoPositions {
            deliver(world, &mut *destination, 1, true, 1).map_err(|e| e.to_string())?;
        }
    }
    deliver(world, &mut *subject.open(), 1, true, ALL).map_err(|e| e.to_string())?;
    world.check(subject)
}

fn regrouped<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(7)?;
    deliver(world, &mut *subject.open(), 2, false, 1).map_err(|e| e.to_string())?;
    deliver(world, &mut *subject.open(), 4, false, 1).map_err(|e| e.to_string())?;
    deliver(world, &mut *subject.open(), 100, true, ALL).map_err(|e| e.to_string())?;
    world.check(subject)
}

fn without_records<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(1)?;
    world.writer.commit(Commit::new()).map_err(|e| e.to_string())?;
    deliver(world, &mut *subject.open(), 1, true, ALL).map_err(|e| e.to_string())?;
    world.commit(1)?;
    deliver(world, &mut *subject.open(), 1, true, ALL).map_err(|e| e.to_string())?;
    world.check(subject)
}

fn opened_again<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(3)?;
    for _ in 0..3 {
        deliver(world, &mut *subject.open(), 2, true, ALL).map_err(|e| e.to_string())?;
    }
    let acknowledged = world.feed()?.acknowledged();
    let stored = subject.open().stored().map_err(|e| e.to_string())?;
    if let Some(stored) = stored.position().filter(|stored| stored.sequence != acknowledged) {
        return Err(format!("it holds checkpoint {}, and {acknowledged} was acknowledged", stored.sequence));
    }
    world.check(subject)
}

fn another_log<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(2)?;
    deliver(world, &mut *subject.open(), 1, true, ALL).map_err(|e| e.to_string())?;
    if subject.open().stored().map_err(|e| e.to_string())? == Stored::NoPositions {
        return Ok(());
    }
    let dir = Scratch::new().map_err(|e| e.to_string())?;
    let mut other = World::new(&dir).map_err(|e| e.to_string())?;
    other.commit(3)?;
    match deliver(&other, &mut *subject.open(), 1, true, ALL) {
        Err(failure) if failure.kind() == FailureKind::Diverged => world.check(subject),
        Err(failure) => Err(format!("another log is refused as {}: {failure}", failure.kind().name())),
        Ok(_) => Err("it took the checkpoints of another log".to_owned()),
    }
}
