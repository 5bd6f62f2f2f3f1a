//! `highwater prune`: old segments that nobody needs go. It plans first.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use highwater::{Config, Log, Pruning};
use highwater_connect::quantity::{bytes, plural};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::retain::Retain;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater prune shop.hw --min-age 7d --dry-run      what would go
  highwater prune shop.hw --min-count 100 --min-age 12h
  highwater prune shop.hw --min-age 7d --yes          without a question, as from cron

What a consumer has not acknowledged, or a pin holds, stays in any case.";

/// Remove old segments that no consumer and no pin needs
///
/// States, streams and consumers stay. Only whole segments go, so more is kept than is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory
    pub(crate) log: PathBuf,
    #[command(flatten)]
    retain: Retain,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let retention = args.retain.rule();
    let plan = known::open(&args.log)?.plan_prune(&retention)?;
    if args.dry_run || plan.segments == 0 {
        args.print(&plan, false)?;
        return Ok(Code::Well);
    }
    if !args.yes {
        ask(&plan)?;
    }
    let (log, recovery) = Log::open(&args.log, Config { create: false, ..Config::default() })?;
    if !recovery.is_clean() {
        terminal::say(&recovery);
    }
    let pruned = log.prune(&retention)?;
    log.close()?;
    args.print(&pruned, true)?;
    Ok(Code::Well)
}

/// Asks on a terminal; elsewhere there is nobody to ask.
fn ask(plan: &Pruning) -> Result<(), Failure> {
    terminal::say(sentence(plan, false));
    if !io::stdin().is_terminal() || !terminal::is_watched() {
        return Err(Failure::usage("nothing was removed: without a terminal to ask on, say --yes")
            .hint("highwater prune LOG --dry-run, then the same with --yes"));
    }
    let _ = write!(io::stderr(), "Remove it? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|e| Failure::io("reading the answer", &e))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::error("nothing was removed")),
    }
}

#[derive(Serialize)]
struct Json<'a> {
    /// Whether it happened, or only would.
    done: bool,
    #[serde(flatten)]
    pruning: &'a Pruning,
}

impl Args {
    fn print(&self, pruning: &Pruning, done: bool) -> Result<(), Failure> {
        if self.json {
            return Ok(output::json(Json { done, pruning })?);
        }
        let mut out = output::buffered();
        writeln!(out, "{}", sentence(pruning, done))?;
        Ok(out.flush()?)
    }
}

fn sentence(pruning: &Pruning, done: bool) -> String {
    let held = match pruning.held_by.as_str() {
        "" => String::new(),
        held => format!("; {held}"),
    };
    let detached = match pruning.detached.as_slice() {
        [] => String::new(),
        names => format!("; consumers left behind: {}", names.join(", ")),
    };
    if pruning.segments == 0 {
        return format!("nothing can be removed{held}{detached}");
    }
    format!(
        "{} {} ({}); the oldest checkpoint left is {}{held}{detached}",
        if done { "removed" } else { "would remove" },
        plural(pruning.segments, "segment"),
        bytes(pruning.bytes),
        pruning.first,
    )
}
