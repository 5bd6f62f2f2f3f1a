//! What a commit will hold. The engine takes its `Commit` by value, and a commit that found no room is tried again.

use highwater::{Commit, Stream};

/// One checkpoint to be.
#[derive(Debug, Default)]
pub(super) struct Plan {
    global: Option<String>,
    clears_global: bool,
    streams: Vec<(Stream, Change)>,
}

/// What becomes of a stream's state; its records are covered in any case.
#[derive(Debug)]
enum Change {
    Set(String),
    Keep,
    Clear,
}

impl Plan {
    /// Covers all streams if there is a state of all.
    pub(super) fn with_global(global: Option<String>) -> Self {
        Plan { global, ..Plan::default() }
    }

    pub(super) fn set_global(&mut self, state: String) {
        self.global = Some(state);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.global.is_none() && !self.clears_global && self.streams.is_empty()
    }

    pub(super) fn clear_global(&mut self) {
        self.clears_global = true;
    }

    pub(super) fn set(&mut self, stream: &Stream, state: String) {
        self.streams.push((stream.clone(), Change::Set(state)));
    }

    pub(super) fn keep(&mut self, stream: &Stream) {
        self.streams.push((stream.clone(), Change::Keep));
    }

    pub(super) fn clear(&mut self, stream: &Stream) {
        self.streams.push((stream.clone(), Change::Clear));
    }

    pub(super) fn commit(&self, labels: &[(String, String)]) -> Commit {
        let mut commit = Commit::new();
        if let Some(text) = &self.global {
            commit = commit.global_text(text);
        }
        if self.clears_global {
            commit = commit.clear_global();
        }
        for (stream, change) in &self.streams {
            commit = match change {
                Change::Set(text) => commit.stream_text(stream, text),
                Change::Keep => commit.records(stream),
                Change::Clear => commit.clear(stream),
            };
        }
        labels.iter().fold(commit, |commit, (key, value)| commit.label(key, value))
    }
}
