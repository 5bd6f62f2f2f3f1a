//! What happens during a run, for whoever watches it.

use std::sync::Arc;

use highwater::{LogReader, Sequence, StreamName};
use serde::Serialize;

use crate::failure::Failure;
use crate::pipeline::Secrets;
use crate::schema::Change;
use crate::text::tame;

/// What failed where a run could not begin.
pub const PIPELINE: &str = "pipeline";

/// Something happened. As JSON it is an object whose `event` says what.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The log is open.
    Opened {
        /// The last checkpoint it holds.
        sequence: Sequence,
        /// What opening it found and did, in words.
        recovery: String,
    },
    /// The source is about to be read.
    Reading {
        /// Which sync, counted over the life of the log.
        sync: u64,
        /// Which attempt of this run, from 1.
        attempt: u32,
    },
    /// A line that a connector wrote for people.
    Line {
        /// `source`, or the destination's name.
        of: String,
        /// What it says.
        text: String,
    },
    /// Something is not as it should be, and does not stop the run.
    Warning {
        /// What.
        text: String,
    },
    /// Something that is good to know.
    Note {
        /// What.
        text: String,
    },
    /// Records were read. Comes now and then, not for each.
    Progress {
        /// The streams with what this run has read of them so far.
        streams: Vec<StreamProgress>,
    },
    /// A checkpoint is durable in the log.
    Committed {
        /// Its number.
        sequence: Sequence,
        /// Records in it.
        records: u64,
    },
    /// A batch is applied by a destination, and acknowledged.
    Delivered {
        /// The destination's name.
        destination: String,
        /// Its first checkpoint.
        first: Sequence,
        /// Its last checkpoint.
        last: Sequence,
        /// Records in it.
        records: u64,
        /// Records of it that the destination refused.
        rejected: u64,
        /// Whether that is all that it refused. A program that acknowledges without counting may have refused more.
        verified: bool,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A part failed.
    Failed {
        /// `source`, the destination's name, or [`PIPELINE`].
        of: String,
        /// The kind of the failure.
        kind: &'static str,
        /// Why.
        text: String,
        /// Attempts without progress, this one included.
        attempt: u32,
        /// After which wait it is tried again, in milliseconds; absent if it is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
    /// What the source says of a stream differs from what the log knows of it.
    SchemaChanged {
        /// The stream.
        stream: StreamName,
        /// What becomes of changes of its schema.
        policy: &'static str,
        /// What differs.
        changes: Vec<Change>,
        /// Whether something of it holds from now on.
        taken: bool,
    },
    /// The log has a state of a stream that is not read any more: the source no longer has it, or it is not chosen. Its state is not
    /// given to the source; it and the stream's records stay in the log.
    StreamGone {
        /// The stream.
        stream: StreamName,
    },
    /// The source is configured in another way than when its states were written.
    SourceChanged {
        /// Which parts of its configuration.
        keys: Vec<String>,
    },
    /// No checkpoint came for long, although records did: if the source fails now, it sends them again.
    CheckpointLate {
        /// Records without a checkpoint.
        records: u64,
        /// Their bytes.
        bytes: u64,
        /// Since the first of them, in milliseconds.
        waiting_ms: u64,
    },
    /// A destination has not moved for long, although there is something for it.
    DeliveryLate {
        /// Its name.
        destination: String,
        /// The last checkpoint that it has acknowledged.
        acknowledged: Sequence,
        /// Checkpoints that it lacks.
        lag_checkpoints: u64,
        /// About how many bytes of the log that is.
        lag_bytes: u64,
        /// For how long it has stood still, in milliseconds.
        standing_ms: u64,
    },
    /// There is little room left.
    DiskLow {
        /// `file_system`, or `log`: the most that the log may occupy.
        room: &'static str,
        /// What is left of it, in bytes.
        free_bytes: u64,
    },
    /// The source's own count of records is not what arrived.
    CountsDiffer {
        /// The stream, or `all streams`.
        of: String,
        /// What the source says.
        said: f64,
        /// What arrived.
        arrived: u64,
    },
    /// A destination fails again and again, and is left alone for a while.
    BreakerOpened {
        /// Its name.
        destination: String,
        /// Failures in a row.
        failures: u32,
        /// For how long, in milliseconds.
        cooldown_ms: u64,
    },
    /// A destination that was left alone works again.
    BreakerClosed {
        /// Its name.
        destination: String,
    },
    /// The source has sent everything, and all of it is in the log.
    SyncEnded {
        /// Which sync.
        sync: u64,
        /// Records that this run has committed.
        records: u64,
    },
    /// Somebody asked to stop.
    Stopping,
}

/// How much was read of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamProgress {
    /// The stream.
    pub stream: StreamName,
    /// Records read.
    pub records: u64,
    /// Of them, in a checkpoint.
    pub committed: u64,
}

