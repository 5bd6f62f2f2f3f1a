//! One life of a machine, from a boot to a power cut: processes come and go, steps are taken, and everything that was
//! promised on the way is noted with the call at which it was.

mod deliver;
mod disturb;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater::environment::Stepped;
use highwater::testing::{Operation, Random, SimDisk, State};
use highwater::{
    Compression, Config, Consumer, Digest, ErrorKind, Log, ReadMode, Reader, Stream, StreamSpec,
};

use crate::check::{Checked, Depth, Violation, blames_disk, check_log, consumer_name, demand};
use crate::model::{Definition, Event, Model};
use crate::program::{CONSUMERS, Step};

use write::WriterLife;

/// A boot's disk, and what happens on it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) disk: SimDisk,
    world: Arc<Stepped>,
    random: Random,
    /// As of now.
    pub(crate) model: Model,
    /// What happened, and how many calls had been made.
    pub(crate) events: Vec<(usize, Event)>,
    /// What was being done, from which call on.
    pub(crate) phases: Vec<(usize, &'static str)>,
    live: Option<Live>,
    /// The last commit that returned, durable or not: a killed process does not lose it.
    returned: u64,
    /// The log was closed and has not been opened since.
    closed: bool,
    /// What a reader said that the next opening will find.
    foreseen: Option<u64>,
    /// Calls that had failed when the log was opened.
    faults_before: u64,
    /// A call failed, and the log may take no more writes.
    broken: bool,
    /// A commit failed, and nobody knows whether it is there: only an opening tells.
    doubtful: bool,
    limited: bool,
    /// A fault was armed, or room was limited, since the boot.
    disturbed: bool,
    booted: bool,
    variant: u64,
    numbers: u64,
    /// What each opening said.
    reports: Vec<String>,
}

/// The process that writes the log.
#[derive(Debug)]
struct Live {
    follower: Option<Reader>,
    consumers: BTreeMap<u8, ConsumerLife>,
    writers: [Option<WriterLife>; 2],
    /// Which writer each stream goes to.
    assigned: u8,
    streams: BTreeMap<u8, Known>,
    log: Log,
}

/// A consumer's handle, and the checkpoint it will give next.
#[derive(Debug)]
struct ConsumerLife {
    consumer: Consumer,
    next: u64,
}

/// A registered stream, as its next commit defines it.
#[derive(Debug, Clone)]
struct Known {
    stream: Stream,
    definition: Definition,
}

/// How a call of the engine ended that may fail here.
enum Outcome<T> {
    Done(T),
    /// There was no room.
    Full,
    /// A call of the disk failed.
    Broken,
}

impl Life {
    /// Boots a machine with this disk; the model says what may be on it. `variant` chooses among configurations.
    pub(crate) fn boot(state: State, model: Model, seed: u64, variant: u64) -> Life {
        let world = Stepped::new(seed, 1_700_000_000_000_000);
        // No two boots have one name.
        for _ in 0..seed % 1000 {
            world.reboot();
        }
        let model = Model { tombstones: variant / 3 % 2 == 1, ..model };
        Life {
            disk: SimDisk::new(state, seed ^ 0xD15C),
            world: Arc::new(world),
            random: Random::new(seed ^ 0x11FE),
            model,
            events: Vec::new(),
            phases: Vec::new(),
            live: None,
            returned: 0,
            closed: false,
            foreseen: None,
            faults_before: 0,
            broken: false,
            doubtful: false,
            limited: false,
            disturbed: false,
            booted: false,
            variant,
            numbers: seed % 1_000_000 * 1000,
            reports: Vec::new(),
        }
    }

