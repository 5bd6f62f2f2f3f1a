//! A plain program for crash rigs: it writes checkpoints whose content follows from a seed, tells what it tries and what
//! is acknowledged, and verifies what a crash left.
//!
//! ```text
//! crash_driver write  --dir D --seed S [--count N] [--segment-bytes B] [--consumer] [--threads N] [--buffered]
//!              [--boot N]
//! crash_driver verify --dir D --seed S [--consumer] [--threads N]
//! crash_driver backup --dir D --to E --seed S
//! crash_driver restore --dir E --to D --seed S
//! ```
//!
//! `write` opens (recovers) and prints `resume SEQ HASH`; then, for each checkpoint, `try SEQ HASH` before the commit and
//! `ack SEQ HASH` once it is durable; at the end `done`, exit 0. An engine error prints `fail TEXT`, exit 3. Each line is
//! one unbuffered write. `verify` opens read-only and prints `recovered SEQ HASH`, exit 0, or `corrupt TEXT`, exit 2.
//!
//! HASH covers everything up to SEQ: each checkpoint's records and each state. With `--consumer`, which acknowledges and
//! prunes all but the last 16 checkpoints, it covers the records of the last 16 and all states at SEQ.
//!
//! With `--threads N` there are N streams, `s0` and on, and a thread with a writer of its own for each, so that commits
//! meet and share flushes. The lines are `resume STREAM SEQ HASH`, `try STREAM SEQ HASH`, `ack STREAM SEQ HASH` and, one per
//! stream, `recovered STREAM SEQ HASH`. The scheduler decides which checkpoint of the log comes when; so SEQ is the number of
//! the checkpoint *within its stream*, from 1, and content is a function of seed, stream and SEQ. HASH covers that
//! stream alone; with `--consumer`, now a thread of its own, which acknowledges and prunes while the others commit, the
//! records of the stream's last 16 checkpoints and its state. `--count` is per stream.
//!
//! With `--buffered` three checkpoints of four are committed buffered, and answered by `kept` in place of `ack`: such a one
//! survives a killed process, and a power cut only once a later one of the log was acknowledged.
//!
//! `backup` copies the log, which `write` may be writing, or what is new of it; `restore` makes a log of that, with a checkpoint of its
//! own that is on record, so it is for logs of `--threads`. Both print `done`, exit 0, or `fail TEXT`, exit 3.
//!
//! `--boot N` says in which boot of the machine it runs, for rigs that cut power without a reboot.

mod content;
mod plan;
mod portable;
mod single;
mod threads;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use highwater::environment::{Environment, System};
use highwater::{Compression, Config, Durability, ErrorKind, Log, LogReader, Retention};

/// With `--consumer`, so many checkpoints stay.
const KEPT: u64 = 16;
const RETENTION: Retention = Retention { min_count: KEPT, min_age: Duration::ZERO };

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(text) => {
            say(&format!("usage: {text}"));
            return ExitCode::from(64);
        }
    };
    let (word, code, result) = match arguments.what {
        What::Verify => ("corrupt", 2, verify(&arguments)),
        What::Write => ("fail", 3, write(&arguments)),
        What::Backup => ("fail", 3, portable::backup(&arguments)),
        What::Restore => ("fail", 3, portable::restore(&arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            say(&format!("{word} {text}"));
            ExitCode::from(code)
        }
    }
}

