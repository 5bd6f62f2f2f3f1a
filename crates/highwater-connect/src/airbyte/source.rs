//! Any Airbyte source, as a command.

use std::time::{Duration, Instant};

use super::discovered::{Configured, catalog_text, configure};
use super::message;
use super::message::StateKind;
use super::program::Connector;
use super::session::{Session, Taken};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::pipeline::StreamChoice;
use crate::process::{Heard, Talk};
use crate::source::{Offer, Source, State};
use crate::stop::Urgency;

/// A source that speaks the Airbyte protocol.
#[derive(Debug)]
pub struct AirbyteSource {
    connector: Connector,
    choices: Vec<StreamChoice>,
    hash_key: Option<String>,
    /// Discovered once, and used for all attempts.
    streams: Option<Vec<Configured>>,
}

impl AirbyteSource {
    /// Reads the streams that are chosen, or all.
    pub fn new(connector: Connector, choices: Vec<StreamChoice>, hash_key: Option<String>) -> Self {
        AirbyteSource { connector, choices, hash_key, streams: None }
    }

    /// The connector, to ask it.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    fn configured(&mut self) -> Result<&[Configured]> {
        let streams = match self.streams.take() {
            Some(streams) => streams,
            None => configure(self.connector.discover()?, &self.choices, self.hash_key.as_deref())?,
        };
        Ok(self.streams.insert(streams))
    }

    /// The arguments of a read, whose files are written.
    fn arguments(&self, streams: &[Configured], from: &State, out: &Output<'_>) -> Result<Vec<String>> {
        let mut arguments = self.connector.configured("read")?;
        let catalog = catalog_text(streams, |name| out.generation(name))?;
        arguments.extend(["--catalog".to_owned(), self.connector.write("catalog.json", catalog.as_bytes())?]);
        let state = state_text(from, streams);
        // Some sources take an empty list for a state.
        if let Some(state) = state {
            arguments.extend(["--state".to_owned(), self.connector.write("state.json", state.as_bytes())?]);
        }
        Ok(arguments)
    }
}

/// What the source takes with `--state`: a list of unwrapped states, of the kind it sent last; `None` for a fresh start.
fn state_text(from: &State, streams: &[Configured]) -> Option<String> {
    match &from.global {
        Some(global) if from.is_global_newest => match message::global_kind(global) {
            StateKind::Legacy => Some(message::legacy_data(global).to_owned()),
            _ => Some(format!("[{global}]")),
        },
        _ => {
            let is_read =
                |name: &highwater::StreamName| streams.iter().any(|stream| stream.discovered.name == *name);
            let texts: Vec<&str> = from
                .streams
                .iter()
                .filter(|(name, _)| is_read(name))
                .map(|(_, text)| text.as_str())
                .collect();
            (!texts.is_empty()).then(|| format!("[{}]", texts.join(",")))
        }
    }
}

impl Source for AirbyteSource {
    fn check(&mut self) -> Result<Vec<String>> {
        self.connector.check().map(|()| Vec::new())
    }

    fn streams(&mut self) -> Result<Vec<Offer>> {
        self.configured()?.iter().map(Configured::offer).collect()
    }

    fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()> {
        self.configured()?;
        let streams = self.streams.as_deref().unwrap_or_default();
        let arguments = self.arguments(streams, from, out)?;
        let (running, _mark) = self.connector.start(&arguments, false)?;
        let talk = Talk::new(running, self.connector.settings().silence_timeout)?;
        let session = Session::new(&self.connector, out, streams)?;
        Read { connector: &self.connector, session, stopping_since: None }.run(talk)
    }
}

/// One read, from the start of the process to its end.
struct Read<'a, 'o> {
    connector: &'a Connector,
    session: Session<'a, 'o>,
    stopping_since: Option<Instant>,
}

/// Why the lines ended.
enum End {
    /// The source closed its output.
    Input,
    /// Somebody asked to stop.
    Stopped,
}

impl Read<'_, '_> {
    fn run(mut self, mut talk: Talk) -> Result<()> {
        match self.take_all(&mut talk)? {
            End::Input => self.conclude(&mut talk),
            // It wrote for a reader that is gone; what it still says is of no use.
            End::Stopped => talk.end(Duration::from_secs(1)),
        }
    }

    fn take_all(&mut self, talk: &mut Talk) -> Result<End> {
        loop {
            let taken = match talk.listen()? {
                Heard::Line(line) => {
                    if line.fresh {
                        self.session.out().tick();
                    }
                    let taken = self.session.take(line);
                    let taken = taken.map_err(|failure| at_line(failure, line.number))?;
                    if !line.fresh && taken == Taken::Other {
                        continue;
                    }
                    taken
                }
                Heard::Nothing => {
                    self.session.out().idle()?;
                    Taken::Other
                }
                Heard::End => return Ok(End::Input),
            };
            if self.should_stop(taken) {
                return Ok(End::Stopped);
            }
        }
    }

    /// Somebody asked: at once, or at a state, or where nothing would be lost, or when it takes too long.
    fn should_stop(&mut self, taken: Taken) -> bool {
        match self.session.out().urgency() {
            Urgency::None => false,
            Urgency::Now => true,
            Urgency::Soon => {
                let since = *self.stopping_since.get_or_insert_with(Instant::now);
                taken == Taken::State
                    || self.session.out().is_settled()
                    || since.elapsed() > self.connector.settings().stop_timeout
            }
        }
    }

    /// The output is at its end: how the process ended, and what it said.
    fn conclude(&mut self, talk: &mut Talk) -> Result<()> {
        let ended = talk.conclude(self.connector.settings().stop_timeout)?;
        let failure = self.session.failure().or(ended).or_else(|| self.session.incomplete());
        failure.map_or(Ok(()), Err)
    }
}

fn at_line(failure: Failure, number: u64) -> Failure {
    let is_ours = failure.log_error().is_some() || failure.kind() == crate::FailureKind::Cancelled;
    if is_ours { failure } else { failure.while_doing(format!("line {number} of the source's output")) }
}
