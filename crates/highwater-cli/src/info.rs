//! `highwater info`: what is in a log, and who uses it.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use highwater::{LogReader, Sequence, Status, StreamId, StreamInfo};
use highwater_connect::quantity::{bytes, count, plural, time};
use highwater_connect::text::tame;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  highwater info shop.hw
  highwater info shop.hw --json | jq '.streams[] | {name, records}'
  watch highwater info shop.hw      while it is being written";

/// Show streams, counts, the high-water mark, sizes, segments and consumers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let info = Info::gather(&log)?;
    if args.json {
        output::json(info)?;
    } else {
        info.print()?;
    }
    Ok(Code::Well)
}

#[derive(Debug, Serialize)]
struct Info {
    path: PathBuf,
    /// Whether a process writes it now.
    live: bool,
    /// Which.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    /// Nobody writes it, and this is what the next opening will find.
    #[serde(skip_serializing_if = "Option::is_none")]
    unconfirmed: Option<String>,
    status: Status,
    /// The base checkpoint that the log begins with: the first checkpoint that it takes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    compacted_from: Option<Sequence>,
    streams: Vec<Stream>,
}

#[derive(Debug, Serialize)]
struct Stream {
    #[serde(flatten)]
    info: StreamInfo,
    #[serde(flatten)]
    retained: Retained,
}

/// What the retained checkpoints hold of a stream.
#[derive(Debug, Clone, Default, Serialize)]
struct Retained {
    records: u64,
    bytes: u64,
    /// Of the frames that hold them.
    disk_bytes: u64,
    checkpoints: u64,
    /// The newest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Sequence>,
}

impl Info {
    fn gather(log: &LogReader) -> Result<Self, Failure> {
        let live = log.is_live()?;
        let retained = retained(log)?;
        let with_counts =
            |info: StreamInfo| Stream { retained: retained.get(&info.id).cloned().unwrap_or_default(), info };
        Ok(Info {
            path: log.path().to_owned(),
            live,
            holder: live.then(|| log.holder()),
            unconfirmed: log.unconfirmed(),
            status: log.status()?,
            compacted_from: compacted_from(log)?,
            streams: log.streams()?.into_iter().map(with_counts).collect(),
        })
    }

    fn print(&self) -> Result<(), Failure> {
        let mut out = output::buffered();
        self.print_log(&mut out)?;
        self.print_streams(&mut out)?;
        self.print_consumers(&mut out)?;
        Ok(out.flush()?)
    }

    fn print_log(&self, out: &mut impl Write) -> std::io::Result<()> {
        let status = &self.status;
        let writer = self.holder.as_deref().unwrap_or("none now");
        let last = match (status.end, status.last_checkpoint_age) {
            (Some(end), Some(age)) => format!("{}, {} ago", end.sequence, time(age)),
            (Some(end), None) => end.sequence.to_string(),
            (None, _) => "none yet".to_owned(),
        };
        let sealed = status.segments.iter().filter(|segment| segment.sealed).count();
        writeln!(out, "log              {} ({})", status.log, self.path.display())?;
        writeln!(out, "writer           {writer}")?;
        writeln!(out, "high-water mark  {last}")?;
        if let Some(text) = &self.unconfirmed {
            writeln!(out, "unconfirmed      {text}")?;
        }
        writeln!(
            out,
            "retained         {} from {} on",
            plural(status.checkpoints, "checkpoint"),
            status.first
        )?;
        if let Some(from) = self.compacted_from {
            writeln!(out, "compacted        checkpoints {from} to {} are one", status.first)?;
        }
        let (records, size) = (plural(status.records, "record"), bytes(status.bytes));
        writeln!(out, "since creation   {records} ({size})")?;
        let segments = plural(status.segments.len() as u64, "segment");
        writeln!(out, "on disk          {} in {segments} ({sealed} sealed)", bytes(status.disk_bytes))
    }

    fn print_streams(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.streams.is_empty() {
            return writeln!(out, "\nno streams yet");
        }
        let mut table = output::table(
            ["STREAM", "KEY", "RECORDS", "BYTES", "ON DISK", "CHECKPOINTS", "LAST"],
            &[2, 3, 4, 5, 6],
        );
        for stream in &self.streams {
            let retained = &stream.retained;
            table.add_row([
                tame(&stream.info.name.to_string()),
                key(&stream.info),
                count(retained.records),
                bytes(retained.bytes),
                on_disk(retained),
                count(retained.checkpoints),
                retained.last.map_or_else(String::new, |last| last.to_string()),
            ]);
        }
        writeln!(out, "\n{}", table.trim_fmt())
    }

    fn print_consumers(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.status.consumers.is_empty() {
            return Ok(());
        }
        let mut table = output::table(["CONSUMER", "ACKNOWLEDGED", "LAG", "LAG BYTES"], &[1, 2, 3]);
        for consumer in &self.status.consumers {
            table.add_row([
                tame(&consumer.name),
                consumer.acknowledged.to_string(),
                count(consumer.lag_checkpoints),
                bytes(consumer.lag_bytes),
            ]);
        }
        writeln!(out, "\n{}", table.trim_fmt())
    }
}

/// With the ratio, where something was compressed: headers alone make it more than the records are.
fn on_disk(retained: &Retained) -> String {
    let Retained { bytes: records, disk_bytes, .. } = *retained;
    let size = bytes(disk_bytes);
    if disk_bytes == 0 || disk_bytes >= records {
        return size;
    }
    format!("{size} (1/{:.1})", records as f64 / disk_bytes as f64)
}

fn key(info: &StreamInfo) -> String {
    let columns: Vec<String> = info.key.iter().map(|path| path.join(".")).collect();
    tame(&columns.join(", "))
}

/// Of the log's first checkpoint.
fn compacted_from(log: &LogReader) -> Result<Option<Sequence>, Failure> {
    if log.end().is_none() {
        return Ok(None);
    }
    let first = known::next(&mut log.reader(log.first())?)?;
    Ok(first.and_then(|first| first.compacted_from()))
}

/// Counted from the commits, without reading a record.
fn retained(log: &LogReader) -> Result<HashMap<StreamId, Retained>, Failure> {
    let mut retained: HashMap<StreamId, Retained> = HashMap::new();
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let mut reader = log.reader(log.first())?;
    while reader.next_sequence() <= end {
        let Some(checkpoint) = known::next(&mut reader)? else { break };
        for counts in checkpoint.streams() {
            let of = retained.entry(counts.stream).or_default();
            of.records += counts.records;
            of.bytes += counts.bytes;
            of.disk_bytes += checkpoint.disk_bytes_of(counts.stream)?;
            of.checkpoints += 1;
            of.last = Some(checkpoint.sequence());
        }
    }
    Ok(retained)
}
