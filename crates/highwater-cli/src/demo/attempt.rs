//! One run of the demo's pipeline, as a process of its own, killed or not.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use highwater_connect::quantity::{count, plural};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::Moment;
use crate::failure::Failure;
use crate::terminal;

/// A run to be.
pub(super) struct Attempt<'a> {
    pub(super) number: u32,
    pub(super) pipeline: &'a Path,
    /// Not at all, if `None`.
    pub(super) kill_after: Option<Moment>,
}

/// How it ended.
pub(super) enum Ended {
    Killed,
    Complete,
}

/// A process that is killed when nobody looks after it any more.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Attempt<'_> {
    pub(super) fn run(&self) -> Result<Ended, Failure> {
        let program = std::env::current_exe().map_err(|e| Failure::io("finding this program", &e))?;
        let mut command = Command::new(program);
        command.arg("run").arg(self.pipeline).arg("--json").stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|e| Failure::io("starting a run", &e))?;
        let mut child = Guarded(child);
        let output = child.0.stdout.take().ok_or_else(|| Failure::error("a run has no output"))?;
        let screen = Screen::new(self.number);
        let mut seen = Seen::default();
        let mut is_killed = false;
        for line in BufReader::new(output).lines() {
            // The last line of a killed process may be torn.
            let Ok(event) =
                serde_json::from_str::<Value>(&line.map_err(|e| Failure::io("reading a run", &e))?)
            else {
                continue;
            };
            seen.take(&event);
            screen.show(&seen);
            if let Some(moment) = self.kill_after.filter(|moment| !is_killed && seen.is_at(moment)) {
                std::thread::sleep(moment.later);
                // One that has ended meanwhile can't be killed, which shows in how it ended.
                is_killed = child.0.kill().is_ok();
            }
        }
        let status = child.0.wait().map_err(|e| Failure::io("waiting for a run", &e))?;
        let ended = match (status.success(), is_killed) {
            (true, _) => Ended::Complete,
            (false, true) => Ended::Killed,
            (false, false) => return Err(Failure::error(format!("a run failed: {status}"))),
        };
        screen.finish(&seen, &ended);
        Ok(ended)
    }
}

/// What its events told.
#[derive(Default)]
struct Seen {
    recovery: String,
    read: u64,
    committed: u32,
    batches: u32,
    delivered: u64,
}

impl Seen {
    fn take(&mut self, event: &Value) {
        match event["event"].as_str() {
            Some("opened") => self.recovery = event["recovery"].as_str().unwrap_or_default().to_owned(),
            Some("progress") => {
                let streams = event["streams"].as_array().map_or(&[][..], Vec::as_slice);
                self.read = streams.iter().filter_map(|stream| stream["records"].as_u64()).sum();
            }
            Some("committed") => self.committed += 1,
            Some("delivered") => {
                self.batches += 1;
                self.delivered += event["records"].as_u64().unwrap_or_default();
            }
            _ => {}
        }
    }

    fn is_at(&self, moment: &Moment) -> bool {
        let times = if moment.event == "committed" { self.committed } else { self.batches };
        times >= moment.times
    }

    fn text(&self) -> String {
        format!(
            "{} read, {}, {} in SQLite",
            count(self.read),
            plural(u64::from(self.committed), "checkpoint"),
            count(self.delivered)
        )
    }
}

/// A line that moves on a terminal; elsewhere only what it comes to.
struct Screen {
    number: u32,
    bar: Option<ProgressBar>,
}

impl Screen {
    fn new(number: u32) -> Self {
        let bar = terminal::is_watched().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(20));
            if let Ok(style) = ProgressStyle::with_template("{prefix:<12} {spinner} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(format!("run {number}"));
            bar.enable_steady_tick(Duration::from_millis(80));
            bar
        });
        Screen { number, bar }
    }

    fn show(&self, seen: &Seen) {
        if let Some(bar) = &self.bar {
            bar.set_message(seen.text());
        }
    }

    fn finish(&self, seen: &Seen, ended: &Ended) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let ended = match ended {
            Ended::Killed => "killed",
            Ended::Complete => "ended well",
        };
        terminal::say(format!("{:<12} {ended}: {}", format!("run {}", self.number), seen.text()));
        if self.number > 1 && !seen.recovery.is_empty() {
            terminal::say(format!("             it had found: {}", seen.recovery));
        }
    }
}
