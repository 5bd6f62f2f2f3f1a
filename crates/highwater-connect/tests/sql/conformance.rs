//! The suite that every destination runs.

use highwater_connect::Destination;
use highwater_connect::conformance::{self, Held};
use highwater_connect::destination::sql::{Mode, Settings};
use serde_json::json;

use crate::modes::find_table;
use crate::subject::Subject;

/// A delivery of its own, which is as good as a database of its own.
struct Case<'a> {
    subject: &'a dyn Subject,
    name: String,
}

impl conformance::Subject for Case<'_> {
    fn open(&mut self) -> Box<dyn Destination> {
        self.subject.open(Settings::new(&self.name).mode(Mode::Append))
    }

    fn held(&mut self) -> Vec<Held> {
        let mut held = Vec::new();
        for stream in ["keyed", "plain"] {
            let Some(table) = find_table(self.subject, &self.name, stream) else { continue };
            for row in self.subject.dump(&table) {
                let id: u64 = row["id"].as_ref().unwrap().parse().unwrap();
                held.push(Held { stream: stream.to_owned(), row: json!({"id": id, "text": row["text"]}) });
            }
        }
        held
    }

    fn lose(&mut self) -> bool {
        self.subject.lose();
        true
    }

    fn refused(&self) -> Option<&'static [u8]> {
        Some(b"no JSON")
    }
}

pub(crate) fn the_suite_passes(subject: &dyn Subject) {
    conformance::destination(|number| Case { subject, name: format!("case {number}") }).unwrap();
}
