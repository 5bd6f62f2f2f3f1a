//! The messages of one read, on their way into the log.

use std::collections::HashSet;
use std::time::Duration;

use highwater::{Meta, Op, key};
use serde_json::value::RawValue;

use super::discovered::Configured;
use super::message::{self, Deletions, Descriptor, Milliseconds, Record, State, StateKind};
use super::program::Connector;
use super::trace::{self, Status, Trace};
use crate::columns::ColumnFilter;
use crate::event::Event;
use crate::failure::{Failure, FailureKind, Result};
use crate::lines::Line;
use crate::output::{Handle, Output};
use crate::reject::{NAN_TOLD, Reject};

/// So many oddities of a kind are told.
const TOLD_MAX: u64 = 5;

/// Takes the lines of one read.
pub(super) struct Session<'a, 'o> {
    connector: &'a Connector,
    out: &'a mut Output<'o>,
    /// By handle.
    streams: Vec<Known>,
    /// Of some stream it said how far it is, be it one that it was not asked for.
    says_statuses: bool,
    deletions: Deletions,
    /// What the source said went wrong first.
    failure: Option<Failure>,
    /// The last line was meant to be a message, and is not whole.
    torn: Option<Failure>,
    is_nan_told: bool,
    strangers: HashSet<String>,
    miscounts: u64,
    row: String,
}

struct Known {
    handle: Handle,
    filter: Option<ColumnFilter>,
    status: Option<Status>,
    /// A record or a state of it came.
    is_heard: bool,
    /// Until when a rate limit holds it up.
    quota_reset: Option<Milliseconds>,
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
            known.push(Known {
                handle,
                filter: stream.filter.clone(),
                status: None,
                is_heard: false,
                quota_reset: None,
            });
        }
        Ok(Session {
            connector,
            out,
            streams: known,
            says_statuses: false,
            deletions: Deletions::new(),
            failure: None,
            torn: None,
            is_nan_told: false,
            strangers: HashSet::new(),
            miscounts: 0,
            row: String::new(),
        })
    }

    pub(super) fn out(&mut self) -> &mut Output<'o> {
        self.out
    }

    pub(super) fn take(&mut self, line: Line<'_>) -> Result<Taken> {
        let message = match message::parse(line.bytes) {
            Ok(message) => message,
            Err(reject) => return self.reject(reject, line),
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

    fn reject(&mut self, reject: Reject, line: Line<'_>) -> Result<Taken> {
        match reject {
            Reject::Malformed(why) => return Err(Failure::permanent(why)),
            Reject::Broken(why) if line.whole => return Err(Failure::transient(why)),
            Reject::Broken(why) => self.torn = Some(Failure::transient(why)),
            Reject::NotANumber(text) => {
                if !std::mem::replace(&mut self.is_nan_told, true) {
                    self.connector.reporter().warning(NAN_TOLD);
                }
                return self.take(Line { bytes: text.as_bytes(), ..line });
            }
            Reject::Noise => self.connector.noise(line.bytes),
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
        // All of them were announced, in this order.
        self.streams.get_mut(handle.index()).filter(|known| known.handle == handle)
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        let Some(handle) = self.find(record.namespace.as_deref(), &record.stream) else { return Ok(()) };
        let mut row = std::mem::take(&mut self.row);
        let data = record.data.get();
        let filter = match self.known(handle) {
            Some(known) => {
                known.is_heard = true;
                known.filter.as_ref()
            }
            None => None,
        };
        let payload = match filter {
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
                if let Some(known) = self.known(handle) {
                    known.is_heard = true;
                }
                let arrived = self.out.since_state(handle);
                self.compare(&state, arrived, name);
                self.out.state(handle, text.get())
            }
            _ => {
                self.streams.iter_mut().for_each(|known| known.is_heard = true);
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
                self.says_statuses = true;
                let found = self.out.find(stream.namespace.as_deref(), &stream.name);
                if let Some(known) = found.and_then(|handle| self.known(handle)) {
                    known.status = Some(status);
                    // One that gives up, as after a limit, says no more until when it lasts.
                    if status != Status::Incomplete || reset.is_some() {
                        known.quota_reset = reset;
                    }
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
        let wait = self.streams.iter().filter_map(|known| known.quota_reset).map(until).max();
        match wait {
            Some(wait) if failure.kind() == FailureKind::Transient => {
                Some(Failure::rate_limit(wait, failure.to_string()))
            }
            _ => Some(failure),
        }
    }

    /// At exit code 0: what is missing, although the source says that all is well.
    pub(super) fn incomplete(&mut self) -> Option<Failure> {
        let torn = self.torn.take();
        torn.or_else(|| self.streams.iter().find_map(|known| self.lacks(known)).map(Failure::transient))
    }

    /// What a stream lacks to be complete. A source that says of no stream how far it is is believed by its exit code, and so is one that
    /// leaves a single stream out; but where the rows are to be replaced, silence would delete them all.
    fn lacks(&self, known: &Known) -> Option<String> {
        let name = self.out.stream(known.handle).name();
        match known.status {
            Some(Status::Complete) => None,
            Some(Status::Incomplete) => Some(format!("the source ended well, but gave stream {name} up")),
            Some(Status::Running) => {
                Some(format!("the source ended well, but did not say that stream {name} is complete"))
            }
            None => {
                let replaces = self.out.generation(name).minimum > 0;
                (replaces && (self.says_statuses || !known.is_heard)).then(|| {
                    format!("the source ended well, but said nothing of stream {name}, whose rows were to be replaced")
                })
            }
        }
    }
}

fn until(reset: Milliseconds) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let reset = Duration::from_micros(u64::try_from(reset.as_us()).unwrap_or(0));
    reset.saturating_sub(now)
}
