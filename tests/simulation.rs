//! Random programs on the simulated disk, with power cuts at any call: what must hold after each is checked against a
//! model that knows nothing of the implementation. `CASES=10000 cargo test --release --test simulation` looks longer;
//! `cargo run --release -p highwater-sim -- explore` looks for hours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use highwater_sim::{Effort, Program, Step, Tally, explore};
use proptest::prelude::*;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn programs() -> impl Strategy<Value = Program> {
    let step = prop_oneof![30 => any::<[u8; 4]>().prop_map(Step::decode), 2 => Just(Step::PowerCut)];
    (any::<u64>(), prop::collection::vec(step, 1..80)).prop_map(|(seed, steps)| Program { seed, steps })
}

fn look(program: &Program) -> Result<Tally, String> {
    let mut tally = Tally::default();
    explore(program, Effort::default(), &mut tally).map_err(|failure| failure.to_string())?;
    Ok(tally)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: number("CASES", 150) as u32,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_power_cut_breaks_a_promise(program in programs()) {
        look(&program).map_err(TestCaseError::fail)?;
    }
}

/// The explorer's own programs, which repeat themselves more; `SEED` and `SEEDS` choose others.
#[test]
fn no_seed_breaks_a_promise() {
    let first = number("SEED", 1);
    let mut states = 0;
    for seed in first..first + number("SEEDS", 150) {
        states += look(&Program::from_seed(seed)).unwrap().states;
    }
    assert!(states > 0);
}
