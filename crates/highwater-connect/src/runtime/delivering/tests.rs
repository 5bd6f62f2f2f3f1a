mod dropped;
mod gap;
mod lost;

use std::path::Path;
use std::sync::{Arc, Mutex};

use highwater::{Commit, Config, Log, Op, Position, Start, StreamSpec};

use super::*;
use crate::destination::{Applied, Rejected, Stored};
use crate::event::Observer;
use crate::letters::LettersMax;
use crate::pipeline::{BreakerPolicy, Pipeline, RetryPolicy, Secrets};
use crate::{JsonLines, OnReject};

/// A log in which every third record of stream `s` is one that files of JSON lines refuse.
fn log_of(dir: &Path, checkpoints: u64) -> Log {
    let (log, _) = Log::open(dir.join("log.hw"), Config::default()).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for n in 0..checkpoints {
        for row in [format!("{{\"n\":{n}}}"), format!("no JSON {n}"), "{}".to_owned()] {
            writer.append(&stream, Op::Insert { key: b"", row: row.as_bytes() }).unwrap();
        }
        writer.commit(Commit::new().stream(&stream, &n)).unwrap();
    }
    log
}

/// One whose process is killed when it has applied a batch, before anybody hears of it; so it seems from outside.
struct Killed {
    lake: JsonLines,
    kills: u32,
}

impl Destination for Killed {
    fn stored(&mut self) -> Result<Stored> {
        self.lake.stored()
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        let applied = self.lake.apply(batch)?;
        if self.kills > 0 {
            self.kills -= 1;
            return Err(Failure::transient("killed"));
        }
        Ok(applied)
    }

    fn rejected_after(&mut self, sequence: Sequence) -> Result<Vec<Rejected>> {
        self.lake.rejected_after(sequence)
    }
}

fn delivery(on_reject: OnReject) -> Delivery {
    let text =
        "version = 1\nname = 'p'\nlog = 'log.hw'\n[destinations.lake]\nbatch = { max_checkpoints = 2 }";
    let pipeline = Pipeline::parse(text, Path::new("/")).unwrap();
    let retry = RetryPolicy {
        initial: Duration::from_millis(1),
        max: Duration::from_millis(1),
        attempts_without_progress: 3,
        ..RetryPolicy::default()
    };
    Delivery { on_reject, retry, ..pipeline.destination("lake").unwrap().0 }
}

fn deliver(
    log: &Log,
    destination: &mut dyn Destination,
    letters: &DeadLetters,
    on_reject: OnReject,
) -> Result<()> {
    let goal = Goal::default();
    goal.set(log.end().unwrap().sequence);
    let (delivery, reporter, stop) = (delivery(on_reject), Reporter::silent(), Stop::default());
    let deliverer = Deliverer {
        name: "lake",
        log,
        delivery: &delivery,
        letters,
        trouble: TroubleFile::new(log.path(), "lake"),
        goal: &goal,
        reporter: &reporter,
        stop: &stop,
    };
    deliverer.run(deliverer.open(destination)?, destination)
}

/// The checkpoints whose record was refused, as the dead letters have it.
fn refused(letters: &DeadLetters) -> Vec<u64> {
    let found = letters.list().unwrap();
    assert!(found.iter().all(|letter| letter.index == 1 && letter.reason.contains("not JSON")), "{found:?}");
    found.iter().map(|letter| letter.sequence().get()).collect()
}

#[test]
fn what_is_refused_is_a_dead_letter_once_also_after_kills() {
    for kills in [0, 1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let log = log_of(dir.path(), 6);
        let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
        let mut destination = Killed { lake: JsonLines::new(dir.path().join("lake")), kills };
        deliver(&log, &mut destination, &letters, OnReject::DeadLetter).unwrap();
        assert_eq!(refused(&letters), [1, 2, 3, 4, 5, 6], "{kills} kills");
    }
}

