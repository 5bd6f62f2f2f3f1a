//! What a person sees while records come in: messages, and on a terminal a line that moves.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use highwater_connect::quantity::{bytes, count, plural, time};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::terminal;

/// Ten times a second is as fast as one reads.
const UPDATES_PER_S: u8 = 10;

/// Standard error during a run.
#[derive(Debug)]
pub(crate) struct Console {
    bar: Option<ProgressBar>,
    gauge: Arc<Gauge>,
    started: Instant,
}

/// What the moving line shows. It is drawn by a thread of its own, so that it moves while no record comes.
#[derive(Debug, Default)]
struct Gauge {
    records: AtomicU64,
    bytes: AtomicU64,
    checkpoints: AtomicU64,
    /// When the last checkpoint was made, in milliseconds since the start.
    last_ms: AtomicU64,
}

/// What is counted over all streams.
#[derive(Debug, Default, Clone)]
pub(crate) struct Totals {
    pub(crate) lines: u64,
    /// Of input.
    pub(crate) input_bytes: u64,
    pub(crate) records: u64,
    pub(crate) checkpoints: u64,
    /// Records in those checkpoints.
    pub(crate) committed: u64,
}

impl Console {
    pub(crate) fn start() -> Self {
        let gauge = Arc::new(Gauge::default());
        let started = Instant::now();
        let bar = terminal::is_watched().then(|| moving_line(gauge.clone(), started));
        Console { bar, gauge, started }
    }

    /// Takes new figures for the moving line. Called per read of the input, not per record.
    pub(crate) fn publish(&self, totals: &Totals) {
        self.gauge.records.store(totals.records, Ordering::Relaxed);
        self.gauge.bytes.store(totals.input_bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(totals.records);
        }
    }

    /// A checkpoint was made just now.
    pub(crate) fn committed(&self, totals: &Totals) {
        self.gauge.checkpoints.store(totals.checkpoints, Ordering::Relaxed);
        if self.bar.is_some() {
            let ms = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.gauge.last_ms.store(ms, Ordering::Relaxed);
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn say(&self, text: impl Display) {
        self.above_the_line(|| terminal::say(text));
    }

    pub(crate) fn note(&self, text: impl Display) {
        self.above_the_line(|| terminal::note(text));
    }

    pub(crate) fn warning(&self, text: impl Display) {
        self.above_the_line(|| terminal::warning(text));
    }

    fn above_the_line(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn moving_line(gauge: Arc<Gauge>, started: Instant) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(UPDATES_PER_S));
    let text = move |state: &ProgressState, out: &mut dyn Write| {
        // The line is left out if it can't be drawn.
        let _ = out.write_str(&gauge.text(state.per_sec(), started));
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {figures}") {
        bar.set_style(style.with_key("figures", text));
    }
    bar.enable_steady_tick(Duration::from_millis(1000 / u64::from(UPDATES_PER_S)));
    bar
}

impl Gauge {
    fn text(&self, records_per_s: f64, started: Instant) -> String {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let checkpoints = get(&self.checkpoints);
        let age = started.elapsed().saturating_sub(Duration::from_millis(get(&self.last_ms)));
        let last = if checkpoints > 0 { format!(", the last {} ago", time(age)) } else { String::new() };
        format!(
            "{} ({}/s), {}, {}{last}",
            plural(get(&self.records), "record"),
            count(records_per_s as u64),
            bytes(get(&self.bytes)),
            plural(checkpoints, "checkpoint"),
        )
    }
}
