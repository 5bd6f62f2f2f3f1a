//! The `highwater` command: it writes, reads and checks checkpoint logs.
//!
//! Data goes to standard output, everything else to standard error. Each command is a module with its arguments;
//! [`failure`] has the exit codes.

mod ask;
mod audit;
mod by;
mod cat;
mod checkpoints;
mod compact;
mod consumer;
mod du;
mod failure;
mod generate;
mod info;
mod ingest;
mod json;
mod known;
mod output;
mod prune;
mod quantity;
mod repair;
mod rewind;
mod state;
mod terminal;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{Code, Failure};

const EXAMPLES: &str = "\
Examples:
  source-faker read --config c.json --catalog cat.json | highwater ingest shop.hw --catalog cat.json
  highwater state get shop.hw > state.json      what the source takes with --state
  highwater cat shop.hw --stream users          committed records, a line each
  highwater info shop.hw
  highwater verify shop.hw

Exit codes:
  0 well   1 error   2 usage   3 damage found   4 only a torn tail found   5 locked   6 not found   7 disk full";

/// Checkpoint logs for data pipelines: records and cursors, together, atomically, durably
#[derive(Debug, Parser)]
#[command(name = "highwater", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ingest(ingest::Args),
    Cat(cat::Args),
    #[command(subcommand)]
    State(state::Command),
    Checkpoints(checkpoints::Args),
    Info(info::Args),
    Verify(verify::Args),
    Prune(prune::Args),
    Compact(compact::Args),
    Repair(repair::Args),
    Rewind(rewind::Rewind),
    Reset(rewind::Reset),
    #[command(subcommand)]
    Consumer(consumer::Command),
    Du(du::Args),
    Audit(audit::Args),
    Completions(generate::Completions),
    Man(generate::Man),
}

impl Command {
    fn run(&self) -> Result<Code, Failure> {
        match self {
            Command::Ingest(args) => ingest::run(args),
            Command::Cat(args) => cat::run(args),
            Command::State(command) => state::run(command),
            Command::Checkpoints(args) => checkpoints::run(args),
            Command::Info(args) => info::run(args),
            Command::Verify(args) => verify::run(args),
            Command::Prune(args) => prune::run(args),
            Command::Compact(args) => compact::run(args),
            Command::Repair(args) => repair::run(args),
            Command::Rewind(args) => rewind::rewind(args),
            Command::Reset(args) => rewind::reset(args),
            Command::Consumer(command) => consumer::run(command),
            Command::Du(args) => du::run(args),
            Command::Audit(args) => audit::run(args),
            Command::Completions(args) => generate::completions(args),
            Command::Man(args) => generate::man(args),
        }
    }

    /// The log it works on, for the hints below errors.
    fn log(&self) -> Option<&Path> {
        match self {
            Command::Ingest(args) => Some(&args.log),
            Command::Cat(args) => Some(&args.log),
            Command::State(command) => Some(command.log()),
            Command::Checkpoints(args) => Some(&args.log),
            Command::Info(args) => Some(&args.log),
            Command::Verify(args) => Some(&args.log),
            Command::Prune(args) => Some(&args.log),
            Command::Compact(args) => Some(&args.log),
            Command::Repair(args) => Some(&args.log),
            Command::Rewind(args) => Some(&args.log),
            Command::Reset(args) => Some(&args.log),
            Command::Consumer(command) => Some(command.log()),
            Command::Du(args) => Some(&args.log),
            Command::Audit(args) => Some(&args.log),
            Command::Completions(_) | Command::Man(_) => None,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.run() {
        Ok(code) => code.into(),
        Err(failure) => failure.report(cli.command.log()).into(),
    }
}
