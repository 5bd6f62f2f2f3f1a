//! Waiting at the log's cap: the source is not read meanwhile, so whatever it does, memory and disk stay bounded.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use highwater::{ConsumerInfo, Error, ErrorKind, Log};

use super::Surroundings;
use crate::event::Event;
use crate::failure::{Failure, Result};

/// With nobody left who could take more there is nothing to wait for but a pruning, which is quicker than this.
const HOPE: Duration = Duration::from_secs(5);
/// How long to wait before the next try, if the engine has not waited itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries again until there is room, somebody asks to stop, or there is no hope. Fails with
/// [`FailureKind::Full`](crate::FailureKind::Full), and says what holds the space, where a person has to make room.
pub(super) fn wait<T>(
    log: &Log,
    around: &Surroundings,
    first: Error,
    mut attempt: impl FnMut() -> highwater::Result<T>,
) -> Result<T> {
    // Where the disk itself is full, waiting could take for ever, and a person should know.
    if std::error::Error::source(&first).is_some() {
        return Err(first.into());
    }
    if !around.waits_when_full {
        return Err(no_room(log, around, first));
    }
    around.reporter.tell(Event::DiskLow { room: "log", free_bytes: 0 });
    let mut hopeless_since = None;
    loop {
        // Deliveries end, too, so nobody makes room any more. What is committed stays; the source sends the rest again.
        if around.stop.is_asked() {
            return Err(Failure::cancelled());
        }
        let full = match attempt() {
            Err(error) if *error.kind() == ErrorKind::Full => error,
            done => return Ok(done?),
        };
        hopeless_since =
            if is_hopeless(log, around)? { hopeless_since.or(Some(Instant::now())) } else { None };
        if hopeless_since.is_some_and(|since: Instant| since.elapsed() > HOPE) {
            return Err(no_room(log, around, full));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Nobody is left who could make room.
fn is_hopeless(log: &Log, around: &Surroundings) -> Result<bool> {
    Ok(!log.consumers()?.iter().any(|consumer| is_lagging(consumer) && may_read(around, consumer)))
}

fn is_lagging(consumer: &ConsumerInfo) -> bool {
    consumer.lag_checkpoints > 0
}

/// A destination of the pipeline, until it is given up; and any other consumer, while somebody has it.
fn may_read(around: &Surroundings, consumer: &ConsumerInfo) -> bool {
    let given_up = around.given_up.lock().unwrap_or_else(PoisonError::into_inner);
    let is_ours = around.destinations.contains(&consumer.name) && !given_up.contains(&consumer.name);
    is_ours || consumer.used_by.is_some()
}

/// What a person can do depends on who holds the oldest checkpoint.
fn no_room(log: &Log, around: &Surroundings, full: Error) -> Failure {
    let consumers = log.consumers().unwrap_or_default();
    let oldest = consumers.iter().filter(|consumer| is_lagging(consumer)).min_by_key(|one| one.acknowledged);
    let what = match oldest {
        None => "everything is delivered, and what has to stay fills the cap: raise storage.max_size, let \
                 storage.retain keep less, or let checkpoints be smaller (checkpoint.every)"
            .to_owned(),
        Some(late) if around.destinations.contains(&late.name) => format!(
            "destination {} has to take more first: mend it, and deliver to it; or raise storage.max_size",
            late.name
        ),
        Some(late) => format!(
            "consumer {} has to take more first, and is no destination of this pipeline: start what reads it, or drop it",
            late.name
        ),
    };
    Failure::full(what).because(full)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{around, offer};
    use super::super::{Meta, Op, Output};
    use super::*;
    use crate::FailureKind;
    use crate::feed::Feed;
    use crate::source::Reading;
    use highwater::{Config, Limit, Start, WhenFull};
    use std::sync::atomic::{AtomicBool, Ordering};

    const MIB: u64 = 1 << 20;

    fn open(dir: &std::path::Path) -> Log {
        let config = Config {
            size_max: Some(MIB),
            segment_bytes: 64 << 10,
            when_full: WhenFull::Wait(Duration::from_millis(10)),
            ..Config::default()
        };
        Log::open(dir, config).unwrap().0
    }

    /// Sends checkpoints of so many bytes until it can't.
    fn fill(log: &Log, around: &Surroundings, checkpoint_bytes: usize) -> Failure {
        let mut out = Output::begin(log, &[offer("a", Reading::Onward)], around).unwrap();
        let handle = out.find(None, "a").unwrap();
        let row = vec![b'x'; 10_000];
        let mut send = |n: usize| {
            for _ in 0..checkpoint_bytes / row.len() {
                out.record(handle, Op::Insert { key: b"", row: &row }, Meta::default())?;
            }
            out.state(handle, &n.to_string())
        };
        (0..).find_map(|n| send(n).err()).unwrap()
    }

    #[track_caller]
    fn is_full(failure: &Failure, words: &[&str]) {
        assert_eq!(failure.kind(), FailureKind::Full, "{failure}");
        let text = failure.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }

    #[test]
    fn nobody_waits_for_a_destination_that_was_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let mut around = around(Duration::ZERO);
        around.destinations.insert("lake".to_owned());
        drop(Feed::open(&log, "lake", Start::Earliest, None).unwrap());
        let given_up = around.given_up.clone();
        let giving_up = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            given_up.lock().unwrap().insert("lake".to_owned());
        });
        let begun = Instant::now();
        let failure = fill(&log, &around, 100_000);
        is_full(&failure, &["destination lake has to take more", "no room", "held by consumer lake"]);
        assert!(begun.elapsed() >= HOPE + Duration::from_secs(1));
        giving_up.join().unwrap();
    }

    #[test]
    fn nobody_waits_for_a_consumer_that_nobody_reads() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        drop(Feed::open(&log, "old", Start::Earliest, None).unwrap());
        let failure = fill(&log, &around(Duration::ZERO), 100_000);
        is_full(&failure, &["consumer old has to take more", "no destination of this pipeline"]);
    }

    #[test]
    fn a_cap_below_what_comes_between_two_states_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let mut feed = Feed::open(&log, "lake", Start::Earliest, None).unwrap();
        let is_over = AtomicBool::new(false);
        let failure = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let soon = Limit { wait: Duration::from_millis(20), ..Limit::default() };
                    if let Some(batch) = feed.next(&soon).unwrap() {
                        feed.acknowledge(batch.end()).unwrap();
                    }
                }
            });
            let failure = fill(&log, &around(Duration::ZERO), 2_000_000);
            is_over.store(true, Ordering::Relaxed);
            failure
        });
        is_full(&failure, &["raise storage.max_size"]);
    }
}
