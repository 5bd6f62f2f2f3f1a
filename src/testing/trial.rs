//! Running a pipeline through every crash.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Fault, Random, SimDisk, State};
use crate::storage::Storage;

/// A pipeline that does not come to its end after so many starts never does.
const STARTS_MAX: usize = 5;

/// What happens to a pipeline, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Decides what a power cut leaves. Default: 1.
    pub seed: u64,
    /// Power cuts at each call, each leaving something else; every second of them meets another one while the pipeline starts
    /// again. Default: 4.
    pub cuts: u64,
    /// Whether the process is also killed at each call: everything that it wrote is there. Default: yes.
    pub kills: bool,
    /// Whether each call also fails once, and the pipeline is started again. Default: yes.
    pub faults: bool,
}

impl Default for Trial {
    fn default() -> Self {
        Trial { seed: 1, cuts: 4, kills: true, faults: true }
    }
}

/// What happened to a pipeline; calls are those that change the disk, counted from the first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Nothing.
    None,
    /// The power was cut after so many calls.
    Cut {
        /// Calls that had happened.
        after: usize,
        /// What decided what was left.
        seed: u64,
        /// And again, so many calls into the next run.
        again_after: Option<usize>,
    },
    /// The process was killed after so many calls.
    Kill {
        /// Calls that had happened.
        after: usize,
    },
    /// A call failed, after so many had not.
    Fault {
        /// Calls that had happened.
        after: usize,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::None => f.write_str("nothing happened"),
            Event::Cut { after, seed, again_after: None } => {
                write!(f, "the power was cut after call {after} (seed {seed})")
            }
            Event::Cut { after, seed, again_after: Some(again) } => {
                write!(
                    f,
                    "the power was cut after call {after}, and after call {again} of the next run (seed {seed})"
                )
            }
            Event::Kill { after } => write!(f, "the process was killed after call {after}"),
            Event::Fault { after } => write!(f, "call {} failed", after + 1),
        }
    }
}

/// The pipeline does not resume.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What had happened to it.
    pub event: Event,
    /// What it did then that it does not do otherwise.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.event, self.what)
    }
}

impl std::error::Error for Failure {}

/// A pipeline that resumes, whatever happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// Calls that change the disk, in a run in which nothing happens.
    pub calls: usize,
    /// Runs, with those that were cut short.
    pub runs: u64,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs, disturbed at each of {} calls", self.runs, self.calls)
    }
}

impl Trial {
    /// Tries the pipeline. It has to come to its end when nothing happens, and then again after every event; and `outcome`, what it
    /// has made of the world, has to be the same. A run that was cut short may return what it likes; a panic counts as a failure
    /// anywhere.
    ///
    /// Blocks for all the runs: a few for each call. `world` makes a new one for each event.
    pub fn run<W, O: PartialEq + fmt::Debug, E: fmt::Display>(
        &self,
        world: impl Fn() -> W,
        mut pipeline: impl FnMut(Arc<dyn Storage>, &mut W) -> Result<(), E>,
        outcome: impl Fn(&W) -> O,
    ) -> Result<Tried, Failure> {
        let mut runs = 0;
        let mut run = |disk: &SimDisk, world: &mut W| {
            runs += 1;
            let disk = Arc::new(disk.clone());
            let ended = catch_unwind(AssertUnwindSafe(|| pipeline(disk, world)));
            ended.map_err(|panic| format!("it panicked: {}", panic_text(&*panic)))
        };
        let mut undisturbed = world();
        let disk = SimDisk::new(State::default(), self.seed);
        let fails = |event: &Event, what: String| Failure { event: event.clone(), what };
        match run(&disk, &mut undisturbed) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(fails(&Event::None, format!("it fails: {error}"))),
            Err(panic) => return Err(fails(&Event::None, panic)),
        }
        let (calls, expected) = (disk.calls(), outcome(&undisturbed));
        for event in (0..=calls).flat_map(|after| self.events(after)) {
            let mut world = world();
            let through = Self::suffer(&event, self.seed, &mut |disk| run(disk, &mut world));
            through.map_err(|what| fails(&event, what))?;
            let found = outcome(&world);
            if found != expected {
                return Err(fails(&event, format!("expected {expected:?}, found {found:?}")));
            }
        }
        Ok(Tried { calls, runs })
    }

    /// What may happen at one call.
    fn events(&self, after: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for n in 0..self.cuts {
            let seed = self.seed.wrapping_add((after as u64) << 16).wrapping_add(n);
            let again_after = (n % 2 == 1).then(|| Random::new(seed).index(after.max(8)));
            events.push(Event::Cut { after, seed, again_after });
        }
        if self.kills {
            events.push(Event::Kill { after });
        }
        if self.faults {
            events.push(Event::Fault { after });
        }
        events
    }

    /// Runs it through one event, and then until it is through.
    fn suffer<E: fmt::Display>(
        event: &Event,
        seed: u64,
        run: &mut dyn FnMut(&SimDisk) -> Ended<E>,
    ) -> Result<(), String> {
        let mut disk = SimDisk::new(State::default(), seed);
        match *event {
            Event::None => {}
            Event::Cut { after, seed, again_after } => {
                let cuts = [Some(after), again_after];
                for (n, calls) in cuts.into_iter().flatten().enumerate() {
                    disk.cut_power_after(calls);
                    let _ = run(&disk)?;
                    disk = disk.after_power_cut(seed.wrapping_add(n as u64));
                }
            }
            Event::Kill { after } => {
                disk.cut_power_after(after);
                let _ = run(&disk)?;
                disk = SimDisk::new(disk.state(), seed);
            }
            Event::Fault { after } => {
                disk.arm(Fault::Error, after as u64);
                let _ = run(&disk)?;
                disk.heal();
                disk = disk.kill();
            }
        }
        let mut last = String::new();
        for _ in 0..STARTS_MAX {
            match run(&disk)? {
                Ok(()) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
            disk = disk.kill();
        }
        Err(format!("it does not come to its end any more: {last}"))
    }
}

/// How a run ended by itself; or it panicked, and what it said then.
type Ended<E> = Result<Result<(), E>, String>;

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}
