//! `highwater demo`: a whole pipeline that is killed and resumed in front of one's eyes, and the proof that nothing was lost.

mod attempt;
mod proof;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use highwater_connect::quantity::{count, time};
use highwater_connect::source::sample::KINDS;

use crate::failure::{Code, Failure};
use crate::run::shown;
use crate::terminal;
use attempt::{Attempt, Ended};

const EXAMPLES: &str = "\
Examples:
  highwater demo
  highwater demo shop        keeps everything in the directory shop, to look at";

/// See a pipeline at work: three streams of sample data into SQLite, killed and resumed again and again, then the proof
///
/// Each run is a process of its own that is killed (SIGKILL) at some moment. The next finds its cursors in the log and its position in
/// the database, and goes on. At the end the database is compared with the source, row by row, without the log.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Keep the pipeline in this directory, which is made
    directory: Option<PathBuf>,
    /// About so many rows
    #[arg(long, value_name = "N", default_value_t = 24_000, value_parser = clap::value_parser!(u64).range(2_000..=10_000_000))]
    rows: u64,
    /// So many kills
    #[arg(long, value_name = "N", default_value_t = 6)]
    kills: u32,
}

/// Rows in a page.
const PAGE: u64 = 100;
/// So long all pauses of the source together take, about.
const READING: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let place = Place::make(args.directory.as_deref())?;
    let (pipeline, database) = (place.path.join("pipeline.toml"), place.path.join("shop.sqlite"));
    let written = highwater_connect::files::write_private(&pipeline, pipeline_text(args.rows).as_bytes());
    written.map_err(|e| Failure::io(format!("writing {}", shown(&pipeline)), &e))?;
    introduce(args.rows);
    let begun = Instant::now();
    let mut number = 1;
    let mut killed = 0;
    loop {
        let kill_after = (killed < args.kills).then_some(Moment::of(number));
        let attempt = Attempt { number, pipeline: &pipeline, kill_after };
        match attempt.run()? {
            Ended::Killed => killed += 1,
            Ended::Complete => break,
        }
        number += 1;
    }
    let runs = format!("{number} runs in {}, {killed} of them killed", time(begun.elapsed()));
    let is_proven = proof::print(&database, args.rows, &runs)?;
    if place.is_kept {
        terminal::hint(format!("highwater status {}", shown(&pipeline)));
    } else {
        terminal::hint("highwater demo shop    keeps the files, to look at");
    }
    if is_proven { Ok(Code::Well) } else { Err(Failure::error("rows were lost or doubled")) }
}

/// When a run is killed: after so many checkpoints, or batches in the database, and so much later.
#[derive(Debug, Clone, Copy)]
struct Moment {
    event: &'static str,
    times: u32,
    later: Duration,
}

impl Moment {
    /// Each run is killed at a moment of another kind: just after something, and in the middle of what follows.
    fn of(number: u32) -> Self {
        let event = if number.is_multiple_of(2) { "delivered" } else { "committed" };
        Moment { event, times: 4 + number % 3, later: Duration::from_micros(u64::from(number) * 700 % 4_100) }
    }
}

fn introduce(rows: u64) {
    let streams: Vec<String> =
        KINDS.iter().map(|kind| format!("{} {}", count(kind.records(rows)), kind.name())).collect();
    terminal::say(format!("source       {}, made up, the same each time", streams.join(", ")));
    terminal::say("pipeline     source -> log -> SQLite, one process, killed with SIGKILL");
}

fn pipeline_text(rows: u64) -> String {
    let pages = (rows / PAGE).max(1);
    let pause_ms = (READING.as_millis() as u64 / pages).clamp(1, 50);
    format!(
        "# Made by `highwater demo`.\nversion = 1\nname = \"demo\"\nlog = \"shop.hw\"\n\n\
         [source]\ntype = \"sample\"                    # made-up rows, always the same\n\
         rows = {rows}\npage = {PAGE}\npause = \"{pause_ms}ms\"\n\n\
         [checkpoint]\nmin_interval = \"50ms\"\n\n\
         [destinations.shop]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\nmode = \"upsert\"\n"
    )
}

/// Where it happens.
struct Place {
    path: PathBuf,
    is_kept: bool,
}

impl Place {
    fn make(wanted: Option<&Path>) -> Result<Self, Failure> {
        let path = match wanted {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("highwater-demo-{}", std::process::id())),
        };
        let made = std::fs::create_dir(&path);
        made.map_err(|e| Failure::io(format!("making the directory {}", shown(&path)), &e))?;
        Ok(Place { path, is_kept: wanted.is_some() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays is in the system's directory for such things.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
