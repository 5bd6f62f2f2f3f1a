//! Lines of JSON into one stream, with checkpoints by count, size and time.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use highwater::{Commit, Log, Meta, Op, Stream, StreamName, StreamSpec, Writer, key};
use highwater_connect::lines::{Line, Lines};
use highwater_connect::pump::Pump;
use highwater_connect::quantity::{count, plural};
use highwater_connect::text::tame;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::console::{Console, Totals};
use super::streams::as_known;
use super::summary;
use crate::failure::Failure;
use crate::terminal;

/// When a checkpoint is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Every {
    pub(super) records: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) time: Option<Duration>,
}

/// How far the input is in the log: the state of the stream.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    lines: u64,
}

/// The stream to write to, as the command line describes it.
pub(super) fn register(
    log: &Log,
    name: &StreamName,
    key: &[String],
    allow_key_change: bool,
) -> Result<Stream, Failure> {
    if key.is_empty() {
        return as_known(log, name);
    }
    let mut spec = StreamSpec::new(&name.name).key(key.iter().map(String::as_str));
    if let Some(namespace) = &name.namespace {
        spec = spec.namespace(namespace);
    }
    Ok(log.stream(if allow_key_change { spec.allow_key_change() } else { spec })?)
}

/// One run.
#[derive(Debug)]
pub(super) struct Session<'a> {
    stream: Stream,
    writer: Writer,
    console: &'a Console,
    every: Every,
    totals: Totals,
    /// Lines that an earlier run committed.
    skipped: u64,
    pending: Pending,
    /// The time that records are given: that of the last read of the input.
    now_us: i64,
}

/// What the next checkpoint will take in.
#[derive(Debug)]
struct Pending {
    lines: u64,
    records: u64,
    bytes: u64,
    since: Instant,
}

impl Pending {
    fn none() -> Self {
        Pending { lines: 0, records: 0, bytes: 0, since: Instant::now() }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        log: &Log,
        stream: Stream,
        every: Every,
        console: &'a Console,
    ) -> Result<Self, Failure> {
        let skipped = committed_lines(log, &stream)?;
        let writer = log.writer(&[&stream])?;
        let totals = Totals::default();
        Ok(Session {
            stream,
            writer,
            console,
            every,
            totals,
            skipped,
            pending: Pending::none(),
            now_us: now_us(),
        })
    }

