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

use anyhow::{Context, Result};

use arguments::Command;

fn main() -> Result<()> {
    match arguments::parse()? {
        Command::Help => print!("{}", arguments::HELP),
        Command::List => list(),
        Command::Run(run) => parent::run(&run)?,
        Command::Draw { results, picture } => {
            let text = std::fs::read_to_string(&results).with_context(|| results.display().to_string())?;
            std::fs::write(&picture, picture::draw(&serde_json::from_str(&text)?))?;
        }
        Command::Tables { results } => {
            let text = std::fs::read_to_string(&results).with_context(|| results.display().to_string())?;
            print!("{}", table::all(&serde_json::from_str(&text)?));
        }
        Command::Child(job) => child::run(&job)?,
        Command::Fill(job) => workloads::fill_and_wait(&job)?,
        Command::Follow { dir, count } => workloads::follow(&dir, count)?,
    }
    Ok(())
}

fn list() {
    for workload in workloads::all() {
        let taken = engines::all().into_iter().filter(|contender| (workload.takes)(contender));
        let names: Vec<_> = taken.map(|contender| contender.name).collect();
        println!("{:14} {}\n               {}", workload.id, workload.title, names.join(" "));
    }
}
