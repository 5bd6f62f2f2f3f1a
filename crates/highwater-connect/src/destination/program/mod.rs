//! Programs that take records on their standard input and give states back on their standard output, when they have what was
//! before them. What a program holds can't be asked, so the log's own record of what it acknowledged counts, and after a failure
//! it gets again what it did not: at least once.
//!
//! The states are ours, not the source's: each holds a position of the log. So nothing of the source's states leaves the log,
//! and an acknowledgement is found again whatever a program does to the form of a state.

mod ledger;
mod row;
mod session;
mod settings;

use std::sync::Arc;
use std::time::Instant;

use highwater::Position;

use super::{Applied, Confirmed, Counted, Destination, Rejected, Stored};
use crate::airbyte::Connector;
use crate::batch::{Batch, Delivered};
use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};

pub(crate) use ledger::Sent;
pub(crate) use row::{time, write as write_row};
pub(crate) use session::{Ears, Said, Session};
pub(crate) use settings::{Mode, Settings, Unconfirmed, mode};

/// The member of a state that holds the position.
pub(crate) const POSITION: &str = "highwater";

/// What programs differ in.
pub(crate) trait Protocol: std::fmt::Debug + Send {
    /// Whether there is something to be told in this checkpoint.
    fn has_news(&self, checkpoint: &Delivered<'_>) -> bool;

    /// A process begins with this checkpoint: writes its files; its arguments.
    fn begin(&mut self, connector: &Connector, checkpoint: &Delivered<'_>) -> Result<Vec<String>>;

    /// What understands that process.
    fn ears(&self, connector: &Arc<Connector>) -> Box<dyn Ears>;

    /// Whether the process can take this checkpoint, too.
    fn fits(&self, checkpoint: &Delivered<'_>) -> bool;

    /// Writes a checkpoint's records.
    fn write(
        &mut self,
        checkpoint: &Delivered<'_>,
        session: &mut Session,
        rejected: &mut Vec<Rejected>,
    ) -> Result<()>;

    /// Whether the process has to come to its end with this checkpoint, which counts only then.
    fn ends_at(&self, checkpoint: &Delivered<'_>) -> bool;

    /// The states that say that all up to `position` was written, with the lanes on which they come back, in their order.
    fn states(&mut self, position: Position) -> Result<Vec<(usize, Vec<u8>)>>;

    /// What is written before the input is closed; and whether the process will then say that it did not come to its end.
    fn last_words(&mut self, session: &mut Session) -> Result<bool>;

    /// Something is confirmed of these lanes, and will be told to be; `is_over` if the process has ended well.
    fn confirmed(&mut self, connector: &Connector, session: &Session, is_over: bool) -> Result<()>;

    /// Whether the program can work with its settings, for a person who asks.
    fn check(&self, connector: &Connector) -> Result<()>;
}

/// A destination that is a program.
#[derive(Debug)]
pub(crate) struct Program<P> {
    connector: Arc<Connector>,
    unconfirmed: Unconfirmed,
    protocol: P,
    session: Option<Session>,
    /// Its end is not to be a good one.
    ends_badly: bool,
    /// Written, without a state behind it, and its bytes.
    taken: Option<Position>,
    taken_bytes: u64,
    confirmed: Option<Position>,
    counted: Counted,
    /// Told with the next call: what was confirmed before it is told first.
    failed: Option<Failure>,
}

impl<P: Protocol> Program<P> {
    pub(crate) fn new(connector: Connector, unconfirmed: Unconfirmed, protocol: P) -> Self {
        Program {
            connector: Arc::new(connector),
            unconfirmed,
            protocol,
            session: None,
            ends_badly: false,
            taken: None,
            taken_bytes: 0,
            confirmed: None,
            counted: Counted::default(),
            failed: None,
        }
    }

    fn take(&mut self, checkpoint: &Delivered<'_>, rejected: &mut Vec<Rejected>) -> Result<()> {
        if self.session.is_some() && !self.protocol.fits(checkpoint) {
            self.mark(false)?;
            self.finish()?;
        }
        if self.session.is_some() || self.protocol.has_news(checkpoint) {
            let session = match &mut self.session {
                Some(session) => session,
                None => self.session.insert(start(&self.connector, &mut self.protocol, checkpoint)?),
            };
            session.begin();
            self.protocol.write(checkpoint, session, rejected)?;
        }
        self.taken = Some(checkpoint.position());
        self.taken_bytes += checkpoint.byte_count();
        if self.session.is_some() && self.protocol.ends_at(checkpoint) {
            self.mark(true)?;
            self.finish()?;
        }
        Ok(())
    }

    /// Writes states behind what was taken.
    fn mark(&mut self, waits_for_end: bool) -> Result<()> {
        let Some(position) = self.taken.take() else { return Ok(()) };
        let bytes = std::mem::take(&mut self.taken_bytes);
        let Some(session) = &mut self.session else {
            // Nothing was told, and no process has anything that it did not acknowledge.
            self.confirmed = Some(position);
            return Ok(());
        };
        let states = self.protocol.states(position)?;
        let lanes = states.iter().map(|(lane, _)| *lane).collect();
        session.expect(Sent { position, lanes, waits_for_end, bytes, at: Instant::now() });
        for (_, state) in states {
            session.write(&state)?;
        }
        session.flush()
    }

    /// Closes its input, waits for its end, and takes what it acknowledged.
    fn finish(&mut self) -> Result<()> {
        self.close()?;
        let Some(session) = &mut self.session else { return Ok(()) };
        let mut ended = session.conclude();
        if self.ends_badly && session.ledger(ledger::Ledger::is_empty) {
            ended = Ok(());
        }
        self.look(ended.is_ok())?;
        self.session = None;
        ended
    }

    fn close(&mut self) -> Result<()> {
        let Some(session) = self.session.as_mut().filter(|session| !session.is_closed()) else {
            return Ok(());
        };
        session.begin();
        self.ends_badly = self.protocol.last_words(session)?;
        session.close()
    }

    /// What the process acknowledged is confirmed.
    fn look(&mut self, is_over: bool) -> Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        self.counted.add(session.counted());
        let confirmed = session.ledger(ledger::Ledger::confirmed);
        let reached = |position: Option<Position>| position.map(|position| position.sequence);
        let is_further = reached(confirmed) > reached(self.confirmed);
        if is_further || is_over {
            self.protocol.confirmed(&self.connector, session, is_over)?;
        }
        if is_further {
            self.confirmed = confirmed;
        }
        Ok(())
    }

    fn is_overdue(&self) -> bool {
        let limits = &self.unconfirmed;
        self.session.as_ref().is_some_and(|session| {
            session.ledger(|ledger| {
                ledger.bytes() > limits.bytes_max
                    || ledger.since().is_some_and(|since| since.elapsed() > limits.age_max)
            })
        })
    }

    fn raise(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

fn start(
    connector: &Arc<Connector>,
    protocol: &mut impl Protocol,
    checkpoint: &Delivered<'_>,
) -> Result<Session> {
    let arguments = protocol.begin(connector, checkpoint)?;
    let ears = protocol.ears(connector);
    Session::start(connector.clone(), &arguments, ears)
}

impl<P: Protocol> Destination for Program<P> {
    fn stored(&mut self) -> Result<Stored> {
        // What it was given and did not acknowledge comes again, to another process.
        self.session = None;
        (self.taken, self.taken_bytes, self.confirmed, self.failed) = (None, 0, None, None);
        self.counted = Counted::default();
        Ok(Stored::NoPositions)
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        self.raise()?;
        let is_closed = self.session.as_ref().is_some_and(Session::is_closed);
        if is_closed || self.is_overdue() {
            self.finish()?;
        }
        let mut rejected = Vec::new();
        for checkpoint in batch.checkpoints() {
            self.take(&checkpoint, &mut rejected)?;
        }
        self.mark(false)?;
        Ok(Applied { rejected })
    }

    fn confirmed(&mut self) -> Result<Confirmed> {
        self.raise()?;
        self.look(false)?;
        let has_ended = self.session.as_ref().is_some_and(Session::has_ended);
        if has_ended {
            self.failed = self.finish().err();
        } else if self.is_overdue() {
            self.failed = self.close().err();
        }
        Ok(Confirmed::UpTo(self.confirmed))
    }

    fn counted(&mut self) -> Counted {
        std::mem::take(&mut self.counted)
    }

    fn flush(&mut self) -> Result<()> {
        self.raise()?;
        self.finish()
    }

    fn check(&mut self) -> Result<Stored> {
        self.protocol.check(&self.connector).map(|()| Stored::NoPositions)
    }
}

/// The streams that a checkpoint may be about: those of the newest sync, and those of which it has records.
pub(crate) fn offered<'a>(checkpoint: &Delivered<'a>) -> Vec<&'a StreamDefinition> {
    let definitions = checkpoint.definitions();
    let newest = definitions.iter().map(|definition| definition.generation.sync).max();
    let has_records =
        |definition: &StreamDefinition| checkpoint.parts().any(|part| part.name() == &definition.name);
    definitions
        .iter()
        .filter(|definition| Some(definition.generation.sync) == newest || has_records(definition))
        .collect()
}
