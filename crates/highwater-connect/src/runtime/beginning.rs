//! Where a destination begins that has nothing: at the log's beginning, or, where that is gone, where every stream is read anew.
//! Nowhere else: what it would lack there nobody would see.

use std::collections::BTreeMap;

use highwater::{ErrorKind, LogReader, Sequence, Start, StreamName};

use crate::bookkeeping::{Book, is_ours};
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::feed::Feed;
use crate::pipeline::Delivery;
use crate::quantity::plural;
use crate::refresh::Requests;
use crate::text::tame;

/// So many streams are named.
const NAMED_MAX: usize = 3;

/// Takes a destination's consumer, or makes it. Blocks for reading the log's commits where its beginning is gone.
///
/// Fails with [`FailureKind::Config`](crate::FailureKind::Config) where it can't begin without a hole, and with
/// [`FailureKind::Diverged`](crate::FailureKind::Diverged) where it has begun, and what follows is gone.
pub(super) fn open(log: &LogReader, name: &str, delivery: &Delivery, reporter: &Reporter) -> Result<Feed> {
    let open = |start| Feed::open(log, name, start, delivery.max_lag);
    let gone = match open(delivery.start) {
        Err(failure) if is_gap(&failure) => failure,
        opened => return opened,
    };
    let after = behind_what_is_gone(log, name, &gone)?;
    let feed = open(Start::After(after))?;
    reporter.note(format!("{name}: {gone}; it begins behind checkpoint {after}, {ANEW}"));
    Ok(feed)
}

/// Whether [`open`] would find a place to begin at. Takes no consumer, and makes none.
pub(super) fn check(log: &LogReader, name: &str, start: Start) -> Result<()> {
    let known = log.consumers()?.into_iter().find(|consumer| consumer.name == name);
    let start = known.map_or(start, |known| match known.acknowledged {
        Sequence::NONE => Start::Earliest,
        acknowledged => Start::After(acknowledged),
    });
    match log.check_start(start).map_err(Failure::from) {
        Err(failure) if is_gap(&failure) => behind_what_is_gone(log, name, &failure).map(drop),
        found => found.map(drop),
    }
}

/// Where a destination can begin that can't begin where it should.
fn behind_what_is_gone(log: &LogReader, name: &str, gone: &Failure) -> Result<Sequence> {
    if log.consumers()?.iter().any(|consumer| consumer.name == name) {
        return Err(Failure::diverged(format!("what it gets next is gone: {gone}; {}", anew(log)?)));
    }
    match whole_behind(log)? {
        Whole::Behind(after) => Ok(after),
        Whole::Never(streams) => Err(Failure::config(format!(
            "{gone}; {}; or let it begin with what comes from now on: start = \"now\" in its section",
            read_again(log, &streams)
        ))),
    }
}

/// Where a destination begins again that has lost what it got up to `acknowledged`: where it began, or where every stream is read
/// anew.
///
/// Fails with [`FailureKind::Diverged`](crate::FailureKind::Diverged) where neither is there.
pub(super) fn again(log: &LogReader, name: &str, start: Start, acknowledged: Sequence) -> Result<Start> {
    let gone = match log.check_start(start) {
        Ok(_) => return Ok(start),
        Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    match whole_behind(log)? {
        Whole::Behind(after) => Ok(Start::After(after)),
        Whole::Never(streams) => Err(Failure::diverged(format!(
            "it holds nothing, although checkpoints up to {acknowledged} were acknowledged, and {gone}; bring back what it held, or let \
             it have what is left: highwater consumer seek {} {name} --to oldest; or {}",
            log.path().display(),
            read_again(log, &streams)
        ))),
    }
}

/// Why nothing is missing there.
const ANEW: &str = "where every stream is read from its beginning";

fn is_gap(failure: &Failure) -> bool {
    failure.log_error().is_some_and(|error| matches!(error.kind(), ErrorKind::Gap { .. }))
}

/// What can be done for a destination that has begun, and lacks what is gone.
fn anew(log: &LogReader) -> Result<String> {
    Ok(match whole_behind(log)? {
        Whole::Behind(_) => {
            format!("under another name, in an empty place, it begins {ANEW}")
        }
        Whole::Never(streams) => {
            format!("{}, and give it another name and an empty place", read_again(log, &streams))
        }
    })
}

/// The commands that have these streams read anew.
fn read_again(log: &LogReader, streams: &[StreamName]) -> String {
    let commands = streams.iter().take(NAMED_MAX).map(|stream| {
        let namespace =
            stream.namespace.as_ref().map(|namespace| format!(" --namespace {}", tame(namespace)));
        let (log, namespace) = (log.path().display(), namespace.unwrap_or_default());
        format!("highwater refresh {log} --stream {}{namespace} --reason ...", tame(&stream.name))
    });
    let commands: Vec<String> = commands.collect();
    let more = match streams.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(", and so with {}", plural(more as u64, "more stream")),
    };
    format!("have what is not whole any more read again: {}{more}", commands.join(", "))
}

/// Whether there is a place from which on every stream is whole.
enum Whole {
    /// Behind this checkpoint.
    Behind(Sequence),
    /// Of these streams the log does not hold the beginning of what was read last.
    Never(Vec<StreamName>),
}

/// Looks for the place from which on every stream has a generation from its first record on, or will have: one that is to be read
/// again gets it with the next sync.
fn whole_behind(log: &LogReader) -> Result<Whole> {
    let begun = generations(log)?;
    let requests = Requests::newest(log)?;
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let (mut behind, mut never) = (end, Vec::new());
    for stream in log.streams()?.into_iter().map(|info| info.name).filter(|name| !is_ours(name)) {
        let is_asked_for = requests.of(&stream).is_some_and(|request| request.sync.is_none());
        match begun.get(&stream) {
            Some(begins) => behind = behind.min(begins.previous()),
            None if is_asked_for => {}
            None => never.push(stream),
        }
    }
    Ok(if never.is_empty() { Whole::Behind(behind) } else { Whole::Never(never) })
}

/// With which checkpoint each stream's newest generation begins, of those that begin behind the first checkpoint that is kept, and behind
/// the last gap.
fn generations(log: &LogReader) -> Result<BTreeMap<StreamName, Sequence>> {
    let mut begun = BTreeMap::new();
    let mut book: Option<Book> = None;
    let mut reader = log.reader(log.first())?;
    loop {
        let checkpoint = match reader.next() {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => return Ok(begun),
            Err(error) => {
                reader.pass_gap().ok_or(error)?;
                (book, begun) = (None, BTreeMap::new());
                continue;
            }
        };
        let Some(book) = &mut book else {
            book = Some(Book::at(log, checkpoint.sequence())?);
            continue;
        };
        let before: BTreeMap<StreamName, u64> = numbers(book).collect();
        if book.follow(&checkpoint)? {
            let new = numbers(book).filter(|(name, number)| before.get(name) != Some(number));
            begun.extend(new.map(|(name, _)| (name, checkpoint.sequence())));
        }
    }
}

fn numbers(book: &Book) -> impl Iterator<Item = (StreamName, u64)> {
    book.streams.iter().map(|stream| (stream.name.clone(), stream.generation.number))
}