    /// Takes all steps.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Checked {
        self.open()?;
        for step in steps {
            self.step(*step).map_err(|violation| violation.within(&format!("{step:?}")))?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Checked {
        self.open()?;
        if let Some(held) = self.model.held_from().filter(|_| self.disturbed) {
            // A log that finds no room prunes itself, if somebody consumes it.
            self.note(Event::Pruning(held));
        }
        self.begin(phase(step));
        self.reading(|life| life.take(step))?;
        if self.live.is_some() && self.doubtful && self.random.one_in(2) {
            // Nothing that was not durable becomes so by trying again.
            self.reading(Life::flush)?;
        }
        if self.doubtful || self.broken && self.random.one_in(2) {
            self.give_up();
        }
        Ok(())
    }

    fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Append { stream, op, size, count } => self.append(stream, op, size, count)?,
            Step::Commit { cover, buffered, more } => self.commit(cover, buffered, more)?,
            Step::Aligned { stream, count } => self.aligned(stream, count)?,
            Step::Schema(slot) => self.schema(slot)?,
            Step::Rename(slot) => self.rename(slot)?,
            Step::Reset(slot) => self.reset(slot)?,
            Step::Drop(slot) => self.drop_stream(slot)?,
            Step::Writers(assigned) => self.drop_writers(assigned),
            Step::Discard(slot) => self.discard(slot)?,
            Step::Flush => self.flush()?,
            Step::Maintain => self.maintain()?,
            Step::Prune { keep } => self.prune(keep)?,
            Step::Compact { keep, little, cancel } => self.compact(keep, little, cancel)?,
            Step::Turn(slot) => self.turn(slot)?,
            Step::Consume { consumer, count, acknowledge } => self.consume(consumer, count, acknowledge)?,
            Step::Align { consumer, back } => self.align(consumer, back)?,
            Step::CloseConsumer(consumer) => self.close_consumer(consumer),
            Step::DropConsumer(consumer) => self.drop_consumer(consumer)?,
            Step::Pin { pin, back } => self.pin(pin, back)?,
            Step::Unpin(pin) => self.unpin(pin)?,
            Step::Look => self.look()?,
            Step::Follow => self.follow()?,
            Step::Close { look } => self.close(look)?,
            Step::Kill { evict, look } => self.kill(evict, look)?,
            Step::Fault { fault, nth } => self.arm(fault, nth),
            Step::Room(blocks) => self.limit(blocks),
            Step::Heal => self.heal(),
            Step::PowerCut => {}
        }
        Ok(())
    }

    /// The disk as a clean close leaves it, and what has to be there.
    pub(crate) fn closed(mut self) -> Checked<(State, Model)> {
        self.close(false)?;
        Ok((self.disk.state(), self.model))
    }

    /// Opens the log if it is not open, and checks that it is what it has to be.
    pub(crate) fn open(&mut self) -> Checked {
        while self.live.is_none() {
            self.reading(Life::try_to_open)?;
        }
        Ok(())
    }

    /// A disk that can't be read is an error and nothing else: whoever meets it ends, and somebody else begins anew.
    fn reading(&mut self, act: impl FnOnce(&mut Life) -> Checked) -> Checked {
        let failed = self.disk.failed_reads();
        match act(self) {
            Err(violation) if violation.blames_disk() && self.disk.failed_reads() > failed => {
                self.end();
                self.mend_sometimes();
                Ok(())
            }
            result => result,
        }
    }

    fn try_to_open(&mut self) -> Checked {
        self.begin("opening");
        let before = self.disk.calls();
        let (log, recovery) = self.try_open()?;
        let found = recovery.sequence().get();
        let (floor, tried) = (self.model.floor, self.model.tried());
        demand!(found >= floor, "P1: {floor} was acknowledged or shown, {found} is there: {recovery}");
        demand!(found <= tried, "P2: {found} is there, {tried} were tried: {recovery}");
        if self.disk.faults() == 0 {
            let returned = self.returned;
            demand!(found >= returned, "a kill took {returned} back, {found} is there: {recovery}");
            let foreseen = self.foreseen.unwrap_or(found);
            demand!(foreseen == found, "P3: a reader foresaw {foreseen}, recovery found {found}: {recovery}");
        }
        if self.closed {
            demand!(found == tried, "a close lost {tried}, {found} is there");
            let calls: Vec<_> = self.disk.operations(before).iter().map(Operation::kind).collect();
            demand!(
                recovery.is_clean() && calls.is_empty(),
                "P10: opening a clean log: {recovery} {calls:?}; before: {}",
                self.reports.join("; ")
            );
        }
        self.reports.push(recovery.to_string());
        self.note(Event::Accepted(found));
        self.returned = found;
        (self.closed, self.foreseen) = (false, None);
        (self.broken, self.doubtful) = (false, false);
        let depth = if self.random.one_in(4) { Depth::Thorough } else { Depth::Usual };
        check_log(&log, &self.model, found, depth)?;
        if !self.booted {
            self.meet_consumers(&log)?;
            self.booted = true;
        }
        self.enter(log, found)
    }

    fn try_open(&mut self) -> Checked<(Log, highwater::Recovery)> {
        loop {
            self.faults_before = self.all_faults();
            match Log::open_on(Arc::new(self.disk.clone()), self.config()) {
                Ok(opened) => return Ok(opened),
                // Once only: the next try is another recovery, on what this one left.
                Err(error) if self.failed_since_opening() => {
                    demand!(
                        *error.kind() == ErrorKind::Full || blames_disk(&error),
                        "P5: opening with a failing call: {:?}: {error}",
                        error.kind()
                    );
                    self.disk = self.disk.kill();
                    self.mend_sometimes();
                }
                Err(error) if *error.kind() == ErrorKind::Full && self.limited && self.model.floor == 0 => {
                    self.heal();
                    self.disk = self.disk.kill();
                }
                Err(error) => return Err(Violation::from(error).within("P5: opening")),
            }
        }
    }

    /// What a power cut left of consumers is what there is from now on.
    fn meet_consumers(&mut self, log: &Log) -> Checked {
        let found = log.consumers()?;
        for consumer in 0..CONSUMERS {
            let name = consumer_name(consumer);
            match found.iter().find(|info| info.name == name) {
                Some(info) => self.note(Event::Registered(consumer, info.acknowledged.get())),
                None => self.note(Event::Dropped(consumer)),
            }
        }
        Ok(())
    }

    fn enter(&mut self, log: Log, found: u64) -> Checked {
        let mut streams = BTreeMap::new();
        for (id, definition) in self.model.after(found).streams {
            let stream = log.stream(spec(&definition))?;
            demand!(stream.id() == id, "stream {} was {id} and is {}", definition.name, stream.id());
            streams.insert(definition.slot, Known { stream, definition });
        }
        self.live = Some(Live {
            log,
            streams,
            writers: [None, None],
            assigned: 0,
            consumers: BTreeMap::new(),
            follower: None,
        });
        Ok(())
    }

    /// How the log is opened.
    pub(crate) fn config(&self) -> Config {
        let blake3 = self.variant.is_multiple_of(8);
        // Most programs go without: what they do depends on the sizes of their frames.
        let compression = match self.variant / 4 % 8 {
            1 => Compression::Lz4,
            6 => Compression::Zstd(1),
            _ => Compression::None,
        };
        Config {
            segment_bytes: 64 << 10,
            buffer_bytes_max: 8 << 10,
            unflushed_bytes_max: 64 << 10,
            spare_segments: (self.variant / 8 % 3) as usize,
            read_mode: if self.variant % 4 == 1 { ReadMode::Map } else { ReadMode::Copy },
            digest: if blake3 { Digest::Blake3 } else { Digest::Crc32 },
            compression,
            flush_interval: (self.variant % 4 == 2).then_some(Duration::from_micros(200)),
            environment: self.world.clone(),
            ..Config::default()
        }
    }

    fn live(&mut self) -> Checked<&mut Live> {
        self.live.as_mut().ok_or_else(|| Violation::new("no log is open".to_owned()))
    }

    fn begin(&mut self, phase: &'static str) {
        self.phases.push((self.disk.calls(), phase));
    }

    fn note(&mut self, event: Event) {
        self.note_at(self.disk.calls(), event);
    }

    fn note_at(&mut self, call: usize, event: Event) {
        self.model.apply(&event);
        self.events.push((call, event));
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn all_faults(&self) -> u64 {
        self.disk.faults() + self.disk.failed_reads()
    }

    fn failed_since_opening(&self) -> bool {
        self.all_faults() > self.faults_before
    }

    /// What an error means here; one that nobody caused is a violation.
    fn outcome<T>(&mut self, result: highwater::Result<T>) -> Checked<Outcome<T>> {
        let error = match result {
            Ok(done) => return Ok(Outcome::Done(done)),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Full if self.limited || self.failed_since_opening() => Ok(Outcome::Full),
            _ if blames_disk(&error) && self.failed_since_opening() => {
                self.broken = true;
                Ok(Outcome::Broken)
            }
            _ => Err(error.into()),
        }
    }
}

/// How a stream is registered.
fn spec(definition: &Definition) -> StreamSpec {
    let spec = StreamSpec::new(&definition.name);
    let spec = if definition.slot % 2 == 1 { spec.key(["id"]) } else { spec };
    match &definition.schema {
        Some(schema) => spec.schema(schema),
        None => spec,
    }
}

fn phase(step: Step) -> &'static str {
    match step {
        Step::Append { .. } | Step::Commit { .. } | Step::Aligned { .. } | Step::Flush => "writing",
        Step::Schema(_) | Step::Rename(_) | Step::Reset(_) | Step::Drop(_) => "streams",
        Step::Prune { .. } | Step::Turn(_) => "pruning",
        Step::Compact { .. } => "compacting",
        Step::Consume { .. } | Step::Align { .. } | Step::CloseConsumer(_) | Step::DropConsumer(_) => {
            "consumers"
        }
        Step::Pin { .. } | Step::Unpin(_) => "pins",
        Step::Close { .. } => "closing",
        _ => "other",
    }
}
