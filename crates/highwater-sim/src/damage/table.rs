//! Counts of what was noticed, as a table.

use std::collections::BTreeMap;
use std::fmt;

use super::sample::Place;
use super::{Ending, Outcome};
use crate::rot::Rot;

/// How a log was left, and whether it had been compacted.
type Left = (Ending, bool);

/// What became of damage, by how the log was left, where it struck and what it was.
#[derive(Debug, Default)]
pub struct DamageTable(BTreeMap<(Left, Place, &'static str), BTreeMap<Outcome, u64>>);

const OUTCOMES: [(Outcome, &str); 6] = [
    (Outcome::AtOpening, "at opening"),
    (Outcome::AtReading, "at reading"),
    (Outcome::Harmless, "harmless"),
    (Outcome::TakenForTear, "for a tear"),
    (Outcome::TakenForNothing, "for nothing"),
    (Outcome::SeveralLost, "several lost"),
];

impl DamageTable {
    pub(super) fn count(&mut self, left: Left, place: Place, rot: Rot, outcome: Outcome) {
        *self.0.entry((left, place, kind(rot))).or_default().entry(outcome).or_default() += 1;
    }

    /// How many pieces of damage were looked at.
    pub fn samples(&self) -> u64 {
        self.0.values().flat_map(BTreeMap::values).sum()
    }
}

fn kind(rot: Rot) -> &'static str {
    match rot {
        Rot::Flip { .. } => "flipped bit",
        Rot::Zero { .. } => "zeroed sector",
        Rot::Swap { .. } => "swapped sectors",
        Rot::Repeat { .. } => "misdirected sector",
        Rot::Stale { .. } => "stale sector",
        Rot::Truncate { .. } => "cut file",
        Rot::Remove => "removed file",
    }
}

impl fmt::Display for DamageTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<19} {:<8} {:<20} {:>9}", "left", "struck", "damage", "samples")?;
        for (_, name) in OUTCOMES {
            write!(f, " {name:>12}")?;
        }
        for (((ending, compacted), place, kind), outcomes) in &self.0 {
            let all: u64 = outcomes.values().sum();
            let left = format!("{ending:?}{}", if *compacted { ", compacted" } else { "" });
            write!(f, "\n{left:<19} {:<8} {kind:<20} {all:>9}", format!("{place:?}"))?;
            for (outcome, _) in OUTCOMES {
                write!(f, " {:>12}", outcomes.get(&outcome).copied().unwrap_or(0))?;
            }
        }
        Ok(())
    }
}
