//! The suite that every destination runs, against a program that acknowledges in one way or another.

use highwater_connect::conformance::{self, Held};
use highwater_connect::{Destination, Stop};

use crate::world::{destination, lines};

struct Case {
    dir: tempfile::TempDir,
    protocol: &'static str,
    echo: &'static str,
}

impl conformance::Subject for Case {
    fn open(&mut self) -> Box<dyn Destination> {
        let config = format!("echo = '{}'", self.echo);
        destination(self.dir.path(), self.protocol, "", &config, &Stop::default())
    }

    fn held(&mut self) -> Vec<Held> {
        let rows = lines(&self.dir.path().join("held.jsonl")).into_iter();
        rows.map(|row| Held { stream: row["stream"].as_str().unwrap().to_owned(), row: row["data"].clone() })
            .collect()
    }

    /// It stores no position that can be asked for.
    fn may_repeat(&self) -> bool {
        true
    }
}

fn passes(protocol: &'static str, echo: &'static str) {
    let make = |_| Case { dir: tempfile::tempdir().unwrap(), protocol, echo };
    conformance::destination(make).unwrap();
}

#[test]
fn airbyte_states_come_back_at_once() {
    passes("airbyte", "each");
}

#[test]
fn airbyte_states_come_back_at_the_end_and_in_any_order() {
    passes("airbyte", "reverse");
}

#[test]
fn airbyte_states_come_back_without_their_envelope() {
    passes("airbyte", "bare");
}

#[test]
fn airbyte_gives_back_the_last_state_only() {
    passes("airbyte", "last");
}

#[test]
fn singer_states_come_back_at_once() {
    passes("singer", "each");
}

#[test]
fn singer_gives_back_the_last_state_at_its_end() {
    passes("singer", "last");
}
