//! Running a connector: a process in a group of its own, which is always ended with all its children.

mod container;
mod cut;
mod leftover;
mod talk;

use std::borrow::Cow;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

pub use container::Container;
pub use leftover::{Leftovers, Mark};
pub use talk::{Heard, Talk};

use crate::event::Reporter;
use crate::failure::{Failure, Result};

/// A longer line of standard error is cut, in bytes.
const ERROR_LINE_BYTES_MAX: usize = 8 << 10;
/// So many last lines of standard error are told with a failure.
const LAST_LINES: usize = 3;
/// How often it is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A program with its arguments. Secrets belong into its environment or into files, not into its arguments.
#[derive(Clone, Default)]
pub struct Program {
    /// The program, then its first arguments.
    pub command: Vec<String>,
    /// Variables that it gets beside ours.
    pub environment: Vec<(String, String)>,
    /// Where it runs.
    pub directory: Option<PathBuf>,
    /// What the command only starts, and has to be ended with it.
    pub container: Option<Container>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment may hold secrets.
        f.debug_struct("Program").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Program {
    /// Its name, for messages.
    pub fn name(&self) -> &str {
        self.command.first().map_or("nothing", String::as_str)
    }

    /// Starts it with further arguments. Its standard error goes to `reporter`, line by line, as lines of `of`; its
    /// standard input is closed unless it `listens`.
    pub fn start(
        &self,
        arguments: &[String],
        of: &str,
        listens: bool,
        reporter: &Reporter,
    ) -> Result<Running> {
        let words = match &self.container {
            Some(container) => Cow::Owned(container.command(&self.command)?),
            None => Cow::Borrowed(self.command.as_slice()),
        };
        let Some((program, first)) = words.split_first() else {
            return Err(Failure::config("the command is empty"));
        };
        let mut command = Command::new(program);
        command.args(first).args(arguments).envs(self.environment.iter().cloned());
        // Otherwise acknowledgements and states wait in a buffer until the program ends.
        command.env("PYTHONUNBUFFERED", "1");
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(if listens { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        self.container.as_ref().map_or(Ok(()), Container::begin)?;
        let child = command.spawn().map_err(|e| not_started(program, e))?;
        Ok(Running::new(child, self.container.clone(), of, reporter.clone()))
    }
}

fn not_started(program: &str, error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound if !program.contains('/') => Failure::config(format!(
            "{program} can't be started: there is no such program in the directories of PATH"
        )),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
            Failure::config(format!("{program} can't be started")).because(error)
        }
        _ => Failure::transient(format!("{program} can't be started")).because(error),
    }
}

/// A process that runs. Dropped, it is killed with all its children.
#[derive(Debug)]
pub struct Running {
    child: Child,
    container: Option<Container>,
    group: Option<Pid>,
    errors: Option<JoinHandle<()>>,
    last_lines: Arc<Mutex<Vec<String>>>,
    status: Option<ExitStatus>,
}

impl Running {
    fn new(mut child: Child, container: Option<Container>, of: &str, reporter: Reporter) -> Self {
        let last_lines = Arc::new(Mutex::new(Vec::new()));
        let errors = child.stderr.take().map(|stderr| {
            let (of, last_lines) = (of.to_owned(), last_lines.clone());
            std::thread::spawn(move || tell_lines(stderr, &of, &reporter, &last_lines))
        });
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Running { child, container, group, errors, last_lines, status: None }
    }

    /// Its process number, which is its group's.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, once.
    pub fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard input, once.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for its end, at most so long.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if self.status.is_none() {
                self.status = self
                    .child
                    .try_wait()
                    .map_err(|e| Failure::transient("waiting for a process").because(e))?;
            }
            if self.status.is_some() || Instant::now() >= deadline {
                return Ok(self.status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks it to end (SIGTERM, to its whole group), waits at most `patience`, then kills what is left of the group.
    pub fn end(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        self.signal(Signal::TERM);
        let status = self.wait(patience)?;
        self.kill();
        Ok(status)
    }

    /// Kills it with all its children, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
        if let Some(container) = self.container.take() {
            container.end();
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that is gone can't be told anything, and need not be.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// What it wrote last to standard error, on one line; empty if it wrote nothing.
    pub fn last_words(&mut self) -> String {
        if self.status.is_some() {
            self.listen_to_the_end();
        }
        self.last_lines.lock().unwrap_or_else(PoisonError::into_inner).join(" | ")
    }

    fn listen_to_the_end(&mut self) {
        // A grandchild that left the group may hold the pipe: it is not waited for.
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.errors.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tell_lines(stderr: impl Read, of: &str, reporter: &Reporter, last: &Mutex<Vec<String>>) {
    cut::lines(stderr, ERROR_LINE_BYTES_MAX, |line| {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            return;
        }
        let shown = reporter.shown(&text);
        reporter.line(of, &text);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST_LINES {
            last.remove(0);
        }
        last.push(shown);
    });
}

/// How a process ended, in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests;
