//! Long runs: `highwater-sim explore --seed 1 --seeds 1000 --seconds 60`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to who runs it")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use highwater_sim::{Effort, Program, Tally, explore};

const USAGE: &str = "\
usage: highwater-sim explore [--seed FIRST] [--seeds COUNT] [--seconds LIMIT] [--cuts PER_LIFE]

Runs random programs on a simulated disk and checks the states after power cuts. Ends with 1 at the first violation.
";

struct Arguments {
    first: u64,
    count: u64,
    limit: Duration,
    effort: Effort,
}

fn parse() -> Result<Arguments, String> {
    let mut arguments =
        Arguments { first: 1, count: u64::MAX, limit: Duration::from_secs(60), effort: Effort::default() };
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() != Some("explore") {
        return Err(USAGE.to_owned());
    }
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
    std::panic::set_hook(Box::new(|_| {})); // a panic comes back as a violation
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut failure = None;
    for seed in (arguments.first..).take(usize::try_from(arguments.count).unwrap_or(usize::MAX)) {
        if begun.elapsed() >= arguments.limit {
            break;
        }
        if let Err(found) = explore(&Program::from_seed(seed), arguments.effort, &mut tally) {
            failure = Some(found);
            break;
        }
    }
    report(&tally, begun.elapsed());
    match failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            println!("VIOLATION {failure}");
            ExitCode::FAILURE
        }
    }
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
