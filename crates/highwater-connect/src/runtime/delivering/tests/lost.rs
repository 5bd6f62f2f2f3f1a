//! Destinations that have lost what they got, and others that have nothing for a good reason.

use highwater::{Retention, StreamName};

use super::*;
use crate::bookkeeping::{Book, definitions_name, sync_name};
use crate::definition::{Generation, StreamDefinition};
use crate::destination::parquet::Parquet;
use crate::destination::sql::{Settings, Sqlite};

/// Delivers all of the log; what was warned of.
pub(super) fn deliver_from(
    start: Start,
    log: &Log,
    destination: &mut dyn Destination,
) -> (Result<()>, Vec<String>) {
    let (delivered, events) = told_by(start, log, destination);
    let warning = |event: Event| match event {
        Event::Warning { text } => Some(text),
        _ => None,
    };
    (delivered, events.into_iter().filter_map(warning).collect())
}

/// Delivers all of the log; everything that was told.
fn told_by(start: Start, log: &Log, destination: &mut dyn Destination) -> (Result<()>, Vec<Event>) {
    let (goal, kept) = (Goal::default(), Arc::new(Kept::default()));
    goal.set(log.end().unwrap().sequence);
    let delivery = Delivery { start, ..delivery(OnReject::DeadLetter) };
    let reporter = Reporter::new(kept.clone(), Secrets::default());
    let (letters, stop) = (DeadLetters::new(log.path(), "lake", LettersMax::default()), Stop::default());
    let deliverer = Deliverer {
        name: "lake",
        log,
        delivery: &delivery,
        letters: &letters,
        trouble: TroubleFile::new(log.path(), "lake"),
        goal: &goal,
        reporter: &reporter,
        stop: &stop,
    };
    let delivered = deliverer.open(destination).and_then(|feed| deliverer.run(feed, destination));
    let events = std::mem::take(&mut *kept.0.lock().unwrap());
    (delivered, events)
}

/// Its answer was lost, and not what it did: when it is asked again it has the batch.
#[test]
fn what_was_applied_and_never_answered_is_counted_too() {
    for kills in [0, 1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let log = log_of(dir.path(), 6);
        let mut destination = Killed { lake: JsonLines::new(dir.path().join("lake")), kills };
        let (delivered, events) = told_by(Start::Earliest, &log, &mut destination);
        delivered.unwrap();
        let mut counts: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Delivered { first, last, records, rejected, .. } => {
                    Some((first.get(), last.get(), *records, *rejected))
                }
                _ => None,
            })
            .collect();
        counts.sort();
        assert_eq!(counts, [(1, 2, 6, 2), (3, 4, 6, 2), (5, 6, 6, 2)], "{kills} kills");
    }
}

pub(super) fn write(log: &Log, checkpoints: std::ops::Range<u64>) {
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for n in checkpoints {
        let row = format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(500));
        writer.append(&stream, Op::Insert { key: b"", row: row.as_bytes() }).unwrap();
        writer.commit(Commit::new().stream(&stream, &n)).unwrap();
    }
}

pub(super) fn open(dir: &Path) -> Log {
    let config = Config { segment_bytes: 64 << 10, spare_segments: 0, ..Config::default() };
    Log::open(dir.join("log.hw"), config).unwrap().0
}

/// The numbers of the rows in files of JSON lines.
pub(super) fn held(lake: &Path) -> Vec<u64> {
    let mut files: Vec<_> = std::fs::read_dir(lake).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let number = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["data"]["n"].as_u64();
    text.lines().map(|line| number(line).unwrap()).collect()
}

/// Whatever stores positions, and its place.
type Make = fn(&Path) -> Box<dyn Destination>;

pub(super) const KINDS: [Make; 3] = [
    |place| Box::new(JsonLines::new(place.join("lake"))),
    |place| Box::new(Parquet::new(place.join("lake"))),
    |place| Box::new(Sqlite::new(place.join("db.sqlite"), Settings::new("lake"))),
];

#[test]
fn an_emptied_destination_gets_everything_again_and_it_is_told() {
    for make in KINDS {
        let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let log = open(dir.path());
        write(&log, 0..4);
        let (delivered, warnings) = deliver_from(Start::Earliest, &log, &mut *make(place.path()));
        delivered.unwrap();
        assert_eq!(warnings, [""; 0]);
        place.close().unwrap();
        let place = tempfile::tempdir().unwrap();
        write(&log, 4..5);
        let mut emptied = make(place.path());
        let (delivered, warnings) = deliver_from(Start::Earliest, &log, &mut *emptied);
        delivered.unwrap();
        let expected = "lake: the destination holds nothing, and checkpoints up to 4 were acknowledged: it gets everything \
                        again that is behind checkpoint 0";
        assert_eq!(warnings, [expected]);
        // And not once more.
        let (delivered, warnings) = deliver_from(Start::Earliest, &log, &mut *emptied);
        delivered.unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(emptied.stored().unwrap().position(), log.end());
    }
}

