//! `highwater checkpoints`: what was committed, and when.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use highwater::{Checkpoint, Reader, Sequence, StreamCounts};
use highwater_connect::quantity::{bytes, count, timestamp};
use highwater_connect::text::tame;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::place;

const EXAMPLES: &str = "\
Examples:
  highwater checkpoints shop.hw --last 10
  highwater checkpoints shop.hw --from 100 --json | jq '.checkpoints[].records'";

/// List the checkpoints that are retained
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The first checkpoint to list: its number, its UUID, or a time (what was committed after that). Default: the oldest that is kept
    #[arg(long, value_name = "SEQ|ID|TIME", conflicts_with = "last")]
    from: Option<String>,
    /// Only the last N checkpoints
    #[arg(long, value_name = "N")]
    last: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    output::say_unconfirmed(&log);
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let first = match (&args.from, args.last) {
        (Some(from), _) => place::first(&log, from)?,
        (None, Some(last)) => log.first().max(Sequence::new((end.get() + 1).saturating_sub(last))),
        (None, None) => log.first(),
    };
    let reader = log.reader(first)?;
    if args.json {
        print_json(reader, end)?;
    } else {
        print_table(reader, end)?;
    }
    Ok(Code::Well)
}

/// The next one, up to the end that was there when the command began: beside a busy writer it ends, too.
fn next(reader: &mut Reader, end: Sequence) -> Result<Option<Checkpoint>, Failure> {
    if reader.next_sequence() > end {
        return Ok(None);
    }
    known::next(reader)
}

fn print_table(mut reader: Reader, end: Sequence) -> Result<(), Failure> {
    let mut table =
        output::table(["SEQUENCE", "TIME", "KIND", "RECORDS", "BYTES", "STREAMS", "LABELS"], &[0, 3, 4]);
    while let Some(checkpoint) = next(&mut reader, end)? {
        table.add_row([
            checkpoint.sequence().to_string(),
            timestamp(checkpoint.time_us()),
            kind(&checkpoint).to_owned(),
            count(checkpoint.record_count()),
            bytes(checkpoint.byte_count()),
            streams(&checkpoint),
            labels(&checkpoint),
        ]);
    }
    let mut out = output::buffered();
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(out.flush()?)
}

/// Which state came with the records.
fn kind(checkpoint: &Checkpoint) -> &'static str {
    match () {
        () if checkpoint.is_compacted() => "compacted",
        () if checkpoint.is_global() => "global",
        () if !checkpoint.states().is_empty() => "stream",
        () => "records",
    }
}

/// So many streams fit on a line.
const STREAMS_MAX: usize = 4;

fn streams(checkpoint: &Checkpoint) -> String {
    let with_state = checkpoint.states().into_iter().filter_map(|(name, _)| name);
    let with_records = checkpoint.streams().iter().map(|counts| counts.name.clone());
    let all: std::collections::BTreeSet<_> = with_records.chain(with_state).collect();
    let mut names: Vec<String> = all.iter().take(STREAMS_MAX).map(|name| tame(&name.to_string())).collect();
    if all.len() > STREAMS_MAX {
        names.push(format!("and {} more", all.len() - STREAMS_MAX));
    }
    names.join(", ")
}

fn labels(checkpoint: &Checkpoint) -> String {
    let labels: Vec<String> = checkpoint.labels().iter().map(|(k, v)| tame(&format!("{k}={v}"))).collect();
    labels.join(" ")
}

#[derive(Serialize)]
struct Json<'a> {
    sequence: Sequence,
    id: String,
    time: String,
    kind: &'static str,
    global: bool,
    /// Of a base checkpoint: the first one that it takes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    compacted_from: Option<Sequence>,
    records: u64,
    bytes: u64,
    streams: &'a [StreamCounts],
    states: Vec<StateJson>,
    labels: BTreeMap<&'a str, &'a str>,
}

/// A state that the checkpoint changed; without a stream, the global one.
#[derive(Serialize)]
struct StateJson {
    stream: Option<highwater::StreamName>,
    cleared: bool,
}

impl<'a> Json<'a> {
    fn new(checkpoint: &'a Checkpoint) -> Self {
        Json {
            sequence: checkpoint.sequence(),
            id: checkpoint.position().checkpoint.to_string(),
            time: timestamp(checkpoint.time_us()),
            kind: kind(checkpoint),
            global: checkpoint.is_global(),
            compacted_from: checkpoint.compacted_from(),
            records: checkpoint.record_count(),
            bytes: checkpoint.byte_count(),
            streams: checkpoint.streams(),
            states: checkpoint
                .states()
                .into_iter()
                .map(|(stream, set)| StateJson { stream, cleared: !set })
                .collect(),
            labels: checkpoint.labels().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
        }
    }
}

/// One document, written piece by piece: a log may have millions of checkpoints.
fn print_json(mut reader: Reader, end: Sequence) -> Result<(), Failure> {
    let mut out = output::buffered();
    out.write_all(br#"{"version":1,"checkpoints":["#)?;
    let mut separator = "";
    while let Some(checkpoint) = next(&mut reader, end)? {
        out.write_all(separator.as_bytes())?;
        separator = ",\n";
        serde_json::to_writer(&mut out, &Json::new(&checkpoint)).map_err(std::io::Error::from)?;
    }
    out.write_all(b"]}\n")?;
    Ok(out.flush()?)
}
