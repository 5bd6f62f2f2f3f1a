//! `highwater compact`: old checkpoints become one that tells what counts of them.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use highwater::{Compacted, Compaction, CompactionProgress};
use highwater_connect::compaction::with_generations;
use highwater_connect::quantity::{self, bytes, count, plural};

use crate::by::MayBe;
use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::output;
use crate::retain::Retain;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater compact shop.hw --dry-run                 what would be left, stream by stream
  highwater compact shop.hw --min-age 7d              the last week stays as it is
  highwater compact shop.hw --tombstones 30d          deletions are told for a month

Of each key the last whole row stays, and the updates after it. Streams without a key stay as they are. Of a stream that was read
again in the place of what was there (refresh --truncate, full_refresh) nothing older stays, and while that is under way
what came since it began is not touched. Neither is what a consumer has not acknowledged, or a pin holds.";

/// Make one checkpoint out of all old ones, with what counts of them
///
/// Who starts at the beginning then gets what the streams hold, and the changes since. Only whole segments are rewritten, so more
/// stays as it is than is asked for. It can be interrupted at any time.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    retain: Retain,
    /// Keep deletions and truncates that are younger than this
    #[arg(long, value_name = "D", value_parser = quantity::duration, default_value = "0s", hide_default_value = true)]
    tombstones: Duration,
    #[command(flatten)]
    by: MayBe,
    /// Only say what would be left
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let compaction = Compaction {
        retention: args.retain.rule(&args.log)?,
        tombstones_min_age: args.tombstones,
        ..Compaction::default()
    };
    let mut told = Told::default();
    let mut tell = |progress: &CompactionProgress| {
        told.tell(progress);
        ControlFlow::Continue(())
    };
    let compacted = if args.dry_run {
        let log = known::open(&args.log)?;
        log.plan_compact(&with_generations(&log, compaction)?, &mut tell)?
    } else {
        known::open(&args.log)?; // says what is wrong with it in the usual words
        let log = known::open_to_write(&args.log)?;
        let compacted = log.compact(&with_generations(&log, compaction)?, &mut tell)?;
        log.close()?;
        if compacted.done {
            args.by.sign(&given::directory(&args.log)?, "compact");
        }
        compacted
    };
    told.end();
    args.print(&compacted)?;
    Ok(Code::Well)
}

/// The share that is done, on a terminal, whenever it is another.
#[derive(Default)]
struct Told {
    percent: u64,
}

impl Told {
    fn tell(&mut self, progress: &CompactionProgress) {
        let percent = progress.read_bytes * 100 / progress.total_bytes.max(1);
        if percent != self.percent && terminal::is_watched() {
            self.percent = percent;
            let _ = write!(std::io::stderr(), "\r{percent} % of {}", bytes(progress.total_bytes));
        }
    }

    fn end(&self) {
        if self.percent > 0 {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Args {
    fn print(&self, compacted: &Compacted) -> Result<(), Failure> {
        if self.json {
            return Ok(output::json(compacted)?);
        }
        let mut out = output::buffered();
        writeln!(out, "{}", self.sentence(compacted))?;
        if compacted.done {
            let mut table = output::table(["STREAM", "RECORDS", "LEFT", "BYTES", "LEFT"], &[1, 2, 3, 4]);
            for stream in &compacted.streams {
                let name =
                    stream.name.as_ref().map_or_else(|| stream.stream.to_string(), |name| name.to_string());
                table.add_row([
                    highwater_connect::text::tame(&name),
                    count(stream.records_before),
                    count(stream.records_after),
                    bytes(stream.bytes_before),
                    bytes(stream.bytes_after),
                ]);
            }
            writeln!(out, "{}", table.trim_fmt())?;
        }
        Ok(out.flush()?)
    }

    fn sentence(&self, compacted: &Compacted) -> String {
        let held = match compacted.held_by.as_str() {
            "" => String::new(),
            held => format!("; {held}"),
        };
        if !compacted.done {
            return format!("nothing can be compacted{held}");
        }
        let (before, after) = compacted.records();
        format!(
            "{} {} ({}) into checkpoint {}: {} of {} records left{held}",
            if self.dry_run { "would compact" } else { "compacted" },
            plural(compacted.segments, "segment"),
            bytes(compacted.disk_bytes_before),
            compacted.first,
            count(after),
            count(before),
        )
    }
}
