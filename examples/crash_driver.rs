//! A plain program for crash rigs: it writes checkpoints whose content follows from a seed, tells what it tries and what
//! is acknowledged, and verifies what a crash left.
//!
//! ```text
//! crash_driver write  --dir D --seed S [--count N] [--segment-bytes B] [--consumer]
//! crash_driver verify --dir D --seed S [--consumer]
//! ```
//!
//! `write` opens (recovers) and prints `resume SEQ HASH`; then, for each checkpoint, `try SEQ HASH` before the commit and
//! `ack SEQ HASH` once it is durable; at the end `done`, exit 0. An engine error prints `fail TEXT`, exit 3. Each line is
//! one unbuffered write. `verify` opens read-only and prints `recovered SEQ HASH`, exit 0, or `corrupt TEXT`, exit 2.
//!
//! HASH covers everything up to SEQ: each checkpoint's records and each state. With `--consumer`, which acknowledges and
//! prunes all but the last 16 checkpoints, it covers the records of the last 16 and all states at SEQ.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use highwater::{
    Commit, Config, ErrorKind, Limit, Log, LogReader, Op, Retention, Sequence, Start, Stream, StreamSpec,
};

const STREAMS: u64 = 4;
/// With `--consumer`, so many checkpoints stay.
const KEPT: u64 = 16;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(text) => {
            say(&format!("usage: {text}"));
            return ExitCode::from(64);
        }
    };
    if arguments.verify {
        match verify(&arguments) {
            Ok((sequence, hash)) => say(&format!("recovered {sequence} {hash:016x}")),
            Err(text) => {
                say(&format!("corrupt {text}"));
                return ExitCode::from(2);
            }
        }
    } else if let Err(text) = write(&arguments) {
        say(&format!("fail {text}"));
        return ExitCode::from(3);
    }
    ExitCode::SUCCESS
}

/// One line, one write: a rig must never see half of it.
fn say(line: &str) {
    let line = format!("{}\n", line.replace('\n', " "));
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: there is nobody to tell.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

struct Arguments {
    verify: bool,
    dir: PathBuf,
    seed: u64,
    count: u64,
    segment_bytes: u32,
    consumer: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let verify = match words.next().as_deref() {
            Some("write") => false,
            Some("verify") => true,
            other => return Err(format!("write or verify, not {other:?}")),
        };
        let (mut dir, mut seed) = (None, None);
        let mut parsed = Arguments {
            verify,
            dir: PathBuf::new(),
            seed: 0,
            count: u64::MAX,
            segment_bytes: 128 << 10,
            consumer: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            let number = |text: String| text.parse::<u64>().map_err(|e| format!("{word} {text}: {e}"));
            match word.as_str() {
                "--dir" => dir = Some(PathBuf::from(value()?)),
                "--seed" => seed = Some(number(value()?)?),
                "--count" => parsed.count = number(value()?)?,
                "--segment-bytes" => parsed.segment_bytes = number(value()?)? as u32,
                "--consumer" => parsed.consumer = true,
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        parsed.dir = dir.ok_or("--dir is missing")?;
        parsed.seed = seed.ok_or("--seed is missing")?;
        Ok(parsed)
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64, sequence: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ sequence.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What checkpoint `sequence` is made of: a function of the seed and its number alone.
struct Plan {
    /// The stream it covers; `None`: all, with the global state.
    covers: Option<u64>,
    /// Stream and payload. Records of streams that it does not cover are appended, left uncommitted, and discarded
    /// before the next, so that every checkpoint is a function of its number.
    records: Vec<(u64, Vec<u8>)>,
    state: String,
}

fn plan(seed: u64, sequence: u64) -> Plan {
    let mut random = Random::new(seed, sequence);
    let covers = if random.below(4) == 0 { None } else { Some(random.below(STREAMS)) };
    let count = match random.below(10) {
        0 => 0,
        1 => 100 + random.below(200),
        _ => random.below(20),
    };
    let records = (0..count).map(|_| (random.below(STREAMS), payload(&mut random))).collect();
    let state = match random.below(20) {
        0 => format!("\"{}\"", "s".repeat(random.below(100_000) as usize)),
        _ => format!("{{\"at\":{sequence}}}"),
    };
    Plan { covers, records, state }
}

fn payload(random: &mut Random) -> Vec<u8> {
    let len = match random.below(40) {
        0 => 0,
        1 => 20_000 + random.below(100_000),
        _ => random.below(600),
    };
    let mut bytes = Vec::with_capacity(len as usize + 8);
    while (bytes.len() as u64) < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len as usize);
    bytes
}

/// Adds up what a log holds, in the same way from the plan and from what was read back.
#[derive(Default)]
struct Content {
    /// The hash over everything so far, or of the last 16 checkpoints each.
    all: u64,
    last: VecDeque<u64>,
    states: BTreeMap<String, String>,
}

fn mix(hash: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut hash = hash ^ (bytes.len() as u64).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let mut step = |word: u64| hash = (hash ^ word).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29);
    for word in &mut words {
        step(u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]));
    }
    let mut rest = [0; 8];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    step(u64::from_le_bytes(rest));
    hash
}

impl Content {
    /// A checkpoint: its records by stream in order, and the state that it set.
    fn add(&mut self, records: &BTreeMap<String, Vec<Vec<u8>>>, state: (&str, &str)) {
        let mut hash = 1;
        for (stream, records) in records {
            hash = mix(hash, stream.as_bytes());
            for record in records {
                hash = mix(hash, record);
            }
        }
        self.states.insert(state.0.to_owned(), state.1.to_owned());
        self.all = mix(mix(mix(self.all, &hash.to_le_bytes()), state.0.as_bytes()), state.1.as_bytes());
        self.last.push_back(hash);
        if self.last.len() as u64 > KEPT {
            self.last.pop_front();
        }
    }

