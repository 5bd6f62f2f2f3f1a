//! One measurement: it is all this process does, so that nobody's memory, threads or caches disturb the next.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::measure::{Figures, mib};
use crate::{process, workloads};

/// What a child tells its parent, on one line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Figures(BTreeMap<String, f64>),
    Failed(String),
}

pub(crate) fn run(job: &Job) -> Result<()> {
    let outcome = match measure(job) {
        Ok(figures) => Outcome::Figures(figures),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn measure(job: &Job) -> Result<Figures> {
    std::fs::create_dir_all(&job.dir)?;
    let mut figures = (workloads::find(job.workload)?.run)(job)?;
    figures.insert("peak_mib".into(), mib(process::peak_memory()));
    figures.retain(|_, figure| figure.is_finite()); // JSON knows no others
    Ok(figures)
}
