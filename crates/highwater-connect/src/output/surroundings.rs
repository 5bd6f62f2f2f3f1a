//! What an output needs beside the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::event::Reporter;
use crate::pipeline::{CheckpointPolicy, LookbackPolicy, SchemaPolicy};
use crate::stop::Stop;

/// What an output needs beside the log.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// When checkpoints are made.
    pub policy: CheckpointPolicy,
    /// Who is told.
    pub reporter: Reporter,
    /// Who may ask to stop.
    pub stop: Stop,
    /// At the log's cap the source waits, rather than fail.
    pub waits_when_full: bool,
    /// The pipeline's destinations: somebody delivers to each of them, here or elsewhere.
    pub destinations: BTreeSet<String>,
    /// Those of them from which nothing is to be waited for.
    pub given_up: Arc<Mutex<BTreeSet<String>>>,
    /// Labels of every checkpoint: a run, fingerprints.
    pub labels: Vec<(String, String)>,
    /// What becomes of changed schemas.
    pub schema: SchemaPolicy,
    /// Fingerprints of the source's configuration, by its parts; none if they are not known.
    pub source: BTreeMap<String, String>,
    /// Every stream that the source has is read: none is chosen, so one that goes is the source's doing.
    pub reads_all: bool,
    /// How far before its end a sync begins.
    pub lookback: Option<LookbackPolicy>,
}
