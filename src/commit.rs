//! What a commit covers: built by the caller, checked here.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::Durability;
use crate::error::{Error, Result};
use crate::format::commit::ADMINISTRATIVE;
use crate::journal::{CommitRequest, Journal};
use crate::position::StreamId;
use crate::streams::Stream;

/// Labels of a checkpoint, all together, in bytes.
const LABELS_BYTES_MAX: usize = 64 << 10;

/// What one checkpoint covers: some streams with their states, or all streams of the writer.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # use highwater::{Commit, Config, Durability, Log, Op, StreamSpec};
/// # let (log, _) = Log::open(dir.path(), Config::default())?;
/// # let orders = log.stream(StreamSpec::new("orders"))?;
/// # let mut writer = log.writer(&[&orders])?;
/// writer.append(&orders, Op::Insert { key: b"", row: b"{}" })?;
/// let commit = Commit::new()
///     .stream(&orders, &serde_json::json!({"page": 2})) // its records and its cursor, together
///     .label("run", "42");
/// assert_eq!(writer.commit(commit)?.records, 1);
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a commit does nothing until Writer::commit takes it"]
pub struct Commit {
    streams: Vec<StreamId>,
    /// The first of them; and the first that belongs to another log than that.
    first: Option<Stream>,
    foreign: Option<Stream>,
    all: bool,
    /// One for each: the last word counts.
    states: BTreeMap<StreamId, StateInput>,
    labels: Vec<(String, String)>,
    durability: Durability,
    flags: u32,
}

/// A state as it was given; errors wait for the call that can return them.
#[derive(Debug)]
enum StateInput {
    Set(Result<String>),
    Clear,
}

/// Which streams a commit covers.
pub(crate) enum Cover {
    All,
    Named(Vec<StreamId>),
}

impl Commit {
    /// Covers nothing yet. Committed so, it is an empty checkpoint, and an error if records of its writer wait for a commit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Covers a stream and sets its state, written as JSON.
    pub fn stream(self, stream: &Stream, state: &impl Serialize) -> Self {
        self.state(stream, StateInput::Set(to_text(state)))
    }

    /// Covers a stream and sets its state to exactly this JSON text.
    pub fn stream_text(self, stream: &Stream, state: impl Into<String>) -> Self {
        self.state(stream, StateInput::Set(Ok(state.into())))
    }

    /// Covers a stream's records; its state stays.
    pub fn records(mut self, stream: &Stream) -> Self {
        self.name(stream);
        self
    }

    /// Covers a stream and removes its state.
    pub fn clear(self, stream: &Stream) -> Self {
        self.state(stream, StateInput::Clear)
    }

    /// Covers all streams of the writer.
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    /// Covers all streams of the writer and sets the global state, written as JSON.
    pub fn global(self, state: &impl Serialize) -> Self {
        self.global_state(StateInput::Set(to_text(state)))
    }

    /// Covers all streams of the writer and sets the global state to exactly this JSON text.
    pub fn global_text(self, state: impl Into<String>) -> Self {
        self.global_state(StateInput::Set(Ok(state.into())))
    }

    /// Covers all streams of the writer and removes the global state.
    pub fn clear_global(self) -> Self {
        self.global_state(StateInput::Clear)
    }

    /// Adds a label: a run, a configuration's fingerprint. 64 KiB in all.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// When the commit returns. Default: [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Somebody's work by hand, not a pipeline's.
    pub(crate) fn administrative(mut self) -> Self {
        self.flags |= ADMINISTRATIVE;
        self
    }

    fn name(&mut self, stream: &Stream) {
        self.streams.push(stream.id());
        let first = self.first.get_or_insert_with(|| stream.clone());
        if first.log() != stream.log() {
            self.foreign.get_or_insert_with(|| stream.clone());
        }
    }

    fn state(mut self, stream: &Stream, state: StateInput) -> Self {
        self.name(stream);
        self.states.insert(stream.id(), state);
        self
    }

    fn global_state(mut self, state: StateInput) -> Self {
        self.states.insert(StreamId::GLOBAL, state);
        self.all()
    }

    pub(crate) fn into_request(self, journal: &Journal) -> Result<(Cover, CommitRequest)> {
        let mut logs = self.first.iter().chain(&self.foreign);
        logs.try_for_each(|stream| stream.check_log(journal.log()))?;
        let limit = journal.config.state_bytes_max;
        let mut states = Vec::with_capacity(self.states.len());
        for (stream, state) in self.states {
            let text = match state {
                StateInput::Clear => None,
                StateInput::Set(text) => Some(check_state(text?, limit)?),
            };
            states.push((stream, text));
        }
        let labels: usize = self.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        if labels > LABELS_BYTES_MAX {
            return Err(Error::too_large(
                "the labels of a checkpoint",
                LABELS_BYTES_MAX as u64,
                labels as u64,
            ));
        }
        let request = CommitRequest {
            states,
            labels: self.labels,
            durability: self.durability,
            flags: self.flags,
            ..CommitRequest::default()
        };
        Ok((if self.all { Cover::All } else { Cover::Named(self.streams) }, request))
    }
}

fn to_text(state: &impl Serialize) -> Result<String> {
    crate::finite::check(state)?;
    serde_json::to_string(state)
        .map_err(|e| Error::invalid(format!("the state can't be written as JSON: {e}")))
}

/// A state is JSON, of any shape, within the limit; it is kept as it is.
fn check_state(text: String, limit: u32) -> Result<String> {
    if text.len() > limit as usize {
        return Err(Error::too_large("a state (Config::state_bytes_max)", limit.into(), text.len() as u64));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(e) => Err(Error::invalid(format!("the state is not JSON: {e}"))),
    }
}
