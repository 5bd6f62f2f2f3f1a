//! Why there is no answer.

use highwater::ErrorKind;
use highwater_connect::text::tame;
use serde::Serialize;

/// A refusal, with the HTTP status that tells its kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refused {
    #[serde(skip)]
    pub status: u16,
    /// Its kind: those of the engine's errors, and `question`, `token`, `read_only`, `host`.
    pub kind: &'static str,
    pub text: String,
    /// The next command to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Refused {
    pub(crate) fn new(status: u16, kind: &'static str, text: impl Into<String>) -> Self {
        Refused { status, kind, text: text.into(), next: None }
    }

    /// The question is wrong.
    pub(crate) fn question(text: impl Into<String>) -> Self {
        Refused::new(400, "question", text)
    }

    /// The same, with what to run next where the log, whose path this is, can't be read.
    pub(crate) fn with_next(self, log: &str) -> Self {
        let next = match self.kind {
            "corrupt" => format!("cp -a {log} {log}.copy && highwater verify {log}"),
            "unsupported" => "highwater --version".to_owned(),
            "io" | "not_found" | "not_a_log" => format!("ls -la {log}"),
            _ => return self,
        };
        Refused { next: Some(next), ..self }
    }
}

impl From<highwater_connect::Failure> for Refused {
    fn from(failure: highwater_connect::Failure) -> Self {
        match failure.log_error() {
            Some(error) => error.clone().into(),
            None => Refused::new(500, "bookkeeping", tame(&failure.to_string())),
        }
    }
}

impl From<highwater::Error> for Refused {
    fn from(error: highwater::Error) -> Self {
        let kind = error.kind();
        let status = match kind {
            ErrorKind::NotFound | ErrorKind::Gap { .. } => 404,
            ErrorKind::Locked | ErrorKind::Outdated | ErrorKind::StreamBusy | ErrorKind::ConsumerBusy => 409,
            ErrorKind::Invalid | ErrorKind::TooLarge { .. } => 400,
            ErrorKind::Full => 507,
            _ => 500,
        };
        Refused::new(status, kind.name(), tame(&error.to_string()))
    }
}
