//! The messages of one read, on their way into the log.

use std::collections::HashSet;
use std::time::Duration;

use highwater::{Meta, Op, key};
use serde_json::value::RawValue;

use super::discovered::Configured;
use super::message::{self, Deletions, Descriptor, Milliseconds, Record, Reject, State, StateKind};
use super::program::Connector;
use super::trace::{self, Status, Trace};
use crate::columns::ColumnFilter;
use crate::event::Event;
use crate::failure::{Failure, FailureKind, Result};
use crate::output::{Handle, Output};

/// So many oddities of a kind are told.
const TOLD_MAX: u64 = 5;

/// Takes the lines of one read.
pub(super) struct Session<'a, 'o> {
    connector: &'a Connector,
    out: &'a mut Output<'o>,
    /// By handle.
    streams: Vec<Known>,
    deletions: Deletions,
    /// What the source said went wrong first.
    failure: Option<Failure>,
    /// Until when the source is held up by a rate limit.
    quota_reset: Option<Milliseconds>,
    strangers: HashSet<String>,
    miscounts: u64,
    row: String,
}

struct Known {
    handle: Handle,
    filter: Option<ColumnFilter>,
    status: Option<Status>,
}

/// What a line was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    State,
    Other,
}

impl<'a, 'o> Session<'a, 'o> {
    pub(super) fn new(
        connector: &'a Connector,
        out: &'a mut Output<'o>,
        streams: &[Configured],
    ) -> Result<Self> {
        let mut known = Vec::new();
        for stream in streams {
            let name = &stream.discovered.name;
            let handle = out.find(name.namespace.as_deref(), &name.name);
            let handle =
                handle.ok_or_else(|| Failure::permanent(format!("stream {name} was not announced")))?;
            known.push(Known { handle, filter: stream.filter.clone(), status: None });
        }
        Ok(Session {
            connector,
            out,
            streams: known,
            deletions: Deletions::new(),
            failure: None,
            quota_reset: None,
            strangers: HashSet::new(),
            miscounts: 0,
            row: String::new(),
        })
    }

    pub(super) fn out(&mut self) -> &mut Output<'o> {
        self.out
    }

    pub(super) fn take(&mut self, line: &[u8]) -> Result<Taken> {
        let message = match message::parse(line) {
            Ok(message) => message,
            Err(Reject::Malformed(why)) => return Err(Failure::permanent(why)),
            Err(Reject::Noise) => {
                self.connector.noise(line);
                return Ok(Taken::Other);
            }
        };
        match (&*message.kind, &message.record, message.state) {
            ("RECORD", Some(record), _) => self.record(record)?,
            ("STATE", _, Some(state)) => {
                self.state(state)?;
                return Ok(Taken::State);
            }
            ("TRACE", ..) => self.trace(Trace::parse(message.trace)),
            ("LOG", ..) => self.connector.reporter().line("source", &trace::log_text(message.log)),
            ("CONTROL", ..) => self.connector.control(message.control)?,
            _ => {}
        }
        Ok(Taken::Other)
    }

    fn find(&mut self, namespace: Option<&str>, name: &str) -> Option<Handle> {
        let found = self.out.find(namespace, name);
        if found.is_none() {
            let shown = format!("{}{name}", namespace.map_or(String::new(), |space| format!("{space}.")));
            // Bounded: a source that makes names up would take all memory.
            if self.strangers.len() < 100 && self.strangers.insert(shown.clone()) {
                self.connector.reporter().warning(format!(
                    "the source sends stream {shown}, which it was not asked for; that is left out"
                ));
            }
        }
        found
    }

    fn known(&mut self, handle: Handle) -> Option<&mut Known> {
        self.streams.iter_mut().find(|known| known.handle == handle)
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        let Some(handle) = self.find(record.namespace.as_deref(), &record.stream) else { return Ok(()) };
        let mut row = std::mem::take(&mut self.row);
        let data = record.data.get();
        let payload = match self.known(handle).and_then(|known| known.filter.as_ref()) {
            Some(filter) => {
                filter.record(data, &mut row)?;
                row.as_str()
            }
            None => data,
        };
        let stream = self.out.stream(handle);
        let key = match stream.key() {
            [] => Vec::new(),
            columns => key::of_payload(payload, columns)?,
        };
        let keyless = stream.key().is_empty();
        // Looked for in what came: the column may be left out of what is kept.
        let deleted = self.deletions.is_deleted(data);
        let op = match (deleted, keyless) {
            (true, _) => Op::Delete { key: &key, row: payload.as_bytes() },
            (false, true) => Op::Insert { key: &key, row: payload.as_bytes() },
            (false, false) => Op::Upsert { key: &key, row: payload.as_bytes() },
        };
        let metadata = record.meta.map_or(&b""[..], |meta| meta.get().as_bytes());
        let emitted_us = record.emitted_at.map(Milliseconds::as_us);
        self.out.record(handle, op, Meta { emitted_us, metadata })?;
        self.row = row;
        Ok(())
    }

    fn state(&mut self, text: &RawValue) -> Result<()> {
        let state = State::parse(text.get()).map_err(Failure::permanent)?;
        match (&state.stream, state.kind) {
            (Some(Descriptor { name, namespace }), StateKind::Stream) => {
                let Some(handle) = self.find(namespace.as_deref(), name) else { return Ok(()) };
                let arrived = self.out.since_state(handle);
                self.compare(&state, arrived, name);
                self.out.state(handle, text.get())
            }
            _ => {
                let arrived = self.out.since_global_state();
                self.compare(&state, arrived, "all streams");
                self.out.global_state(text.get())
            }
        }
    }

    /// A difference is told and never acted on: sources miscount, and some always say 0.
    fn compare(&mut self, state: &State<'_>, arrived: u64, of: &str) {
        let Some(said) = state.record_count.filter(|said| *said != 0.0 && *said != arrived as f64) else {
            return;
        };
        self.miscounts += 1;
        if self.miscounts <= TOLD_MAX {
            let (reporter, of) = (self.connector.reporter(), self.connector.reporter().shown(of));
            reporter.tell(Event::CountsDiffer { of, said, arrived });
        }
    }

    fn trace(&mut self, trace: Trace<'_>) {
        match trace {
            Trace::Status(stream, status, reset) => {
                self.quota_reset = reset;
                let found = self.out.find(stream.namespace.as_deref(), &stream.name);
                if let Some(known) = found.and_then(|handle| self.known(handle)) {
                    known.status = Some(status);
                }
            }
            Trace::Error(error) => {
                self.connector.reporter().line("source", &error.to_string());
                self.failure.get_or_insert(trace::failure_of(&error));
            }
            Trace::Text(_) => {}
        }
    }

    /// What went wrong, if the source said anything; a rate limit with its wait.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        let failure = self.failure.take()?;
        let wait = self.quota_reset.map(until);
        match wait {
            Some(wait) if failure.kind() == FailureKind::Transient => {
                Some(Failure::rate_limit(wait, failure.to_string()))
            }
            _ => Some(failure),
        }
    }

    /// At exit code 0: a stream that the source gave up, although it says that all is well.
    pub(super) fn incomplete(&self) -> Option<Failure> {
        let given_up = self.streams.iter().find(|known| known.status == Some(Status::Incomplete))?;
        let name = self.out.stream(given_up.handle).name();
        Some(Failure::transient(format!("the source ended well, but gave stream {name} up")))
    }
}

fn until(reset: Milliseconds) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let reset = Duration::from_micros(u64::try_from(reset.as_us()).unwrap_or(0));
    reset.saturating_sub(now)
}
