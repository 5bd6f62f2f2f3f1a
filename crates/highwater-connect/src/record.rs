//! What is on record of a log, with what the runtime's own bookkeeping tells: which generation of a stream became whole, and when.
//! That takes effect with the commit that says so, so that commit is the record of it.

use std::collections::HashMap;

use highwater::{AuditEntry, Checkpoint, ErrorKind, LogReader, Sequence, StreamName};
use serde::Serialize;

use crate::bookkeeping::{self, Book, sync_name};
use crate::definition::Generation;
use crate::failure::Result;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Entry {
    /// To the log.
    Log(AuditEntry),
    /// To a stream of a pipeline.
    Activation(Activation),
}

impl Entry {
    /// When, in microseconds since 1970-01-01 UTC.
    pub fn time_us(&self) -> i64 {
        match self {
            Entry::Log(entry) => entry.time_us,
            Entry::Activation(entry) => entry.time_us,
        }
    }

    /// The last checkpoint before it.
    pub fn after(&self) -> Sequence {
        match self {
            Entry::Log(entry) => entry.after,
            Entry::Activation(entry) => entry.after,
        }
    }
}

/// A stream was read again from its beginning, and that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "activation")]
#[non_exhaustive]
pub struct Activation {
    /// When, in microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    /// The last checkpoint before it.
    pub after: Sequence,
    /// The stream.
    pub stream: StreamName,
    /// The generation that is whole.
    pub generation: u64,
    /// Rows of older generations go, in destinations that can tell them apart.
    pub replaces: bool,
}

/// Everything on record, oldest first, as far as segments are kept. Blocks for reading every frame's header; of a pipeline's log every
/// commit twice. An error comes after what was told before it.
pub fn record(log: &LogReader, tell: &mut dyn FnMut(Entry)) -> Result<()> {
    let mut activations = activations(log)?.into_iter().peekable();
    log.audit(&mut |entry| {
        let is_earlier = |one: &Activation| (one.after, one.time_us) < (entry.after, entry.time_us);
        while let Some(activation) = activations.next_if(is_earlier) {
            tell(Entry::Activation(activation));
        }
        tell(Entry::Log(entry));
    })?;
    activations.for_each(|activation| tell(Entry::Activation(activation)));
    Ok(())
}

/// Which generations took the place of others, or came beside them.
fn activations(log: &LogReader) -> Result<Vec<Activation>> {
    match log.find_stream(&sync_name()) {
        Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        found => drop(found?),
    }
    let mut found = Vec::new();
    let mut known = Whole { is_from_the_beginning: log.first() <= Sequence::FIRST, ..Whole::default() };
    let mut reader = log.reader(log.first().max(Sequence::FIRST))?;
    loop {
        match reader.next() {
            Ok(None) => return Ok(found),
            Ok(Some(checkpoint)) => {
                let Some(book) = bookkeeping::said_by(&checkpoint)? else { continue };
                let news = known.follow(&book);
                found
                    .extend(news.into_iter().map(|(stream, generation)| of(&checkpoint, stream, generation)));
            }
            Err(error) => drop(reader.pass_gap().ok_or(error)?),
        }
    }
}

/// The newest generation of each stream that is known to be whole.
#[derive(Debug, Default)]
struct Whole {
    numbers: HashMap<StreamName, u64>,
    is_from_the_beginning: bool,
}

impl Whole {
    /// Takes what the bookkeeping says now; returns the streams of which a generation has become whole. A stream that is read onward
    /// stays in its generation, which is whole again after each sync: that is no news. Nor is what was so before the log begins.
    fn follow(&mut self, book: &Book) -> Vec<(StreamName, Generation)> {
        let is_first_look = !std::mem::replace(&mut self.is_from_the_beginning, true);
        let mut news = Vec::new();
        for stream in book.streams.iter().filter(|stream| stream.generation.number > 0) {
            let generation = stream.generation;
            let replaces_soon = !generation.is_complete && generation.minimum == generation.number;
            if !generation.is_complete && (!is_first_look || replaces_soon) {
                continue;
            }
            let before = self.numbers.insert(stream.name.clone(), generation.number);
            if before != Some(generation.number) && !is_first_look {
                news.push((stream.name.clone(), generation));
            }
        }
        news
    }
}

fn of(checkpoint: &Checkpoint, stream: StreamName, generation: Generation) -> Activation {
    Activation {
        time_us: checkpoint.time_us(),
        after: checkpoint.sequence().previous(),
        stream,
        generation: generation.number,
        replaces: generation.replaces(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::StreamDefinition;

    /// A book of one stream.
    fn book(number: u64, minimum: u64, is_complete: bool) -> Book {
        let generation = Generation { number, minimum, is_complete, sync: 1 };
        let name = StreamName { namespace: None, name: "a".to_owned() };
        Book {
            streams: [StreamDefinition { generation, ..StreamDefinition::new(name) }].into_iter().collect(),
            ..Book::default()
        }
    }

    fn told(is_from_the_beginning: bool, books: &[(u64, u64, bool)]) -> Vec<(u64, bool)> {
        let mut whole = Whole { is_from_the_beginning, ..Whole::default() };
        let news = books.iter().flat_map(|(number, minimum, is)| whole.follow(&book(*number, *minimum, *is)));
        news.map(|(_, generation)| (generation.number, generation.replaces())).collect()
    }

    #[test]
    fn a_generation_is_told_once_when_it_is_whole() {
        // Read onward, read again beside what is there, onward in that, read again in its place.
        let onward = [(0, 0, false), (0, 0, true), (0, 0, false), (0, 0, true)];
        assert_eq!(told(true, &onward), []);
        let beside = [(0, 0, true), (1, 0, false), (1, 0, true), (1, 0, false), (1, 0, true)];
        assert_eq!(told(true, &beside), [(1, false)]);
        let instead = [(1, 0, true), (2, 2, false), (2, 2, false), (2, 2, true), (2, 0, false), (2, 0, true)];
        assert_eq!(told(true, &instead), [(1, false), (2, true)]);
    }

    #[test]
    fn what_was_whole_before_the_log_begins_is_no_news() {
        assert_eq!(told(false, &[(3, 0, true), (3, 0, false), (3, 0, true), (4, 4, true)]), [(4, true)]);
        assert_eq!(told(false, &[(3, 0, false), (3, 0, true)]), []);
        assert_eq!(told(false, &[(3, 3, false), (3, 3, true)]), [(3, true)]);
    }
}
