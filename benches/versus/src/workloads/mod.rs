//! The workloads, one file each.

mod commits;
mod w1;
mod w10;
mod w11;
mod w12;
mod w13;
mod w2;
mod w3;
mod w4;
mod w5;
mod w6;
mod w7;
mod w8;
mod w9;

use anyhow::{Context, Result};

use crate::engines::Contender;
use crate::job::Job;
use crate::measure::Figures;

pub(crate) use w5::fill_and_wait;
pub(crate) use w11::follow;

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// Work that every contender that can does in the same way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// The figure that is compared.
    pub(crate) headline: &'static str,
    pub(crate) better: Better,
    /// The figures in the table, the headline among them.
    pub(crate) columns: &'static [&'static str],
    pub(crate) takes: fn(&Contender) -> bool,
    pub(crate) run: fn(&Job) -> Result<Figures>,
    /// Whether the flushes per commit are counted for it.
    pub(crate) counted: bool,
    /// Whether it only runs when it is asked for by name.
    pub(crate) on_request: bool,
}

/// All of them, in the order of the report.
pub(crate) fn all() -> Vec<Workload> {
    let mut all = vec![w1::STEADY, w1::GROWING, w2::STEADY];
    all.extend(w3::ALL);
    all.extend(w4::ALL);
    all.extend(w5::ALL);
    all.extend(w6::ALL);
    all.extend(w7::ALL);
    all.extend([w8::PRUNE, w9::STATES, w10::COMPACT]);
    all.extend(w11::ALL);
    all.push(w12::INGEST);
    all.extend(w13::ALL);
    all
}

/// The one with this id.
pub(crate) fn find(id: &str) -> Result<Workload> {
    let found = all().into_iter().find(|workload| workload.id == id);
    found.with_context(|| format!("there is no workload {id:?}"))
}