/// Whoever watches a run. Called from several threads; it should not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);

    /// The log is open, for who wants to look into it: this comes once, before the first event of it.
    fn opened(&self, _log: &LogReader) {}
}

/// Passes events on, without secrets. Clones share it.
#[derive(Clone)]
pub struct Reporter {
    observer: Arc<dyn Observer>,
    secrets: Secrets,
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reporter(..)")
    }
}

impl Reporter {
    /// Hides `secrets` from `observer`.
    pub fn new(observer: Arc<dyn Observer>, secrets: Secrets) -> Self {
        Reporter { observer, secrets }
    }

    /// For who is not interested.
    pub fn silent() -> Self {
        struct Nobody;
        impl Observer for Nobody {
            fn event(&self, _: Event) {}
        }
        Reporter::new(Arc::new(Nobody), Secrets::default())
    }

    /// What may not be shown.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Text of others, on one line and without secrets.
    pub fn shown(&self, text: &str) -> String {
        // Hidden first: where a line is cut, half a secret would stay.
        tame(&self.secrets.hide(text))
    }

    /// An event without text of others in it.
    pub fn tell(&self, event: Event) {
        self.observer.event(event);
    }

    /// The log is open.
    pub fn opened(&self, log: &LogReader) {
        self.observer.opened(log);
    }

    /// A line that a connector wrote.
    pub fn line(&self, of: &str, text: &str) {
        self.tell(Event::Line { of: of.to_owned(), text: self.shown(text) });
    }

    /// Something is not as it should be.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.tell(Event::Warning { text: self.shown(text.as_ref()) });
    }

    /// Something that is good to know.
    pub fn note(&self, text: impl AsRef<str>) {
        self.tell(Event::Note { text: self.shown(text.as_ref()) });
    }

    /// A part failed; `retry_ms` if it is tried again.
    pub fn failed(&self, of: &str, failure: &Failure, attempt: u32, retry_ms: Option<u64>) {
        let text = self.shown(&failure.to_string());
        let kind = failure.kind().name();
        self.tell(Event::Failed { of: of.to_owned(), kind, text, attempt, retry_ms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Observer for Kept {
        fn event(&self, event: Event) {
            self.0.lock().unwrap().push(serde_json::to_string(&event).unwrap());
        }
    }

    #[test]
    fn no_event_shows_a_secret() {
        let kept = Arc::new(Kept::default());
        let secrets = Secrets::default();
        secrets.remember("hunter2".to_owned());
        let reporter = Reporter::new(kept.clone(), secrets);
        reporter.line("source", "password=hunter2");
        reporter.failed("source", &Failure::transient("no").because("hunter2 is wrong"), 1, Some(5));
        assert_eq!(
            *kept.0.lock().unwrap(),
            [
                r#"{"event":"line","of":"source","text":"password=***"}"#,
                r#"{"event":"failed","of":"source","kind":"transient","text":"no: *** is wrong","attempt":1,"retry_ms":5}"#
            ]
        );
    }
}
