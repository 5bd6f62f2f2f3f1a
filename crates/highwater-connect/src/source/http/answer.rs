//! What a sender is told.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::intake::Refusal;

/// When to come again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// So many records are durable.
    Stored(usize),
    /// It is no JSON, or not of the form that is taken.
    Malformed(String),
    TooLarge(usize),
    Unauthorised,
    /// To come again.
    Later(&'static str),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        Answer::Later(match refusal {
            Refusal::Stopping => "the pipeline stops",
            Refusal::Full => "the log has no room",
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Answer::Stored(count) => {
                return (StatusCode::OK, body(&json!({"stored": count}))).into_response();
            }
            Answer::Malformed(what) => (StatusCode::BAD_REQUEST, what),
            Answer::TooLarge(bytes) => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("a body of more than {bytes} bytes"))
            }
            Answer::Unauthorised => {
                (StatusCode::UNAUTHORIZED, "a bearer token is missing, or wrong".to_owned())
            }
            Answer::Later(why) => (StatusCode::SERVICE_UNAVAILABLE, why.to_owned()),
        };
        let mut response = (status, body(&json!({"error": text}))).into_response();
        let (name, value) = match status {
            StatusCode::SERVICE_UNAVAILABLE => (header::RETRY_AFTER, RETRY_AFTER),
            StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => return response,
        };
        response.headers_mut().insert(name, value);
        response
    }
}

fn body(value: &serde_json::Value) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n"))
}
