//! What a destination says: states that come back, errors, and lines for people.

use std::sync::Arc;

use highwater::{Position, StreamName};
use serde::Deserialize;

use super::POSITION;
use crate::airbyte::Connector;
use crate::airbyte::message::{self, Message};
use crate::airbyte::trace::{self, Trace};
use crate::destination::program::{Ears, Said};
use crate::failure::Result;
use crate::names::Names;

/// So many oddities are told.
const TOLD_MAX: u32 = 5;

/// A state that came back.
#[derive(Debug, PartialEq)]
struct Echo {
    stream: StreamName,
    position: Position,
    /// How many records were refused; `None` if it does not count.
    refused: Option<u64>,
}

/// With its envelope or without it, and with what else destinations put beside: some lose fields, and some add them.
#[derive(Deserialize)]
struct Body {
    stream: Option<StreamBody>,
    #[serde(rename = "destinationStats")]
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct StreamBody {
    stream_descriptor: StreamName,
    stream_state: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(rename = "rejectedRecordCount")]
    rejected: Option<f64>,
}

impl Echo {
    /// `None` if it is no state of ours.
    fn parse(state: &str) -> Option<Echo> {
        let body: Body = serde_json::from_str(state).ok()?;
        let stream = body.stream?;
        let position = stream.stream_state?.get(POSITION)?.as_str()?.parse().ok()?;
        // Whoever counts may leave out what is nothing.
        let refused = body.stats.map(|stats| stats.rejected.unwrap_or(0.0) as u64);
        Some(Echo { stream: stream.stream_descriptor, position, refused })
    }
}

/// Understands a destination's lines.
pub(super) struct Listener {
    connector: Arc<Connector>,
    /// By lane.
    names: Names,
    told: u32,
}

impl Listener {
    pub(super) fn new<'a>(connector: Arc<Connector>, streams: impl Iterator<Item = &'a StreamName>) -> Self {
        let mut names = Names::default();
        for stream in streams {
            names.find_or_add(stream.namespace.as_deref(), &stream.name);
        }
        Listener { connector, names, told: 0 }
    }

    fn state(&mut self, state: &str, said: &Said<'_>) {
        let Some(echo) = Echo::parse(state) else {
            return self.warn("it gave back a state that it was not sent".to_owned());
        };
        let StreamName { namespace, name } = &echo.stream;
        // Null, absent and empty are not always kept apart.
        let lane = self.names.find(namespace.as_deref(), name).or_else(|| match namespace.as_deref() {
            None => self.names.find(Some(""), name),
            Some("") => self.names.find(None, name),
            Some(_) => None,
        });
        if !lane.is_some_and(|lane| said.echo(lane, echo.position)) {
            return self.warn(format!("it gave back a state of stream {} that it was not sent", echo.stream));
        }
        said.refused(echo.refused);
        if let Some(count @ 1..) = echo.refused {
            self.warn(format!("it says that it refused {count} records of stream {}", echo.stream));
        }
    }

    fn warn(&mut self, what: String) {
        self.told += 1;
        if self.told <= TOLD_MAX {
            self.connector.reporter().warning(format!("{}: {what}", self.connector.of()));
        }
    }

    fn message(&mut self, line: &[u8], message: &Message<'_>, said: &Said<'_>) -> Result<()> {
        let (of, reporter) = (self.connector.of(), self.connector.reporter());
        match &*message.kind {
            "STATE" => {
                if let Some(state) = message.state {
                    self.state(state.get(), said);
                }
            }
            "LOG" => reporter.line(of, &trace::log_text(message.log)),
            "TRACE" => {
                if let Trace::Error(error) = Trace::parse(message.trace) {
                    let failure = trace::failure_of(&error);
                    reporter.line(of, &format!("error: {failure}"));
                    said.failure(failure);
                }
            }
            "CONTROL" => self.connector.control(message.control)?,
            _ => self.other(line, said),
        }
        Ok(())
    }

    /// A state may come without its envelope. What else is no message is for people.
    fn other(&mut self, line: &[u8], said: &Said<'_>) {
        match std::str::from_utf8(line) {
            Ok(text) if Echo::parse(text).is_some() => self.state(text, said),
            _ => self.connector.noise(line),
        }
    }
}

impl Ears for Listener {
    fn line(&mut self, line: &[u8], said: &Said<'_>) -> Result<()> {
        match message::parse(line) {
            Ok(message) => self.message(line, &message, said),
            Err(_) => {
                self.other(line, said);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "0190a5c0-0000-7000-8000-000000000001/7/0190a5c0-0000-7000-8000-000000000002";

    #[test]
    fn a_state_is_known_again_in_whatever_form_it_comes_back() {
        let descriptor = r#"{"name":"s","namespace":null}"#;
        for state in [
            format!(
                r#"{{"type":"STREAM","stream":{{"stream_descriptor":{descriptor},"stream_state":{{"highwater":"{AT}"}}}}}}"#
            ),
            format!(
                r#"{{"stream":{{"stream_state":{{"highwater":"{AT}","shared":1}},"stream_descriptor":{descriptor}}},"global_":null,"data":null,"destinationStats":{{"recordCount":3.0}}}}"#
            ),
        ] {
            let echo = Echo::parse(&state).unwrap();
            assert_eq!((echo.stream.name.as_str(), echo.stream.namespace.as_deref()), ("s", None));
            assert_eq!(echo.position.to_string(), AT);
            assert_eq!(echo.refused, state.contains("destinationStats").then_some(0));
        }
    }

    #[test]
    fn what_is_no_state_of_ours_is_none() {
        let state = |inner: &str| {
            format!(
                r#"{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"s"}},"stream_state":{inner}}}}}"#
            )
        };
        for inner in ["null", "{}", "7", r#"{"highwater":7}"#, r#"{"highwater":"x/7/y"}"#] {
            assert_eq!(Echo::parse(&state(inner)), None, "{inner}");
        }
        // A line that only tells of a state is none.
        let told = format!(r#"{{"level":"INFO","message":"state {}"}}"#, state("{}").replace('"', "'"));
        assert_eq!(Echo::parse(&told), None);
    }
}
