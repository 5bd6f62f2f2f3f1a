use std::sync::Arc;
use std::time::Duration;

use highwater::{Config, Limit, Start};

use super::*;
use crate::feed::Feed;
use crate::pipeline::{CheckpointPolicy, SchemaPolicy};
use crate::source::Reading;
use crate::stop::Stop;

pub(crate) fn around(min_interval: Duration) -> Surroundings {
    Surroundings {
        policy: CheckpointPolicy { min_interval, ..CheckpointPolicy::default() },
        reporter: Reporter::silent(),
        stop: Stop::default(),
        waits_when_full: true,
        destinations: Default::default(),
        given_up: Arc::default(),
        labels: vec![("run".to_owned(), "1".to_owned())],
        schema: SchemaPolicy::default(),
        source: BTreeMap::new(),
        reads_all: true,
        lookback: None,
    }
}

pub(super) fn offer(name: &str, reading: Reading) -> Offer {
    let name = StreamName { namespace: None, name: name.to_owned() };
    Offer::new(StreamDefinition::new(name), reading)
}

fn put(out: &mut Output<'_>, stream: &str, rows: &[&str]) {
    let handle = out.find(None, stream).unwrap();
    for row in rows {
        out.record(handle, Op::Insert { key: b"", row: row.as_bytes() }, Meta::default()).unwrap();
    }
}

fn state(out: &mut Output<'_>, stream: &str, text: &str) {
    let handle = out.find(None, stream).unwrap();
    out.state(handle, text).unwrap();
}

/// Everything that a new consumer gets, and the generation of each record's stream.
pub(crate) fn delivered(log: &Log) -> Vec<(String, u64)> {
    let mut feed = Feed::open(log, &format!("c{}", uuid()), Start::Earliest, None).unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = feed.next(&Limit::default()).unwrap() {
        for checkpoint in batch.checkpoints() {
            for part in checkpoint.parts() {
                let generation = part.definition().unwrap().generation.number;
                for record in part.records() {
                    rows.push((String::from_utf8(record.unwrap().payload.to_vec()).unwrap(), generation));
                }
            }
        }
    }
    rows
}

fn uuid() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

const ONWARD: Reading = Reading::Onward;

#[test]
fn a_merged_state_takes_its_records_with_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let around = around(Duration::from_secs(3600));
    let mut out = Output::begin(&log, &[offer("a", ONWARD), offer("b", ONWARD)], &around).unwrap();
    let begun = log.end();
    put(&mut out, "a", &["1"]);
    state(&mut out, "a", "{\"n\":1}");
    put(&mut out, "a", &["2"]);
    put(&mut out, "b", &["x"]);
    state(&mut out, "b", "{\"n\":9}");
    assert_eq!(log.end(), begun, "both are kept back");
    // Of a, the state has a record behind it: neither may be committed. Of b, nothing follows.
    out.settle().unwrap();
    drop(out);
    assert_eq!(delivered(&log), [("x".to_owned(), 0)]);
    let resumed = super::sync::state(&log).unwrap();
    assert_eq!(resumed.streams.len(), 1);
    assert_eq!(resumed.streams[0].1, "{\"n\":9}");
}

#[test]
fn states_are_merged_no_longer_when_much_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let mut around = around(Duration::from_secs(3600));
    around.policy.merge_max = 300;
    let mut out = Output::begin(&log, &[offer("a", ONWARD)], &around).unwrap();
    let before = log.end().unwrap().sequence.get();
    let row = format!("{{\"text\":\"{}\"}}", "x".repeat(100));
    for page in 1..=7 {
        put(&mut out, "a", &[&row]);
        state(&mut out, "a", &page.to_string());
    }
    assert_eq!(log.end().unwrap().sequence.get(), before + 2, "one for each three records");
}

#[test]
fn an_end_commits_what_is_left_and_completes_the_streams() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let around = around(Duration::ZERO);
    let refresh = offer("a", Reading::Anew { is_resumable: false, replaces: true });
    for sync in 1..=2 {
        let mut out = Output::begin(&log, std::slice::from_ref(&refresh), &around).unwrap();
        assert_eq!(out.sync(), sync);
        assert!(out.resume_from().unwrap().is_empty());
        put(&mut out, "a", &["1"]);
        state(&mut out, "a", "{\"end\":true}");
        put(&mut out, "a", &["2"]);
        out.finish().unwrap();
        let generation = out.generation(&refresh.definition.name);
        assert!(generation.replaces() && generation.number == sync, "{generation:?}");
    }
    let rows: Vec<(String, u64)> =
        [("1", 1), ("2", 1), ("1", 2), ("2", 2)].map(|(row, generation)| (row.to_owned(), generation)).into();
    assert_eq!(delivered(&log), rows);
}

