//! What sources send beside records and states.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::{Descriptor, Text};
use crate::terminal::tame;

/// How far a source says it is with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Complete,
    Incomplete,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Complete => "complete",
            Status::Incomplete => "incomplete",
        }
    }
}

/// The content of a TRACE message.
#[derive(Debug)]
pub(crate) enum Trace<'a> {
    Status(Descriptor<'a>, Status),
    /// Anything else, for people.
    Text(String),
}

#[derive(Deserialize)]
struct TraceBody<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    stream_status: Option<StatusBody<'a>>,
    #[serde(borrow)]
    error: Option<ErrorBody<'a>>,
}

#[derive(Deserialize)]
struct StatusBody<'a> {
    #[serde(borrow)]
    stream_descriptor: Descriptor<'a>,
    #[serde(borrow)]
    status: Text<'a>,
}

/// Without the internal message and the stack trace: they are long, and may hold secrets.
#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    failure_type: Option<Text<'a>>,
}

impl<'a> Trace<'a> {
    pub(crate) fn parse(raw: Option<&'a RawValue>) -> Self {
        let Some(body) = raw.and_then(|raw| serde_json::from_str::<TraceBody<'_>>(raw.get()).ok()) else {
            return Trace::Text("TRACE of a form that is not known".to_owned());
        };
        if let Some(status) = body.stream_status {
            let of = match &*status.status {
                "COMPLETE" => Status::Complete,
                "INCOMPLETE" => Status::Incomplete,
                _ => Status::Running,
            };
            return Trace::Status(status.stream_descriptor, of);
        }
        if let Some(error) = body.error {
            let message = error.message.as_deref().unwrap_or("no message").to_owned();
            let failure = error.failure_type.as_deref().unwrap_or("no type").to_owned();
            return Trace::Text(format!("the source's error ({}): {}", tame(&failure), tame(&message)));
        }
        Trace::Text(format!("TRACE {}", tame(&body.kind)))
    }
}

/// A LOG message on one line.
pub(crate) fn log_text(raw: Option<&RawValue>) -> String {
    #[derive(Deserialize)]
    struct LogBody<'a> {
        #[serde(borrow)]
        level: Option<Text<'a>>,
        #[serde(borrow)]
        message: Option<Text<'a>>,
    }
    let body = raw.and_then(|raw| serde_json::from_str::<LogBody<'_>>(raw.get()).ok());
    let (level, message) = body.map_or((None, None), |body| (body.level, body.message));
    format!("{} {}", tame(level.as_deref().unwrap_or("LOG")), tame(message.as_deref().unwrap_or_default()))
}

/// Any other message, by its type only: what is in a CONTROL message is a secret.
pub(crate) fn other_text(kind: &str) -> String {
    match kind {
        "CONTROL" => {
            "the source sent a new configuration (CONTROL); it is not kept here, since it may hold secrets"
                .to_owned()
        }
        _ => format!("{} message, of no use here", tame(kind)),
    }
}
