//! Rows that are made up, the same each time: something to try a pipeline with.
//!
//! Three streams: `customers` by their key, `orders` by their key, each of which changes a few times, and `events` without one.

use std::time::{Duration, Instant};

use highwater::{Meta, Op, StreamName};
use serde::{Deserialize, Serialize};

use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};
use crate::output::{Handle, Output};
use crate::pipeline::Section;
use crate::source::{Offer, Source, State};
use crate::stop::Urgency;

/// How often a pause looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(20);

/// One of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who buys.
    Customers,
    /// What they buy. A record is an order as it is then: the last of each `id` counts.
    Orders,
    /// What they do.
    Events,
}

/// All streams.
pub const KINDS: [Kind; 3] = [Kind::Customers, Kind::Orders, Kind::Events];

const CUSTOMERS: &str = r#"{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"},"since":{"type":"string","format":"date"}}}"#;
const ORDERS: &str = r#"{"type":"object","properties":{"id":{"type":"integer"},"customer":{"type":"integer"},"status":{"type":"string"},"cents":{"type":"integer"},"lines":{"type":"array"}}}"#;
const EVENTS: &str = r#"{"type":"object","properties":{"n":{"type":"integer"},"customer":{"type":"integer"},"what":{"type":"string"}}}"#;
const FIRST_NAMES: [&str; 7] = ["Ada", "Bo", "Chloé", "Dmitri", "Ece", "Fatou", "Gil"];
const LAST_NAMES: [&str; 5] = ["Lima", "Moreau", "Ng", "Okafor", "Peña"];
const STATUSES: [&str; 4] = ["new", "paid", "sent", "delivered"];
const ACTIONS: [&str; 3] = ["looked", "searched", "bought"];

impl Kind {
    /// The stream's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Customers => "customers",
            Kind::Orders => "orders",
            Kind::Events => "events",
        }
    }

    /// How many records it has, where all together are about `rows`.
    pub fn records(self, rows: u64) -> u64 {
        match self {
            Kind::Customers => rows / 10,
            Kind::Orders => rows / 10 * 4,
            Kind::Events => rows / 10 * 5,
        }
    }

    /// Its key column, if it has one.
    pub fn key(self) -> Option<&'static str> {
        (self != Kind::Events).then_some("id")
    }

    /// Which row the record is: the last record of each counts.
    pub fn id(self, n: u64) -> u64 {
        // Four states of each order, spread over the whole stream.
        if self == Kind::Orders { n / 400 * 100 + n % 100 } else { n }
    }

    fn schema(self) -> &'static str {
        match self {
            Kind::Customers => CUSTOMERS,
            Kind::Orders => ORDERS,
            Kind::Events => EVENTS,
        }
    }

    /// The record of this number, as JSON.
    pub fn row(self, n: u64) -> String {
        let (id, luck) = (self.id(n), mixed(n));
        match self {
            Kind::Customers => {
                let (first, last) = (pick(&FIRST_NAMES, luck), pick(&LAST_NAMES, luck >> 8));
                let (year, month, day) = (2010 + luck % 15, 1 + (luck >> 16) % 12, 1 + (luck >> 24) % 28);
                format!(r#"{{"id":{id},"name":"{first} {last}","since":"{year}-{month:02}-{day:02}"}}"#)
            }
            Kind::Orders => {
                let status = STATUSES[(n / 100 % 4) as usize];
                let (customer, cents, item) = (mixed(id) % 1000, luck % 100_000, luck % 97);
                format!(
                    r#"{{"id":{id},"customer":{customer},"status":"{status}","cents":{cents},"lines":[{{"item":{item},"text":"3 \"fine\" things"}}]}}"#
                )
            }
            Kind::Events => {
                let (customer, what) = (luck % 1000, pick(&ACTIONS, luck >> 12));
                format!(r#"{{"n":{n},"customer":{customer},"what":"{what}"}}"#)
            }
        }
    }
}

fn pick<'a>(from: &[&'a str], luck: u64) -> &'a str {
    from[(luck % from.len() as u64) as usize]
}

