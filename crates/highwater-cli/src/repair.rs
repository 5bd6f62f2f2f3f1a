//! `highwater repair`: what is damaged, what a repair would keep, and doing it.

use std::io::Write;
use std::path::PathBuf;

use highwater::Config;
use highwater::repair::{self, Mode, RepairPlan};
use highwater_connect::quantity::{bytes, checkpoints, plural};
use serde::Serialize;

use crate::by::MayBe;
use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  highwater repair shop.hw                         what is damaged, and what a repair would give up
  highwater repair shop.hw --apply                 back to the last checkpoint before the damage
  highwater repair shop.hw --skip-damaged --apply  keep what is whole behind it, too

What is changed or removed is kept in the log's directory as damaged-N.NAME. Remove these files when you are content.

Exit codes: 0 nothing is damaged, or it is repaired; 3 damaged, and nothing was done.";

/// Show what is damaged and what can be saved; with --apply, save it
///
/// Without --apply nothing is changed. A cut leaves the log as it was at the last checkpoint before the damage, so the source
/// sends again what came behind. With --skip-damaged whole checkpoints behind the damage stay, and what is missing
/// stays missing: the source is not asked for it again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// Repair it; otherwise only the plan is shown
    #[arg(long)]
    apply: bool,
    /// Keep whole checkpoints behind the damage, with a gap where some are missing
    #[arg(long)]
    skip_damaged: bool,
    #[command(flatten)]
    by: MayBe,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    /// Whether it happened, or only would.
    done: bool,
    needed: bool,
    #[serde(flatten)]
    plan: &'a RepairPlan,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let mode = if args.skip_damaged { Mode::SkipDamaged } else { Mode::Cut };
    let path = given::directory(&args.log)?;
    let plan = if args.apply {
        // A mistyped path makes no log.
        repair::apply(&path, mode, Config { create: false, ..Config::default() })
    } else {
        repair::plan(&path, mode)
    };
    let plan = plan.map_err(known::no_log)?;
    let done = args.apply && plan.is_needed();
    if done {
        args.by.sign(&path, &format!("repair {}", plan.number));
    }
    if args.json {
        output::json(Json { done, needed: plan.is_needed(), plan: &plan })?;
    } else {
        let mut out = output::buffered();
        write_plan(&mut out, &plan, done)?;
        out.flush()?;
    }
    match (plan.is_needed(), done) {
        (true, false) => {
            Err(Failure::damage("nothing was changed; say --apply to repair the log".to_owned()))
        }
        _ => Ok(Code::Well),
    }
}

fn write_plan(out: &mut impl Write, plan: &RepairPlan, done: bool) -> std::io::Result<()> {
    if !plan.is_needed() {
        return writeln!(out, "nothing is damaged");
    }
    for problem in &plan.problems {
        writeln!(out, "damage: {problem}")?;
    }
    writeln!(out, "\n{}", outcome(plan, done))?;
    write_losses(out, plan)?;
    write_definitions(out, plan)?;
    write_consumers(out, plan)?;
    let (kept, number) = (if done { "is kept" } else { "would be kept" }, plan.number);
    writeln!(out, "what is changed or removed {kept} as damaged-{number}.NAME in the log's directory")
}

/// What stays.
fn outcome(plan: &RepairPlan, done: bool) -> String {
    let ends = if done { "ends" } else { "would end" };
    let behind = plural(plan.whole_behind, "whole checkpoint");
    match (plan.mode, plan.can_cut) {
        (Mode::Cut, true) => {
            format!(
                "cut: the log {ends} with checkpoint {}; {behind} behind the damage would stay with --skip-damaged",
                plan.last_before
            )
        }
        (Mode::Cut, false) => {
            format!("a cut can keep nothing, the damage comes first; {behind} would stay with --skip-damaged")
        }
        (Mode::SkipDamaged, true) => {
            format!("everything up to checkpoint {} stays, and {behind} behind the damage", plan.last_before)
        }
        (Mode::SkipDamaged, false) => format!("{behind} behind the damage stay"),
    }
}

fn write_losses(out: &mut impl Write, plan: &RepairPlan) -> std::io::Result<()> {
    if plan.lost_checkpoints == 0 {
        return writeln!(out, "no checkpoint is given up");
    }
    let given_up = plural(plan.lost_checkpoints, "checkpoint");
    match plan.lost_records {
        0 => writeln!(out, "given up: {given_up}; what they held nobody can tell")?,
        n => {
            let records = plural(n, "record");
            writeln!(out, "given up: {given_up} with at least {records} ({})", bytes(plan.lost_bytes))?;
        }
    }
    for lost in &plan.lost {
        writeln!(out, "  {}: {}", checkpoints(lost.first.get(), lost.last.get()), lost.why)?;
    }
    for loss in plan.streams.iter().filter(|loss| loss.checkpoints > 0) {
        let name = loss.name.as_ref().map_or_else(|| format!("#{}", loss.stream), ToString::to_string);
        let (records, checkpoints) = (plural(loss.records, "record"), plural(loss.checkpoints, "checkpoint"));
        writeln!(out, "  stream {name}: {records} in {checkpoints}")?;
    }
    Ok(())
}

fn write_definitions(out: &mut impl Write, plan: &RepairPlan) -> std::io::Result<()> {
    for loss in &plan.definitions_lost {
        writeln!(
            out,
            "stream {}: its definition is damaged; it goes on as {}, without key and schema, until it is registered again",
            loss.stream, loss.name
        )?;
    }
    Ok(())
}

fn write_consumers(out: &mut impl Write, plan: &RepairPlan) -> std::io::Result<()> {
    for consumer in &plan.consumers_ahead {
        writeln!(
            out,
            "consumer {} has acknowledged checkpoint {}, which is given up: it will be told that it has diverged",
            consumer.name, consumer.acknowledged
        )?;
    }
    for name in &plan.consumers_reset {
        writeln!(
            out,
            "consumer {name}: its position can't be read; it begins again with the oldest checkpoint"
        )?;
    }
    for name in &plan.pins_lifted {
        writeln!(out, "pin {name}: it can't be read, and is set aside; it holds nothing any more")?;
    }
    Ok(())
}
