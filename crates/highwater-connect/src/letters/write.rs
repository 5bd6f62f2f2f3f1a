//! Putting letters, and taking them away. Each step is one checkpoint of their log.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater::{Commit, Compaction, ErrorKind, Log, Meta, Op, Record, Stream, StreamSpec, Writer};

use super::letter::{self, Again, Identity, Letter};
use super::{DeadLetters, Remembered, read, stream_name};
use crate::failure::{Failure, Result};
use crate::{files, runs};

/// The dead letters, open to be changed. Nobody else can change them meanwhile.
#[derive(Debug)]
pub struct Writing {
    log: Log,
    writer: Writer,
    stream: Stream,
    /// That are there.
    known: HashSet<Identity>,
    remembered: Arc<Mutex<Option<Remembered>>>,
    next: u64,
    count_max: u64,
    changed: u64,
}

impl DeadLetters {
    /// Opens them to be changed; makes their log if it is not there. Blocks for reading it, and at most ten seconds for
    /// somebody else who changes them.
    pub fn open(&self) -> Result<Writing> {
        self.open_log().map_err(|failure| failure.while_doing("the dead letters"))
    }

    fn open_log(&self) -> Result<Writing> {
        if let Some(folder) = self.path.parent() {
            files::make_private_directory(folder)
                .map_err(|e| Failure::transient(format!("making {}", folder.display())).because(e))?;
        }
        let (log, _) = Log::open(&self.path, self.config())?;
        let name = stream_name();
        let spec = StreamSpec::new(name.name).namespace(name.namespace.unwrap_or_default());
        let stream = log.stream(spec.key(["number"]))?;
        let writer = log.writer(&[&stream])?;
        let next = log.state()?.get(&stream)?.unwrap_or(1);
        let remembered = self.remembered.clone();
        let last = lock(&remembered).take().filter(|last| last.end == log.end());
        let known = match last {
            Some(last) => last.known,
            None => read::living(&log)?.values().map(Letter::identity).collect(),
        };
        Ok(Writing { log, writer, stream, known, remembered, next, count_max: self.max.count, changed: 0 })
    }
}

impl Writing {
    /// Puts a refused record, unless it is there; its number is given, whatever `letter` says. Whether it was put.
    pub fn put(&mut self, letter: Letter, record: &Record) -> Result<bool> {
        if !self.known.insert(letter.identity()) {
            return Ok(false);
        }
        if self.known.len() as u64 > self.count_max {
            return Err(too_many(self.count_max, &letter.reason));
        }
        let key = letter::key_of(self.next);
        let metadata = letter::encode(&letter, record)?;
        let op = Op::Upsert { key: key.as_bytes(), row: &record.payload };
        let meta = Meta { emitted_us: Some(record.emitted_us), metadata: &metadata };
        self.writer.append_with(&self.stream, op, meta).map_err(of_size)?;
        self.next += 1;
        self.changed += 1;
        Ok(true)
    }

    /// The destination refused it again.
    pub fn refused_again(&mut self, number: u64, reason: &str) -> Result<()> {
        let again = Again { refused_us: runs::now_us(), reason: reason.to_owned() };
        let metadata =
            serde_json::to_vec(&again).map_err(|e| Failure::permanent("a dead letter").because(e))?;
        let key = letter::key_of(number);
        let meta = Meta { emitted_us: None, metadata: &metadata };
        self.writer.append_with(&self.stream, Op::Update { key: key.as_bytes(), row: b"" }, meta)?;
        self.changed += 1;
        Ok(())
    }

    /// A letter goes. What it held is gone for good with the next [`tidy`](Writing::tidy).
    pub fn remove(&mut self, letter: &Letter) -> Result<()> {
        let key = letter::key_of(letter.number);
        self.writer.append(&self.stream, Op::Delete { key: key.as_bytes(), row: b"" })?;
        self.known.remove(&letter.identity());
        self.changed += 1;
        Ok(())
    }

    /// Makes what was done durable, together; `labels` say what it was, by whom and why. Blocks for a flush.
    pub fn commit(&mut self, labels: &[(&str, &str)]) -> Result<()> {
        if std::mem::take(&mut self.changed) == 0 {
            return Ok(());
        }
        let commit = Commit::new().stream(&self.stream, &self.next);
        let commit = labels.iter().fold(commit, |commit, (key, value)| commit.label(*key, *value));
        let committed = self.writer.commit(commit).map_err(of_size)?;
        if committed.durable {
            return Ok(());
        }
        Err(Failure::transient("the dead letters are not durable"))
    }

    /// The same, and closes them.
    pub fn finish(mut self, labels: &[(&str, &str)]) -> Result<()> {
        self.commit(labels)?;
        *lock(&self.remembered) = Some(Remembered { end: self.log.end(), known: self.known });
        drop(self.writer);
        Ok(self.log.close()?)
    }

    /// Gives the room of removed letters back. Blocks for rewriting those that are left.
    pub fn tidy(self) -> Result<()> {
        drop(self.writer);
        // No generation replaces letters, and the engine is told that somebody knows.
        let compaction =
            Compaction { up_to: self.log.end().map(|end| end.sequence), ..Compaction::default() };
        self.log.compact(&compaction, &mut |_| ControlFlow::Continue(()))?;
        Ok(self.log.close()?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many(max: u64, reason: &str) -> Failure {
    Failure::config(format!(
        "the destination has refused more than {max} records ({reason}): look at them with `highwater dead-letters list`, and drop or \
         retry them; where one delivery alone has more, raise dead_letters.max_count"
    ))
}

fn of_size(error: highwater::Error) -> Failure {
    if *error.kind() == ErrorKind::Full && std::error::Error::source(&error).is_none() {
        return Failure::config(
            "there is no room for more dead letters: drop or retry some, or raise dead_letters.max_size",
        );
    }
    error.into()
}
