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
mod given;
mod import;
mod info;
mod ingest;
mod init;
mod known;
mod metrics;
mod output;
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
mod twice;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

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
    CopyState(state::Copy),
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
            Command::CopyState(args) => state::copy(args),
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
}

/// What the command works on, for the hints below errors: a log's directory or a pipeline file, by the name of the argument.
fn subject(matches: &ArgMatches) -> Option<&Path> {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    let named = |name| matches.try_get_one::<PathBuf>(name).ok().flatten();
    named("log").or_else(|| named("pipeline")).map(PathBuf::as_path)
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command.run() {
        Ok(code) => code.into(),
        Err(failure) => failure.report(subject(&matches)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command that does something by itself, with the words that name it.
    fn leaves(command: &clap::Command, words: &[String]) -> Vec<(Vec<String>, clap::Command)> {
        if !command.has_subcommands() {
            return vec![(words.to_owned(), command.clone())];
        }
        let inner = command.get_subcommands();
        inner.flat_map(|inner| leaves(inner, &[words, &[inner.get_name().to_owned()]].concat())).collect()
    }

    /// A command line with all that is required, and what it is required for.
    fn line(words: &[String], command: &clap::Command) -> Vec<String> {
        let mut line = words.to_owned();
        for argument in command.get_arguments() {
            let first = argument.get_possible_values().first().map(|value| value.get_name().to_owned());
            let value = match argument.get_id().as_str() {
                "log" | "pipeline" => "here".to_owned(),
                _ => first.unwrap_or_else(|| "1".to_owned()),
            };
            match argument.get_long() {
                None => line.push(value),
                Some(long) if argument.is_required_set() => line.extend([format!("--{long}"), value]),
                Some(_) => {}
            }
        }
        line
    }

    #[test]
    fn every_command_tells_what_it_works_on() {
        let without = ["demo", "completions", "man"];
        let command = Cli::command();
        let all = leaves(&command, &[command.get_name().to_owned()]);
        assert!(all.len() > 40, "{}", all.len());
        for (words, leaf) in all {
            let line = line(&words, &leaf);
            let matches =
                command.clone().try_get_matches_from(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
            let expected = (!without.contains(&words[1].as_str())).then_some(Path::new("here"));
            assert_eq!(subject(&matches), expected, "{line:?}");
        }
    }
}