#[test]
fn what_it_gets_again_is_all_of_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (open(dir.path()), dir.path().join("lake"));
    write(&log, 0..4);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    std::fs::remove_dir_all(&lake).unwrap();
    write(&log, 4..6);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    assert_eq!(held(&lake), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn one_that_begins_now_has_lost_nothing_before_it_got_something() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (open(dir.path()), dir.path().join("lake"));
    write(&log, 0..4);
    // It stands behind checkpoint 4, and no position is stored yet.
    for _ in 0..2 {
        let (delivered, warnings) = deliver_from(Start::Now, &log, &mut JsonLines::new(&lake));
        delivered.unwrap();
        assert_eq!((warnings, held(&lake)), (vec![], vec![]));
    }
    write(&log, 4..6);
    deliver_from(Start::Now, &log, &mut JsonLines::new(&lake)).0.unwrap();
    assert_eq!(held(&lake), [4, 5]);
    // Emptied, it gets what it got, and not what was before.
    std::fs::remove_dir_all(&lake).unwrap();
    let (delivered, warnings) = deliver_from(Start::Now, &log, &mut JsonLines::new(&lake));
    delivered.unwrap();
    assert!(warnings[0].ends_with("behind checkpoint 4"), "{warnings:?}");
    assert_eq!(held(&lake), [4, 5]);
}

#[test]
fn checkpoints_that_held_nothing_for_it_are_positions_too() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (open(dir.path()), dir.path().join("lake"));
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    for n in 0..3 {
        log.writer(&[&stream]).unwrap().commit(Commit::new().stream(&stream, &n)).unwrap();
        let (delivered, warnings) = deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake));
        delivered.unwrap();
        assert_eq!((warnings, held(&lake)), (vec![], vec![]));
    }
}

#[test]
fn one_that_stores_no_positions_gets_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut later = Later { has_failed: true, ..Later::default() };
    for n in 1..4 {
        write(&log, n..n + 1);
        let (delivered, warnings) = deliver_from(Start::Earliest, &log, &mut later);
        delivered.unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(later.taken.last().copied(), log.end());
        assert_eq!(later.taken.len() as u64, n);
    }
}

/// What it got can't be given again: it is given nothing, and a person decides.
#[test]
fn one_whose_beginning_is_gone_is_given_nothing_before_a_person_has_decided() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (open(dir.path()), dir.path().join("lake"));
    write(&log, 0..400);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    log.prune(&Retention { min_count: 1, ..Retention::default() }).unwrap();
    let first = log.first().get();
    assert!(first > 1);
    std::fs::remove_dir_all(&lake).unwrap();
    write(&log, 400..401);
    for _ in 0..2 {
        let (delivered, _) = deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake));
        let failure = delivered.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Diverged, "{failure}");
        let text = failure.to_string();
        for part in ["up to 400", "checkpoints 1 to", "refresh", "--stream s", "consumer seek"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(held(&lake), [0; 0]);
    }
    log.seek_consumer("lake", Start::Oldest, None).unwrap();
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    assert_eq!(held(&lake), (first - 1..401).collect::<Vec<_>>());
}

#[test]
fn a_new_one_whose_beginning_is_gone_is_refused_by_the_streams_that_are_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (open(dir.path()), dir.path().join("lake"));
    write(&log, 0..400);
    log.prune(&Retention { min_count: 1, ..Retention::default() }).unwrap();
    let failure = deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Config, "{failure}");
    let text = failure.to_string();
    for part in ["checkpoints 1 to", "refresh", "--stream s", "start = \"now\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(log.consumers().unwrap().is_empty());
    deliver_from(Start::Now, &log, &mut JsonLines::new(&lake)).0.unwrap();
}

/// A checkpoint from which on the streams `s` and `t` are in these generations.
pub(super) fn begin_generations(log: &Log, numbers: [u64; 2]) -> Sequence {
    let streams = ["s", "t"].into_iter().zip(numbers).map(|(name, number)| StreamDefinition {
        generation: Generation { number, ..Generation::default() },
        ..StreamDefinition::new(StreamName { namespace: None, name: name.to_owned() })
    });
    let book = Book { streams: streams.collect(), sync: 1, ..Book::default() };
    let register = |name: StreamName| {
        log.stream(StreamSpec::new(&name.name).namespace(name.namespace.as_deref().unwrap())).unwrap()
    };
    let (definitions, sync) = (register(definitions_name()), register(sync_name()));
    let commit = Commit::new()
        .stream_text(&definitions, book.definitions_text().unwrap())
        .stream_text(&sync, book.sync_text().unwrap());
    log.writer(&[&definitions, &sync]).unwrap().commit(commit).unwrap().sequence()
}

#[test]
fn a_new_one_begins_where_every_stream_is_read_anew_and_is_refused_before() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (open(dir.path()), dir.path().join("lake"));
    begin_generations(&log, [0, 0]);
    let t = log.stream(StreamSpec::new("t")).unwrap();
    let mut writer = log.writer(&[&t]).unwrap();
    writer.append(&t, Op::Insert { key: b"", row: b"{}" }).unwrap();
    writer.commit(Commit::new().records(&t)).unwrap();
    write(&log, 0..400);
    let _kept = log.consumer("kept", Start::Now).unwrap();
    log.prune(&Retention { min_count: 1, ..Retention::default() }).unwrap();
    assert!(log.first() > Sequence::FIRST);
    begin_generations(&log, [1, 0]);
    write(&log, 400..403);
    let failure = deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap_err().to_string();
    assert!(failure.contains("--stream t") && !failure.contains("--stream s"), "{failure}");
    begin_generations(&log, [1, 1]);
    write(&log, 403..405);
    deliver_from(Start::Earliest, &log, &mut JsonLines::new(&lake)).0.unwrap();
    assert_eq!(held(&lake), [400, 401, 402, 403, 404]);
}
