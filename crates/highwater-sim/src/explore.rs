//! Runs a program, cuts the power at many of its calls, and looks at what the next boot finds; goes on from one of the
//! cuts. An opening is recorded like anything else, so cuts inside recovery come by themselves.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use highwater::repair::Mode;
use highwater::testing::{Operation, Random, SimDisk, State};
use highwater::{Checkpoint, LogReader};

use crate::check::{Checked, Violation};
use crate::life::Life;
use crate::mend::mend;
use crate::model::{Event, Model};
use crate::program::{Program, Step};
use crate::rot::Rot;

/// How hard to look.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Power cuts that are looked at, per life of a program.
    pub cuts: usize,
    /// Power cuts inside the recovery from each of some of them.
    pub cuts_in_recovery: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Effort { cuts: 24, cuts_in_recovery: 2 }
    }
}

/// What was looked at.
#[derive(Debug, Default)]
pub struct Tally {
    /// Programs that were run.
    pub programs: u64,
    /// Crash states that were opened and checked.
    pub states: u64,
    /// Crash states by what was being done when the power went.
    pub during: BTreeMap<&'static str, u64>,
    distinct: HashSet<u64>,
    seen: HashSet<(u64, usize)>,
}

impl Tally {
    /// How many of the states were different from each other.
    pub fn distinct(&self) -> usize {
        self.distinct.len()
    }
}

/// A program that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The program.
    pub program: Program,
    /// In which of its lives.
    pub life: usize,
    /// The promise.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}, life {}: {}\n{:?}",
            self.program.seed, self.life, self.violation, self.program.steps
        )
    }
}

/// Runs a program and looks at its crash states.
pub fn explore(program: &Program, effort: Effort, tally: &mut Tally) -> Result<(), Box<Failure>> {
    tally.programs += 1;
    let mut random = Random::new(program.seed);
    let mut boot = (State::default(), Model::new());
    for (number, steps) in program.lives().enumerate() {
        let result = calmly(|| generation(&boot, steps, program.seed, effort, &mut random, tally));
        boot = result
            .map_err(|violation| Box::new(Failure { program: program.clone(), life: number, violation }))?;
    }
    Ok(())
}

/// One life and the cuts in it; the one to go on from.
fn generation(
    boot: &(State, Model),
    steps: &[Step],
    variant: u64,
    effort: Effort,
    random: &mut Random,
    tally: &mut Tally,
) -> Checked<(State, Model)> {
    let mut life = Life::boot(boot.0.clone(), boot.1.clone(), random.word(), variant);
    life.run(steps)?;
    let trace = Trace::of(boot.clone(), life);
    let mut next = None;
    // Half of all lives end where their steps do.
    let cuts = effort.cuts.max(1);
    let goes_on = if random.one_in(2) { cuts - 1 } else { random.index(cuts) };
    trace.cut(cuts, random, |number, cut, random| {
        // A seed means the same whatever was seen before it.
        let mut own = Random::new(random.word());
        if tally.is_new(&cut) {
            examine(&cut, variant, effort.cuts_in_recovery, &mut own, tally)
                .map_err(|violation| violation.within(&format!("cut while {}", cut.during)))?;
        }
        if number == goes_on {
            next = Some((cut.state, cut.model));
        }
        Ok(())
    })?;
    next.ok_or_else(|| Violation::new("no cut to go on from".to_owned()))
}

/// What a boot finds after a power cut, and what has to be there.
struct Cut {
    state: State,
    model: Model,
    during: &'static str,
    /// How many events the model knows of this life.
    noted: usize,
}

impl Tally {
    /// Counts a cut. One that left the same bytes as another, with the same events behind it, teaches nothing new.
    fn is_new(&mut self, cut: &Cut) -> bool {
        let fingerprint = cut.state.fingerprint();
        self.distinct.insert(fingerprint);
        if !self.seen.insert((fingerprint, cut.noted)) {
            return false;
        }
        self.states += 1;
        *self.during.entry(cut.during).or_default() += 1;
        true
    }
}

