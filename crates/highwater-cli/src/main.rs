//! The `highwater` command: it writes, reads and checks checkpoint logs.
//!
//! Data goes to standard output, everything else to standard error. Each command is a module with its arguments;
//! [`failure`] has the exit codes.

mod ask;
mod audit;
mod backup;
mod by;
mod cat;
mod check;
mod checkpoints;
mod compact;
mod consumer;
mod dead_letters;
mod deliver;
mod demo;
mod discover;
mod doing;
mod du;
mod export;
mod failure;
mod generate;
mod import;
mod info;
mod ingest;
mod init;
mod known;
mod metrics;
mod output;
mod pipeline;
mod place;
mod prune;
mod refresh;
mod repair;
mod restore;
mod retain;
mod rewind;
mod run;
mod runs;
mod schema;
mod serve;
mod state;
mod status;
mod terminal;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{Code, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater demo                                a pipeline that is killed and resumed, to look at
  highwater init pipeline.toml && highwater run pipeline.toml
  source-faker read --config c.json --catalog cat.json | highwater ingest shop.hw --catalog cat.json
  highwater state get shop.hw > state.json      what the source takes with --state
  highwater cat shop.hw --stream users          committed records, a line each
  highwater info shop.hw
  highwater verify shop.hw
  highwater serve shop.hw                       all of it on a page

Exit codes:
  0 well   1 error   2 usage   3 damage found   4 only a torn tail found   5 locked   6 not found   7 disk full
  8 a person has to decide   9 source failed   10 destination failed   75 try again later";

/// Checkpoint logs for data pipelines: records and cursors, together, atomically, durably
#[derive(Debug, Parser)]
#[command(name = "highwater", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Check(check::Args),
    Discover(discover::Args),
    Run(run::Args),
    Deliver(deliver::Args),
    Status(status::Args),
    Serve(serve::Args),
    Metrics(metrics::Args),
    Runs(runs::Args),
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    #[command(subcommand)]
    Schema(schema::Command),
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
    Refresh(refresh::Args),
    #[command(subcommand)]
    Consumer(consumer::Command),
    Du(du::Args),
    Audit(audit::Args),
    Export(export::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Import(import::Args),
    Completions(generate::Completions),
    Man(generate::Man),
}

impl Command {
    fn run(&self) -> Result<Code, Failure> {
        match self {
            Command::Demo(args) => demo::run(args),
            Command::Init(args) => init::run(args),
            Command::Check(args) => check::run(args),
            Command::Discover(args) => discover::run(args),
            Command::Run(args) => run::run(args),
            Command::Deliver(args) => deliver::run(args),
            Command::Status(args) => status::run(args),
            Command::Serve(args) => serve::run(args),
            Command::Metrics(args) => metrics::run(args),
            Command::Runs(args) => runs::run(args),
            Command::DeadLetters(command) => dead_letters::run(command),
            Command::Schema(command) => schema::run(command),
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
            Command::Refresh(args) => refresh::run(args),
            Command::Consumer(command) => consumer::run(command),
            Command::Du(args) => du::run(args),
            Command::Audit(args) => audit::run(args),
            Command::Export(args) => export::run(args),
            Command::Backup(args) => backup::run(args),
            Command::Restore(args) => restore::run(args),
            Command::Import(args) => import::run(args),
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
            Command::Runs(args) => Some(&args.log),
            Command::Compact(args) => Some(&args.log),
            Command::Repair(args) => Some(&args.log),
            Command::Rewind(args) => Some(&args.log),
            Command::Reset(args) => Some(&args.log),
            Command::Refresh(args) => Some(&args.log),
            Command::Consumer(command) => Some(command.log()),
            Command::Du(args) => Some(&args.log),
            Command::Audit(args) => Some(&args.log),
            Command::Export(args) => Some(&args.log),
            Command::Backup(args) => Some(&args.log),
            Command::Restore(args) => Some(&args.log),
            Command::Import(args) => Some(&args.log),
            Command::Demo(_)
            | Command::Init(_)
            | Command::Check(_)
            | Command::Discover(_)
            | Command::Run(_)
            | Command::Deliver(_)
            | Command::DeadLetters(_)
            | Command::Schema(_)
            | Command::Status(_)
            | Command::Serve(_)
            | Command::Metrics(_)
            | Command::Completions(_)
            | Command::Man(_) => None,
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
