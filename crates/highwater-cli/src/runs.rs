//! `highwater runs`: the attempts to read a pipeline's source, as the log has them on record.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use highwater_connect::quantity::{count, time, timestamp};
use highwater_connect::runs::{self, Attempt};
use highwater_connect::text::tame;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater runs shop.hw
  highwater runs shop.hw --last 100 --json | jq '.attempts[] | select(.end.error)'";

/// List the attempts to read a pipeline's source: when, how they ended, what they brought
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// So many, the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json {
    attempts: Vec<Attempt>,
    /// What damage took from the log, and with it what was on record there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let mut lost = Vec::new();
    let attempts = runs::attempts(&log, args.last, &mut |gap| lost.push(gap.to_string()))?;
    for gap in &lost {
        terminal::warning(format!(
            "{gap}; an attempt that was on record there is not told, or without its end"
        ));
    }
    if args.json {
        output::json(Json { attempts, lost })?;
    } else {
        print(&attempts, log.is_live()?)?;
    }
    Ok(Code::Well)
}

fn print(attempts: &[Attempt], is_live: bool) -> Result<(), Failure> {
    let mut table = output::table(
        ["STARTED", "ATTEMPT", "TOOK", "OUTCOME", "RECORDS", "CHECKPOINTS", "ERROR"],
        &[1, 2, 4],
    );
    for (n, attempt) in attempts.iter().enumerate() {
        let is_under_way = is_live && n + 1 == attempts.len();
        table.add_row(row(attempt, is_under_way));
    }
    let mut out = output::buffered();
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(out.flush()?)
}

fn row(attempt: &Attempt, is_under_way: bool) -> [String; 7] {
    let started = timestamp(attempt.started_us);
    let number = attempt.attempt.to_string();
    let Some(end) = &attempt.end else {
        let outcome = if is_under_way { "under way" } else { "killed" };
        let none = String::new;
        return [started, number, none(), outcome.to_owned(), none(), none(), none()];
    };
    let took = u64::try_from(end.ended_us - attempt.started_us).unwrap_or(0);
    let checkpoints = match end.first <= end.last {
        true => format!("{}..{}", end.first, end.last),
        false => "none".to_owned(),
    };
    [
        started,
        number,
        time(Duration::from_micros(took)),
        tame(&end.outcome),
        count(end.records),
        checkpoints,
        end.error.as_deref().map(tame).unwrap_or_default(),
    ]
}
