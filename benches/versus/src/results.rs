//! What a run gave, as it is written to JSON and read back to be drawn.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::engines::Kind;
use crate::measure::Spread;
use crate::workloads::{self, Better};

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    pub(crate) quick: bool,
    /// Of runs that were joined the least.
    pub(crate) rounds: usize,
    pub(crate) machine: Machine,
    pub(crate) tables: Vec<Table>,
}

impl Results {
    /// Several runs on one machine as one: the tables one after another, of each workload the last.
    pub(crate) fn join(runs: Vec<Results>) -> Result<Results> {
        let mut runs = runs.into_iter();
        let mut whole = runs.next().context("no results")?;
        for run in runs {
            ensure!(whole.machine.is_the_same_as(&run.machine), "these runs were made on different machines");
            whole.rounds = whole.rounds.min(run.rounds);
            whole.quick |= run.quick;
            whole.tables.retain(|table| run.tables.iter().all(|newer| newer.id != table.id));
            whole.tables.extend(run.tables);
        }
        let place = |table: &Table| workloads::all().iter().position(|workload| workload.id == table.id);
        whole.tables.sort_by_key(place);
        Ok(whole)
    }
}

/// Where it ran, and what memory can do there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) device: String,
    pub(crate) figures: BTreeMap<String, f64>,
}

impl Machine {
    fn is_the_same_as(&self, other: &Machine) -> bool {
        let key = |machine: &Machine| {
            let Machine { processor, kernel, file_system, device, .. } = machine;
            [processor, kernel, file_system, device].map(Clone::clone)
        };
        self.cores == other.cores && key(self) == key(other)
    }
}

/// One workload.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) headline: String,
    pub(crate) better: Better,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One contender in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) engine: String,
    pub(crate) kind: Kind,
    pub(crate) figures: BTreeMap<String, Spread>,
    /// As a tracer counted them.
    pub(crate) flushes_per_commit: Option<f64>,
    /// The headline divided by the best raw limit's, and by the best rival's.
    pub(crate) to_limit: Option<f64>,
    pub(crate) to_rival: Option<f64>,
    /// Why a round, or all of them, gave nothing.
    pub(crate) failed: Option<String>,
}

/// One flush for each commit of one thread; what a tracer cuts off at the edges is not held against anybody.
const FLUSHES_MIN: f64 = 0.95;

impl Row {
    /// Whether it is known to return from commits that were not flushed. Then its figures do not count.
    pub(crate) fn does_not_flush(&self, alone: bool) -> bool {
        alone && self.flushes_per_commit.is_some_and(|flushes| flushes < FLUSHES_MIN)
    }

    pub(crate) fn median(&self, figure: &str) -> Option<f64> {
        self.figures.get(figure).map(|spread| spread.median)
    }
}

impl Table {
    /// Whether one thread commits: several may share a flush.
    pub(crate) fn is_of_one_thread(&self) -> bool {
        !["W3x2", "W3x4", "W3x8", "W13-W3x8"].contains(&self.id.as_str())
    }

    /// Sets every row's ratios.
    pub(crate) fn compare(&mut self) {
        let (limit, rival) = (self.best(Kind::Limit), self.best(Kind::Rival));
        for row in &mut self.rows {
            let own = row.median(&self.headline);
            let ratio = |best: Option<f64>| Some(own? / best?);
            (row.to_limit, row.to_rival) = (ratio(limit), ratio(rival));
        }
    }

    fn best(&self, kind: Kind) -> Option<f64> {
        self.best_row(kind)?.median(&self.headline)
    }

    /// The best of a kind among those that count.
    pub(crate) fn best_row(&self, kind: Kind) -> Option<&Row> {
        let alone = self.is_of_one_thread();
        let rows = self.rows.iter().filter(|row| row.kind == kind && !row.does_not_flush(alone));
        let figures = rows.filter_map(|row| Some((row, row.median(&self.headline)?)));
        let by_figure = |one: &(&Row, f64), other: &(&Row, f64)| one.1.total_cmp(&other.1);
        let best = match self.better {
            Better::Lower => figures.min_by(by_figure),
            Better::Higher => figures.max_by(by_figure),
        };
        best.map(|(row, _)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(engine: &str, kind: Kind, p50: f64, flushes: Option<f64>) -> Row {
        let figures = BTreeMap::from([("p50_us".to_owned(), Spread { median: p50, least: p50, most: p50 })]);
        Row {
            engine: engine.into(),
            kind,
            figures,
            flushes_per_commit: flushes,
            to_limit: None,
            to_rival: None,
            failed: None,
        }
    }

    #[test]
    fn who_does_not_flush_is_nobodys_measure() {
        let mut table = Table {
            id: "W2".into(),
            title: String::new(),
            headline: "p50_us".into(),
            better: Better::Lower,
            columns: Vec::new(),
            rows: vec![
                row("highwater", Kind::Highwater, 50.0, Some(1.0)),
                row("raw", Kind::Limit, 40.0, Some(1.0)),
                row("honest", Kind::Rival, 100.0, Some(1.0)),
                row("quick", Kind::Rival, 10.0, Some(0.0)),
            ],
        };
        table.compare();
        assert_eq!(table.rows[0].to_limit, Some(1.25));
        assert_eq!(table.rows[0].to_rival, Some(0.5));
    }
}
