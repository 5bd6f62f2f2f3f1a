//! Long runs: `highwater-sim explore --seed 1 --seeds 1000 --seconds 60`, and `damage` with the same.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to who runs it")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use highwater_sim::{DamageTable, Effort, Program, Tally, damage, explore};

const USAGE: &str = "\
usage: highwater-sim explore [--seed FIRST] [--seeds COUNT] [--seconds LIMIT] [--cuts PER_LIFE]
       highwater-sim damage  [--seed FIRST] [--seeds COUNT] [--seconds LIMIT]

explore runs random programs on a simulated disk and checks the states after power cuts. damage makes small logs, damages
each in many ways, and counts what is noticed and what passes for a torn tail. Both end with 1 at the first violation.
";

/// Pieces of damage to each log.
const DAMAGES: u64 = 200;

#[derive(Clone, Copy)]
enum What {
    Explore,
    Damage,
}

struct Arguments {
    what: What,
    first: u64,
    count: u64,
    limit: Duration,
    effort: Effort,
}

fn parse() -> Result<Arguments, String> {
    let mut words = std::env::args().skip(1);
    let what = match words.next().as_deref() {
        Some("explore") => What::Explore,
        Some("damage") => What::Damage,
        _ => return Err(USAGE.to_owned()),
    };
    let limit = Duration::from_secs(60);
    let mut arguments = Arguments { what, first: 1, count: u64::MAX, limit, effort: Effort::default() };
    while let Some(word) = words.next() {
        let value = words.next().and_then(|value| value.parse::<u64>().ok()).ok_or(USAGE)?;
        match word.as_str() {
            "--seed" => arguments.first = value,
            "--seeds" => arguments.count = value,
            "--seconds" => arguments.limit = Duration::from_secs(value),
            "--cuts" => arguments.effort.cuts = value as usize,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprint!("{usage}");
            return ExitCode::from(2);
        }
    };
    let found = match arguments.what {
        What::Explore => run_explorer(&arguments),
        What::Damage => run_damage(&arguments),
    };
    match found {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("VIOLATION {violation}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    /// The seeds in turn, until the time is over or one gives an error.
    fn each<E>(&self, mut look: impl FnMut(u64) -> Result<(), E>) -> (Duration, Result<(), E>) {
        let begun = Instant::now();
        let mut result = Ok(());
        for seed in (self.first..).take(usize::try_from(self.count).unwrap_or(usize::MAX)) {
            if result.is_err() || begun.elapsed() >= self.limit {
                break;
            }
            result = look(seed);
        }
        (begun.elapsed(), result)
    }
}

fn run_explorer(arguments: &Arguments) -> Result<(), String> {
    std::panic::set_hook(Box::new(|_| {})); // a panic comes back as a violation
    let mut tally = Tally::default();
    let (took, result) =
        arguments.each(|seed| explore(&Program::from_seed(seed), arguments.effort, &mut tally));
    report(&tally, took);
    result.map_err(|failure| failure.to_string())
}

fn run_damage(arguments: &Arguments) -> Result<(), String> {
    let mut table = DamageTable::default();
    let (took, result) = arguments.each(|seed| damage(seed, DAMAGES, &mut table));
    println!("{table}\n{} samples in {:.1} s", table.samples(), took.as_secs_f64());
    result
}

fn report(tally: &Tally, took: Duration) {
    let rate = tally.states as f64 / took.as_secs_f64();
    println!(
        "{} programs, {} crash states, {} of them distinct, in {:.1} s: {rate:.0} a second",
        tally.programs,
        tally.states,
        tally.distinct(),
        took.as_secs_f64()
    );
    for (during, states) in &tally.during {
        println!("  {states:>10} while {during}");
    }
}
