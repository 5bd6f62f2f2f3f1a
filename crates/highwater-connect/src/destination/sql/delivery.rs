//! Delivering batches to a database: each in one transaction, with the position.

use std::collections::HashMap;

use highwater::{Position, Sequence, StreamName};

use super::known::Known;
use super::ledger::{self, Ledger};
use super::run::Run;
use super::session::Session;
use super::settings::Settings;
use crate::batch::Batch;
use crate::destination::{Again, Applied, Rejected, Retried, Stored};
use crate::failure::{Failure, Result};

/// What both SQL destinations are, around their sessions.
#[derive(Debug)]
pub(crate) struct Delivery<S> {
    session: S,
    settings: Settings,
    /// As it was committed last; read again after every failure.
    streams: Option<HashMap<StreamName, Known>>,
}

impl<S: Session> Delivery<S> {
    pub(crate) fn new(session: S, settings: Settings) -> Self {
        Delivery { session, settings, streams: None }
    }

    pub(crate) fn stored(&mut self) -> Result<Stored> {
        self.in_transaction(|delivery| Ok(delivery.ledger().position()?.into()))
    }

    /// What was refused of the checkpoints behind this one, as it is kept in the database.
    pub(crate) fn rejected_after(&mut self, sequence: Sequence) -> Result<Vec<Rejected>> {
        self.in_transaction(|delivery| delivery.ledger().rejected(sequence.next(), Sequence::new(u64::MAX)))
    }

    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        self.in_transaction(|delivery| delivery.deliver(batch))
    }

    pub(crate) fn retry(&mut self, letters: &[Again<'_>]) -> Result<Vec<Retried>> {
        self.in_transaction(|delivery| delivery.take_again(letters))
    }

    fn take_again(&mut self, letters: &[Again<'_>]) -> Result<Vec<Retried>> {
        let mut is_taken = Vec::with_capacity(letters.len());
        for letter in letters {
            let stream = &letter.definition.name;
            is_taken.push(self.ledger().is_taken(stream, letter.sequence, letter.index)?);
        }
        let streams = self.take_streams()?;
        let mut run = Run::new(&mut self.session, &self.settings, streams);
        let mut outcomes = Vec::with_capacity(letters.len());
        for (letter, is_taken) in letters.iter().zip(is_taken) {
            outcomes.push(if is_taken { Retried::Taken } else { run.again(letter)? });
        }
        // Only now is it known what the database itself refuses.
        let (streams, rejected) = run.finish()?;
        self.streams = Some(streams);
        let place = |one: &Rejected| (one.stream.clone(), one.sequence, one.index);
        let mut reasons: HashMap<_, _> = rejected.into_iter().map(|one| (place(&one), one.reason)).collect();
        for (letter, outcome) in letters.iter().zip(&mut outcomes) {
            let stream = &letter.definition.name;
            match reasons.remove(&(stream.clone(), letter.sequence, letter.index)) {
                Some(reason) => *outcome = Retried::Refused(reason),
                None => self.ledger().store_taken(stream, letter.sequence, letter.index)?,
            }
        }
        Ok(outcomes)
    }

    pub(crate) fn close(&mut self) {
        self.session.close();
        self.streams = None;
    }

    fn ledger(&mut self) -> Ledger<'_, S> {
        Ledger { session: &mut self.session, name: &self.settings.name }
    }

    fn in_transaction<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let is_new = self.session.connect()?;
        let done = self.transact(is_new, act);
        if done.is_err() {
            // What was learnt in the transaction is gone with it; and set up is what is set up in one that was committed.
            self.streams = None;
            self.session.rollback();
            if is_new {
                self.session.close();
            }
        }
        done
    }

    fn transact<T>(&mut self, is_new: bool, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.session.begin(&self.settings.name)?;
        if is_new {
            self.ledger().set_up()?;
        }
        let done = act(self)?;
        self.session.commit()?;
        Ok(done)
    }

    fn deliver(&mut self, batch: &Batch) -> Result<Applied> {
        let stored = self.ledger().position()?;
        self.check(batch, stored)?;
        let applied = stored.map_or(Sequence::NONE, |stored| stored.sequence).min(batch.end().sequence);
        let mut rejected = match batch.first() <= applied {
            true => self.ledger().rejected(batch.first(), applied)?,
            false => Vec::new(),
        };
        if applied < batch.end().sequence {
            rejected.append(&mut self.apply_behind(applied, batch)?);
        }
        // Where nothing may be refused this ends the transaction.
        Applied { rejected }.allowed(batch)
    }

    /// The database must be on this log's history: the same log, and the same checkpoints under the same numbers.
    fn check(&mut self, batch: &Batch, stored: Option<Position>) -> Result<()> {
        let Some(stored) = stored else { return Ok(()) };
        let name = &self.settings.name;
        if stored.log != batch.end().log {
            return Err(Failure::diverged(format!(
                "{name:?} holds what log {} has delivered, and this is log {}",
                stored.log,
                batch.end().log
            )));
        }
        for checkpoint in batch.checkpoints().filter(|checkpoint| checkpoint.sequence() <= stored.sequence) {
            let (sequence, id) = (checkpoint.sequence(), checkpoint.id());
            let known = self.ledger().checkpoint_at(sequence)?;
            if let Some(other) = known.filter(|known| !ledger::is_same(known, id)) {
                return Err(Failure::diverged(format!(
                    "checkpoint {sequence} is {id} in the log, and {other} was delivered under that number"
                )));
            }
        }
        Ok(())
    }

    /// Taken out, and to be put back when the records are written.
    fn take_streams(&mut self) -> Result<HashMap<StreamName, Known>> {
        if let Some(streams) = self.streams.take() {
            return Ok(streams);
        }
        let entries = self.ledger().streams()?;
        Ok(entries.into_iter().map(|(name, entry)| (name, Known::new(entry))).collect())
    }

    fn apply_behind(&mut self, applied: Sequence, batch: &Batch) -> Result<Vec<Rejected>> {
        let streams = self.take_streams()?;
        let mut run = Run::new(&mut self.session, &self.settings, streams);
        for checkpoint in batch.checkpoints().filter(|checkpoint| checkpoint.sequence() > applied) {
            run.checkpoint(&checkpoint)?;
        }
        let (streams, rejected) = run.finish()?;
        self.streams = Some(streams);
        let mut ledger = self.ledger();
        ledger.store_rejected(&rejected)?;
        ledger.store_position(batch.end())?;
        ledger.forget_positions()?;
        Ok(rejected)
    }
}
