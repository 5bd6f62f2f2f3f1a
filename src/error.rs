//! One error type. Its kind says what the caller should do; its text says what, where, expected and found.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::position::Sequence;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and so what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Committed bytes are damaged. Stop, keep a copy of the directory, run `highwater verify`; [`repair`](crate::repair) tells what
    /// can be kept.
    Corrupt,
    /// The operating system refused a call. After a failed write or flush the log takes no more writes until it
    /// is opened again ([`ErrorKind::Failed`]).
    Io,
    /// An earlier write or flush failed, so this log takes no more writes: open it again.
    Failed,
    /// No room: on the disk, or under the configured `size_max`. Nothing is lost; make room (prune, acknowledge)
    /// and call again.
    Full,
    /// Another process writes this log.
    Locked,
    /// The log, stream, checkpoint or consumer does not exist.
    NotFound,
    /// The directory holds something else than a log.
    NotALog,
    /// An argument is out of its domain: correct the call.
    Invalid,
    /// Larger than a configured limit, in bytes unless the text says otherwise.
    TooLarge {
        /// The limit.
        limit: u64,
        /// What was asked for.
        actual: u64,
    },
    /// A stream's key is not the one it was registered with. Ask for the change, or use another stream.
    StreamChanged,
    /// Another living writer owns the stream.
    StreamBusy,
    /// Another reader, here or in another process, uses the consumer.
    ConsumerBusy,
    /// The checkpoints asked for were pruned, compacted, or lost to damage. They are gone from the log; start later, or at the
    /// compacted one, or refresh the stream.
    Gap {
        /// The first missing checkpoint.
        first: Sequence,
        /// The last missing checkpoint.
        last: Sequence,
    },
    /// The destination's position is not on this log's history: another log, ahead of it, or another checkpoint
    /// under the same number. A person has to decide.
    Diverged,
    /// Written by a newer version or with a codec that this build lacks, or on a file system that can't keep the promises.
    Unsupported,
    /// The log or its file system allows reading only.
    ReadOnly,
    /// Somebody committed since the log was looked at, so what was decided then may be wrong: look again.
    Outdated,
    /// The deadline passed.
    Timeout,
    /// The process was forked after the log was opened: only the process that opened it may use it.
    Forked,
}

impl ErrorKind {
    /// Its name in metrics and JSON: `corrupt`, `full` and so on. It stays as it is from release to release.
    pub fn name(&self) -> &'static str {
        match self {
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Io => "io",
            ErrorKind::Failed => "failed",
            ErrorKind::Full => "full",
            ErrorKind::Locked => "locked",
            ErrorKind::NotFound => "not_found",
            ErrorKind::NotALog => "not_a_log",
            ErrorKind::Invalid => "invalid",
            ErrorKind::TooLarge { .. } => "too_large",
            ErrorKind::StreamChanged => "stream_changed",
            ErrorKind::StreamBusy => "stream_busy",
            ErrorKind::ConsumerBusy => "consumer_busy",
            ErrorKind::Gap { .. } => "gap",
            ErrorKind::Diverged => "diverged",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::ReadOnly => "read_only",
            ErrorKind::Outdated => "outdated",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Forked => "forked",
        }
    }
}

/// The error of everything in this crate: cheap to clone, one line when printed.
#[derive(Clone)]
pub struct Error(Arc<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    what: String,
    file: Option<PathBuf>,
    byte: Option<u64>,
    source: Option<io::Error>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Error(Arc::new(Details { kind, what: what.into(), file: None, byte: None, source: None }))
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, what)
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, what)
    }

    pub(crate) fn too_large(what: impl fmt::Display, limit: u64, actual: u64) -> Self {
        Self::new(
            ErrorKind::TooLarge { limit, actual },
            format!("{what}: {actual} bytes, the limit is {limit}"),
        )
    }

    pub(crate) fn corrupt(file: impl Into<PathBuf>, byte: u64, what: impl Into<String>) -> Self {
        Error(Arc::new(Details {
            kind: ErrorKind::Corrupt,
            what: what.into(),
            file: Some(file.into()),
            byte: Some(byte),
            source: None,
        }))
    }

    /// What a newer version wrote, or another build.
    pub(crate) fn unsupported(file: impl Into<PathBuf>, byte: u64, what: impl Into<String>) -> Self {
        Error(Arc::new(Details {
            kind: ErrorKind::Unsupported,
            what: what.into(),
            file: Some(file.into()),
            byte: Some(byte),
            source: None,
        }))
    }

    /// An operating-system error: its kind tells a full disk, a missing file and a read-only place apart.
    pub(crate) fn io(doing: impl Into<String>, file: impl Into<PathBuf>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => ErrorKind::ReadOnly,
            _ => ErrorKind::Io,
        };
        Error(Arc::new(Details {
            kind,
            what: doing.into(),
            file: Some(file.into()),
            byte: None,
            source: Some(source),
        }))
    }

    /// The same error for a later caller, who meets a log that has latched it.
    pub(crate) fn latched(first: &Error) -> Self {
        Error(Arc::new(Details {
            kind: ErrorKind::Failed,
            what: format!(
                "an earlier write or flush failed, so nothing more is written until the log is opened again ({first})"
            ),
            file: first.file().map(Path::to_owned),
            byte: first.byte(),
            source: None,
        }))
    }

    /// What happened, without the file and the byte.
    pub(crate) fn what(&self) -> &str {
        &self.0.what
    }

    /// The kind.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The file concerned, relative to the log's directory unless it is the directory itself.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The byte in that file.
    pub fn byte(&self) -> Option<u64> {
        self.0.byte
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.0;
        match &d.kind {
            ErrorKind::Corrupt => f.write_str("damaged: ")?,
            ErrorKind::Full => f.write_str("no room: ")?,
            ErrorKind::Gap { first, last } if first == last => write!(f, "checkpoint {first} is gone: ")?,
            ErrorKind::Gap { first, last } => write!(f, "checkpoints {first} to {last} are gone: ")?,
            _ => {}
        }
        f.write_str(&d.what)?;
        if let Some(file) = &d.file {
            write!(f, ", file {}", file.display())?;
        }
        if let Some(byte) = d.byte {
            write!(f, " byte {byte}")?;
        }
        if let Some(source) = &d.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_where_and_why() {
        let e = Error::corrupt("00000003.hws", 4096, "header checksum: expected 00000001, found 00000002");
        assert_eq!(
            e.to_string(),
            "damaged: header checksum: expected 00000001, found 00000002, file 00000003.hws byte 4096"
        );
    }

    #[test]
    fn a_full_disk_is_its_own_kind() {
        let e = Error::io("writing", "x", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(*e.kind(), ErrorKind::Full);
        assert_eq!(*Error::latched(&e).kind(), ErrorKind::Failed);
    }
}