/// Well mixed bits, the same for the same number (the finisher of SplitMix64).
fn mixed(n: u64) -> u64 {
    let mut bits = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A source of made-up rows. Pages of the streams take turns, with a state behind each.
#[derive(Debug, Clone)]
pub struct Sample {
    rows: u64,
    page: u64,
    pause: Duration,
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    next: u64,
}

impl Sample {
    /// About so many rows in all, so many in a page, with a pause behind each page.
    pub fn new(rows: u64, page: u64, pause: Duration) -> Self {
        Sample { rows, page: page.max(1), pause }
    }

    /// Takes its settings from a section, whose `type` is taken already.
    pub fn read_settings(mut section: Section<'_>) -> Result<Self> {
        let rows = section.count("rows")?.unwrap_or(20_000);
        let page = section.count("page")?.unwrap_or(100);
        let pause = section.time("pause")?.unwrap_or_default();
        section.finish()?;
        Ok(Sample::new(rows, page, pause))
    }

    fn page(&self, kind: Kind, handle: Handle, next: &mut u64, out: &mut Output<'_>) -> Result<()> {
        let end = kind.records(self.rows).min(*next + self.page);
        for n in *next..end {
            let row = kind.row(n);
            let key = format!("[{}]", kind.id(n));
            let op = match kind.key() {
                Some(_) => Op::Upsert { key: key.as_bytes(), row: row.as_bytes() },
                None => Op::Insert { key: b"", row: row.as_bytes() },
            };
            out.record(handle, op, Meta::default())?;
        }
        *next = end;
        let cursor = serde_json::to_string(&Cursor { next: *next });
        out.state(handle, &cursor.map_err(|e| Failure::permanent("a cursor").because(e))?)
    }

    /// Whether somebody asks to stop.
    fn rest(&self, out: &mut Output<'_>) -> Result<bool> {
        let begun = Instant::now();
        out.tick();
        while out.urgency() == Urgency::None && begun.elapsed() < self.pause {
            std::thread::sleep(PATIENCE.min(self.pause.saturating_sub(begun.elapsed())));
            out.idle()?;
        }
        Ok(out.urgency() > Urgency::None)
    }
}

impl Source for Sample {
    fn streams(&mut self) -> Result<Vec<Offer>> {
        let offer = |kind: Kind| {
            let mut definition =
                StreamDefinition::new(StreamName { namespace: None, name: kind.name().to_owned() });
            definition.key = kind.key().into_iter().map(|column| vec![column.to_owned()]).collect();
            definition.schema = Some(kind.schema().to_owned());
            Offer::onward(definition)
        };
        Ok(KINDS.map(offer).into())
    }

    fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()> {
        let mut streams = Vec::new();
        for kind in KINDS {
            let name = StreamName { namespace: None, name: kind.name().to_owned() };
            let next = match from.of(&name) {
                Some(text) => {
                    let cursor: Cursor = serde_json::from_str(text).map_err(|e| {
                        Failure::diverged(format!("it did not write the state of {name}")).because(e)
                    })?;
                    cursor.next
                }
                None => 0,
            };
            let handle = out.find(None, kind.name());
            let handle = handle.ok_or_else(|| Failure::permanent(format!("{name} was not announced")))?;
            streams.push((kind, handle, next));
        }
        while streams.iter().any(|(kind, _, next)| *next < kind.records(self.rows)) {
            for (kind, handle, next) in &mut streams {
                if *next < kind.records(self.rows) {
                    self.page(*kind, *handle, next, out)?;
                    if self.rest(out)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Overlap};

    #[test]
    fn the_suite_passes() {
        let dir = tempfile::tempdir().unwrap();
        let make = || -> Box<dyn Source> { Box::new(Sample::new(1000, 30, Duration::ZERO)) };
        conformance::source(dir.path(), Overlap::None, make).unwrap();
    }

    #[test]
    fn rows_are_json_and_orders_change() {
        for kind in KINDS {
            for n in [0, 99, 100, 399, 400, 12_345] {
                let row: serde_json::Value = serde_json::from_str(&kind.row(n)).unwrap();
                assert_eq!(row[kind.key().unwrap_or("n")], kind.id(n));
            }
        }
        assert_eq!((Kind::Orders.id(7), Kind::Orders.id(107), Kind::Orders.id(407)), (7, 7, 107));
        assert_ne!(Kind::Orders.row(7), Kind::Orders.row(107));
    }
}
