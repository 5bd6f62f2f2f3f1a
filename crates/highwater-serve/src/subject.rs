//! What is watched: a log alone, or the log of a pipeline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::Retention;
use highwater_connect::rules::Rules;
use highwater_connect::{Pipeline, Result};

/// A log, and what is known about it beside what is in it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The log's directory.
    pub log: PathBuf,
    /// The pipeline it belongs to, where that is known.
    pub pipeline: Option<Known>,
}

/// What a pipeline file tells about its log.
#[derive(Debug, Clone)]
pub struct Known {
    /// The file.
    pub file: PathBuf,
    /// The pipeline's name.
    pub name: String,
    /// Where a run leaves what it has measured.
    pub work: PathBuf,
    /// The most that the log may occupy, in bytes.
    pub max_size: Option<u64>,
    /// What is kept although everybody has it.
    pub retention: Retention,
    /// A running source without a checkpoint for so long is late.
    pub late_after: Duration,
    /// What its destinations make of records that come twice. `None`: one of them is described wrong, which is not the page's to say.
    pub rules: Option<Rules>,
    /// The destinations.
    pub destinations: Vec<String>,
}

/// Without a pipeline file: as its default.
const LATE_AFTER: Duration = Duration::from_secs(30 * 60);

impl Subject {
    /// A log's directory, or a pipeline file.
    pub fn open(path: &Path) -> Result<Subject> {
        if path.is_dir() {
            return Ok(Subject { log: absolute(path), pipeline: None });
        }
        Ok(Self::of_pipeline(path, &Pipeline::open(path)?))
    }

    /// The log of a pipeline that was read from `file`.
    pub fn of_pipeline(file: &Path, pipeline: &Pipeline) -> Subject {
        let known = Known {
            file: file.to_owned(),
            name: pipeline.name.clone(),
            work: pipeline.work.clone(),
            max_size: pipeline.storage.max_size,
            retention: pipeline.storage.retain,
            late_after: pipeline.checkpoint.warn_after_time,
            rules: Rules::of(pipeline).ok(),
            destinations: pipeline.destination_names().map(str::to_owned).collect(),
        };
        Subject { log: absolute(&pipeline.log), pipeline: Some(known) }
    }

    /// What is said about the log's destinations: by the pipeline's file, or by what its last run has written down.
    pub(crate) fn rules(&self) -> Option<Rules> {
        let known = self.pipeline.as_ref().and_then(|known| known.rules.clone());
        known.or_else(|| Rules::beside(&self.log).ok().flatten())
    }

    /// What stays in the log although everybody has it. Of a log alone it is what its pipeline's last run has written down, or else the
    /// last checkpoint.
    pub fn retention(&self) -> Retention {
        let beside = || Rules::beside(&self.log).ok().flatten().map(|rules| rules.retention());
        self.pipeline.as_ref().map_or_else(|| beside().unwrap_or_default(), |known| known.retention)
    }

    /// A running source without a checkpoint for so long is late.
    pub fn late_after(&self) -> Duration {
        self.pipeline.as_ref().map_or(LATE_AFTER, |known| known.late_after)
    }

    /// What people call it.
    pub fn name(&self) -> String {
        match &self.pipeline {
            Some(known) => known.name.clone(),
            None => self.log.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        }
    }

    /// What a command line calls it.
    pub fn argument(&self) -> String {
        self.pipeline.as_ref().map_or(&self.log, |known| &known.file).display().to_string()
    }

    /// What every metric bears.
    pub(crate) fn labels(&self) -> Vec<(&'static str, String)> {
        let log = [("log", self.log.display().to_string())];
        let pipeline = self.pipeline.iter().map(|known| ("pipeline", known.name.clone()));
        log.into_iter().chain(pipeline).collect()
    }
}

/// The directory as it is written on every metric, wherever the process was started.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Free bytes of the file system that the log lies on, for who is not its superuser, and all of them.
pub fn disk(log: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(log).ok()?;
    Some((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
}
