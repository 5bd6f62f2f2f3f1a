//! Runs the command for one alert.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::event::{Event, Reporter};
use crate::failure::{Failure, Result};
use crate::files;
use crate::pipeline::{AlertKind, AlertPolicy, Pipeline};
use crate::process::{Heard, Leftovers, Program, Talk};
use crate::quantity::timestamp;
use crate::runs;

/// A longer event is left out, in bytes: a pipe takes so much without anybody reading it.
const EVENT_BYTES_MAX: usize = 32 << 10;
/// So long a command may go on when it is asked to end.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Something that somebody wants to know.
#[derive(Debug)]
pub(super) struct Alert {
    kind: AlertKind,
    time_us: i64,
    event: Event,
}

impl Alert {
    pub(super) fn new(kind: AlertKind, event: Event) -> Self {
        Alert { kind, time_us: runs::now_us(), event }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    version: u32,
    time: String,
    alert: &'static str,
    pipeline: &'a str,
    log: &'a PathBuf,
    /// `None` where it would be too long.
    event: Option<&'a Event>,
}

pub(super) struct Sender {
    program: Program,
    timeout: Duration,
    pipeline: String,
    log: PathBuf,
    work: PathBuf,
    reporter: Reporter,
    is_over: Arc<AtomicBool>,
}

impl Sender {
    pub(super) fn new(
        policy: &AlertPolicy,
        pipeline: &Pipeline,
        reporter: Reporter,
        is_over: Arc<AtomicBool>,
    ) -> Self {
        let program = Program {
            command: policy.command.clone(),
            environment: policy.environment.clone(),
            directory: Some(pipeline.variables().base().to_owned()),
            container: None,
        };
        let (name, log) = (pipeline.name.clone(), pipeline.log.clone());
        let (timeout, work) = (policy.timeout, pipeline.work.clone());
        Sender { program, timeout, pipeline: name, log, work, reporter, is_over }
    }

    /// Runs the command. What goes wrong is told, and no more: the pipeline is not worse for it.
    pub(super) fn send(&self, alert: &Alert) {
        if self.is_over() {
            let text = format!("alert {} was not sent: the run is over", alert.kind.name());
            return self.reporter.warning(text);
        }
        if let Err(failure) = self.try_send(alert) {
            self.reporter.warning(format!("alert {} was not sent: {failure}", alert.kind.name()));
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn text(&self, alert: &Alert) -> Result<Vec<u8>> {
        let message = |event| {
            let message = Message {
                version: 1,
                time: timestamp(alert.time_us),
                alert: alert.kind.name(),
                pipeline: &self.pipeline,
                log: &self.log,
                event,
            };
            serde_json::to_vec(&message).map_err(|e| Failure::permanent("writing it").because(e))
        };
        let mut text = message(Some(&alert.event))?;
        if text.len() > EVENT_BYTES_MAX {
            text = message(None)?;
        }
        text.push(b'\n');
        Ok(text)
    }

    fn try_send(&self, alert: &Alert) -> Result<()> {
        let text = self.text(alert)?;
        let begun = Instant::now();
        let mut running = self.program.start(&[], "alert", true, &self.reporter)?;
        let made = files::make_private_directory(&self.work);
        made.map_err(|e| Failure::transient("its directory").because(e))?;
        let _mark = Leftovers::new(&self.work).mark("alert", running.id())?;
        if let Some(mut input) = running.input() {
            // A command that does not want to know more has closed it.
            let _ = input.write_all(&text);
        }
        let mut talk = Talk::new(running, self.timeout)?;
        loop {
            match talk.listen()? {
                Heard::Line(line) => {
                    self.reporter.line("alert", &String::from_utf8_lossy(line.bytes));
                }
                Heard::Nothing => {}
                Heard::End => break,
            }
            if begun.elapsed() > self.timeout || self.is_over() {
                talk.end(END_PATIENCE)?;
                return Err(Failure::transient("the command took too long and was ended"));
            }
        }
        let left = self.timeout.saturating_sub(begun.elapsed());
        talk.conclude(left)?.map_or(Ok(()), Err)
    }
}
