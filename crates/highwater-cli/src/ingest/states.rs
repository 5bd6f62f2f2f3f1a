//! STATE messages: each is a checkpoint, and is echoed once it is durable.

use std::io::{self, Write};

use highwater::Commit;
use highwater_connect::airbyte::message::{State, StateKind};
use highwater_connect::airbyte::trace::Status;
use highwater_connect::lines::Line;
use highwater_connect::text::tame;
use serde_json::value::RawValue;

use super::airbyte::{SHOWN_MAX, Session, meet};
use super::phases::Phase;
use crate::failure::Failure;
use crate::state::Found;

impl Session<'_> {
    /// Commits what came before the STATE, with the text of its `state`, and echoes the line.
    pub(super) fn state(&mut self, line: &Line<'_>, text: &RawValue) -> Result<(), Failure> {
        let state = State::parse(text.get()).map_err(Failure::error)?;
        self.say_change(state.kind)?;
        let commit = match &state.stream {
            Some(name) if state.kind == StateKind::Stream => {
                let entry = self.streams.entry(name.namespace.as_deref(), &name.name);
                if entry.stream.is_none() {
                    meet(&self.registry, entry, &mut self.writer, self.console)?;
                }
                let arrived = std::mem::take(&mut entry.counts.since_state);
                entry.counts.states += 1;
                let of = entry.name.to_string();
                let commit =
                    entry.stream.as_ref().map(|stream| Commit::new().stream_text(stream, text.get()));
                self.compare(line, &state, arrived, &of);
                commit.unwrap_or_default()
            }
            _ => {
                let arrived = std::mem::take(&mut self.since_global);
                self.streams.iter_mut().for_each(|entry| entry.counts.since_state = 0);
                self.compare(line, &state, arrived, "all streams");
                Commit::new().global_text(text.get())
            }
        };
        self.commit(commit)?;
        self.states += 1;
        self.phases.enter(Phase::Echo);
        self.phases.linger(Phase::Echo);
        echo(line.bytes)?;
        self.phases.enter(Phase::Idle);
        Ok(())
    }

    fn commit(&mut self, commit: Commit) -> Result<(), Failure> {
        let committed = self.writer.commit(commit)?;
        if !committed.durable {
            return Err(Failure::error(
                "the log made a checkpoint that is not durable; its STATE is not echoed",
            ));
        }
        self.totals.checkpoints += 1;
        self.totals.committed += committed.records;
        self.console.committed(&self.totals);
        Ok(())
    }

    /// Compares the source's count with ours. A difference is said and never acted on: sources miscount.
    fn compare(&mut self, line: &Line<'_>, state: &State<'_>, arrived: u64, of: &str) {
        let Some(said) = state.record_count.filter(|said| *said != arrived as f64) else { return };
        self.oddities.miscounts += 1;
        if said == 0.0 {
            self.oddities.miscounts_zero += 1;
        } else if self.oddities.miscounts - self.oddities.miscounts_zero <= SHOWN_MAX {
            let of = tame(of);
            self.console.warning(format!(
                "line {}: the STATE of {of} counts {said} records, but {arrived} arrived",
                line.number
            ));
        }
    }

    /// Says when the source sends states of another kind than before, which `state get` will follow.
    fn say_change(&mut self, now: StateKind) -> Result<(), Failure> {
        let before = match self.kind {
            Some(kind) => Some(kind),
            None => self.kind_in_log(now)?,
        };
        if let Some(before) = before.filter(|before| *before != now) {
            self.console.note(format!(
                "the source's states were {} and are {} from now on; `state get` gives the newer kind",
                before.name(),
                now.name()
            ));
        }
        self.kind = Some(now);
        Ok(())
    }

    /// The kind that earlier runs left. All states are read to find out, but not in the commonest case.
    fn kind_in_log(&self, now: StateKind) -> Result<Option<StateKind>, Failure> {
        let log = self.registry.log;
        if now == StateKind::Stream && log.state()?.global()?.is_none() {
            return Ok(None);
        }
        Ok(Found::read(log, None, None)?.kind())
    }

    /// At the end of the input: what is left of complete streams is committed, without a state.
    pub(super) fn complete(&mut self, assume_complete: bool) -> Result<(), Failure> {
        let mut commit = None;
        for entry in self.streams.iter() {
            let Some(stream) = &entry.stream else { continue };
            let is_complete = assume_complete || entry.status == Some(Status::Complete);
            if is_complete && self.writer.uncommitted(stream) > 0 {
                commit = Some(commit.unwrap_or_else(Commit::new).records(stream));
            }
        }
        commit.map_or(Ok(()), |commit| self.commit(commit))
    }
}

/// Tells whoever reads standard output, as a destination does: up to here, everything is kept.
fn echo(line: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let echoed = out.write_all(line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    echoed.map_err(|e| {
        let text = "the checkpoint is in the log, but its STATE can't be written to standard output";
        Failure::io(text, &e)
    })
}
