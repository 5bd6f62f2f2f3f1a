//! What a lookback does, in words: whoever waits for a sync should know what it reads again.

use std::time::Duration;

use highwater::Sequence;

use super::back::Back;
use crate::quantity;

/// So many streams are named in a line.
const NAMED_MAX: usize = 5;

/// Gathers who goes back to what.
#[derive(Debug)]
pub(super) struct Told {
    window: Duration,
    start: Sequence,
    older: Vec<String>,
    by_hand: Vec<String>,
    beginning: Vec<String>,
}

impl Told {
    /// The window takes in what is behind `start`.
    pub(super) fn new(window: Duration, start: Sequence) -> Self {
        Told { window, start, older: Vec::new(), by_hand: Vec::new(), beginning: Vec::new() }
    }

    pub(super) fn add(&mut self, whose: &str, back: Back<'_>) {
        match back {
            Back::Stays => {}
            Back::Older(_) => self.older.push(whose.to_owned()),
            Back::ByHand(_, sequence) => self.by_hand.push(format!("{whose} (checkpoint {sequence})")),
            Back::Beginning => self.beginning.push(whose.to_owned()),
        }
    }

    /// A line for each kind.
    pub(super) fn lines(&self) -> Vec<String> {
        let window = quantity::time(self.window);
        let mut lines = Vec::new();
        let mut line = |what: String, whose: &[String]| {
            if !whose.is_empty() {
                lines.push(format!("lookback of {window}: {what}: {}", some_of(whose)));
            }
        };
        line(
            format!("reads on from the states of checkpoint {}, the newest that is older", self.start),
            &self.older,
        );
        line(
            "reads on from the state that was set by hand inside it, and not from before that".to_owned(),
            &self.by_hand,
        );
        line("reads from the beginning, since no state is older".to_owned(), &self.beginning);
        lines
    }
}

fn some_of(all: &[String]) -> String {
    let mut named = all[..all.len().min(NAMED_MAX)].join(", ");
    if all.len() > NAMED_MAX {
        named.push_str(&format!(", and {} more", all.len() - NAMED_MAX));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_is_said_by_kind() {
        let mut told = Told::new(Duration::from_secs(3600), Sequence::new(7));
        assert_eq!(told.lines(), [""; 0]);
        told.add("same", Back::Stays);
        (0..7).for_each(|n| told.add(&format!("s{n}"), Back::Older("1")));
        told.add("imported", Back::ByHand("1", Sequence::new(9)));
        told.add("young", Back::Beginning);
        let lines = told.lines();
        assert!(
            lines[0].ends_with("of checkpoint 7, the newest that is older: s0, s1, s2, s3, s4, and 2 more")
        );
        assert!(lines[1].ends_with("from before that: imported (checkpoint 9)"), "{lines:?}");
        assert!(
            lines[2].starts_with("lookback of 60 min: ") && lines[2].ends_with("no state is older: young"),
            "{lines:?}"
        );
    }
}