#[test]
fn an_attempt_of_the_same_sync_raises_the_generation_only_of_what_can_not_resume() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let around = around(Duration::ZERO);
    let offers = [
        offer("whole", Reading::Anew { is_resumable: false, replaces: true }),
        offer("parts", Reading::Anew { is_resumable: true, replaces: true }),
        offer("onward", ONWARD),
    ];
    for attempt in 1..=3 {
        let mut out = Output::begin(&log, &offers, &around).unwrap();
        assert_eq!(out.sync(), 1);
        let of = |name: &str| out.generation(&StreamName { namespace: None, name: name.to_owned() }).number;
        assert_eq!((of("whole"), of("parts"), of("onward")), (attempt, 1, 0));
        assert_eq!(out.resume_from().unwrap().streams.len(), if attempt == 1 { 0 } else { 2 });
        for name in ["whole", "parts", "onward"] {
            put(&mut out, name, &["1"]);
            state(&mut out, name, "1");
        }
    }
}

#[test]
fn a_state_changed_by_hand_does_not_make_a_generation_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let around = around(Duration::ZERO);
    let name = |name: &str| StreamName { namespace: None, name: name.to_owned() };
    let offers =
        [offer("parts", Reading::Anew { is_resumable: true, replaces: true }), offer("asked", ONWARD)];
    let begin = || Output::begin(&log, &offers, &around).unwrap();
    let half = |mut out: Output<'_>| {
        for stream in ["parts", "asked"] {
            put(&mut out, stream, &["1"]);
            state(&mut out, stream, "1");
        }
    };
    let mut out = begin();
    put(&mut out, "asked", &["0", "1", "2"]);
    state(&mut out, "asked", "3");
    out.finish().unwrap();
    drop(out);
    crate::refresh::request(&log, &name("asked"), true, "ops", "x").unwrap();
    half(begin());
    let numbers = |out: &Output<'_>| ["parts", "asked"].map(|stream| out.generation(&name(stream)).number);
    assert_eq!(numbers(&begin()), [2, 1], "an attempt that goes on");
    for stream in ["parts", "asked"] {
        let rewind = highwater::Operation::new("rewind", "ops", "a mistake");
        log.operate(rewind.set(&name(stream), "3").expecting(log.end())).unwrap();
    }
    let out = begin();
    assert_eq!(numbers(&out), [3, 2]);
    assert!(out.resume_from().unwrap().streams.is_empty(), "they begin anew");
    assert_eq!(out.generation(&name("asked")).minimum, 2);
    half(out);
    assert_eq!(numbers(&begin()), [3, 2]);
}

#[test]
fn a_global_state_covers_all_streams() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let around = around(Duration::ZERO);
    let mut out = Output::begin(&log, &[offer("a", ONWARD), offer("b", ONWARD)], &around).unwrap();
    put(&mut out, "a", &["1"]);
    put(&mut out, "b", &["2"]);
    assert!(!out.is_settled());
    out.global_state("[7]").unwrap();
    assert!(out.is_settled());
    assert_eq!(out.resume_from().unwrap().global.as_deref(), Some("[7]"));
    assert_eq!(out.committed(), 2);
}

#[test]
fn at_the_cap_the_source_waits_and_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        size_max: Some(4 << 20),
        segment_bytes: 64 << 10,
        when_full: highwater::WhenFull::Wait(Duration::from_millis(10)),
        ..Config::default()
    };
    let (log, _) = Log::open(dir.path(), config).unwrap();
    let around = around(Duration::ZERO);
    // A destination that does not move.
    let _feed = Feed::open(&log, "slow", Start::Earliest, None).unwrap();
    let mut out = Output::begin(&log, &[offer("a", ONWARD)], &around).unwrap();
    let stop = around.stop.clone();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stop.ask(Urgency::Soon);
        // Only so that this ends, whatever it does.
        std::thread::sleep(Duration::from_secs(3));
        stop.ask(Urgency::Now);
    });
    let begun = std::time::Instant::now();
    let handle = out.find(None, "a").unwrap();
    let row = vec![b'x'; 100_000];
    let failure = (0..1000).find_map(|n| {
        let appended = out.record(handle, Op::Insert { key: b"", row: &row }, Meta::default());
        appended.and_then(|()| out.state(handle, &n.to_string())).err()
    });
    assert_eq!(failure.unwrap().kind(), crate::FailureKind::Cancelled);
    assert_eq!(out.settle().map_err(|failure| failure.kind()).err(), None, "nothing is left to commit");
    assert!(begun.elapsed() < Duration::from_secs(2), "nobody makes room once a stop is asked");
    stopper.join().unwrap();
    // The reserve for bookkeeping is beside the cap.
    assert!(log.status().unwrap().disk_bytes <= 6 << 20);
}

