//! `highwater du`: where a log's bytes are, and who holds them.

use std::io::Write;
use std::path::PathBuf;

use highwater::Space;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::retain::Retain;
use highwater_connect::quantity::{bytes, plural};
use highwater_connect::text::tame;

const EXAMPLES: &str = "\
Examples:
  highwater du shop.hw
  highwater du pipeline.toml
  highwater du shop.hw --min-age 7d       as if everything younger than that were to be kept
  highwater du shop.hw --json | jq '.holders[] | {kind, name, alone_bytes}'";

/// Show where a log's bytes are, and who holds them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    retain: Retain,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let space = log.space(&args.retain.rule(&args.log)?)?;
    if args.json {
        output::json(space)?;
    } else {
        print(&space)?;
    }
    Ok(Code::Well)
}

fn print(space: &Space) -> Result<(), Failure> {
    let mut out = output::buffered();
    write_parts(&mut out, space)?;
    let mut table = output::table(["HELD BY", "FROM", "BYTES", "ALONE"], &[1, 2, 3]);
    for held in &space.holders {
        table.add_row([
            tame(&held.holder.to_string()),
            held.from.to_string(),
            bytes(held.bytes),
            bytes(held.alone_bytes),
        ]);
    }
    writeln!(out, "\n{}", table.trim_fmt())?;
    let reclaimable = bytes(space.reclaimable_bytes);
    writeln!(out, "\nreclaimable now  {reclaimable}; ALONE is what a pruning would free if that one let go")?;
    Ok(out.flush()?)
}

fn write_parts(out: &mut impl Write, space: &Space) -> std::io::Result<()> {
    let segments = plural(space.segments, "segment");
    let spares = plural(space.spare_segments, "file");
    writeln!(out, "on disk      {}", bytes(space.disk_bytes))?;
    writeln!(out, "segments     {} in {segments}, of which", bytes(space.segment_bytes))?;
    writeln!(out, "  records      {}", bytes(space.record_bytes))?;
    writeln!(out, "  dead         {} that no kept checkpoint names", bytes(space.dead_bytes))?;
    writeln!(out, "  bookkeeping  {}", bytes(space.bookkeeping_bytes))?;
    writeln!(out, "  free         {} to be written yet", bytes(space.free_bytes))?;
    writeln!(out, "bases        {} that live on of pruned segments", bytes(space.base_bytes))?;
    writeln!(out, "spare        {} in {spares} to be written over", bytes(space.spare_bytes))?;
    writeln!(out, "set aside    {} by repairs", bytes(space.aside_bytes))?;
    writeln!(out, "other        {}", bytes(space.other_bytes))
}
