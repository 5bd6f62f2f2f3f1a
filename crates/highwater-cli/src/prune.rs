//! `highwater prune`: old segments that nobody needs go. It plans first.

use std::path::PathBuf;

use highwater::Pruning;
use highwater_connect::quantity::{bytes, plural};
use serde::Serialize;

use crate::by::MayBe;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::retain::Retain;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater prune pipeline.toml --dry-run             what would go by the pipeline's own rules ([storage] retain)
  highwater prune shop.hw --min-count 100 --min-age 12h
  highwater prune shop.hw --min-age 7d --yes          without a question, as from cron

What a consumer has not acknowledged, or a pin holds, stays in any case. On the log of a pipeline its rules hold, too: those that its last
run has written down. What the options say holds instead, and it is said when that keeps less.";

/// Remove old segments that no consumer and no pin needs
///
/// States, streams and consumers stay. Only whole segments go, so more is kept than is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    retain: Retain,
    #[command(flatten)]
    by: MayBe,
    #[command(flatten)]
    doing: Doing,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let retention = args.retain.rule(&args.log)?;
    let plan = known::open(&args.log)?.plan_prune(&retention)?;
    if plan.segments > 0 && !args.doing.is_dry() {
        terminal::say(sentence(&plan, false));
    }
    if plan.segments == 0 || !args.doing.is_wanted("Remove it?")? {
        return args.print(&plan, false);
    }
    let log = known::open_to_write(&args.log)?;
    let pruned = log.prune(&retention)?;
    log.close()?;
    if pruned.segments > 0 {
        args.by.sign(&given::directory(&args.log)?, "prune");
    }
    args.print(&pruned, true)
}

#[derive(Serialize)]
struct Json<'a> {
    /// Whether it happened, or only would.
    done: bool,
    #[serde(flatten)]
    pruning: &'a Pruning,
}

impl Args {
    fn print(&self, pruning: &Pruning, done: bool) -> Result<Code, Failure> {
        self.doing.print(&Json { done, pruning }, Some(&sentence(pruning, done)))
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
