//! W9: a checkpoint that changes one of 100,000 stream states, beside one with a single state.

use std::time::Instant;

use anyhow::Result;

use super::{Better, Workload};
use crate::engine::{Flush, Life, Session, State};
use crate::job::Job;
use crate::measure::{Figures, Latencies};

pub(super) const STATES: Workload = Workload {
    id: "W9",
    title: "a checkpoint that changes one of 100,000 states of 100 B",
    headline: "p50_us",
    better: Better::Lower,
    columns: &["p50_us", "p99_us", "single_p50_us", "times_single", "open_ms"],
    takes: |contender| contender.writes && contender.states,
    run,
    counted: false,
    on_request: false,
};

const STATE_BYTES: usize = 100;

fn run(job: &Job) -> Result<Figures> {
    let count = job.amount(3000, 200);
    let mut setup = job.setup(Life::Steady, STATE_BYTES);
    setup.dir = job.beside("single");
    let single = (job.contender.open)(&setup)?;
    let mut alone = change_one(job, &mut *single.session(0)?, 1, count)?;
    drop(single);

    setup.dir = job.engine_dir();
    let states = job.amount(100_000, 2_000);
    let engine = (job.contender.open)(&setup)?;
    let mut session = engine.session(0)?;
    let text = job.data.state(0, STATE_BYTES);
    let all: Vec<State<'_>> = (0..states).map(|stream| (stream, &text[..])).collect();
    session.commit(&all, Flush::Yes)?;
    let mut among_many = change_one(job, &mut *session, states, count)?;
    drop(session);
    drop(engine);

    let begun = Instant::now();
    let engine = (job.contender.open)(&setup)?;
    let opened = begun.elapsed();
    drop(engine);

    let mut figures = Figures::new();
    among_many.report(&mut figures);
    let (many, one) = (among_many.percentile_us(0.5), alone.percentile_us(0.5));
    figures.insert("single_p50_us".into(), one);
    figures.insert("times_single".into(), many / one);
    figures.insert("open_ms".into(), opened.as_secs_f64() * 1e3);
    Ok(figures)
}

/// Checkpoints of one state each, now of this stream, now of that.
fn change_one(job: &Job, session: &mut dyn Session, states: usize, count: u64) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for index in 0..count {
        let state = job.data.state(index, STATE_BYTES);
        let stream = (index as usize * 7919) % states;
        latencies.time(|| session.commit(&[(stream, &state)], Flush::Yes))?;
    }
    Ok(latencies)
}