    /// Takes every line of the input, and commits what is left at its end. Before an error, too, what came before it is committed.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        // With a limit by time, silence must end early enough to keep it.
        let patience = self
            .every
            .time
            .map_or(Duration::MAX, |time| (time / 4).clamp(MILLISECOND, Duration::from_secs(1)));
        let mut lines = Lines::new(Pump::start(io::stdin(), patience));
        self.skip(&mut lines)?;
        let taken = self.take_all(&mut lines);
        self.console.publish(&self.totals);
        let committed = self.commit();
        taken.and(committed)
    }

    fn skip(&mut self, lines: &mut Lines<Pump>) -> Result<(), Failure> {
        let mut seen = 0;
        while seen < self.skipped {
            match lines.next() {
                Ok(Some(_)) => seen += 1,
                Ok(None) => return Err(self.too_short(seen)),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {}
                Err(e) => return Err(reading(&e)),
            }
        }
        Ok(())
    }

    fn too_short(&self, seen: u64) -> Failure {
        Failure::error(format!(
            "the log holds {} of stream {} already, but the input has only {}: it is not the same input, grown",
            plural(self.skipped, "line"),
            tame(&self.stream.name().to_string()),
            count(seen),
        ))
        .hint("another --stream for another input")
    }

    fn take_all(&mut self, lines: &mut Lines<Pump>) -> Result<(), Failure> {
        loop {
            match lines.next() {
                Ok(Some(line)) => {
                    if line.fresh {
                        self.breathe()?;
                    }
                    self.take(&line)?;
                }
                Ok(None) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => self.breathe()?,
                Err(e) => return Err(reading(&e)),
            }
            let due = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value >= limit);
            if due(self.every.records, self.pending.records) || due(self.every.bytes, self.pending.bytes) {
                self.commit()?;
            }
        }
    }

    /// What needs a clock: done per read of the input, not per line.
    fn breathe(&mut self) -> Result<(), Failure> {
        self.now_us = now_us();
        self.console.publish(&self.totals);
        match self.every.time {
            Some(time) if self.pending.since.elapsed() >= time => self.commit(),
            _ => Ok(()),
        }
    }

    fn take(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let payload = object(line.bytes).map_err(|failure| failure.at_line(line.number))?;
        if let Some(payload) = payload {
            self.append(payload).map_err(|failure| failure.at_line(line.number))?;
        }
        self.totals.lines += 1;
        self.totals.input_bytes += line.bytes.len() as u64 + 1;
        self.pending.lines += 1;
        Ok(())
    }

    fn append(&mut self, payload: &str) -> Result<(), Failure> {
        let row = payload.as_bytes();
        let key = match self.stream.key() {
            [] => Vec::new(),
            columns => key::of_payload(payload, columns)?,
        };
        let op = if key.is_empty() { Op::Insert { key: &key, row } } else { Op::Upsert { key: &key, row } };
        self.writer.append_with(&self.stream, op, Meta { emitted_us: Some(self.now_us), metadata: b"" })?;
        self.pending.records += 1;
        self.pending.bytes += row.len() as u64;
        self.totals.records += 1;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let pending = std::mem::replace(&mut self.pending, Pending::none());
        if pending.lines == 0 {
            return Ok(());
        }
        let progress = Progress { lines: self.skipped + self.totals.lines };
        let committed = self.writer.commit(Commit::new().stream(&self.stream, &progress))?;
        self.totals.checkpoints += 1;
        self.totals.committed += committed.records;
        self.console.committed(&self.totals);
        Ok(())
    }

    pub(super) fn summarize(&self) {
        if self.skipped > 0 {
            terminal::note(format!("skipped {} that an earlier run committed", plural(self.skipped, "line")));
        }
        terminal::say(summary::totals(self.console, &self.totals));
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

fn reading(error: &io::Error) -> Failure {
    Failure::io("reading standard input", error)
}

/// The system's clock, in microseconds since 1970. One that is set before 1970 counts as 1970.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The object on a line, as exact text; `None` on a blank line.
fn object(line: &[u8]) -> Result<Option<&str>, Failure> {
    let text = std::str::from_utf8(line)
        .map_err(|e| Failure::error(format!("column {}: not UTF-8", e.valid_up_to() + 1)))?;
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let invalid =
        |column: usize, why: &str| Failure::error(format!("column {column}: {why}: {}", tame(text)));
    let value: &RawValue = serde_json::from_str(text).map_err(|e| invalid(e.column(), "not valid JSON"))?;
    match value.get() {
        object if object.starts_with('{') => Ok(Some(object)),
        _ => Err(invalid(1, "not a JSON object")),
    }
}

fn committed_lines(log: &Log, stream: &Stream) -> Result<u64, Failure> {
    let Some(state) = log.state()?.get_text(stream.name())? else { return Ok(0) };
    let progress: Progress = serde_json::from_str(&state.text).map_err(|_| {
        let name = tame(&stream.name().to_string());
        Failure::error(format!(
            "stream {name} has a state that `ingest --format jsonl` did not write; take another --stream"
        ))
    })?;
    Ok(progress.lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_as_it_is_and_anything_else_is_named() {
        assert_eq!(object(b" {\"a\": 1.0} \r").unwrap(), Some("{\"a\": 1.0}"));
        assert_eq!(object(b" \t").unwrap(), None);
        for bad in [&b"{\"a\":}"[..], b"[1]", b"1", b"{} {}", b"\xff"] {
            assert!(object(bad).is_err());
        }
    }
}
