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
/// What a source may be ahead in its pipe: sixteen times of what it gets unasked, and as much as anybody may ask for.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;
/// A process is gone, but something that it started still holds its output: so long it may go on. Then what is left of
/// the group is killed, which ends the output for all who belong to it.
const DRAIN: Duration = Duration::from_secs(2);
/// Whoever holds it then does not belong to the group.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// A process and the lines that it writes. Dropped, it is killed with all its children.
#[derive(Debug)]
pub struct Talk {
    running: Running,
    lines: Lines<Pump>,
    /// How long it was waited for in vain. What is done between two looks does not count: at the log's cap that may take
    /// hours, and the process is not to blame for it.
    silent: Duration,
    /// The same since the process was seen to be gone.
    silent_since_gone: Duration,
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
        // Wakes both sides less often. Where it is not allowed the usual size will do.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
        let lines = Lines::new(Pump::start(output, PATIENCE));
        let (silent, silent_since_gone) = (Duration::ZERO, Duration::ZERO);
        Ok(Talk { running, lines, silent, silent_since_gone, silence_timeout })
    }

    /// Waits a moment for a line. Fails if it was silent for too long, or sends a line without an end.
    pub fn listen(&mut self) -> Result<Heard<'_>> {
        if self.silent > self.silence_timeout {
            let time = crate::quantity::time(self.silence_timeout);
            return Err(Failure::transient(format!("it said nothing for {time} and was ended")));
        }
        let asked = Instant::now();
        match self.lines.next() {
            Ok(Some(line)) => {
                if line.fresh {
                    (self.silent, self.silent_since_gone) = (Duration::ZERO, Duration::ZERO);
                }
                Ok(Heard::Line(line))
            }
            Ok(None) => Ok(Heard::End),
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                let waited = asked.elapsed();
                self.silent += waited;
                loosen(&mut self.running, &mut self.silent_since_gone, waited)?;
                Ok(Heard::Nothing)
            }
            Err(e) => Err(Failure::permanent("reading its output").because(e)),
        }
    }

    /// Its silence until now means nothing: nobody waited for a word.
    pub fn excuse(&mut self) {
        self.silent = Duration::ZERO;
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

/// A process that is gone does not always end its output. Only the real end of it counts: by the clock alone, what is
/// still in the pipe would be lost, and a sync called complete that is not.
fn loosen(running: &mut Running, silent_since_gone: &mut Duration, waited: Duration) -> Result<()> {
    if running.wait(Duration::ZERO)?.is_none() {
        return Ok(());
    }
    *silent_since_gone += waited;
    if *silent_since_gone > DRAIN_MAX {
        let text = "it ended, but something that it started and that left its group holds its output";
        return Err(Failure::transient(text));
    }
    if *silent_since_gone > DRAIN {
        running.kill();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Reporter;
    use crate::process::Program;

    fn all_lines(script: &str) -> Result<Vec<String>> {
        let program =
            Program { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Program::default() };
        let running = program.start(&[], "source", false, &Reporter::silent())?;
        let mut talk = Talk::new(running, Duration::from_secs(60))?;
        let mut lines = Vec::new();
        loop {
            match talk.listen()? {
                Heard::Line(line) => lines.push(String::from_utf8_lossy(line.bytes).into_owned()),
                Heard::Nothing => {}
                Heard::End => return talk.conclude(Duration::from_secs(5))?.map_or(Ok(lines), Err),
            }
        }
    }

    #[test]
    fn what_comes_late_is_heard_and_a_child_does_not_hold_the_output_for_ever() {
        // Silent for longer than a gone process is waited for, then all at once.
        assert_eq!(all_lines("sleep 3; echo late").unwrap(), ["late"]);
        let begun = Instant::now();
        assert_eq!(all_lines("sleep 600 & echo said").unwrap(), ["said"]);
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_bad_end_is_told_with_the_last_words() {
        let failure = all_lines("echo why >&2; exit 4").unwrap_err();
        assert_eq!(failure.to_string(), "it ended with exit code 4; it said last: why");
    }
}