    fn hash(&self, consumer: bool) -> u64 {
        if self.last.is_empty() {
            return 0;
        }
        let mut hash = if consumer { 2 } else { self.all };
        if consumer {
            for checkpoint in &self.last {
                hash = mix(hash, &checkpoint.to_le_bytes());
            }
        }
        for (name, text) in &self.states {
            hash = mix(mix(hash, name.as_bytes()), text.as_bytes());
        }
        hash
    }

    /// What the log should hold after `sequence`.
    fn add_planned(&mut self, plan: &Plan) {
        let mut records: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for (stream, payload) in &plan.records {
            if plan.covers.is_none_or(|covers| covers == *stream) {
                records.entry(name(*stream)).or_default().push(payload.clone());
            }
        }
        self.add(&records, (&plan.covers.map_or(String::new(), name), &plan.state));
    }
}

fn name(stream: u64) -> String {
    format!("s{stream}")
}

fn write(arguments: &Arguments) -> Result<(), String> {
    let text = |e: highwater::Error| e.to_string();
    let config = Config {
        segment_bytes: arguments.segment_bytes,
        buffer_bytes_max: 64 << 10,
        unflushed_bytes_max: 256 << 10,
        ..Config::default()
    };
    let (log, _) = Log::open(&arguments.dir, config).map_err(text)?;
    let mut content = Content::default();
    let done = log.end().map_or(0, |end| end.sequence.get());
    for sequence in 1..=done {
        content.add_planned(&plan(arguments.seed, sequence));
    }
    say(&format!("resume {done} {:016x}", content.hash(arguments.consumer)));
    let streams: Vec<Stream> =
        (0..STREAMS).map(|s| log.stream(StreamSpec::new(name(s)))).collect::<Result<_, _>>().map_err(text)?;
    let mut writer = log.writer(&streams.iter().collect::<Vec<_>>()).map_err(text)?;
    let mut consumer =
        if arguments.consumer { Some(log.consumer("rig", Start::Oldest).map_err(text)?) } else { None };
    for sequence in done + 1..=done.saturating_add(arguments.count) {
        let plan = plan(arguments.seed, sequence);
        for (stream, payload) in &plan.records {
            writer.append(&streams[*stream as usize], Op::Insert { key: b"", row: payload }).map_err(text)?;
        }
        content.add_planned(&plan);
        let hash = content.hash(arguments.consumer);
        let commit = match plan.covers {
            None => Commit::new().global_text(plan.state),
            Some(stream) => Commit::new().stream_text(&streams[stream as usize], plan.state),
        };
        say(&format!("try {sequence} {hash:016x}"));
        let committed = writer.commit(commit).map_err(text)?;
        say(&format!("ack {} {hash:016x}", committed.sequence()));
        for stream in &streams {
            writer.discard(stream).map_err(text)?;
        }
        if let Some(consumer) = &mut consumer
            && let Some(batch) = consumer.next_batch(&Limit::default()).map_err(text)?
        {
            consumer.acknowledge(batch.end()).map_err(text)?;
            if sequence % 8 == 0 {
                log.prune(&Retention { min_count: KEPT, ..Retention::default() }).map_err(text)?;
            }
        }
    }
    drop((writer, consumer));
    log.close().map_err(text)?;
    say("done");
    Ok(())
}

fn verify(arguments: &Arguments) -> Result<(u64, u64), String> {
    let log = match LogReader::open(&arguments.dir) {
        Ok(log) => log,
        Err(e) if *e.kind() == ErrorKind::NotFound => return Ok((0, 0)),
        Err(e) => return Err(e.to_string()),
    };
    let text = |e: highwater::Error| e.to_string();
    let Some(end) = log.end() else { return Ok((0, 0)) };
    let found = log.verify(&mut |_| {}).map_err(text)?;
    if let Some(problem) = found.problems.first() {
        return Err(problem.clone());
    }
    let sequence = end.sequence.get();
    let from = if arguments.consumer { sequence.saturating_sub(KEPT - 1).max(1) } else { 1 };
    let mut content = Content::default();
    let mut reader = log.reader(Sequence::new(from)).map_err(text)?;
    while let Some(checkpoint) = reader.next().map_err(text)? {
        let mut records: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for counts in checkpoint.streams() {
            let of_stream = checkpoint.records_of(counts.stream);
            let payloads = of_stream.map(|record| record.map(|record| record.payload.to_vec()));
            records.insert(counts.name.name.clone(), payloads.collect::<Result<_, _>>().map_err(text)?);
        }
        // The state that it set, as the log tells it for that very checkpoint.
        let states = log.state_at(checkpoint.sequence()).map_err(text)?;
        let state = match checkpoint.states().first() {
            Some((Some(stream), _)) => (stream.name.clone(), states.get_text(stream).map_err(text)?),
            _ => (String::new(), states.global().map_err(text)?),
        };
        content.add(&records, (&state.0, &state.1.map_or_else(String::new, |state| state.text)));
    }
    content.states.clear();
    let states = log.state().map_err(text)?;
    for (stream, state) in states.all().map_err(text)? {
        content.states.insert(stream.name, state.text);
    }
    if let Some(global) = states.global().map_err(text)? {
        content.states.insert(String::new(), global.text);
    }
    Ok((sequence, content.hash(arguments.consumer)))
}