#[test]
fn of_too_many_refusals_the_first_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 6);
    let few = DeadLetters::new(dir.path(), "lake", LettersMax { count: 3, ..LettersMax::default() });
    let mut lake = JsonLines::new(dir.path().join("lake"));
    let failure = deliver(&log, &mut lake, &few, OnReject::DeadLetter).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Config);
    assert!(
        failure.to_string().contains("more than 3 records (") && failure.to_string().contains("not JSON")
    );
    // Of the second delivery, which is not acknowledged, the one for which there was room.
    assert_eq!(refused(&few), [1, 2, 3]);
    assert_eq!(log.consumers().unwrap()[0].acknowledged.get(), 2);
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    deliver(&log, &mut lake, &letters, OnReject::DeadLetter).unwrap();
    assert_eq!(refused(&letters), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn nothing_is_acknowledged_whose_refusals_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 2);
    // No folder can be made where a file is.
    std::fs::write(dir.path().join("file"), "").unwrap();
    let nowhere = DeadLetters::new(&dir.path().join("file"), "lake", LettersMax::default());
    let mut lake = JsonLines::new(dir.path().join("lake"));
    deliver(&log, &mut lake, &nowhere, OnReject::DeadLetter).unwrap_err();
    let acknowledged = log.consumers().unwrap()[0].acknowledged;
    assert_eq!(acknowledged, Sequence::NONE);
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    deliver(&log, &mut lake, &letters, OnReject::DeadLetter).unwrap();
    assert_eq!(refused(&letters), [1, 2]);
}

#[test]
fn a_refusal_that_is_to_fail_stops_before_it_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 2);
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    let mut lake = JsonLines::new(dir.path().join("lake"));
    let failure = deliver(&log, &mut lake, &letters, OnReject::Fail).unwrap_err();
    assert!(failure.to_string().starts_with("record 1 of stream s in checkpoint 1 is refused"), "{failure}");
    assert_eq!((lake.stored().unwrap(), refused(&letters)), (Stored::Nothing, vec![]));
    // A person has decided otherwise.
    deliver(&log, &mut lake, &letters, OnReject::DeadLetter).unwrap();
    assert_eq!(refused(&letters), [1, 2]);
}

#[test]
fn a_destination_begun_anew_refuses_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 3);
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    for place in ["lake", "other"] {
        let mut lake = JsonLines::new(dir.path().join(place));
        deliver(&log, &mut lake, &letters, OnReject::DeadLetter).unwrap();
        log.seek_consumer("lake", Start::Earliest, None).unwrap();
    }
    assert_eq!(refused(&letters), [1, 2, 3]);
}

/// One that is sure of nothing before it is asked to be, and fails at that the first time: only the first batch is there then.
#[derive(Default)]
struct Later {
    taken: Vec<Position>,
    sure: Option<Position>,
    has_failed: bool,
}

impl Destination for Later {
    fn stored(&mut self) -> Result<Stored> {
        self.sure = None;
        Ok(Stored::NoPositions)
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        self.taken.push(batch.end());
        Ok(Applied::default())
    }

    fn confirmed(&mut self) -> Result<Confirmed> {
        Ok(Confirmed::UpTo(self.sure))
    }

    fn flush(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.has_failed, true) {
            self.sure = self.taken.last().copied();
            return Ok(());
        }
        self.sure = self.taken.first().copied();
        Err(Failure::transient("the second batch is lost"))
    }
}

#[test]
fn what_is_not_confirmed_comes_again_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 4);
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    let mut later = Later::default();
    deliver(&log, &mut later, &letters, OnReject::DeadLetter).unwrap();
    let taken: Vec<u64> = later.taken.iter().map(|end| end.sequence.get()).collect();
    assert_eq!(taken, [2, 4, 4]);
    assert_eq!(log.consumers().unwrap()[0].acknowledged, log.end().unwrap().sequence);
}

