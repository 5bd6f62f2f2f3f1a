//! What a run did so far, added up from its events.

use std::collections::BTreeMap;
use std::time::Instant;

use highwater::StreamName;
use highwater_connect::event::{Event, StreamProgress};
use highwater_connect::quantity::{count, plural};
use highwater_connect::text::tame;
use serde::Serialize;

/// So many streams are shown while it runs.
const SHOWN_MAX: usize = 8;

/// Sums by stream and by destination.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of attempts that have ended.
    before: BTreeMap<StreamName, Sums>,
    /// Of the present attempt.
    now: BTreeMap<StreamName, Sums>,
    destinations: BTreeMap<String, Delivered>,
    /// When the present attempt began.
    begun: Option<Instant>,
    /// The last checkpoint in the log.
    last: u64,
    checkpoints: u64,
    /// Records in them: told with each, and so right at every moment.
    committed: u64,
}

/// What was done, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Totals<'a> {
    checkpoints: u64,
    records: u64,
    streams: Vec<StreamTotals<'a>>,
    destinations: Vec<DestinationTotals<'a>>,
}

#[derive(Debug, Serialize)]
struct StreamTotals<'a> {
    stream: &'a StreamName,
    records: u64,
    committed: u64,
}

#[derive(Debug, Serialize)]
struct DestinationTotals<'a> {
    destination: &'a str,
    records: u64,
    rejected: u64,
    /// The last checkpoint that it has.
    last: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    records: u64,
    committed: u64,
}

#[derive(Debug, Default)]
struct Delivered {
    records: u64,
    rejected: u64,
    is_unverified: bool,
    last: u64,
}

impl Tally {
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Opened { sequence, .. } => self.last = sequence.get(),
            Event::Reading { .. } => {
                self.fold();
                self.begun = Some(Instant::now());
            }
            Event::Progress { streams } => self.progress(streams),
            Event::Committed { sequence, records } => {
                self.last = sequence.get();
                self.checkpoints += 1;
                self.committed += records;
            }
            Event::Delivered { destination, last, records, rejected, verified, .. } => {
                let delivered = self.destinations.entry(destination.clone()).or_default();
                delivered.records += records;
                delivered.rejected += rejected;
                delivered.is_unverified |= !verified;
                delivered.last = last.get();
                // The runtime's own checkpoints are told nowhere else.
                self.last = self.last.max(last.get());
            }
            _ => {}
        }
    }

    /// Another attempt counts from zero; what the one before has not committed is read again.
    fn fold(&mut self) {
        for (name, sums) in std::mem::take(&mut self.now) {
            let before = self.before.entry(name).or_default();
            before.records += sums.committed;
            before.committed += sums.committed;
        }
    }

    fn progress(&mut self, streams: &[StreamProgress]) {
        for stream in streams {
            let sums = Sums { records: stream.records, committed: stream.committed };
            self.now.insert(stream.stream.clone(), sums);
        }
    }

    fn streams(&self) -> BTreeMap<&StreamName, Sums> {
        let mut all: BTreeMap<&StreamName, Sums> = BTreeMap::new();
        for (name, sums) in self.before.iter().chain(&self.now) {
            let entry = all.entry(name).or_default();
            entry.records += sums.records;
            entry.committed += sums.committed;
        }
        all
    }

    pub(super) fn records(&self) -> u64 {
        self.streams().values().map(|sums| sums.records).sum()
    }

    /// Lines for a terminal.
    pub(super) fn lines(&self) -> String {
        let streams = self.streams();
        let mut lines = vec![format!("checkpoint {} in the log", count(self.last))];
        for (name, sums) in streams.iter().take(SHOWN_MAX) {
            lines.push(format!(
                "  {}: {}, {} committed{}",
                tame(&name.to_string()),
                plural(sums.records, "record"),
                count(sums.committed),
                self.rate(name)
            ));
        }
        if streams.len() > SHOWN_MAX {
            lines.push(format!("  and {} more streams", streams.len() - SHOWN_MAX));
        }
        for (name, delivered) in &self.destinations {
            lines.push(format!(
                "  -> {name}: up to checkpoint {}, {}{}",
                count(delivered.last),
                plural(delivered.records, "record"),
                lag(self.last.saturating_sub(delivered.last))
            ));
        }
        lines.join("\n")
    }

    /// How fast the present attempt reads a stream.
    fn rate(&self, stream: &StreamName) -> String {
        let seconds = self.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        match self.now.get(stream) {
            Some(sums) if seconds >= 0.5 => format!(", {}/s", count((sums.records as f64 / seconds) as u64)),
            _ => String::new(),
        }
    }

    pub(super) fn totals(&self) -> Totals<'_> {
        let streams = self.streams().into_iter();
        let destinations = self.destinations.iter();
        Totals {
            checkpoints: self.checkpoints,
            records: self.committed,
            streams: streams
                .map(|(stream, Sums { records, committed })| StreamTotals { stream, records, committed })
                .collect(),
            destinations: destinations
                .map(|(destination, delivered)| DestinationTotals {
                    destination,
                    records: delivered.records,
                    rejected: delivered.rejected,
                    last: delivered.last,
                })
                .collect(),
        }
    }

    /// One line when it is over. Where no source was read, nothing is said of one.
    pub(super) fn summary(&self) -> String {
        let mut parts = Vec::new();
        if self.begun.is_some() || self.checkpoints > 0 {
            let checkpoints = plural(self.checkpoints, "checkpoint");
            parts.push(format!("committed {checkpoints} with {}", plural(self.committed, "record")));
        }
        for (name, delivered) in &self.destinations {
            let mut text = format!("{name} got {}", plural(delivered.records, "record"));
            if delivered.rejected > 0 {
                text.push_str(&format!(" and refused {}", count(delivered.rejected)));
                // One that only counts them has none there.
                text.push_str(" (highwater dead-letters list tells which, where it said so)");
            }
            if delivered.is_unverified {
                text.push_str(" (unverified: it does not count what it refuses)");
            }
            parts.push(text);
        }
        if parts.is_empty() { "nothing was delivered".to_owned() } else { parts.join("; ") }
    }
}

fn lag(checkpoints: u64) -> String {
    if checkpoints == 0 { String::new() } else { format!(", {} behind", plural(checkpoints, "checkpoint")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::Sequence;

    #[test]
    fn attempts_are_added_up_by_what_they_committed() {
        let mut tally = Tally::default();
        let stream = StreamName { namespace: None, name: "s".to_owned() };
        for (records, committed) in [(10, 6), (4, 4)] {
            tally.take(&Event::Reading { sync: 1, attempt: 1 });
            tally.take(&Event::Committed { sequence: Sequence::new(committed), records: committed });
            let stream = stream.clone();
            tally.take(&Event::Progress { streams: vec![StreamProgress { stream, records, committed }] });
        }
        assert_eq!(tally.records(), 10);
        assert_eq!(tally.summary(), "committed 2 checkpoints with 10 records");
    }

    #[test]
    fn a_delivery_alone_says_nothing_of_a_source() {
        let mut tally = Tally::default();
        assert_eq!(tally.summary(), "nothing was delivered");
        let (first, last) = (highwater::Sequence::FIRST, highwater::Sequence::new(3));
        let destination = "lake".to_owned();
        tally.take(&Event::Delivered {
            destination,
            first,
            last,
            records: 30,
            rejected: 0,
            verified: true,
            took_ms: 1,
        });
        assert_eq!(tally.summary(), "lake got 30 records");
    }
}
