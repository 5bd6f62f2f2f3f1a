//! Listening to a process, line by line, without ever waiting for good.

use std::io::ErrorKind;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{Running, describe};
use crate::failure::{Failure, Result};
use crate::lines::{Line, Lines};
use crate::pump::Pump;

/// How long one look for a line lasts.
const PATIENCE: Duration = Duration::from_millis(100);
/// A process is gone, but something that it started still holds its output: so long it may go on.
const DRAIN: Duration = Duration::from_secs(2);

/// A process and the lines that it writes. Dropped, it is killed with all its children.
#[derive(Debug)]
pub struct Talk {
    running: Running,
    lines: Lines<Pump>,
    /// How long it was waited for in vain. What is done between two looks does not count: at the log's cap that may take
    /// hours, and the process is not to blame for it.
    silent: Duration,
    silence_timeout: Duration,
}

/// What a look for a line found.
#[derive(Debug)]
pub enum Heard<'a> {
    /// A line.
    Line(Line<'a>),
    /// Nothing came for a moment: a chance to look around.
    Nothing,
    /// Nothing comes any more.
    End,
}

impl Talk {
    /// Listens to a process's standard output, which nobody has taken yet.
    pub fn new(mut running: Running, silence_timeout: Duration) -> Result<Self> {
        let output =
            running.output().ok_or_else(|| Failure::permanent("the process has no output to read"))?;
        let lines = Lines::new(Pump::start(output, PATIENCE));
        Ok(Talk { running, lines, silent: Duration::ZERO, silence_timeout })
    }

    /// Waits a moment for a line. Fails if it was silent for too long, or sends a line without an end.
    pub fn listen(&mut self) -> Result<Heard<'_>> {
        if self.silent > self.silence_timeout {
            let time = crate::quantity::time(self.silence_timeout);
            return Err(Failure::transient(format!("it said nothing for {time} and was ended")));
        }
        let is_gone = self.silent > DRAIN && self.running.wait(Duration::ZERO)?.is_some();
        let asked = Instant::now();
        match self.lines.next() {
            Ok(Some(line)) => {
                if line.fresh {
                    self.silent = Duration::ZERO;
                }
                Ok(Heard::Line(line))
            }
            Ok(None) => Ok(Heard::End),
            Err(e) if e.kind() == ErrorKind::TimedOut && is_gone => Ok(Heard::End),
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                self.silent += asked.elapsed();
                Ok(Heard::Nothing)
            }
            Err(e) => Err(Failure::permanent("reading its output").because(e)),
        }
    }

    /// After the end of its output: waits for its own, at most so long. `None` if it ended well, else how it ended.
    pub fn conclude(&mut self, patience: Duration) -> Result<Option<Failure>> {
        let status = self.running.wait(patience)?;
        if status.is_some_and(|status| status.success()) {
            return Ok(None);
        }
        Ok(Some(self.bad_end(status)))
    }

    fn bad_end(&mut self, status: Option<ExitStatus>) -> Failure {
        let how = status.map_or("closed its output and did not end".to_owned(), describe);
        let said = match self.running.last_words() {
            words if words.is_empty() => String::new(),
            words => format!("; it said last: {words}"),
        };
        Failure::transient(format!("it {how}{said}"))
    }

    /// Asks it to end, and makes it after `patience`.
    pub fn end(&mut self, patience: Duration) -> Result<()> {
        self.running.end(patience).map(drop)
    }
}