#[test]
fn a_destination_of_another_history_is_given_nothing() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    let mut lake = JsonLines::new(dir.path().join("lake"));
    deliver(&log_of(other.path(), 2), &mut lake, &letters, OnReject::DeadLetter).unwrap();
    let (log, stored) = (log_of(dir.path(), 4), lake.stored().unwrap());
    let failure = deliver(&log, &mut lake, &letters, OnReject::DeadLetter).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Diverged);
    assert_eq!((lake.stored().unwrap(), log.consumers().unwrap()[0].acknowledged), (stored, Sequence::NONE));
}

/// One that is down for some attempts.
struct Down {
    lake: JsonLines,
    fails: u32,
    asked: u32,
}

impl Destination for Down {
    fn stored(&mut self) -> Result<Stored> {
        self.asked += 1;
        if self.asked <= self.fails {
            return Err(Failure::transient("down"));
        }
        self.lake.stored()
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied> {
        self.lake.apply(batch)
    }
}

/// Delivers to one that is down so often, while the source has more until `ends` says otherwise; how often it was asked.
fn deliver_down(fails: u32, cooldown: Duration, ends_after: Duration) -> (Result<()>, u32, Vec<Event>) {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 2);
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    let breaker = Some(BreakerPolicy { failures: 2, cooldown });
    let delivery = Delivery { breaker, ..delivery(OnReject::DeadLetter) };
    let (goal, stop, kept) = (Goal::default(), Stop::default(), Arc::new(Kept::default()));
    let reporter = Reporter::new(kept.clone(), Secrets::default());
    let mut lake = Down { lake: JsonLines::new(dir.path().join("lake")), fails, asked: 0 };
    let delivered = std::thread::scope(|scope| {
        let (end, goal) = (log.end().unwrap().sequence, &goal);
        scope.spawn(move || {
            std::thread::sleep(ends_after);
            goal.set(end);
        });
        let deliverer = Deliverer {
            name: "lake",
            log: &log,
            delivery: &delivery,
            letters: &letters,
            trouble: TroubleFile::new(dir.path(), "lake"),
            goal,
            reporter: &reporter,
            stop: &stop,
        };
        deliverer.run(deliverer.open(&mut lake).unwrap(), &mut lake)
    });
    let events = kept.0.lock().unwrap().clone();
    (delivered, lake.asked, events)
}

#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);

impl Observer for Kept {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

#[test]
fn a_destination_that_stays_down_is_left_alone_and_comes_back() {
    let (delivered, asked, events) = deliver_down(7, Duration::from_millis(5), Duration::from_millis(1500));
    delivered.unwrap();
    assert_eq!(asked, 8, "it is not given up after three attempts while the source has more");
    let opened = |event: &&Event| matches!(event, Event::BreakerOpened { .. });
    assert_eq!(events.iter().filter(opened).count(), 6);
    assert!(events.iter().any(|event| matches!(event, Event::BreakerClosed { .. })));
}

#[test]
fn at_the_end_of_the_source_it_is_tried_once_more_and_given_up() {
    let begun = Instant::now();
    let (delivered, asked, _) = deliver_down(u32::MAX, Duration::from_secs(600), Duration::from_millis(300));
    assert_eq!(delivered.unwrap_err().to_string(), "down");
    assert_eq!(asked, 3);
    assert!(begun.elapsed() < Duration::from_secs(60), "the cooldown was waited for");
}

#[test]
fn content_that_is_not_what_was_committed_is_not_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 2);
    let is_segment = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "hws");
    let files = std::fs::read_dir(log.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut damaged = 0;
    for path in files.filter(is_segment) {
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(9).position(|window| window == b"no JSON 1") {
            bytes[at + 8] = b'7';
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    let mut lake = JsonLines::new(dir.path().join("lake"));
    let failure = deliver(&log, &mut lake, &letters, OnReject::DeadLetter).unwrap_err();
    assert!(failure.to_string().contains("damaged"), "{failure}");
    assert_eq!(
        (lake.stored().unwrap(), log.consumers().unwrap()[0].acknowledged),
        (Stored::Nothing, Sequence::NONE)
    );
}
