//! Those who read: consumers, pins, readers in other processes.

use std::sync::Arc;

use highwater::{ErrorKind, Limit, LogReader, Pin, Sequence, Start};

use super::{ConsumerLife, Life, Outcome};
use crate::check::{
    Checked, Depth, Violation, check_batch, check_checkpoint, check_log, consumer_name, demand,
};
use crate::model::Event;
use crate::program::Acknowledge;

fn pin_name(pin: u8) -> String {
    format!("p{pin}")
}

fn at_most(checkpoints: u8) -> Limit {
    Limit { max_checkpoints: checkpoints.into(), ..Limit::default() }
}

impl Life {
    /// Opens a consumer if it is not open; `false` if the disk did not let it.
    fn ensure_consumer(&mut self, number: u8) -> Checked<bool> {
        if self.live()?.consumers.contains_key(&number) {
            return Ok(true);
        }
        self.note(Event::Registering(number));
        let mut result = self.live()?.log.consumer(&consumer_name(number), Start::Earliest);
        if result.as_ref().is_err_and(|e| matches!(e.kind(), ErrorKind::Gap { .. })) {
            let log = &self.live()?.log;
            let complete = log.first().get() == 1 || self.base_from()? == Some(1);
            demand!(!complete, "everything is there, and {result:?}");
            result = self.live()?.log.consumer(&consumer_name(number), Start::Oldest);
        }
        let consumer = match self.outcome(result)? {
            Outcome::Done(consumer) => consumer,
            Outcome::Full | Outcome::Broken => return Ok(false),
        };
        let at = consumer.acknowledged().get();
        if let Some(known) = self.model.consumers.get(&number).filter(|known| known.certain) {
            let last = known.positions.last().copied();
            let same = known.positions.contains(&at) && (self.all_faults() > 0 || last == Some(at));
            demand!(same, "consumer {number} is at {at}, not at one of {:?}", known.positions);
        }
        self.note(Event::Registered(number, at));
        self.live()?.consumers.insert(number, ConsumerLife { consumer, next: at + 1 });
        Ok(true)
    }

    fn with_consumer<T>(
        &mut self,
        number: u8,
        act: impl FnOnce(&mut ConsumerLife) -> highwater::Result<T>,
    ) -> Checked<Outcome<T>> {
        let missing = || Violation::new(format!("consumer {number} is not open"));
        let result = act(self.live()?.consumers.get_mut(&number).ok_or_else(missing)?);
        self.outcome(result)
    }

    pub(super) fn consume(&mut self, number: u8, count: u8, acknowledge: Acknowledge) -> Checked {
        if !self.ensure_consumer(number)? {
            return Ok(());
        }
        self.confront(number)?;
        let next = self.live()?.consumers.get(&number).map_or(1, |life| life.next);
        let batch = self.with_consumer(number, |life| life.consumer.next_batch(&at_most(count)))?;
        let Outcome::Done(Some(batch)) = batch else { return Ok(()) };
        let end = check_batch(&batch, &self.model, next)?;
        // P3: what a consumer has, no power cut takes back.
        self.note(Event::Durable(end));
        self.with_consumer(number, |life| {
            life.next = end + 1;
            Ok(())
        })?;
        let call = self.disk.calls();
        let acknowledged = match acknowledge {
            Acknowledge::Not => return Ok(()),
            Acknowledge::All | Acknowledge::Synced => {
                self.with_consumer(number, |life| life.consumer.acknowledge(batch.end()))?
            }
            Acknowledge::Stream(slot) => {
                let Some(known) = self.live()?.streams.get(&slot).cloned() else { return Ok(()) };
                self.with_consumer(number, |life| {
                    life.consumer.acknowledge_stream(&known.stream, batch.end())
                })?
            }
        };
        let at = self.live()?.consumers.get(&number).map_or(0, |life| life.consumer.acknowledged().get());
        let all = !matches!(acknowledge, Acknowledge::Stream(_));
        let done = matches!(acknowledged, Outcome::Done(()));
        demand!(!done || !all || at == end, "consumer {number} acknowledged {end} and is at {at}");
        // A write that failed may have happened.
        self.note_at(call, Event::Acknowledging(number, if all && !done { end } else { at }));
        if done && acknowledge == Acknowledge::Synced {
            let synced = self.with_consumer(number, |life| life.consumer.sync())?;
            if let Outcome::Done(()) = synced {
                self.note(Event::Synced(number));
            }
        }
        if !done {
            self.close_consumer(number);
        }
        Ok(())
    }