/// One line, one write: a rig must never see half of it.
fn say(line: &str) {
    let line = format!("{}\n", line.replace('\n', " "));
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: there is nobody to tell.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// What a rig reads as text.
fn text(error: highwater::Error) -> String {
    error.to_string()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Write,
    Verify,
    Backup,
    Restore,
}

struct Arguments {
    what: What,
    dir: PathBuf,
    /// Where `backup` and `restore` copy to.
    to: PathBuf,
    seed: u64,
    count: u64,
    segment_bytes: u32,
    consumer: bool,
    /// `None`: one writer of several streams.
    threads: Option<u64>,
    buffered: bool,
    boot: Option<u64>,
}

/// The system, in a boot that a rig has made up.
#[derive(Debug)]
struct Rebooted(u64);

impl Environment for Rebooted {
    fn now_us(&self) -> i64 {
        System.now_us()
    }

    fn elapsed(&self) -> Duration {
        System.elapsed()
    }

    fn random(&self) -> u128 {
        System.random()
    }

    fn boot(&self) -> Option<u128> {
        Some(self.0.into())
    }
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let what = match words.next().as_deref() {
            Some("write") => What::Write,
            Some("verify") => What::Verify,
            Some("backup") => What::Backup,
            Some("restore") => What::Restore,
            other => return Err(format!("write, verify, backup or restore, not {other:?}")),
        };
        let (mut dir, mut seed) = (None, None);
        let mut parsed = Arguments {
            what,
            dir: PathBuf::new(),
            to: PathBuf::new(),
            seed: 0,
            count: u64::MAX,
            segment_bytes: 128 << 10,
            consumer: false,
            threads: None,
            buffered: false,
            boot: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            let number = |text: String| text.parse::<u64>().map_err(|e| format!("{word} {text}: {e}"));
            match word.as_str() {
                "--dir" => dir = Some(PathBuf::from(value()?)),
                "--to" => parsed.to = PathBuf::from(value()?),
                "--seed" => seed = Some(number(value()?)?),
                "--count" => parsed.count = number(value()?)?,
                "--segment-bytes" => parsed.segment_bytes = number(value()?)? as u32,
                "--threads" => parsed.threads = Some(number(value()?)?),
                "--boot" => parsed.boot = Some(number(value()?)?),
                "--consumer" => parsed.consumer = true,
                "--buffered" => parsed.buffered = true,
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        parsed.dir = dir.ok_or("--dir is missing")?;
        parsed.seed = seed.ok_or("--seed is missing")?;
        Ok(parsed)
    }

    /// Small limits, so that everything that happens at a limit happens often.
    fn config(&self) -> Config {
        Config {
            segment_bytes: self.segment_bytes,
            buffer_bytes_max: 64 << 10,
            unflushed_bytes_max: 256 << 10,
            compression: [Compression::None, Compression::Lz4, Compression::Zstd(1)][self.seed as usize % 3],
            // On a full disk the log prunes by itself.
            retention: RETENTION,
            environment: match self.boot {
                None => Arc::new(System),
                Some(boot) => Arc::new(Rebooted(boot)),
            },
            ..Config::default()
        }
    }

    /// How a checkpoint is committed, and the word for it when it is.
    fn durability(&self, sequence: u64) -> (Durability, &'static str) {
        if self.buffered && !sequence.is_multiple_of(4) {
            (Durability::Buffered, "kept")
        } else {
            (Durability::Sync, "ack")
        }
    }
}

fn write(arguments: &Arguments) -> Result<(), String> {
    let (log, _) = Log::open(&arguments.dir, arguments.config()).map_err(text)?;
    match arguments.threads {
        None => single::write(arguments, &log)?,
        Some(threads) => threads::write(arguments, threads, &log)?,
    }
    log.close().map_err(text)?;
    say("done");
    Ok(())
}

fn verify(arguments: &Arguments) -> Result<(), String> {
    let log = match LogReader::open(&arguments.dir) {
        Ok(log) => Some(log),
        Err(e) if *e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(text(e)),
    };
    if let Some(log) = &log {
        let found = log.verify(&mut |_| {}).map_err(text)?;
        if let Some(problem) = found.problems.first() {
            return Err(problem.clone());
        }
    }
    let log = log.filter(|log| log.end().is_some());
    match arguments.threads {
        None => single::verify(arguments, log.as_ref()),
        Some(threads) => threads::verify(arguments, threads, log.as_ref()),
    }
}
