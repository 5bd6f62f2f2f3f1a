//! What connectors send beside records and states.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::{Descriptor, Milliseconds, Text};
use crate::failure::Failure;
use crate::text::tame;

/// How far a source says it is with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has begun, or goes on.
    Running,
    /// It has sent everything.
    Complete,
    /// It has given up.
    Incomplete,
}

impl Status {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Complete => "complete",
            Status::Incomplete => "incomplete",
        }
    }
}

/// The content of a TRACE message.
#[derive(Debug)]
pub enum Trace<'a> {
    /// How far a stream is; and, where a rate limit holds it up, until when.
    Status(Descriptor<'a>, Status, Option<Milliseconds>),
    /// The source's error: the attempt fails.
    Error(ErrorTrace),
    /// Anything else, for people.
    Text(String),
}

/// A connector's error. Without the internal message and the stack trace: they are long, and may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorTrace {
    /// For people, on one line.
    pub message: String,
    /// `system_error`, `config_error`, `transient_error`.
    pub failure_type: Option<String>,
    /// The stream that failed, where it is one.
    pub stream: Option<String>,
}

impl fmt::Display for ErrorTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.failure_type.as_deref().unwrap_or("no type");
        write!(f, "the source's error ({kind}): {}", self.message)?;
        self.stream.as_ref().map_or(Ok(()), |stream| write!(f, " (stream {stream})"))
    }
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
    // Some form that is not known must not hide the status.
    #[serde(borrow)]
    reasons: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Reason {
    rate_limited: Option<RateLimited>,
}

#[derive(Deserialize)]
struct RateLimited {
    quota_reset: Option<Milliseconds>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    failure_type: Option<Text<'a>>,
    #[serde(borrow)]
    stream_descriptor: Option<Descriptor<'a>>,
}

impl<'a> Trace<'a> {
    /// Reads the content of a TRACE.
    pub fn parse(raw: Option<&'a RawValue>) -> Self {
        let Some(body) = raw.and_then(|raw| serde_json::from_str::<TraceBody<'_>>(raw.get()).ok()) else {
            return Trace::Text("TRACE of a form that is not known".to_owned());
        };
        if let Some(status) = body.stream_status {
            let of = match &*status.status {
                "COMPLETE" => Status::Complete,
                "INCOMPLETE" => Status::Incomplete,
                _ => Status::Running,
            };
            return Trace::Status(status.stream_descriptor, of, quota_reset(status.reasons));
        }
        match body.error {
            Some(error) => Trace::Error(ErrorTrace {
                message: tame(error.message.as_deref().unwrap_or("no message")),
                failure_type: error.failure_type.map(|text| tame(&text)),
                stream: error.stream_descriptor.map(|stream| tame(&stream.name)),
            }),
            None => Trace::Text(format!("TRACE {}", tame(&body.kind))),
        }
    }
}

fn quota_reset(reasons: Option<&RawValue>) -> Option<Milliseconds> {
    let reasons: Vec<Reason> = serde_json::from_str(reasons?.get()).ok()?;
    reasons.into_iter().find_map(|reason| reason.rate_limited?.quota_reset)
}

/// A LOG message on one line.
pub fn log_text(raw: Option<&RawValue>) -> String {
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

/// What the runtime does about a connector's error.
pub(crate) fn failure_of(error: &ErrorTrace) -> Failure {
    let message = match &error.stream {
        Some(stream) => format!("{} (stream {stream})", error.message),
        None => error.message.clone(),
    };
    match error.failure_type.as_deref() {
        Some("config_error") => Failure::config(message),
        // A system error is the connector's own mistake, or something it had not thought of: the platform tries again, too.
        _ => Failure::transient(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Trace<'_> {
        Trace::parse(Some(serde_json::from_str(text).unwrap()))
    }

    #[test]
    fn an_error_is_told_with_its_type_and_without_its_stack() {
        let text = r#"{"type":"ERROR","error":{"message":"bad\ntoken","internal_message":"secret","stack_trace":"secret","failure_type":"config_error","stream_descriptor":{"name":"s"}}}"#;
        let Trace::Error(error) = parsed(text) else { panic!() };
        assert_eq!(error.to_string(), r"the source's error (config_error): bad\ntoken (stream s)");
    }

    #[test]
    fn a_rate_limit_says_until_when() {
        let status = |reasons: &str| {
            format!(
                r#"{{"type":"STREAM_STATUS","stream_status":{{"stream_descriptor":{{"name":"s"}},"status":"RUNNING"{reasons}}}}}"#
            )
        };
        let limited = status(r#","reasons":[{"type":"RATE_LIMITED","rate_limited":{"quota_reset":1700}}]"#);
        let Trace::Status(_, Status::Running, Some(until)) = parsed(&limited) else { panic!() };
        assert_eq!(until.as_us(), 1_700_000);
        for other in ["", r#","reasons":[{"type":"NEW"}]"#, r#","reasons":{"x":1}"#, r#","reasons":null"#] {
            assert!(matches!(parsed(&status(other)), Trace::Status(_, Status::Running, None)), "{other}");
        }
    }
}
