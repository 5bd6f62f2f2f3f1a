//! A run: workload by workload, round by round, contender by contender, each measurement in a process of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Run;
use crate::child::Outcome;
use crate::engines::{self, Contender};
use crate::measure::{Figures, Spread};
use crate::results::{Results, Row, Table};
use crate::workloads::{self, Workload};
use crate::{disk, flushes, machine, picture, table};

pub(crate) fn run(run: &Run) -> Result<()> {
    std::fs::create_dir_all(&run.dir)?;
    std::fs::create_dir_all(&run.out)?;
    disk::check_is_disk(&run.dir)?;
    let workloads = chosen_workloads(run)?;
    if !flushes::can_trace() {
        eprintln!(
            "strace is not there: flushes are not counted, and nobody's figures are proven to be of durable commits"
        );
    }
    let mut results = Results {
        date: date()?,
        quick: run.quick,
        rounds: run.rounds,
        machine: machine::look(&run.dir),
        tables: Vec::new(),
    };
    for workload in workloads {
        let table = measure(run, &workload)?;
        println!("{}", table::one(&table));
        results.tables.push(table);
        // After each, so that a run that is broken off is not lost.
        std::fs::write(run.out.join("results.json"), serde_json::to_string_pretty(&results)?)?;
        std::fs::write(run.out.join("picture.svg"), picture::draw(&results))?;
    }
    std::fs::remove_dir_all(&run.dir)?;
    println!("{}", run.out.join("results.json").display());
    Ok(())
}

fn chosen_workloads(run: &Run) -> Result<Vec<Workload>> {
    let is_named = |workload: &Workload| run.only.iter().any(|prefix| names(prefix, workload));
    let is_chosen = |workload: &Workload| match run.only.is_empty() {
        true => !workload.on_request,
        false => is_named(workload),
    };
    let chosen: Vec<_> = workloads::all().into_iter().filter(is_chosen).collect();
    ensure!(!chosen.is_empty(), "no workload has a name that begins with {:?}", run.only);
    Ok(chosen)
}

/// Whether a prefix means this workload: W1 is W1a and W1b, and not W11. What takes long wants its whole name.
fn names(prefix: &str, workload: &Workload) -> bool {
    let rest = workload.id.strip_prefix(prefix);
    rest.is_some_and(|rest| match workload.on_request {
        true => rest.is_empty(),
        false => !rest.starts_with(|next: char| next.is_ascii_digit()),
    })
}

fn contenders(run: &Run, workload: &Workload) -> Vec<Contender> {
    let is_chosen = |contender: &Contender| {
        run.engines.is_empty() || run.engines.iter().any(|prefix| contender.name.starts_with(prefix.as_str()))
    };
    engines::all().into_iter().filter(is_chosen).filter(|contender| (workload.takes)(contender)).collect()
}

/// All rounds of one workload. Each round begins with another contender, so that nobody is always first.
fn measure(run: &Run, workload: &Workload) -> Result<Table> {
    let contenders = contenders(run, workload);
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
    let mut failed: Vec<Option<String>> = vec![None; contenders.len()];
    for round in 0..run.rounds {
        for step in 0..contenders.len() {
            let index = (round + step) % contenders.len();
            let contender = &contenders[index];
            eprint!("\r\x1b[K{} round {}: {}", workload.id, round + 1, contender.name);
            match one(run, workload, contender) {
                Ok(one) => figures[index].push(one),
                Err(error) => failed[index] = Some(format!("{error:#}")),
            }
        }
    }
    let mut rows = Vec::new();
    for ((contender, figures), failed) in contenders.iter().zip(figures).zip(failed) {
        eprint!("\r\x1b[K{} flushes: {}", workload.id, contender.name);
        let flushes_per_commit = count_flushes(run, workload, contender)?;
        rows.push(Row {
            engine: contender.name.to_owned(),
            kind: contender.kind,
            figures: spreads(&figures),
            flushes_per_commit,
            to_limit: None,
            to_rival: None,
            failed,
        });
    }
    eprint!("\r\x1b[K");
    let mut table = Table {
        id: workload.id.to_owned(),
        title: workload.title.to_owned(),
        headline: workload.headline.to_owned(),
        better: workload.better,
        columns: workload.columns.iter().map(ToString::to_string).collect(),
        rows,
    };
    table.compare();
    Ok(table)
}

