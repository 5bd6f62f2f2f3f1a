//! Work by hand: states, rewinds, consumers, and what is on record of it.

mod consumers;
mod edit;
mod places;
mod portable;
#[cfg(target_os = "linux")]
mod prompts;
mod rewind;
mod rounds;
mod states;
mod watch;

use crate::helpers::*;

pub(crate) const WHY: &[&str] = &["--reason", "a test", "--by", "ops"];

/// With who and why.
pub(crate) fn by_hand<'a>(options: &[&'a str]) -> Vec<&'a str> {
    options.iter().chain(WHY).copied().collect()
}

/// And without a question.
pub(crate) fn sure<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [by_hand(options), vec!["--yes"]].concat()
}

/// Checkpoints 1 and 2 of `a`, 3 of `b`: a record each, and a cursor.
pub(crate) fn two_streams() -> Log {
    let lines = [
        records("a", [1]),
        vec![state("a", "1")],
        records("a", [2]),
        vec![state("a", "2")],
        records("b", [3]),
        vec![state("b", "3")],
    ];
    Log::of(&lines.concat())
}

pub(crate) fn sequence(log: &Log) -> u64 {
    log.run("info", &["--json"]).exits(0).json()["status"]["end"]["sequence"].as_u64().unwrap()
}
