//! Damage to the small files that say what a log has to keep: a hold that can't be read holds, and says so (P5, P11).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::environment::Stepped;
use highwater::storage::Memory;
use highwater::{
    Commit, Config, ErrorKind, Limit, Log, Op, Pin, Result, Retention, Sequence, Start, StreamSpec,
};

/// What the consumer has acknowledged, and the first checkpoint that the pin holds.
const ACKNOWLEDGED: u64 = 17;
const PINNED: u64 = 25;

fn open(files: &Memory) -> Log {
    let config =
        Config { segment_bytes: 64 << 10, environment: Arc::new(Stepped::new(3, 1)), ..Config::default() };
    Log::open_on(Arc::new(files.clone()), config).unwrap().0
}

/// A log of forty checkpoints in several segments, of which somebody holds some.
fn sample(hold: impl FnOnce(&Log)) -> Memory {
    let files = Memory::new();
    let log = open(&files);
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 1..=40u8 {
        writer.append(&stream, Op::Insert { key: b"", row: &[i; 9000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
    drop(writer);
    hold(&log);
    log.close().unwrap();
    files
}

fn consumed(log: &Log) {
    let mut lake = log.consumer("lake", Start::Oldest).unwrap();
    // Every slot of its file is written.
    for _ in 0..ACKNOWLEDGED {
        let batch = lake.next_batch(&Limit { max_checkpoints: 1, ..Limit::default() }).unwrap().unwrap();
        lake.acknowledge(batch.end()).unwrap();
    }
    lake.sync().unwrap();
}

fn pinned(log: &Log) {
    let pin =
        Pin { from: Sequence::new(PINNED), owner: "a backup".into(), expires_us: 4_000_000_000_000_000 };
    log.pin("backup", &pin).unwrap();
}

/// Every byte of a file flipped, where it is not one of many alike, and many lengths.
fn damaged(files: &Memory, name: &str) -> impl Iterator<Item = (Memory, String)> {
    let good = files.content(name).unwrap();
    let used = good.iter().rposition(|byte| !matches!(byte, 0 | b' ')).unwrap() + 1;
    let interesting = (0..good.len()).filter({
        let good = good.clone();
        move |at| *at == 0 || good[*at] != good[at - 1] || at % 1021 == 0
    });
    let flips = interesting.flat_map(|at| [(at, 1), (at, 2 << (at % 7))]).map({
        let good = good.clone();
        move |(at, bits)| {
            let mut bytes = good.clone();
            bytes[at] ^= bits;
            (bytes, format!("byte {at} ^ {bits}"))
        }
    });
    let cuts = (0..used.min(200)).chain((200..used).step_by(1021));
    let cuts = cuts.map(move |len| (good[..len].to_vec(), format!("cut to {len}")));
    let (image, name) = (files.image(), name.to_owned());
    flips.chain(cuts).map(move |(bytes, what)| {
        let files = image.image();
        files.set_content(&name, bytes);
        (files, what)
    })
}

fn prune(log: &Log) -> Result<()> {
    log.prune(&Retention { min_count: 1, ..Retention::default() }).map(drop)
}

/// A pruning keeps what is held, or fails and names the file.
fn check(log: &Log, held_from: u64, file: &str, what: &str) -> bool {
    let pruned = prune(log);
    assert!(log.first().get() <= held_from, "{what}: {held_from} was held, {} is the first", log.first());
    log.reader(Sequence::new(held_from)).and_then(|mut reader| reader.next()).unwrap().expect(what);
    match pruned {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            assert!(error.to_string().contains(file), "{what}: {error}");
            true
        }
    }
}

#[test]
fn a_damaged_consumers_file_holds_what_it_held() {
    let files = sample(consumed);
    let mut refused = 0;
    for (files, what) in damaged(&files, "consumer.lake") {
        let log = open(&files);
        refused += usize::from(check(&log, ACKNOWLEDGED + 1, "consumer.lake", &what));
        match log.consumer("lake", Start::Now) {
            Ok(mut lake) => {
                let at = lake.acknowledged().get();
                // An older slot stands in: some is delivered again.
                assert!((ACKNOWLEDGED - 3..=ACKNOWLEDGED).contains(&at), "{what}: it is at {at}");
                let batch = lake.next_batch(&Limit::default()).unwrap().unwrap();
                assert_eq!(batch.checkpoints()[0].sequence().get(), at + 1, "{what}");
            }
            Err(error) => assert_eq!(*error.kind(), ErrorKind::Corrupt, "{what}: {error}"),
        }
    }
    assert!(refused > 10, "{refused}");
    let log = open(&files);
    prune(&log).unwrap();
    assert!(log.first().get() > 1, "it would have been pruned");
}

#[test]
fn a_damaged_pin_holds_what_it_held() {
    let files = sample(pinned);
    let mut refused = 0;
    for (files, what) in damaged(&files, "pin.backup") {
        refused += usize::from(check(&open(&files), PINNED, "pin.backup", &what));
    }
    assert!(refused > 100, "{refused}");
    let log = open(&files);
    prune(&log).unwrap();
    assert!(log.first().get() > 1, "it would have been pruned");
}

/// A pin that is refused takes nothing away: the one of that name holds what it held.
#[test]
fn a_refused_pin_leaves_the_one_before_it() {
    let log = open(&sample(pinned));
    prune(&log).unwrap();
    assert!(!check(&log, PINNED, "pin.backup", "pruned"));
    let pin = |from, owner: &str| Pin {
        from: Sequence::new(from),
        owner: owner.into(),
        expires_us: 4_000_000_000_000_000,
    };
    let late = log.pin("backup", &pin(1, "who comes too late")).unwrap_err();
    assert!(matches!(late.kind(), ErrorKind::Gap { .. }), "{late}");
    let long = log.pin("backup", &pin(PINNED + 1, &"x".repeat(5000))).unwrap_err();
    assert!(matches!(long.kind(), ErrorKind::TooLarge { .. }), "{long}");
    prune(&log).unwrap();
    assert!(!check(&log, PINNED, "pin.backup", "refused"));
}