    /// A destination that holds what a power cut took back must not be taken for one that is up to date.
    fn confront(&mut self, number: u8) -> Checked {
        let Some(ghost) = self.model.ghosts.last().copied() else { return Ok(()) };
        let missing = || Violation::new(format!("consumer {number} is not open"));
        let live = self.live()?;
        let life = live.consumers.get_mut(&number).ok_or_else(missing)?;
        let aligned = life.consumer.align(Some(ghost));
        let refused =
            aligned.as_ref().is_err_and(|e| matches!(e.kind(), ErrorKind::Diverged | ErrorKind::Gap { .. }));
        if !refused && !self.failed_since_opening() {
            return Err(Violation::new(format!("a position of another history, {ghost}, gave {aligned:?}")));
        }
        Ok(())
    }

    pub(super) fn align(&mut self, number: u8, back: u8) -> Checked {
        if !self.ensure_consumer(number)? {
            return Ok(());
        }
        let at = self.live()?.consumers.get(&number).map_or(0, |life| life.consumer.acknowledged().get());
        let to = at.saturating_sub(back.into());
        let Some(position) = self.model.checkpoint(to).and_then(|checkpoint| checkpoint.position) else {
            return Ok(());
        };
        let first = self.live()?.log.first().get();
        let call = self.disk.calls();
        let missing = || Violation::new(format!("consumer {number} is not open"));
        let life = self.live()?.consumers.get_mut(&number).ok_or_else(missing)?;
        let result = life.consumer.align(Some(position));
        let refused =
            result.as_ref().is_err_and(|e| matches!(e.kind(), ErrorKind::Gap { .. } | ErrorKind::Diverged));
        if to < first && refused {
            // What was pruned can't be compared any more.
            return Ok(());
        }
        let is_base = to > 0 && self.base_from()?.is_some();
        let hole = (to + 1 < first || to + 1 == first && is_base) && result.is_ok();
        demand!(!hole, "P11: going back to {to} of {first} left a hole in silence");
        self.note_at(call, Event::Acknowledging(number, to));
        match self.outcome(result)? {
            Outcome::Done(()) => {
                self.note(Event::Synced(number));
                self.with_consumer(number, |life| {
                    life.next = to + 1;
                    Ok(())
                })?;
            }
            Outcome::Full | Outcome::Broken => {
                // It may have gone back, or not, and then it needs no more than before.
                self.note(Event::Acknowledging(number, at));
                self.close_consumer(number);
            }
        }
        Ok(())
    }

