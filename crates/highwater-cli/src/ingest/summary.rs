//! What a run did, for people.

use highwater_connect::airbyte::trace::Status;
use highwater_connect::quantity::{bytes, count, plural, time};
use highwater_connect::text::tame;

use super::airbyte::Session;
use super::console::{Console, Totals};
use super::streams::Entry;
use crate::output;
use crate::terminal;

/// So many streams are listed; a source may have a hundred thousand.
const LISTED_MAX: usize = 40;

/// `3 checkpoints with 1,200 records`, and how fast it went.
pub(super) fn totals(console: &Console, totals: &Totals) -> String {
    let elapsed = console.elapsed();
    let seconds = elapsed.as_secs_f64().max(1e-6);
    format!(
        "committed {} with {}; read {} ({}) in {}, {}/s",
        plural(totals.checkpoints, "checkpoint"),
        plural(totals.committed, "record"),
        plural(totals.lines, "line"),
        bytes(totals.input_bytes),
        time(elapsed),
        bytes((totals.input_bytes as f64 / seconds) as u64),
    )
}

impl Session<'_> {
    /// Prints the summary of an Airbyte run. `ended` is false if an error ended it before its input did.
    pub(super) fn summarize(&self, ended: bool) {
        terminal::say(format!(
            "{}; echoed {}",
            totals(self.console, &self.totals),
            plural(self.states, "state")
        ));
        self.list();
        self.say_oddities();
        self.say_uncommitted(ended);
        if ended && self.states == 0 && self.totals.records > 0 {
            terminal::note(
                "the source sent no STATE, so there is nothing to resume from: started again, it sends everything again",
            );
        }
    }

    fn list(&self) {
        let seen: Vec<&Entry> =
            self.streams.iter().filter(|entry| entry.stream.is_some() || entry.status.is_some()).collect();
        if seen.is_empty() {
            return;
        }
        let header = ["STREAM", "RECORDS", "DELETES", "BYTES", "STATES", "UNCOMMITTED", "STATUS"];
        let mut table = output::table(header, &[1, 2, 3, 4, 5]);
        for entry in seen.iter().take(LISTED_MAX) {
            table.add_row([
                tame(&entry.name.to_string()),
                count(entry.counts.records),
                count(entry.counts.deletes),
                bytes(entry.counts.bytes),
                count(entry.counts.states),
                count(self.uncommitted(entry)),
                entry.status.map_or("", Status::name).to_owned(),
            ]);
        }
        terminal::say(table.trim_fmt());
        if seen.len() > LISTED_MAX {
            terminal::say(format!("and {} more streams", count((seen.len() - LISTED_MAX) as u64)));
        }
    }

    fn uncommitted(&self, entry: &Entry) -> u64 {
        entry.stream.as_ref().map_or(0, |stream| self.writer.uncommitted(stream))
    }

    fn say_oddities(&self) {
        let odd = &self.oddities;
        if odd.noise > 0 {
            terminal::warning(format!("{} in the input are not messages", plural(odd.noise, "line")));
        }
        if odd.not_numbers > 0 {
            let lines = plural(odd.not_numbers, "line");
            terminal::warning(format!(
                "{lines} had NaN or Infinity, which are no JSON: null is kept for them"
            ));
        }
        if odd.miscounts > 0 {
            let zero = match odd.miscounts_zero {
                0 => String::new(),
                zero => format!(" ({} of them said 0, as some sources always do)", count(zero)),
            };
            terminal::warning(format!(
                "{} counted other records than arrived{zero}",
                plural(odd.miscounts, "STATE message")
            ));
        }
    }

    fn say_uncommitted(&self, ended: bool) {
        let left: Vec<(&Entry, u64)> = self
            .streams
            .iter()
            .map(|entry| (entry, self.uncommitted(entry)))
            .filter(|(_, n)| *n > 0)
            .collect();
        if left.is_empty() {
            return;
        }
        let total: u64 = left.iter().map(|(_, n)| n).sum();
        let named: Vec<String> = left
            .iter()
            .take(5)
            .map(|(e, n)| format!("{} {}", tame(&e.name.to_string()), count(*n)))
            .collect();
        let more = if left.len() > named.len() { ", ..." } else { "" };
        let why = if ended {
            "no STATE followed them, and the stream's COMPLETE did not come"
        } else {
            "the run did not reach their STATE"
        };
        terminal::warning(format!(
            "{} stay uncommitted and are dropped ({}{more}): {why}",
            plural(total, "record"),
            named.join(", "),
        ));
        if ended {
            terminal::hint(
                "start the source again with --state from `highwater state get`; or --assume-complete, if it came to its end",
            );
        }
    }
}
