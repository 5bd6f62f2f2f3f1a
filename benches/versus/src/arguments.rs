//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::data::Data;
use crate::job::{Extent, Job};
use crate::{engines, workloads};

pub(crate) const HELP: &str = "\
Highwater beside its rivals and beside the machine's limits.

versus run [options]            measure, print tables, write results.json and picture.svg
  --quick                       seconds per workload: does everything work?
  --only W1,W5-1GiB             workloads whose names begin so
  --engines highwater,raw,redb  engines whose names begin so
  --rounds N                    rounds, interleaved; their median counts (5; 1 with --quick)
  --dir DIR                     where to work, on a real disk (below target/)
  --out DIR                     where results.json and picture.svg go (target/versus)
  --highwater FILE              the `highwater` command, for W12 (the root package's target/release)
versus draw results.json... picture.svg
versus tables results.json...   print the tables again; several runs on one machine are joined
versus summary results.json...  a line for each workload
versus join results.json... whole.json
versus list                     workloads, and who takes part in them
";

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    List,
    Run(Run),
    Draw {
        results: Vec<PathBuf>,
        picture: PathBuf,
    },
    Tables {
        results: Vec<PathBuf>,
    },
    Summary {
        results: Vec<PathBuf>,
    },
    Join {
        results: Vec<PathBuf>,
        whole: PathBuf,
    },
    /// The following are what `run` starts.
    Child(Box<Job>),
    Fill(Box<Job>),
    Follow {
        dir: PathBuf,
        count: u64,
    },
}

/// A comparison.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) quick: bool,
    pub(crate) only: Vec<String>,
    pub(crate) engines: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) dir: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) command: Option<PathBuf>,
}

/// Everything that options can say.
#[derive(Debug, Default)]
struct Options {
    quick: bool,
    counted: bool,
    only: Vec<String>,
    engines: Vec<String>,
    workload: Option<String>,
    engine: Option<String>,
    rounds: Option<usize>,
    count: Option<u64>,
    dir: Option<PathBuf>,
    out: Option<PathBuf>,
    highwater: Option<PathBuf>,
    free: Vec<PathBuf>,
}

pub(crate) fn parse() -> Result<Command> {
    let mut parser = lexopt::Parser::from_env();
    let verb = match parser.next()? {
        Some(Value(verb)) => verb.string()?,
        None | Some(Long("help") | Short('h')) => return Ok(Command::Help),
        Some(other) => return Err(other.unexpected().into()),
    };
    let options = options(&mut parser)?;
    match (verb.as_str(), &options.free[..]) {
        ("run", []) => Ok(Command::Run(run(options))),
        ("list", []) => Ok(Command::List),
        ("help", []) => Ok(Command::Help),
        ("draw", [results @ .., picture]) if !results.is_empty() => {
            Ok(Command::Draw { results: results.to_vec(), picture: picture.clone() })
        }
        ("tables", results @ [_, ..]) => Ok(Command::Tables { results: results.to_vec() }),
        ("join", [results @ .., whole]) if !results.is_empty() => {
            Ok(Command::Join { results: results.to_vec(), whole: whole.clone() })
        }
        ("summary", results @ [_, ..]) => Ok(Command::Summary { results: results.to_vec() }),
        ("child", []) => Ok(Command::Child(Box::new(job(options)?))),
        ("fill", []) => Ok(Command::Fill(Box::new(job(options)?))),
        ("follow", []) => Ok(Command::Follow {
            dir: options.dir.context("--dir is missing")?,
            count: options.count.context("--count is missing")?,
        }),
        _ => bail!("that is not a command of mine\n\n{HELP}"),
    }
}

fn options(parser: &mut lexopt::Parser) -> Result<Options> {
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => options.quick = true,
            Long("counted") => options.counted = true,
            Long("only") => options.only = names(&parser.value()?.string()?),
            Long("engines") => options.engines = names(&parser.value()?.string()?),
            Long("workload") => options.workload = Some(parser.value()?.string()?),
            Long("engine") => options.engine = Some(parser.value()?.string()?),
            Long("rounds") => options.rounds = Some(parser.value()?.parse()?),
            Long("count") => options.count = Some(parser.value()?.parse()?),
            Long("dir") => options.dir = Some(parser.value()?.into()),
            Long("out") => options.out = Some(parser.value()?.into()),
            Long("highwater") => options.highwater = Some(parser.value()?.into()),
            Value(free) => options.free.push(free.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

fn run(options: Options) -> Run {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let out = options.out.unwrap_or_else(|| package.join("target/versus"));
    let built = package.join("../../target/release/highwater");
    Run {
        quick: options.quick,
        only: options.only,
        engines: options.engines,
        rounds: options.rounds.unwrap_or(if options.quick { 1 } else { 5 }),
        dir: options.dir.unwrap_or_else(|| out.join("work")),
        out,
        command: options.highwater.or_else(|| built.exists().then_some(built)),
    }
}

fn job(options: Options) -> Result<Job> {
    let extent = match (options.counted, options.quick) {
        (true, _) => Extent::Counted,
        (_, true) => Extent::Quick,
        _ => Extent::Full,
    };
    Ok(Job {
        contender: engines::find(&options.engine.context("--engine is missing")?)?,
        workload: workloads::find(&options.workload.context("--workload is missing")?)?.id,
        dir: options.dir.context("--dir is missing")?,
        extent,
        data: Data::new(),
        command: options.highwater,
    })
}
