//! Compacting a pipeline's log. Which generation of a stream took the place of others, and when, is in the runtime's own
//! bookkeeping, which the engine does not read: it has to be told, or the base checkpoint would bring back what was replaced.

use std::collections::HashMap;

use highwater::{
    Compaction, ErrorKind, LogReader, Replacement, ReplacementOutcome, Sequence, StreamId, StreamName,
};

use crate::bookkeeping::{self, Book, sync_name};
use crate::definition::Generation;
use crate::failure::Result;

/// The compaction, knowing of every generation that took the place of others, of all checkpoints that there are now; it takes in no
/// later ones. A log without bookkeeping, which no pipeline has written, is compacted as was asked for.
///
/// Blocks for reading the frames' headers and the commits; records are not read, nor bookkeeping that has not changed. Holds some
/// bytes for each generation that took the place of others. Fails with the error of a checkpoint that is damaged, and with
/// [`FailureKind::Config`](crate::FailureKind::Config) for a log of a newer version.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let (log, _) = highwater::Log::open(dir.path(), highwater::Config::default())?;
/// let compaction = highwater_connect::compaction::with_generations(&log, highwater::Compaction::default())?;
/// log.compact(&compaction, &mut |_| std::ops::ControlFlow::Continue(()))?;
/// # Ok(())
/// # }
/// ```
pub fn with_generations(log: &LogReader, compaction: Compaction) -> Result<Compaction> {
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    match log.find_stream(&sync_name()) {
        Err(error) if *error.kind() == ErrorKind::NotFound => {
            // The engine is told that it was asked.
            return Ok(Compaction { up_to: compaction.up_to.or(Some(end)), ..compaction });
        }
        found => drop(found?),
    }
    let (history, first_records, last) = read(log)?;
    let mut replacements = compaction.replacements;
    let streams: HashMap<StreamName, StreamId> =
        log.streams()?.into_iter().map(|info| (info.name, info.id)).collect();
    for (name, began, outcome) in history.all() {
        // What has nothing older replaces nothing, and a stream that was dropped is asked for by nobody.
        let Some(stream) = streams.get(&name).copied() else { continue };
        if first_records.get(&stream).is_some_and(|first| *first < began) {
            replacements.push(Replacement { stream, began, outcome });
        }
    }
    let up_to = Some(compaction.up_to.map_or(last, |wanted| wanted.min(last)));
    Ok(Compaction { replacements, up_to, ..compaction })
}

/// The generations of a log, where each stream's oldest records are, and the last checkpoint that was read.
fn read(log: &LogReader) -> Result<(History, HashMap<StreamId, Sequence>, Sequence)> {
    let first = log.first().max(Sequence::FIRST);
    let mut history = History::from(first);
    let mut first_records = HashMap::new();
    let mut reader = log.reader(first)?;
    loop {
        let checkpoint = match reader.next() {
            Ok(None) => return Ok((history, first_records, reader.next_sequence().previous())),
            Ok(Some(checkpoint)) => checkpoint,
            Err(error) => {
                let (lost, _) = reader.pass_gap().ok_or(error)?;
                history.lose(lost);
                continue;
            }
        };
        let sequence = checkpoint.sequence();
        let book = if sequence == first {
            at_the_beginning(log, first)?
        } else {
            bookkeeping::said_by(&checkpoint)?
        };
        if let Some(book) = book {
            history.follow(sequence, &book);
        }
        for counts in checkpoint.streams().iter().filter(|counts| counts.records > 0) {
            first_records.entry(counts.stream).or_insert(sequence);
        }
    }
}

/// What was known when the log begins. `None`: a repair has begun it anew, and saved no states as old as that.
fn at_the_beginning(log: &LogReader, first: Sequence) -> Result<Option<Book>> {
    match bookkeeping::generations_at(log, first) {
        Err(failure)
            if failure.log_error().is_some_and(|error| matches!(error.kind(), ErrorKind::Gap { .. })) =>
        {
            Ok(None)
        }
        book => book.map(Some),
    }
}

/// A generation that was to take the place of others: its stream, its first checkpoint, and what became of it.
type Told = (StreamName, Sequence, ReplacementOutcome);

/// The generations of all streams, from checkpoint to checkpoint.
#[derive(Debug, Default)]
struct History {
    newest: HashMap<StreamName, Newest>,
    over: Vec<Told>,
    /// What the bookkeeping says next may have been so from here on: it is not known what was said before.
    unsure_from: Option<Sequence>,
}

/// The newest generation of a stream.
#[derive(Debug)]
struct Newest {
    number: u64,
    /// The first checkpoint whose records may be of it.
    began: Sequence,
    /// It is to take the place of others, and is not whole.
    is_open: bool,
    is_whole: bool,
}

impl Newest {
    fn of(number: u64, began: Sequence) -> Self {
        Newest { number, began, is_open: false, is_whole: false }
    }

    /// Takes what is said of it now; what became of it, if that is news.
    ///
    /// One that is open stays so while its sync is begun anew and nothing more is said of replacing: a source that counts versions by
    /// itself goes on with the same one.
    fn follow(&mut self, at: Sequence, generation: &Generation) -> Option<ReplacementOutcome> {
        if generation.replaces() {
            self.is_open = false;
            let is_news = !std::mem::replace(&mut self.is_whole, true);
            return is_news.then_some(ReplacementOutcome::Whole(at));
        }
        if generation.is_complete {
            let was_open = std::mem::replace(&mut self.is_open, false);
            return was_open.then_some(ReplacementOutcome::GivenUp(at));
        }
        self.is_open |= generation.number > 0 && generation.minimum == generation.number;
        None
    }
}

impl History {
    /// Of a log that begins with this checkpoint. Nobody knows since when it is as it is there.
    fn from(first: Sequence) -> Self {
        History { unsure_from: Some(first), ..History::default() }
    }

    /// Checkpoints from this one on are missing, and what they said.
    fn lose(&mut self, first: Sequence) {
        self.unsure_from.get_or_insert(first);
    }

    /// Takes what is said at a checkpoint. A generation with another number is a new one, whichever was given up for it.
    fn follow(&mut self, at: Sequence, book: &Book) {
        let since = self.unsure_from.take().unwrap_or(at);
        for stream in book.streams.iter() {
            let number = stream.generation.number;
            let newest = self.newest.entry(stream.name.clone()).or_insert_with(|| Newest::of(number, since));
            if newest.number != number {
                let before = std::mem::replace(newest, Newest::of(number, since));
                if before.is_open {
                    self.over.push((stream.name.clone(), before.began, ReplacementOutcome::GivenUp(at)));
                }
            }
            if let Some(outcome) = newest.follow(at, &stream.generation) {
                self.over.push((stream.name.clone(), newest.began, outcome));
            }
        }
    }

    /// Every generation that took the place of others, or was to.
    fn all(self) -> impl Iterator<Item = Told> {
        let open = self.newest.into_iter().filter(|(_, newest)| newest.is_open);
        let open = open.map(|(name, newest)| (name, newest.began, ReplacementOutcome::Open));
        self.over.into_iter().chain(open)
    }
}

#[cfg(test)]
mod tests;
