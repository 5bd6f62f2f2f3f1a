//! How a source or a destination fails: the kind says what the runtime does about it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use highwater::ErrorKind;

/// What the runtime does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// It may go away by itself: a network, a server that restarts. Tried again, with a growing wait.
    Transient,
    /// The other side asks to be left alone so long, at least. Tried again then.
    RateLimit {
        /// Not before this has passed.
        wait: Duration,
    },
    /// The same will happen again: a type that does not fit, a message that can't be understood.
    Permanent,
    /// Who we are is not accepted. A person has to look.
    Authentication,
    /// What we were told to do makes no sense to the other side. A person has to look.
    Config,
    /// The destination's position is not on this log's history, or its tables are not ours; or the source is not what was read up to the
    /// state. A person has to decide.
    Diverged,
    /// Something has changed that a person has to decide about before it goes on.
    Paused,
    /// The log is at its cap, and nothing frees space any more. A person has to make room.
    Full,
    /// Somebody asked us to stop.
    Cancelled,
}

impl FailureKind {
    /// Whether trying again, after a wait, may help.
    pub fn is_worth_a_retry(self) -> bool {
        matches!(self, FailureKind::Transient | FailureKind::RateLimit { .. })
    }

    /// Its name in lower case, as it stands in structured output.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Transient => "transient",
            FailureKind::RateLimit { .. } => "rate_limit",
            FailureKind::Permanent => "permanent",
            FailureKind::Authentication => "authentication",
            FailureKind::Config => "config",
            FailureKind::Diverged => "diverged",
            FailureKind::Paused => "paused",
            FailureKind::Full => "full",
            FailureKind::Cancelled => "cancelled",
        }
    }
}

/// The result of everything that talks to a source or a destination.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a source or a destination could not go on. Its message is for people, on one line. It may quote what the other side said, and
/// that the secrets it was given: [`Reporter::shown`](crate::event::Reporter::shown) hides them.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), source: None }
    }

    /// See [`FailureKind::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Transient, message)
    }

    /// See [`FailureKind::RateLimit`].
    pub fn rate_limit(wait: Duration, message: impl Into<String>) -> Self {
        Self::new(FailureKind::RateLimit { wait }, message)
    }

    /// See [`FailureKind::Permanent`].
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Permanent, message)
    }

    /// See [`FailureKind::Authentication`].
    pub fn authentication(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Authentication, message)
    }

    /// See [`FailureKind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Config, message)
    }

    /// See [`FailureKind::Diverged`].
    pub fn diverged(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Diverged, message)
    }

    /// See [`FailureKind::Paused`].
    pub fn paused(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Paused, message)
    }

    /// See [`FailureKind::Full`].
    pub fn full(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Full, message)
    }

    /// See [`FailureKind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(FailureKind::Cancelled, "stopped on request")
    }

    /// With the error that caused it, which is printed behind the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With what was being done in front of the message.
    #[must_use]
    pub fn while_doing(mut self, doing: impl fmt::Display) -> Self {
        self.message = match self.message.as_str() {
            "" => doing.to_string(),
            message => format!("{doing}: {message}"),
        };
        self
    }

    /// The kind.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The engine's error, where that caused it.
    pub fn log_error(&self) -> Option<&highwater::Error> {
        self.source.as_ref().and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) if self.message.is_empty() => write!(f, "{source}"),
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<highwater::Error> for Failure {
    fn from(error: highwater::Error) -> Self {
        // Whoever else fills the disk may make room on it again; a cap is of our own making.
        let is_at_cap = Error::source(&error).is_none();
        let kind = match error.kind() {
            ErrorKind::Diverged => FailureKind::Diverged,
            ErrorKind::Full if is_at_cap => FailureKind::Full,
            ErrorKind::Full | ErrorKind::Failed | ErrorKind::Io | ErrorKind::Timeout => {
                FailureKind::Transient
            }
            ErrorKind::StreamChanged | ErrorKind::Unsupported => FailureKind::Config,
            _ => FailureKind::Permanent,
        };
        Failure { kind, message: String::new(), source: Some(Box::new(error)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_on_one_line_with_its_cause() {
        let failure = Failure::transient("connecting").because(std::io::Error::other("refused"));
        assert_eq!(
            failure.while_doing("destination lake").to_string(),
            "destination lake: connecting: refused"
        );
        let bare = Failure { message: String::new(), ..Failure::permanent("") };
        let failure = bare.because(std::io::Error::other("refused")).while_doing("destination lake");
        assert_eq!(failure.to_string(), "destination lake: refused");
    }
}
