//! An event as a line.

use std::fmt::Write;

use highwater_connect::event::Event;
use serde::Serialize;
use serde_json::Value;

use highwater_connect::quantity::timestamp;

use super::conclusion::Conclusion;
use super::tally::Totals;

/// The present, in microseconds since 1970.
fn now_us() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[derive(Serialize)]
struct Timed<'a> {
    version: u32,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// As a JSON object.
pub(super) fn json(event: &Event) -> String {
    let timed = Timed { version: 1, time: timestamp(now_us()), event };
    // An event has nothing that JSON can't say.
    serde_json::to_string(&timed).unwrap_or_default()
}

/// How it all ended, and what was done: the last JSON object of a run.
#[derive(Serialize)]
struct Ended<'a> {
    version: u32,
    time: String,
    event: &'static str,
    #[serde(flatten)]
    conclusion: &'a Conclusion,
    #[serde(flatten)]
    totals: &'a Totals<'a>,
}

pub(super) fn ended(totals: &Totals<'_>, conclusion: &Conclusion) -> String {
    let time = timestamp(now_us());
    let ended = Ended { version: 1, time, event: "ended", conclusion, totals };
    serde_json::to_string(&ended).unwrap_or_default()
}

/// As a line that people and `grep` read: time, event, and `key=value`.
pub(super) fn line(event: &Event) -> String {
    let mut text = timestamp(now_us());
    let Ok(Value::Object(fields)) = serde_json::to_value(event) else { return text };
    if let Some(Value::String(name)) = fields.get("event") {
        let _ = write!(text, " {name}");
    }
    for (name, value) in fields.iter().filter(|(name, _)| *name != "event") {
        let _ = match value {
            Value::String(word) if is_plain(word) => write!(text, " {name}={word}"),
            other => write!(text, " {name}={other}"),
        };
    }
    text
}

fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_.:/".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_fields() {
        let event = Event::Line { of: "source".to_owned(), text: "two words".to_owned() };
        let line = line(&event);
        assert!(line.ends_with(r#" line of=source text="two words""#), "{line}");
        let json: Value = serde_json::from_str(&json(&event)).unwrap();
        assert_eq!((&json["version"], &json["event"]), (&1.into(), &"line".into()));
    }
}
