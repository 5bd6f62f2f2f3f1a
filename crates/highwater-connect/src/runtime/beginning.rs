//! Where a destination begins that has nothing: at the log's beginning, or, where that is gone, where every stream is read anew.
//! Nowhere else: what it would lack there nobody would see.

use std::collections::BTreeMap;

use highwater::{By, ConsumerInfo, ErrorKind, LogReader, Position, Sequence, Start, StreamName};

use super::holding;
use crate::bookkeeping::{Book, is_ours};
use crate::destination::{Destination, Stored};
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::feed::Feed;
use crate::pipeline::Delivery;
use crate::quantity::plural;
use crate::refresh::Requests;
use crate::text::tame;

/// So many streams are named.
const NAMED_MAX: usize = 3;

/// Takes a destination's consumer, or makes it: behind what the destination holds, if it holds something. Blocks for its answer then,
/// and for reading the log's commits where the log's beginning is gone.
///
/// Fails with [`FailureKind::Config`](crate::FailureKind::Config) where it can't begin without a hole, and with
/// [`FailureKind::Diverged`](crate::FailureKind::Diverged) where it has begun, and what follows is gone.
pub(super) fn open(
    log: &LogReader,
    name: &str,
    delivery: &Delivery,
    destination: &mut dyn Destination,
    reporter: &Reporter,
) -> Result<Feed> {
    let open = |start| Feed::open(log, name, start, delivery.max_lag);
    let known = log.consumers()?.into_iter().find(|consumer| consumer.name == name);
    if let Some(consumer) = known.as_ref().filter(|consumer| consumer.diverged)
        && matches!(destination.stored(), Ok(Stored::Nothing))
    {
        forget(log, consumer, delivery.start, reporter)?;
    }
    let is_known = known.is_some();
    // From the log's beginning on it finds its place by itself. One that can't be asked now is asked again before it is given anything.
    let is_from_first = delivery.start == Start::Earliest && log.check_start(Start::Earliest).is_ok();
    if !is_known
        && !is_from_first
        && let Ok(Stored::UpTo(position)) = destination.stored()
    {
        return open(Start::After(behind(log, name, position)?));
    }
    let gone = match open(delivery.start) {
        Err(failure) if is_gap(&failure) => failure,
        opened => return opened,
    };
    if is_known {
        return Err(Failure::diverged(format!("what it gets next is gone: {gone}; {}", anew(log)?)));
    }
    let after = whole_after(log, &gone)?;
    let feed = open(Start::After(after))?;
    reporter.note(format!("{name}: {gone}; it begins behind checkpoint {after}, {ANEW}"));
    Ok(feed)
}

/// What the consumer has acknowledged is of another history, which a restore or a repair has left behind; and the destination is an
/// empty place, so that is of no account.
fn forget(log: &LogReader, consumer: &ConsumerInfo, start: Start, reporter: &Reporter) -> Result<()> {
    let (name, before) = (&consumer.name, consumer.acknowledged);
    let start = again(log, name, start, before)?;
    let why = "what it had acknowledged is of another history, and its destination holds nothing";
    let at = log.seek_consumer(name, start, Some(By { who: "highwater run", why }))?;
    reporter.warning(format!(
        "{name}: the destination holds nothing, and checkpoint {before}, which was acknowledged, is of another history: it gets \
         everything again that is behind checkpoint {at}"
    ));
    Ok(())
}

/// Whether a destination that has no consumer yet could begin; fails as [`open`] would. Changes nothing.
pub(super) fn check(log: &LogReader, name: &str, start: Start, stored: Stored) -> Result<()> {
    if log.consumers()?.iter().any(|consumer| consumer.name == name) {
        return Ok(());
    }
    if let Stored::UpTo(position) = stored {
        return behind(log, name, position).map(drop);
    }
    match log.check_start(start).map_err(Failure::from) {
        Err(failure) if is_gap(&failure) => whole_after(log, &failure).map(drop),
        found => found.map(drop),
    }
}

/// Where every stream begins that a new destination gets, since the log's beginning is gone.
fn whole_after(log: &LogReader, gone: &Failure) -> Result<Sequence> {
    match whole_behind(log)? {
        Whole::Behind(after) => Ok(after),
        Whole::Never(streams) => {
            Err(Failure::config(format!("{gone}; {}; or {FROM_NOW_ON}", read_again(log, &streams))))
        }
    }
}

/// Where one goes on whose consumer was dropped: behind what it holds. A consumer that could not go on would hold the log for nothing.
fn behind(log: &LogReader, name: &str, stored: Position) -> Result<Sequence> {
    let gone = match log.check_position(stored) {
        Ok(()) => return Ok(stored.sequence),
        // What damage took is told when it comes next.
        Err(error) if holding::lost_from(log, &error).is_some() => return Ok(stored.sequence),
        Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => error,
        Err(error) => return Err(holding::refused(log, name, error)),
    };
    let ways_out = match whole_behind(log)? {
        Whole::Behind(_) => format!("give it an empty place ({PLACES}), where it begins {ANEW}"),
        Whole::Never(streams) => format!(
            "give it an empty place ({PLACES}), and {}; or, in an empty place, {FROM_NOW_ON}",
            read_again(log, &streams)
        ),
    };
    Err(Failure::diverged(format!("it holds checkpoints up to {}, and {gone}; {ways_out}", stored.sequence)))
}

/// What an empty place is.
const PLACES: &str = "another path, schema or database";

/// For who does not need what was before.
const FROM_NOW_ON: &str = "let it begin with what comes from now on: start = \"now\" in its section";

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
pub(super) fn anew(log: &LogReader) -> Result<String> {
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