fn spreads(rounds: &[Figures]) -> BTreeMap<String, Spread> {
    let names = rounds.iter().flat_map(BTreeMap::keys);
    let spread = |name: &String| Spread::of(rounds.iter().filter_map(|round| round.get(name).copied()));
    names.filter_map(|name| Some((name.clone(), spread(name)?))).collect()
}

/// One measurement.
fn one(run: &Run, workload: &Workload, contender: &Contender) -> Result<Figures> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    ask(&mut command, run, workload, contender);
    if run.quick {
        command.arg("--quick");
    }
    outcome(run, &mut command)
}

/// The same, shortly, under a tracer. Nothing where there is none, and for workloads in which it would mean nothing.
fn count_flushes(run: &Run, workload: &Workload, contender: &Contender) -> Result<Option<f64>> {
    if !workload.counted || !flushes::can_trace() {
        return Ok(None);
    }
    let trace = run.out.join("trace");
    let mut command = flushes::traced(&std::env::current_exe()?, &trace);
    ask(&mut command, run, workload, contender);
    command.arg("--counted");
    let Ok(figures) = outcome(run, &mut command) else { return Ok(None) };
    let text = String::from_utf8_lossy(&std::fs::read(&trace)?).into_owned();
    std::fs::remove_file(&trace)?;
    let commits = figures.get("commits").copied();
    Ok(flushes::count(&text).zip(commits).map(|(flushes, commits)| flushes as f64 / commits))
}

fn ask(command: &mut Command, run: &Run, workload: &Workload, contender: &Contender) {
    command.args(["child", "--engine", contender.name, "--workload", workload.id, "--dir"]).arg(&run.dir);
    if let Some(highwater) = &run.command {
        command.arg("--highwater").arg(highwater);
    }
}

/// However slow somebody is.
const TIME_MAX: Duration = Duration::from_secs(600);

/// Runs a child in an empty directory, and reads its line.
fn outcome(run: &Run, command: &mut Command) -> Result<Figures> {
    empty(&run.dir)?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > TIME_MAX {
            child.kill()?;
            child.wait()?;
            bail!("it was not done after {} s", TIME_MAX.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut line = String::new();
    child.stdout.take().context("no pipe")?.read_to_string(&mut line)?;
    ensure!(status.success(), "its process ended with {status}");
    match serde_json::from_str(&line).with_context(|| format!("its process said {line:?}"))? {
        Outcome::Figures(figures) => Ok(figures),
        Outcome::Failed(why) => bail!("{why}"),
    }
}

/// An empty directory, and nothing of the last measurement left to be written back or discarded.
fn empty(dir: &Path) -> Result<()> {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    for entry in entries {
        if entry.is_dir() { std::fs::remove_dir_all(entry)? } else { std::fs::remove_file(entry)? }
    }
    rustix::fs::syncfs(std::fs::File::open(dir)?)?;
    Ok(())
}

/// Today, by the system's own command: a calendar is not worth a dependency here.
fn date() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("date")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(prefix: &str, id: &str) -> bool {
        names(prefix, &workloads::find(id).unwrap())
    }

    #[test]
    fn a_prefix_does_not_end_within_a_number() {
        assert!(means("W1", "W1a") && means("W13", "W13-W2") && means("W2", "W2"));
        assert!(!means("W1", "W11-within") && !means("W2", "W1a"));
    }

    #[test]
    fn what_takes_long_wants_its_whole_name() {
        assert!(means("W5", "W5-1GiB-warm") && means("W5-8GiB-warm", "W5-8GiB-warm"));
        assert!(!means("W5", "W5-8GiB-warm"));
    }
}