#[test]
fn a_version_is_complete_when_its_source_activates_it_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let around = around(Duration::ZERO);
    let name = StreamName { namespace: None, name: "s".to_owned() };
    let sync = |version: u64, is_activated: bool| {
        let mut out = Output::begin(&log, &[offer("s", ONWARD)], &around).unwrap();
        let handle = out.find(None, "s").unwrap();
        out.begin_version(handle, version);
        put(&mut out, "s", &["{}"]);
        if is_activated {
            out.activate_version(handle, version);
        }
        state(&mut out, "s", "{}");
        out.finish().unwrap();
        let generation = out.generation(&name);
        (generation.number, generation.replaces())
    };
    assert_eq!(sync(1000, true), (1000, true));
    // It goes on with what is shown.
    assert_eq!(sync(1000, false), (1000, false));
    // It has begun another, and not come to its end.
    assert_eq!(sync(2000, false), (2000, false));
    assert_eq!(sync(2000, true), (2000, true));
    // One that is over does not come back.
    assert_eq!(sync(1500, true), (2000, false));
    assert_eq!(
        delivered(&log).iter().map(|(_, generation)| *generation).collect::<Vec<_>>(),
        [1000, 1000, 2000, 2000, 2000]
    );
}

/// The streams that are told to be gone when these are offered.
fn gone(log: &Log, offers: &[&str], reads_all: bool, ends: bool) -> Vec<String> {
    #[derive(Default)]
    struct Kept(std::sync::Mutex<Vec<String>>);
    impl crate::event::Observer for Kept {
        fn event(&self, event: Event) {
            if let Event::StreamGone { stream } = event {
                self.0.lock().unwrap().push(stream.to_string());
            }
        }
    }
    let kept = Arc::new(Kept::default());
    let reporter = Reporter::new(kept.clone(), crate::pipeline::Secrets::default());
    let around = Surroundings { reporter, reads_all, ..around(Duration::ZERO) };
    let offers: Vec<Offer> = offers.iter().map(|name| offer(name, ONWARD)).collect();
    let mut out = Output::begin(log, &offers, &around).unwrap();
    for offer in &offers {
        state(&mut out, &offer.definition.name.name, "1");
    }
    if ends {
        out.finish().unwrap();
    }
    drop(out);
    kept.0.lock().unwrap().clone()
}

#[test]
fn a_stream_that_goes_is_told_and_its_state_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let none = [""; 0];
    assert_eq!(gone(&log, &["a", "b", "c"], true, true), none);
    // With each sync, and not with each attempt of it.
    assert_eq!(gone(&log, &["a", "c"], true, false), ["b"]);
    assert_eq!(gone(&log, &["a", "c"], true, true), none);
    assert_eq!(gone(&log, &["a", "c"], true, true), ["b"]);
    // Where streams are chosen it is told once.
    assert_eq!(gone(&log, &["a"], false, true), ["c"]);
    assert_eq!(gone(&log, &["a"], false, true), none);
    // And where it goes in the middle of a sync.
    assert_eq!(gone(&log, &["a", "b", "c"], true, false), none);
    assert_eq!(gone(&log, &["a", "b"], true, false), ["c"]);
    let left = super::sync::state(&log).unwrap().streams.len();
    assert_eq!(left, 3);
    // A state that was imported under a name that the source does not know.
    let x = StreamName { namespace: None, name: "x".to_owned() };
    log.stream(highwater::StreamSpec::new("x")).unwrap();
    log.operate(highwater::Operation::new("import x", "ops", "moved").set(&x, "1")).unwrap();
    assert_eq!(gone(&log, &["a", "b", "c"], true, true), none, "the same sync");
    assert_eq!(gone(&log, &["a", "b", "c"], false, true), ["x"]);
}

#[test]
fn records_without_a_key_are_refused_where_the_stream_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
    let around = around(Duration::ZERO);
    let mut keyed = offer("keyed", ONWARD);
    keyed.definition.key = vec![vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]];
    let mut out = Output::begin(&log, &[keyed, offer("plain", ONWARD)], &around).unwrap();
    let (keyed, plain) = (out.find(None, "keyed").unwrap(), out.find(None, "plain").unwrap());
    let mut put = |handle, op| out.record(handle, op, Meta::default());
    put(keyed, Op::Upsert { key: b"[null,1]", row: b"{}" }).unwrap();
    put(keyed, Op::Truncate).unwrap();
    put(plain, Op::Insert { key: b"", row: b"{}" }).unwrap();
    let nothing = b"[null,null]".as_slice();
    for op in [Op::Upsert { key: nothing, row: b"{}" }, Op::Delete { key: nothing, row: b"" }] {
        let failure = put(keyed, op).unwrap_err();
        assert_eq!(failure.kind(), crate::FailureKind::Permanent);
        let text = failure.to_string();
        assert!(text.contains("stream keyed:") && text.contains("(a, b.c)"), "{text}");
    }
}
