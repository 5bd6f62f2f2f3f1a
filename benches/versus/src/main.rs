//! Highwater beside its rivals and beside the machine's limits: the same work, in one run, interleaved, each measurement in
//! a process of its own. README.md tells what is measured and how each contender is set up.

mod arguments;
mod child;
mod data;
mod disk;
mod engine;
mod engines;
mod flushes;
mod job;
mod ledger;
mod machine;
mod measure;
mod parent;
mod picture;
mod process;
mod results;
mod table;
mod workloads;

use std::path::PathBuf;

use anyhow::{Context, Result};

use arguments::Command;
use results::Results;

fn main() -> Result<()> {
    match arguments::parse()? {
        Command::Help => print!("{}", arguments::HELP),
        Command::List => list(),
        Command::Run(run) => parent::run(&run)?,
        Command::Draw { results, picture } => std::fs::write(&picture, picture::draw(&read(&results)?))?,
        Command::Tables { results } => print!("{}", table::all(&read(&results)?)),
        Command::Join { results, whole } => {
            std::fs::write(&whole, serde_json::to_string(&read(&results)?)? + "\n")?;
        }
        Command::Summary { results } => print!("{}", table::summary(&read(&results)?)),
        Command::Child(job) => child::run(&job)?,
        Command::Fill(job) => workloads::fill_and_wait(&job)?,
        Command::Follow { dir, count } => workloads::follow(&dir, count)?,
    }
    Ok(())
}

/// What several runs gave, as one.
fn read(files: &[PathBuf]) -> Result<Results> {
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    };
    Results::join(files.iter().map(read).collect::<Result<_>>()?)
}

fn list() {
    for workload in workloads::all() {
        let taken = engines::all().into_iter().filter(|contender| (workload.takes)(contender));
        let names: Vec<_> = taken.map(|contender| contender.name).collect();
        println!("{:14} {}\n               {}", workload.id, workload.title, names.join(" "));
    }
}
