//! Airbyte messages into the log.

use std::io::Read;

use highwater::{Log, Meta, Op, Writer, key};
use highwater_connect::airbyte::catalog::Configured;
use highwater_connect::airbyte::message::{self, Deletions, Record, Reject, StateKind};
use highwater_connect::airbyte::trace::{self, Trace};
use highwater_connect::lines::{Line, Lines};
use highwater_connect::text::tame;

use super::console::{Console, Totals};
use super::phases::Phases;
use super::streams::{Entry, Registry, Streams};
use crate::failure::Failure;

/// So many of a kind are shown; the rest is counted.
pub(super) const SHOWN_MAX: u64 = 5;

/// One run: everything between the first line and the summary.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) registry: Registry<'a>,
    pub(super) writer: Writer,
    pub(super) streams: Streams,
    pub(super) console: &'a Console,
    pub(super) phases: &'a Phases,
    pub(super) totals: Totals,
    pub(super) oddities: Oddities,
    /// STATE messages, all of which were echoed but perhaps the last.
    pub(super) states: u64,
    /// The kind of the last STATE, in this run or before it; not known before the first.
    pub(super) kind: Option<StateKind>,
    /// Records of all streams since the last STATE that was not of one stream.
    pub(super) since_global: u64,
    deletions: Deletions,
}

/// What is not as it should be, and does not stop the run.
#[derive(Debug, Default, Clone)]
pub(super) struct Oddities {
    /// Lines that are not messages.
    pub(super) noise: u64,
    /// Lines with NaN or Infinity, for which null is kept.
    pub(super) not_numbers: u64,
    /// STATE messages whose `recordCount` is not what arrived.
    pub(super) miscounts: u64,
    /// Those of them that say 0, as some sources always do.
    pub(super) miscounts_zero: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        log: &'a Log,
        catalog: Option<&[Configured]>,
        allow_key_change: bool,
        console: &'a Console,
        phases: &'a Phases,
    ) -> Result<Self, Failure> {
        let mut writer = log.writer(&[])?;
        let mut streams = Streams::default();
        let names = catalog.map(|configured| configured.iter().map(|stream| stream.name.clone()).collect());
        let registry = Registry { log, allow_key_change, catalog: names };
        registry.configured(catalog.unwrap_or_default(), &mut streams, &mut writer)?;
        Ok(Session {
            registry,
            writer,
            streams,
            console,
            phases,
            totals: Totals::default(),
            oddities: Oddities::default(),
            states: 0,
            kind: None,
            since_global: 0,
            deletions: Deletions::new(),
        })
    }

    /// Takes every line of the input.
    pub(super) fn run(&mut self, input: impl Read) -> Result<(), Failure> {
        let mut lines = Lines::new(input);
        while let Some(line) = lines.next().map_err(|e| Failure::io("reading standard input", &e))? {
            self.totals.lines += 1;
            self.totals.input_bytes += line.bytes.len() as u64 + 1;
            if line.fresh {
                self.console.publish(&self.totals);
            }
            self.take(&line).map_err(|failure| failure.at_line(line.number))?;
        }
        self.console.publish(&self.totals);
        Ok(())
    }

    fn take(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let message = match message::parse(line.bytes) {
            Ok(message) => message,
            Err(reject) => return self.reject(reject, line),
        };
        match (&*message.kind, &message.record, message.state) {
            ("RECORD", Some(record), _) => self.record(record),
            ("STATE", _, Some(state)) => self.state(line, state),
            ("TRACE", ..) => {
                self.trace(Trace::parse(message.trace));
                Ok(())
            }
            ("LOG", ..) => {
                self.console.say(trace::log_text(message.log));
                Ok(())
            }
            (other, ..) => {
                self.console.say(other_text(other));
                Ok(())
            }
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        let entry = self.streams.entry(record.namespace.as_deref(), &record.stream);
        if entry.stream.is_none() {
            meet(&self.registry, entry, &mut self.writer, self.console)?;
        }
        let Some(stream) = &entry.stream else { return Ok(()) };
        let payload = record.data.get();
        let row = payload.as_bytes();
        let key = match stream.key() {
            [] => Vec::new(),
            columns => key::of_payload(payload, columns)?,
        };
        let deleted = self.deletions.is_deleted(payload);
        let op = match (deleted, stream.key()) {
            (true, _) => Op::Delete { key: &key, row },
            (false, []) => Op::Insert { key: &key, row },
            (false, _) => Op::Upsert { key: &key, row },
        };
        let metadata = record.meta.map_or(&b""[..], |meta| meta.get().as_bytes());
        let emitted_us = record.emitted_at.map(message::Milliseconds::as_us);
        self.writer.append_with(stream, op, Meta { emitted_us, metadata })?;

        entry.counts.records += 1;
        entry.counts.deletes += u64::from(deleted);
        entry.counts.bytes += row.len() as u64;
        entry.counts.since_state += 1;
        self.since_global += 1;
        self.totals.records += 1;
        Ok(())
    }

    fn trace(&mut self, trace: Trace<'_>) {
        match trace {
            Trace::Status(stream, status, _) => {
                self.streams.entry(stream.namespace.as_deref(), &stream.name).status = Some(status);
            }
            Trace::Error(error) => self.console.say(error),
            Trace::Text(text) => self.console.say(text),
        }
    }

    fn reject(&mut self, reject: Reject, line: &Line<'_>) -> Result<(), Failure> {
        match reject {
            Reject::Malformed(why) => return Err(Failure::error(why)),
            Reject::Broken(why) if line.whole => return Err(Failure::error(why)),
            // No state follows it: what it lost comes again.
            Reject::Broken(why) => {
                self.console.warning(format!("line {}, the last, is torn: {why}", line.number));
            }
            Reject::NotANumber(text) => {
                self.oddities.not_numbers += 1;
                return self.take(&Line { bytes: text.as_bytes(), ..*line });
            }
            Reject::Noise => self.noise(line),
        }
        Ok(())
    }

    fn noise(&mut self, line: &Line<'_>) {
        if line.bytes.trim_ascii().is_empty() {
            return;
        }
        self.oddities.noise += 1;
        if self.oddities.noise <= SHOWN_MAX {
            let text = tame(&String::from_utf8_lossy(line.bytes));
            self.console.warning(format!("line {} is not a message: {text}", line.number));
        }
        if self.oddities.noise == SHOWN_MAX {
            self.console.note("further lines that are not messages are only counted");
        }
    }
}

/// Any other message, by its type only: what is in a CONTROL message is a secret.
fn other_text(kind: &str) -> String {
    match kind {
        "CONTROL" => {
            "the source sent a new configuration (CONTROL); it is not kept here, since it may hold secrets"
                .to_owned()
        }
        _ => format!("{} message, of no use here", tame(kind)),
    }
}

/// Registers a stream that was met in the input, and says so if a catalog should have had it.
pub(super) fn meet(
    registry: &Registry<'_>,
    entry: &mut Entry,
    writer: &mut Writer,
    console: &Console,
) -> Result<(), Failure> {
    if registry.met(entry, writer)? {
        let name = tame(&entry.name.to_string());
        console.warning(format!(
            "stream {name} is not in the catalog; it is stored, without a key unless the log knows one"
        ));
    }
    Ok(())
}
