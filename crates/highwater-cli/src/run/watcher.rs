//! What a person, or a program, sees of a run.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use highwater_connect::event::{Event, Observer};
use highwater_connect::quantity::{self, plural};
use highwater_connect::text::tame;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::conclusion::Conclusion;
use super::events;
use super::tally::Tally;
use crate::terminal;

/// Shows events: as JSON lines on standard output; or on a terminal as lines that move; or as a line each.
pub(crate) struct Watcher {
    json: bool,
    bar: Option<ProgressBar>,
    tally: Mutex<Tally>,
}

impl Watcher {
    pub(crate) fn start(json: bool) -> Self {
        let bar = (!json && terminal::is_watched()).then(moving_lines);
        Watcher { json, bar, tally: Mutex::default() }
    }

    /// Takes the moving lines away, and says what was done and how it ended.
    pub(crate) fn finish(&self, conclusion: &Conclusion) {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            terminal::say(tally.lines());
        }
        if !self.json {
            terminal::say(tally.summary());
        }
        drop(tally);
        self.conclude(conclusion);
    }

    /// How it ended, for programs: their last line. People are told by whoever ends the command.
    pub(crate) fn conclude(&self, conclusion: &Conclusion) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.json {
            let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            Self::print(&events::ended(&tally.totals(), conclusion));
        }
    }

    fn print(line: &str) {
        let mut out = std::io::stdout().lock();
        // Whoever closes it does not want to know; the pipeline goes on.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    fn on_terminal(bar: &ProgressBar, event: &Event) {
        bar.suspend(|| match event {
            Event::Opened { recovery, .. } => terminal::say(recovery),
            Event::Line { of, text } => terminal::say(format!("{of}: {text}")),
            Event::Warning { text } => terminal::warning(text),
            Event::Note { text } => terminal::note(text),
            Event::Failed { of, text, retry_ms, .. } => {
                let then = match retry_ms {
                    Some(ms) => format!("tried again in {}", time(*ms)),
                    None => "given up".to_owned(),
                };
                terminal::warning(format!("{of}: {text}; {then}"));
            }
            Event::SchemaChanged { stream, changes, taken, .. } => {
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                let then = if *taken { "" } else { " (the old one holds)" };
                let text = format!("stream {stream} has changed: {}{then}", changes.join("; "));
                terminal::note(tame(&text));
            }
            Event::StreamGone { stream } => terminal::warning(tame(&format!(
                "stream {stream} has a state and is not read any more: the source does not have it, or it is not chosen; its state \
                 and its records stay in the log; to forget the state: highwater state clear LOG --stream {stream}"
            ))),
            Event::SourceChanged { keys } => terminal::note(format!(
                "the source is configured in another way than when its states were written: {}",
                tame(&keys.join(", "))
            )),
            Event::CheckpointLate { records, bytes, waiting_ms } => terminal::warning(format!(
                "no checkpoint for {}, {} and {}: if the source fails now, it sends all that again",
                plural(*records, "record"),
                quantity::bytes(*bytes),
                time(*waiting_ms)
            )),
            Event::DeliveryLate { destination, acknowledged, lag_checkpoints, standing_ms, .. } => {
                terminal::warning(format!(
                    "{destination} has stood at checkpoint {acknowledged} for {}, and lacks {}",
                    time(*standing_ms),
                    plural(*lag_checkpoints, "checkpoint")
                ));
            }
            Event::DiskLow { room: "log", .. } => {
                terminal::warning(
                    "the log is at its cap: the source waits until a destination has taken more",
                );
            }
            Event::DiskLow { free_bytes, .. } => {
                terminal::warning(format!("the disk has {} left", quantity::bytes(*free_bytes)));
            }
            Event::CountsDiffer { of, said, arrived } => terminal::warning(format!(
                "the source's state of {of} counts {said} records, but {arrived} arrived"
            )),
            Event::BreakerOpened { destination, failures, cooldown_ms } => terminal::warning(format!(
                "{destination} has failed {failures} times in a row and is left alone for {}",
                time(*cooldown_ms)
            )),
            Event::BreakerClosed { destination } => terminal::note(format!("{destination} works again")),
            Event::Stopping => terminal::note("stopping at the next checkpoint; once more to stop at once"),
            _ => {}
        });
    }
}

impl Observer for Watcher {
    fn event(&self, event: Event) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.take(&event);
        if self.json {
            Self::print(&events::json(&event));
        } else if let Some(bar) = &self.bar {
            Self::on_terminal(bar, &event);
            bar.set_message(tally.lines());
            bar.set_position(tally.records());
        } else if !matches!(event, Event::Progress { .. }) {
            terminal::say(events::line(&event));
        }
    }
}

fn time(ms: u64) -> String {
    quantity::time(Duration::from_millis(ms))
}

fn moving_lines() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed}, {per_sec}, {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
