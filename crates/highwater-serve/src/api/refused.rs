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
}

impl Refused {
    /// The question is wrong.
    pub(crate) fn question(text: impl Into<String>) -> Self {
        Refused { status: 400, kind: "question", text: text.into() }
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
        Refused { status, kind: kind.name(), text: tame(&error.to_string()) }
    }
}
