//! How a command fails: an exit code, one line, and the next command to run where there is one.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use highwater::ErrorKind;
use highwater_connect::Pipeline;

use crate::terminal;

/// The exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Well = 0,
    Error = 1,
    Usage = 2,
    Damage = 3,
    TornTail = 4,
    Locked = 5,
    NotFound = 6,
    DiskFull = 7,
    /// A person has to decide before it can go on.
    Paused = 8,
    SourceFailed = 9,
    DestinationFailed = 10,
    /// It may go well the next time; a scheduler may try again.
    TryAgain = 75,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    /// Nothing is printed when it is empty.
    text: String,
    /// The next command; `LOG` in it stands for the log's path, `PIPELINE` for that of the pipeline file.
    hint: Option<Cow<'static, str>>,
    /// The log, where it is another than the one that the command works on.
    log: Option<PathBuf>,
}

impl Failure {
    fn new(code: Code, text: impl Into<String>) -> Self {
        Failure { code, text: text.into(), hint: None, log: None }
    }

    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self::new(Code::Error, text)
    }

    /// The command line asks for what can't be done.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Code::Usage, text)
    }

    /// What it says.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }

    pub(crate) fn is_usage(&self) -> bool {
        self.code == Code::Usage
    }

    /// Somebody writes the log.
    pub(crate) fn locked(text: impl Into<String>) -> Self {
        Self::new(Code::Locked, text).hint("end the process that holds it, or wait for its end")
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(Code::NotFound, text)
    }

    /// Found by looking for it; the copy of the directory is what a person needs first.
    pub(crate) fn damage(text: impl Into<String>) -> Self {
        Self::new(Code::Damage, text).hint("cp -a LOG LOG.copy")
    }

    /// With an exit code of its own.
    pub(crate) fn with_code(code: Code, text: impl Into<String>) -> Self {
        Self::new(code, text)
    }

    /// A file of the system, not of the log.
    pub(crate) fn io(doing: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(code_of_io(error), format!("{doing}: {error}"))
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Of this log, for the hint.
    #[must_use]
    pub(crate) fn of(mut self, log: &Path) -> Self {
        self.log = Some(log.to_owned());
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Says which line of the input it was.
    #[must_use]
    pub(crate) fn at_line(mut self, line: u64) -> Self {
        self.text = format!("line {line}: {}", self.text);
        self
    }

    /// What there is no room for goes into this directory, and not into the log.
    #[must_use]
    pub(crate) fn into_directory(self, directory: &Path) -> Self {
        match self.code {
            Code::DiskFull => self.hint("df -h LOG").of_log(directory),
            _ => self,
        }
    }

    /// It is about this log, and not about the one that the command works on.
    #[must_use]
    pub(crate) fn of_log(mut self, log: &Path) -> Self {
        self.log = Some(log.to_owned());
        self
    }

    /// Of a pipeline that could not begin, in these words.
    pub(crate) fn of_pipeline(failure: &highwater_connect::Failure, text: String) -> Self {
        use highwater_connect::FailureKind;
        if let Some(error) = failure.log_error() {
            return Failure::new(code_of_log(error.kind()), text).hinted(error.kind());
        }
        let code = match failure.kind() {
            FailureKind::Config => Code::Usage,
            FailureKind::Diverged | FailureKind::Paused => Code::Paused,
            FailureKind::Full => Code::DiskFull,
            FailureKind::Transient | FailureKind::RateLimit { .. } | FailureKind::Cancelled => Code::TryAgain,
            _ => Code::Error,
        };
        Failure::new(code, text)
    }

    fn hinted(self, kind: &ErrorKind) -> Self {
        match hint_of_log(kind) {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Prints it, with the next command for what this one worked on, and gives the exit code.
    pub(crate) fn report(&self, subject: Option<&Path>) -> Code {
        if !self.text.is_empty() {
            terminal::error(&self.text);
        }
        if let Some(hint) = &self.hint {
            let subject = subject.unwrap_or(Path::new("LOG"));
            let log = self.log.clone().unwrap_or_else(|| log_of(subject));
            terminal::hint(hint.replace("PIPELINE", &quoted(subject)).replace("LOG", &quoted(&log)));
        }
        self.code
    }
}

/// A log's directory, or that of the pipeline file that is meant.
fn log_of(subject: &Path) -> PathBuf {
    let pipeline = if subject.is_file() { Pipeline::open(subject).ok() } else { None };
    pipeline.map_or_else(|| subject.to_owned(), |pipeline| pipeline.log)
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn code_of_io(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull,
        io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Error,
    }
}

fn code_of_log(kind: &ErrorKind) -> Code {
    match kind {
        ErrorKind::Corrupt => Code::Damage,
        ErrorKind::Full => Code::DiskFull,
        ErrorKind::Locked | ErrorKind::ConsumerBusy => Code::Locked,
        ErrorKind::Diverged => Code::Paused,
        ErrorKind::NotFound | ErrorKind::Gap { .. } => Code::NotFound,
        _ => Code::Error,
    }
}

fn hint_of_log(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Corrupt => "cp -a LOG LOG.copy && highwater verify LOG",
        ErrorKind::Full => "highwater prune PIPELINE --dry-run",
        ErrorKind::Locked | ErrorKind::ConsumerBusy => "end the process that holds it, or wait for its end",
        ErrorKind::Diverged => "highwater consumer list LOG",
        ErrorKind::NotFound => "highwater checkpoints LOG --last 5",
        ErrorKind::Gap { .. } => "highwater checkpoints LOG    lists what is left",
        ErrorKind::NotALog => "ls -la LOG    (a log is a directory of its own)",
        ErrorKind::StreamChanged => "highwater info LOG, then another stream name, or --allow-key-change",
        ErrorKind::Unsupported => "highwater --version, and a newer release",
        ErrorKind::ReadOnly => "ls -ld LOG",
        _ => return None,
    })
}

impl From<highwater::Error> for Failure {
    fn from(error: highwater::Error) -> Self {
        let kind = error.kind();
        Failure::new(code_of_log(kind), error.to_string()).hinted(kind)
    }
}

/// Of a pipeline that could not begin.
impl From<highwater_connect::Failure> for Failure {
    fn from(failure: highwater_connect::Failure) -> Self {
        Self::of_pipeline(&failure, failure.to_string())
    }
}

/// Of writing to standard output: whoever closes it has seen enough, and that is no error.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Code::Well, ""),
            _ => Self::io("writing to standard output", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_hint_can_be_pasted() {
        assert_eq!(quoted(Path::new("/data/shop.hw")), "/data/shop.hw");
        assert_eq!(quoted(Path::new("my log's")), r"'my log'\''s'");
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_well() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.code, failure.text.as_str()), (Code::Well, ""));
    }
}
