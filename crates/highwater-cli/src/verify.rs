//! `highwater verify`: everything is read, and every checksum checked.

use std::io::Write;
use std::path::{Path, PathBuf};

use highwater::repair::{self, Mode};
use highwater::{ErrorKind, LogReader, Verification};
use highwater_connect::quantity::{bytes, count, plural};
use highwater_connect::text::tame;
use serde::Serialize;
use serde_json::json;

use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::output;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater verify shop.hw
  highwater verify shop.hw --json | jq .problems

Exit codes: 0 everything is whole, 3 damage, 4 only a torn tail, which the next opening for writing drops.";

/// Read everything and say whether it is whole
///
/// It writes nothing, and works beside a process that writes the log.
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
    let path = given::directory(&args.log)?;
    match verify(&path) {
        Ok(found) => print(args, &found),
        // Damage that keeps it from being opened at all is a finding, too.
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io) => {
            print_unreadable(args, &error.to_string())
        }
        Err(error) => Err(known::no_log(error)),
    }
}

fn verify(path: &Path) -> highwater::Result<Verification> {
    let log = LogReader::open(path)?;
    let template = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}";
    let bar = terminal::bar(log.status().map_or(0, |status| status.disk_bytes), template);
    let found = log.verify(&mut |bytes_read| bar.set_position(bytes_read));
    bar.finish_and_clear();
    found
}

fn code(found: &Verification) -> Code {
    match () {
        () if !found.problems.is_empty() => Code::Damage,
        () if found.torn.is_some() => Code::TornTail,
        () => Code::Well,
    }
}

#[derive(Serialize)]
struct Json<'a> {
    sound: bool,
    #[serde(flatten)]
    found: &'a Verification,
}

fn print(args: &Args, found: &Verification) -> Result<Code, Failure> {
    if args.json {
        output::json(Json { sound: found.is_sound(), found })?;
        return Ok(code(found));
    }
    let mut out = output::buffered();
    for problem in &found.problems {
        writeln!(out, "damage: {problem}")?;
    }
    if let Some(torn) = &found.torn {
        writeln!(out, "torn tail: {torn}")?;
    }
    let verdict = match code(found) {
        Code::Well => "everything is whole",
        Code::TornTail => "whole, but for the torn tail of a crash, which the next opening for writing drops",
        _ => "damaged",
    };
    writeln!(
        out,
        "{} ({}), {} in {}: {verdict}",
        plural(found.records, "record"),
        bytes(found.bytes),
        plural(found.checkpoints, "checkpoint"),
        plural(found.segments, "segment"),
    )?;
    if code(found) == Code::Damage {
        write_savable(&mut out, args)?;
    }
    for name in &found.damaged_consumers {
        let (log, name) = (args.log.display(), tame(name));
        writeln!(
            out,
            "consumer {name} goes on once it is moved or dropped: highwater consumer seek {log} {name} --to SEQ"
        )?;
    }
    out.flush()?;
    match code(found) {
        Code::Damage => Err(damaged(found.problems.len() as u64)),
        code => Ok(code),
    }
}

fn print_unreadable(args: &Args, problem: &str) -> Result<Code, Failure> {
    if args.json {
        output::json(json!({ "sound": false, "problems": [problem], "torn": null }))?;
        return Ok(Code::Damage);
    }
    let mut out = output::buffered();
    writeln!(out, "damage: {problem}")?;
    writeln!(out, "the log can't be opened as it is")?;
    write_savable(&mut out, args)?;
    out.flush()?;
    Err(damaged(1))
}

/// What is lost and what can be saved, as a repair would say it.
fn write_savable(out: &mut impl Write, args: &Args) -> Result<(), Failure> {
    let plan = match repair::plan(given::directory(&args.log)?, Mode::SkipDamaged) {
        Ok(plan) => plan,
        Err(error) => return Ok(writeln!(out, "what can be saved is not known: {error}")?),
    };
    let lost: Vec<String> = plan.lost.iter().map(|lost| format!("{} to {}", lost.first, lost.last)).collect();
    if lost.is_empty() {
        writeln!(out, "no checkpoint is lost")?;
    } else {
        writeln!(out, "lost: {} ({})", plural(plan.lost_checkpoints, "checkpoint"), lost.join(", "))?;
    }
    for loss in plan.streams.iter().filter(|loss| loss.checkpoints > 0) {
        let name = loss.name.as_ref().map_or_else(|| format!("#{}", loss.stream), ToString::to_string);
        writeln!(out, "  stream {name}: {}", plural(loss.records, "record"))?;
    }
    let cut = match plan.can_cut {
        true => format!("everything up to checkpoint {}", plan.last_before),
        false => "nothing before the damage".to_owned(),
    };
    let behind = plural(plan.whole_behind, "checkpoint");
    Ok(writeln!(out, "can be saved: {cut}, and {behind} behind it: highwater repair shows how")?)
}

fn damaged(problems: u64) -> Failure {
    let what = if problems == 1 {
        "something is damaged".to_owned()
    } else {
        format!("{} places are damaged", count(problems))
    };
    Failure::damage(format!("{what}; keep a copy of the directory before anything else"))
}