/// Opens what a cut left and checks it. Then cuts the power inside that opening, too.
fn examine(cut: &Cut, variant: u64, again: usize, random: &mut Random, tally: &mut Tally) -> Checked {
    let mut life = Life::boot(cut.state.clone(), cut.model.clone(), random.word(), variant);
    if random.one_in(3) {
        life.look_first()?;
    }
    life.open()?;
    if random.one_in(8) {
        // A clean close, a look, and an opening that has nothing to do.
        life.run(&[Step::Close { look: true }])?;
        life.open()?;
    }
    if again == 0 || !random.one_in(4) {
        return if random.one_in(4) { damage(cut, life, variant, random) } else { Ok(()) };
    }
    let trace = Trace::of((cut.state.clone(), cut.model.clone()), life);
    trace.cut(again, random, |_, mut inner, random| {
        inner.during = "recovering";
        let mut own = Random::new(random.word());
        if !tally.is_new(&inner) {
            return Ok(());
        }
        examine(&inner, variant, 0, &mut own, tally)
            .map_err(|violation| violation.within("and again while recovering"))
    })
}

/// Damages a log that was closed. What opening and reading then give is an error, or all that was there: nothing is lost
/// in silence. A repair keeps what it says.
fn damage(cut: &Cut, life: Life, variant: u64, random: &mut Random) -> Checked {
    let (mut state, model) = life.closed()?;
    let base = base_of(&state)?;
    let names: Vec<_> = state.names().filter(|name| name.ends_with(".hws")).cloned().collect();
    let name = &names[random.index(names.len())];
    let len = state.find(name).map_or(0, |file| state.cached(file).len());
    let rot = Rot::any(random, len);
    if !rot.damage(&mut state, name, &cut.state) {
        return Ok(());
    }
    let end = model.tried();
    let mut life = Life::boot(state.clone(), model.clone(), random.word(), variant);
    let config = life.config();
    match life.open() {
        Err(violation) if !violation.is_refusal() => {
            return Err(
                violation.within(&format!("P5: after a clean close, {rot:?} of {name} went unnoticed"))
            );
        }
        _ => drop(life),
    }
    let mode = if random.one_in(2) { Mode::Cut } else { Mode::SkipDamaged };
    mend(state, &model, (base, end), mode, config)
        .map_err(|violation| violation.within(&format!("{rot:?} of {name}, then a repair ({mode:?})")))
}

/// The number of the base checkpoint that a sound log begins with.
fn base_of(state: &State) -> Checked<Option<u64>> {
    let log = LogReader::open_on(Arc::new(SimDisk::new(state.clone(), 7)))?;
    let first = log.reader(log.first())?.next()?;
    Ok(first.filter(Checkpoint::is_compacted).map(|base| base.sequence().get()))
}

/// One life from its boot on, call by call.
struct Trace {
    boot: (State, Model),
    operations: Vec<Operation>,
    events: Vec<(usize, Event)>,
    phases: Vec<(usize, &'static str)>,
}

impl Trace {
    fn of(boot: (State, Model), life: Life) -> Trace {
        Trace { boot, operations: life.disk.operations(0), events: life.events, phases: life.phases }
    }

    /// Cuts the power at so many calls, in their order.
    fn cut(
        &self,
        count: usize,
        random: &mut Random,
        mut look: impl FnMut(usize, Cut, &mut Random) -> Checked,
    ) -> Checked {
        let mut calls: Vec<usize> = (0..count).map(|_| self.any_call(random)).collect();
        calls.sort_unstable();
        let (mut state, mut model) = self.boot.clone();
        let (mut done, mut noted) = (0, 0);
        for (number, call) in calls.into_iter().enumerate() {
            for operation in &self.operations[done..call] {
                state.apply(operation);
            }
            done = call;
            while let Some((_, event)) = self.events.get(noted).filter(|(at, _)| *at <= call) {
                model.apply(event);
                noted += 1;
            }
            let (state, during) = (state.crash(random), self.during(call));
            let cut = Cut { state, model: model.clone(), during, noted };
            look(number, cut, random)?;
        }
        Ok(())
    }

    /// Any call, or any phase and a call in it: short phases count as much as long ones.
    fn any_call(&self, random: &mut Random) -> usize {
        let end = self.operations.len();
        if random.one_in(6) {
            return end;
        }
        if self.phases.is_empty() || random.one_in(2) {
            return random.index(end + 1);
        }
        let phase = random.index(self.phases.len());
        let from = self.phases[phase].0;
        let to = self.phases.get(phase + 1).map_or(end, |(call, _)| *call);
        from + random.index(to - from + 1)
    }

    fn during(&self, call: usize) -> &'static str {
        self.phases.iter().rev().find(|(from, _)| *from < call).map_or("booting", |(_, phase)| phase)
    }
}

/// A panic of the engine is a violation like any other.
fn calmly<T>(act: impl FnOnce() -> Checked<T>) -> Checked<T> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Violation::new(format!("a panic: {text}")))
    })
}