    /// What the log's first checkpoint takes in, if it is compacted.
    fn base_from(&mut self) -> Checked<Option<u64>> {
        let log = &self.live()?.log;
        let first = log.reader(log.first()).and_then(|mut reader| reader.next());
        match first {
            Ok(first) => Ok(first.and_then(|first| first.compacted_from()).map(|from| from.get())),
            Err(_) if self.failed_since_opening() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn close_consumer(&mut self, number: u8) {
        if let Some(live) = &mut self.live {
            live.consumers.remove(&number);
        }
    }

    pub(super) fn drop_consumer(&mut self, number: u8) -> Checked {
        self.close_consumer(number);
        if !self.live()?.log.consumers()?.iter().any(|info| info.name == consumer_name(number)) {
            return Ok(());
        }
        self.note(Event::Dropping(number));
        let result = self.live()?.log.drop_consumer(&consumer_name(number), None);
        if let Outcome::Done(()) = self.outcome(result)? {
            self.note(Event::Dropped(number));
        }
        Ok(())
    }

    pub(super) fn pin(&mut self, number: u8, back: u8) -> Checked {
        let live = self.live()?;
        let first = live.log.first().get();
        let end = live.log.end().map_or(0, |end| end.sequence.get());
        let from = end.saturating_sub(back.into()).max(first);
        let pin = Pin { from: Sequence::new(from), owner: "somebody".to_owned(), expires_us: i64::MAX };
        // Until it returns, the old one and the new one may each be there.
        self.note(Event::Unpinning(number));
        let result = self.live()?.log.pin(&pin_name(number), &pin);
        if let Outcome::Done(()) = self.outcome(result)? {
            self.note(Event::Pinned(number, from));
        }
        Ok(())
    }

    pub(super) fn unpin(&mut self, number: u8) -> Checked {
        if !self.model.pins.contains_key(&number) {
            return Ok(());
        }
        self.note(Event::Unpinning(number));
        let result = self.live()?.log.unpin(&pin_name(number));
        self.outcome(result).map(drop)
    }

    /// Another process reads beside the one that writes.
    pub(super) fn look(&mut self) -> Checked {
        let other = match LogReader::open_on(Arc::new(self.disk.clone())) {
            Ok(other) => other,
            Err(_) if self.failed_since_opening() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = other.end().map_or(0, |end| end.sequence.get());
        let (floor, tried) = (self.model.floor, self.model.tried());
        demand!(end <= tried, "P3: another process sees {end} of {tried}");
        demand!(end >= floor || self.disk.faults() > 0, "another process sees {end}, {floor} is durable");
        check_log(&other, &self.model, end, Depth::Usual)?;
        self.note(Event::Durable(end));
        Ok(())
    }

    pub(super) fn follow(&mut self) -> Checked {
        let known = self.live()?.follower.take();
        let mut begins = known.is_none();
        let mut follower = match known {
            Some(follower) => follower,
            None => match self.new_follower() {
                Ok(follower) => follower,
                Err(_) if self.failed_since_opening() => return Ok(()),
                Err(error) => return Err(error.into()),
            },
        };
        loop {
            let next = follower.next_sequence().get();
            match follower.next() {
                Ok(Some(checkpoint)) => {
                    check_checkpoint(&checkpoint, &self.model, next)?;
                    let is_hole = checkpoint.is_compacted() && !begins;
                    demand!(!is_hole, "P11: who had read up to {next} was given a base checkpoint");
                    begins = false;
                    self.note(Event::Durable(next));
                }
                Ok(None) => break,
                Err(error) => {
                    let may_be_gone = next < self.model.first.1 || next <= self.model.compacted_max;
                    let gap = matches!(error.kind(), ErrorKind::Gap { .. }) && may_be_gone;
                    if gap || self.failed_since_opening() {
                        return Ok(());
                    }
                    return Err(error.into());
                }
            }
        }
        self.live()?.follower = Some(follower);
        Ok(())
    }

    fn new_follower(&self) -> highwater::Result<highwater::Reader> {
        let other = LogReader::open_on(Arc::new(self.disk.clone()))?;
        other.reader(other.first())
    }

    /// A look before anything is opened for writing.
    pub(crate) fn look_first(&mut self) -> Checked {
        self.begin("opening");
        self.look_at_rest()
    }

    /// A reader of a log that nobody writes: it sees what recovery will accept, and a consumer gets only what is certain.
    pub(super) fn look_at_rest(&mut self) -> Checked {
        let other = match LogReader::open_on(Arc::new(self.disk.clone())) {
            Ok(other) => other,
            Err(error) if *error.kind() == ErrorKind::NotFound && self.model.floor == 0 => return Ok(()),
            Err(_) if self.disk.faults() > 0 => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = other.end().map_or(0, |end| end.sequence.get());
        let (floor, tried) = (self.model.floor, self.model.tried());
        demand!((floor..=tried).contains(&end), "P3: a reader sees {end}, not {floor} to {tried}");
        check_log(&other, &self.model, end, Depth::Usual)?;
        self.foreseen = Some(end);
        let known = self.model.consumers.iter().find(|(_, consumer)| consumer.certain);
        let Some(number) = known.map(|(number, _)| *number) else { return Ok(()) };
        let mut consumer = match other.consumer(&consumer_name(number), Start::Oldest) {
            Ok(consumer) => consumer,
            Err(_) if self.disk.faults() > 0 => return Ok(()),
            Err(error) => return Err(Violation::from(error).within("a consumer beside no writer")),
        };
        let next = consumer.acknowledged().get() + 1;
        if let Some(batch) = consumer.next_batch(&at_most(u8::MAX))? {
            let end = check_batch(&batch, &self.model, next)?;
            self.note(Event::Durable(end));
        }
        Ok(())
    }
}
