//! `highwater cat`: committed records, a line each.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use highwater::{Checkpoint, OpKind, Record, Sequence, StreamId};
use highwater_connect::bookkeeping;

use crate::failure::{Code, Failure};
use crate::known::{self, Wanted};
use crate::output;
use crate::place;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater cat shop.hw | head -3
  highwater cat shop.hw --stream users --format jsonl > users.jsonl
  highwater cat shop.hw --from 100 --to 200
  highwater cat shop.hw --follow | jq .record.data.id";

/// Write committed records to standard output
///
/// A checkpoint's records come stream by stream, in the order in which they were appended. What the runtime writes down for itself (its
/// runs, in the namespace _highwater) is left out unless it is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    wanted: Wanted,
    /// The first checkpoint: its number, its UUID, or a time (what was committed after that). Default: the oldest that is kept
    #[arg(long, value_name = "SEQ|ID|TIME")]
    from: Option<String>,
    /// The last checkpoint, named in the same way. Default: the last that there is now
    #[arg(long, value_name = "SEQ|ID|TIME")]
    to: Option<String>,
    /// Also what the runtime writes down for itself
    #[arg(long, conflicts_with = "stream")]
    all: bool,
    /// airbyte: RECORD messages; jsonl: the payloads alone
    #[arg(long, value_enum, default_value_t = Format::Airbyte)]
    format: Format,
    /// Go on with what is committed later, until ended
    #[arg(long, conflicts_with = "to")]
    follow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Airbyte,
    Jsonl,
}

/// One wait while nothing new comes; it is followed by the next.
const WAIT: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    // A stream may be there soon, so following one that is not there yet is no mistake; but it is rarely meant.
    let stream = args.wanted.find(&log)?.map(|info| info.id);
    let first = args.from.as_deref().map_or_else(|| Ok(log.first()), |from| place::first(&log, from))?;
    let last = match (args.follow, &args.to) {
        (true, _) => Sequence::new(u64::MAX),
        (false, Some(to)) => place::find(&log, to)?,
        (false, None) => log.end().map_or(Sequence::NONE, |end| end.sequence),
    };
    let mut reader = log.reader(first)?;
    let mut sink = Sink::new(args.format, args.all || stream.is_some());
    while reader.next_sequence() <= last {
        match known::next(&mut reader)? {
            Some(checkpoint) => sink.checkpoint(&checkpoint, stream)?,
            None if args.follow => {
                sink.out.flush()?;
                reader.wait(WAIT)?;
            }
            None => break,
        }
    }
    sink.finish()
}

/// Writes records in the format asked for.
struct Sink {
    out: io::BufWriter<io::StdoutLock<'static>>,
    format: Format,
    /// The runtime's own streams, too.
    takes_ours: bool,
    /// The beginning of each stream's RECORD messages, up to the payload.
    prefixes: HashMap<StreamId, Vec<u8>>,
    truncates: u64,
}

impl Sink {
    fn new(format: Format, takes_ours: bool) -> Self {
        Sink { out: output::buffered(), format, takes_ours, prefixes: HashMap::new(), truncates: 0 }
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint, stream: Option<StreamId>) -> Result<(), Failure> {
        if self.format == Format::Airbyte {
            for counts in checkpoint.streams() {
                self.prefixes.entry(counts.stream).or_insert_with(|| prefix(&counts.name));
            }
        }
        let records = match stream {
            Some(stream) => checkpoint.records_of(stream),
            None => checkpoint.records(),
        };
        let ours: Vec<StreamId> = match self.takes_ours {
            true => Vec::new(),
            false => ours_in(checkpoint),
        };
        for record in records {
            let record = record?;
            if !ours.contains(&record.stream) {
                self.record(&record)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        // It has no payload, and no form of its own in either format.
        if record.op == OpKind::Truncate {
            self.truncates += 1;
            return Ok(());
        }
        match self.format {
            Format::Airbyte => self.airbyte(record),
            Format::Jsonl if record.payload.is_empty() => Ok(()),
            Format::Jsonl => {
                write_value(&mut self.out, &record.payload)?;
                self.out.write_all(b"\n")
            }
        }
    }

    fn airbyte(&mut self, record: &Record) -> io::Result<()> {
        let prefix = self.prefixes.get(&record.stream).map_or(&b""[..], Vec::as_slice);
        self.out.write_all(prefix)?;
        let payload = if record.payload.is_empty() { &b"{}"[..] } else { &record.payload };
        write_value(&mut self.out, payload)?;
        write!(self.out, r#","emitted_at":{}"#, record.emitted_us.div_euclid(1000))?;
        if !record.metadata.is_empty() {
            self.out.write_all(br#","meta":"#)?;
            write_value(&mut self.out, &record.metadata)?;
        }
        self.out.write_all(b"}}\n")
    }

    fn finish(mut self) -> Result<Code, Failure> {
        self.out.flush()?;
        if self.truncates > 0 {
            terminal::note(format!("{} truncate operations were left out", self.truncates));
        }
        Ok(Code::Well)
    }
}

/// The runtime's own streams.
fn ours_in(checkpoint: &Checkpoint) -> Vec<StreamId> {
    let ours = checkpoint.streams().iter().filter(|counts| bookkeeping::is_ours(&counts.name));
    ours.map(|counts| counts.stream).collect()
}

fn prefix(name: &highwater::StreamName) -> Vec<u8> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let namespace =
        name.namespace.as_deref().map(|n| format!(r#""namespace":{},"#, quoted(n))).unwrap_or_default();
    format!(r#"{{"type":"RECORD","record":{{{namespace}"stream":{},"data":"#, quoted(&name.name)).into_bytes()
}

/// Writes JSON text as it is, on one line: a line break in it can only be white space between its tokens. What an
/// application stored that is not JSON becomes a JSON string.
fn write_value(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let is_json = bytes.starts_with(b"{") || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if !is_json {
        return Ok(serde_json::to_writer(out, &String::from_utf8_lossy(bytes))?);
    }
    let mut rest = bytes;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.write_all(&rest[..at])?;
        out.write_all(b" ")?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write_value(&mut out, bytes).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_stays_as_it_is_and_the_rest_becomes_json() {
        assert_eq!(written(br#"{"a": 1.0,"a":2}"#), r#"{"a": 1.0,"a":2}"#);
        assert_eq!(written(b"{\r\n\"a\":1}"), "{  \"a\":1}");
        assert_eq!(written(b"[1, 2]"), "[1, 2]");
        assert_eq!(written(b"two\nlines \xff"), "\"two\\nlines \u{fffd}\"");
    }

    #[test]
    fn an_empty_namespace_is_kept() {
        let name = |namespace: Option<&str>| highwater::StreamName {
            namespace: namespace.map(str::to_owned),
            name: "s".into(),
        };
        assert_eq!(prefix(&name(None)), br#"{"type":"RECORD","record":{"stream":"s","data":"#);
        assert_eq!(
            prefix(&name(Some(""))),
            br#"{"type":"RECORD","record":{"namespace":"","stream":"s","data":"#
        );
    }
}
