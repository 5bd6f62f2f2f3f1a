//! What a target says: states that come back, and lines for people.

use std::sync::Arc;

use highwater::Position;
use serde_json::Value;

use super::{LANE, POSITION};
use crate::airbyte::Connector;
use crate::destination::program::{Ears, Said};
use crate::failure::Result;

/// So many oddities are told.
const TOLD_MAX: u32 = 5;

/// Understands a target's lines.
pub(super) struct Listener {
    connector: Arc<Connector>,
    told: u32,
}

impl Listener {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Listener { connector, told: 0 }
    }
}

impl Ears for Listener {
    fn line(&mut self, line: &[u8], said: &Said<'_>) -> Result<()> {
        match position(line) {
            // No target counts.
            Some(position) if said.echo(LANE, position) => said.refused(None),
            Some(position) => {
                self.told += 1;
                if self.told <= TOLD_MAX {
                    let text = format!(
                        "{}: it gave back a state that it was not sent: {position}",
                        self.connector.of()
                    );
                    self.connector.reporter().warning(text);
                }
            }
            None => self.connector.noise(line),
        }
        Ok(())
    }
}

/// Targets write the bare value of a state; some the whole message.
fn position(line: &[u8]) -> Option<Position> {
    let state: Value = serde_json::from_slice(line.trim_ascii().strip_prefix(b"{").map(|_| line)?).ok()?;
    let value = if state["type"] == "STATE" { &state["value"] } else { &state };
    value.get(POSITION)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_known_again() {
        let at = "0190a5c0-0000-7000-8000-000000000001/7/0190a5c0-0000-7000-8000-000000000002";
        for line in [
            format!(r#"{{"highwater": "{at}"}}"#),
            format!(r#" {{"bookmarks":{{}},"highwater":"{at}"}} "#),
            format!(r#"{{"type":"STATE","value":{{"highwater":"{at}"}}}}"#),
        ] {
            assert_eq!(position(line.as_bytes()).unwrap().to_string(), at, "{line}");
        }
        for line in ["", "{}", "INFO {\"highwater\":1}", "{\"highwater\":1}", "[1]", "{\"highwater\":\"no\"}"]
        {
            assert_eq!(position(line.as_bytes()), None, "{line}");
        }
    }
}
