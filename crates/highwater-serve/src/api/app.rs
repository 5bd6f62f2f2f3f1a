//! What all answers come from: the log, what was read of it so far, and what its writer has measured.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use highwater::{Histogram, LogReader, Sequence, Space, States, StreamInfo};
use highwater_connect::record::Entry;
use highwater_connect::runs::now_us;

use super::cache::Cache;
use crate::index::{Follower, Index};
use crate::measured::{Measured, Writer};
use crate::metrics::Monitor;
use crate::subject::Subject;

/// The index is held for so long at a time while it is read.
const SLICE: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A log that can't be opened is tried again after so long; whoever asks tries it, too.
const OPEN_EVERY: Duration = Duration::from_secs(2);
/// How often it is noted how long commits took, and how many notes are kept: an hour.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const SAMPLES_MAX: usize = 720;

/// Shared by all that answer.
#[derive(Debug)]
pub(crate) struct App {
    pub subject: Subject,
    /// Once it could be opened.
    log: OnceLock<LogReader>,
    /// A token was given: whoever has it may change states.
    pub is_writable: bool,
    /// In the process of a run.
    monitor: Option<Monitor>,
    index: Mutex<Index>,
    has_caught_up: AtomicBool,
    trouble: Mutex<Option<String>>,
    samples: Mutex<VecDeque<Sample>>,
    pub(super) streams: Cache<u64, Vec<StreamInfo>>,
    pub(super) states: Cache<Sequence, States>,
    pub(super) space: Cache<Sequence, Space>,
    pub(super) audit: Cache<Sequence, VecDeque<Entry>>,
}

/// All commits of the writing process up to a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub at_us: i64,
    pub commits: Histogram,
}

impl App {
    /// Starts the thread that reads on; it ends with the last share.
    pub(crate) fn start(
        subject: Subject,
        log: Option<LogReader>,
        monitor: Option<Monitor>,
        is_writable: bool,
    ) -> std::io::Result<Arc<App>> {
        let app = Arc::new(App {
            subject,
            log: log.map_or_else(OnceLock::new, OnceLock::from),
            is_writable,
            monitor,
            index: Mutex::default(),
            has_caught_up: AtomicBool::new(false),
            trouble: Mutex::default(),
            samples: Mutex::default(),
            streams: Cache::default(),
            states: Cache::default(),
            space: Cache::default(),
            audit: Cache::default(),
        });
        let weak = Arc::downgrade(&app);
        let thread = std::thread::Builder::new().name("follower".to_owned());
        thread.spawn(move || follow(&weak))?;
        Ok(app)
    }

    /// The log. One that could not be opened so far is tried again.
    pub(crate) fn log(&self) -> highwater::Result<&LogReader> {
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let opened = LogReader::open(&self.subject.log)?;
        Ok(self.log.get_or_init(|| opened))
    }

    /// What was read so far. Held for a moment only.
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Whether everything was read once.
    pub(super) fn has_caught_up(&self) -> bool {
        self.has_caught_up.load(Ordering::Relaxed)
    }

    /// Why reading does not go on.
    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// What the writing process has measured: this one, or another that left it in a file.
    pub(super) fn measured(&self) -> Option<Measured> {
        if let Some(monitor) = &self.monitor {
            return Some(monitor.measured());
        }
        let of_log = self.log.get().and_then(|log| Writer::of(log).ok().flatten());
        if let Some(writer) = of_log {
            let (pid, at_us) = (std::process::id(), now_us());
            return Some(Measured { pid, at_us, writer: Some(writer), ..Measured::default() });
        }
        Measured::read(&self.subject.pipeline.as_ref()?.work)
    }

    pub(super) fn samples(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        lock(&self.samples)
    }

    /// After a change by hand nothing old is shown.
    pub(super) fn forget(&self) {
        self.streams.forget();
        self.states.forget();
        self.space.forget();
        self.audit.forget();
    }

    /// The first time, what takes a moment is made before anybody asks for it.
    fn caught_up(&self) {
        if !self.has_caught_up() {
            drop(super::space::space(self, super::Nothing {}));
            drop(super::streams::streams(self, super::streams::Question::default()));
            self.has_caught_up.store(true, Ordering::Relaxed);
        }
    }

    fn sample(&self) {
        let Some(measured) = self.measured() else { return };
        let Some(writer) = measured.writer else { return };
        let mut samples = self.samples();
        if samples.back().is_some_and(|last| last.at_us >= measured.at_us) {
            return;
        }
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(Sample { at_us: measured.at_us, commits: writer.commit_duration });
    }
}

fn follow(app: &Weak<App>) {
    let mut follower = None;
    let mut sampled: Option<Instant> = None;
    loop {
        let Some(app) = app.upgrade() else { return };
        let result = go_on(&app, &mut follower);
        if matches!(result, Ok(true)) {
            app.caught_up();
        }
        let pause = match (&result, &follower) {
            // In between whoever waits for the index gets it.
            (Ok(false), _) => Duration::from_micros(200),
            (_, Some(_)) => LOOK_EVERY,
            (_, None) => OPEN_EVERY,
        };
        *lock(&app.trouble) = result.err().map(|error| error.to_string());
        if sampled.is_none_or(|at| at.elapsed() >= SAMPLE_EVERY) {
            app.sample();
            sampled = Some(Instant::now());
        }
        drop(app);
        std::thread::sleep(pause);
    }
}

/// Reads a slice of the history; whether that was all.
fn go_on(app: &App, follower: &mut Option<Follower>) -> highwater::Result<bool> {
    let follower = match follower {
        Some(follower) => follower,
        None => follower.insert(Follower::new(app.log()?.clone())),
    };
    follower.follow(&mut app.index(), SLICE)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
