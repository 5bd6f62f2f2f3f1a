//! `highwater du`: where a log's bytes are, and who holds them.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use highwater::Space;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::output;
use crate::retain::Retain;
use highwater_connect::quantity::{bytes, plural, time};
use highwater_connect::text::tame;

const EXAMPLES: &str = "\
Examples:
  highwater du shop.hw
  highwater du pipeline.toml
  highwater du shop.hw --min-age 7d       as if everything younger than that were to be kept
  highwater du shop.hw --json | jq '.holders[] | {kind, name, alone_bytes}'";

/// Show where a log's bytes are, who holds them, how fast it grows, and when it is full
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
    // Where these can't be read, that was told, or what they say of the rest is not needed.
    let cap = given::rules(&args.log).ok().flatten().and_then(|rules| rules.max_size);
    let full = full(&space, cap, highwater_serve::disk(log.path()).map(|(free, _)| free));
    if args.json {
        output::json(Json { space, full })?;
    } else {
        print(&space, &full)?;
    }
    Ok(Code::Well)
}

/// What ends its growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    MaxSize,
    Disk,
}

/// How much is left up to a bound.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Full {
    bound: Bound,
    left_bytes: u64,
    /// Until then, if nothing goes and it grows on as it did; `None`: that is not known.
    seconds: Option<u64>,
}

#[derive(Serialize)]
struct Json {
    #[serde(flatten)]
    space: Space,
    /// What is reached first comes first.
    full: Vec<Full>,
}

/// The cap counts segments and what lives on of them.
fn full(space: &Space, cap: Option<u64>, disk_free: Option<u64>) -> Vec<Full> {
    let counted = space.segment_bytes + space.base_bytes + space.spare_bytes;
    // What is prepared is there already.
    let prepared = space.free_bytes + space.spare_bytes;
    let bounds = [
        cap.map(|cap| (Bound::MaxSize, cap.saturating_sub(counted).saturating_add(prepared))),
        disk_free.map(|free| (Bound::Disk, free.saturating_add(prepared))),
    ];
    let until = |left| space.growth.and_then(|growth| growth.seconds_until(left));
    let of = |(bound, left_bytes)| Full { bound, left_bytes, seconds: until(left_bytes) };
    let mut full: Vec<Full> = bounds.into_iter().flatten().map(of).collect();
    full.sort_by_key(|full| full.left_bytes);
    full
}

fn print(space: &Space, full: &[Full]) -> Result<(), Failure> {
    let mut out = output::buffered();
    write_parts(&mut out, space)?;
    write_growth(&mut out, space, full)?;
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
    writeln!(out, "reserve      {} kept for a pruning on a full disk", bytes(space.reserve_bytes))?;
    writeln!(out, "other        {}: positions of consumers, pins, the mark, notes", bytes(space.other_bytes))
}

fn write_growth(out: &mut impl Write, space: &Space, full: &[Full]) -> std::io::Result<()> {
    match &space.growth {
        Some(growth) => {
            let over = time(Duration::from_secs(growth.seconds));
            writeln!(
                out,
                "growth       {} a day, over the {over} that are kept",
                bytes(growth.bytes_per_day)
            )?;
        }
        None => writeln!(out, "growth       not known: less than a minute of it is kept")?,
    }
    for Full { bound, left_bytes, seconds } in full {
        let (of, left) = (if *bound == Bound::Disk { "the disk" } else { "max_size" }, bytes(*left_bytes));
        match seconds {
            Some(seconds) => {
                let left_time = time(Duration::from_secs(*seconds));
                writeln!(
                    out,
                    "full in      {left_time} by {of}, which has {left} left, if nothing goes meanwhile"
                )?;
            }
            None => writeln!(out, "left         {left} by {of}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_full_first_comes_first() {
        let mut space = Space::default();
        (space.segment_bytes, space.base_bytes, space.spare_bytes, space.free_bytes) = (700, 100, 50, 30);
        let left = |cap, disk| {
            full(&space, cap, disk).into_iter().map(|full| (full.bound, full.left_bytes)).collect::<Vec<_>>()
        };
        assert_eq!(left(None, None), []);
        assert_eq!(left(Some(1000), Some(5000)), [(Bound::MaxSize, 150 + 80), (Bound::Disk, 5080)]);
        assert_eq!(left(Some(10_000), Some(0)), [(Bound::Disk, 80), (Bound::MaxSize, 9150 + 80)]);
        assert_eq!(
            left(Some(500), None),
            [(Bound::MaxSize, 80)],
            "beyond its cap it still has what is prepared"
        );
    }
}
