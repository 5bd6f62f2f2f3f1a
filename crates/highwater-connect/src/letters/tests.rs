use std::collections::BTreeMap;

use highwater::{OpKind, Record, StreamSpec};

use super::*;
use crate::FailureKind;

/// A record as a checkpoint gives it, and its letter without a number.
fn refused(dir: &Path, index: u64, payload: &[u8]) -> (Letter, Record) {
    let (log, _) = highwater::Log::open(dir.join("log"), Config::default()).unwrap();
    let stream = log.stream(StreamSpec::new("s").key(["id"])).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    let op = highwater::Op::Delete { key: b"[\"\xff\n\"]", row: payload };
    let meta = highwater::Meta { emitted_us: Some(7), metadata: b"\nmeta\x00" };
    writer.append_with(&stream, op, meta).unwrap();
    let position = writer.commit(highwater::Commit::new().all()).unwrap().position;
    let checkpoint = log.reader(position.sequence).unwrap().next().unwrap().unwrap();
    let record = checkpoint.records().next().unwrap().unwrap();
    let letter = Letter {
        number: 0,
        stream: stream.name().clone(),
        position,
        index,
        generation: 4,
        committed_us: 11,
        op: record.op,
        refused_us: 12,
        attempts: 1,
        reason: "no \"day\"\nin it".to_owned(),
    };
    (letter, record)
}

#[test]
fn a_letter_is_what_was_refused_to_the_byte_and_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    assert_eq!(letters.list().unwrap(), []);
    let (letter, record) = refused(dir.path(), 3, b"\xff no JSON \n at all");
    for _ in 0..2 {
        // Opened again, as after a crash before the acknowledgement.
        let mut open = letters.open().unwrap();
        open.put(letter.clone(), &record).unwrap();
        open.commit(&[("action", "refused")]).unwrap();
    }
    let found = letters.list().unwrap();
    assert_eq!(found, [Letter { number: 1, ..letter }]);
    let wanted = BTreeMap::from([(1, found[0].clone())]);
    let mut given = 0;
    letters
        .read(&wanted, &mut |_, kept| {
            given += 1;
            assert_eq!(
                (&kept.key, &kept.metadata, &kept.payload),
                (&record.key, &record.metadata, &record.payload)
            );
            assert_eq!((kept.op, kept.emitted_us), (OpKind::Delete, 7));
            Ok(())
        })
        .unwrap();
    assert_eq!(given, 1);
    assert_eq!(DeadLetters::destinations(dir.path()).unwrap(), ["lake"]);
}

#[test]
fn letters_go_and_numbers_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax::default());
    let (letter, record) = refused(dir.path(), 0, b"{}");
    let mut open = letters.open().unwrap();
    for index in 0..4 {
        open.put(Letter { index, ..letter.clone() }, &record).unwrap();
    }
    open.commit(&[]).unwrap();
    open.refused_again(2, "still no").unwrap();
    open.remove(&letters.list().unwrap()[2]).unwrap();
    open.commit(&[("action", "dropped")]).unwrap();
    open.tidy().unwrap();
    let numbers = |letters: &DeadLetters| -> Vec<u64> {
        letters.list().unwrap().iter().map(|letter| letter.number).collect()
    };
    assert_eq!(numbers(&letters), [1, 2, 4]);
    let second = &letters.list().unwrap()[1];
    assert_eq!((second.attempts, second.reason.as_str()), (2, "still no"));
    // What was dropped and is refused anew is a new letter.
    let mut open = letters.open().unwrap();
    assert!(open.put(Letter { index: 2, ..letter }, &record).unwrap());
    open.commit(&[]).unwrap();
    assert_eq!(numbers(&letters), [1, 2, 4, 5]);
}

#[test]
fn a_destination_that_refuses_everything_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(dir.path(), "lake", LettersMax { count: 2, ..LettersMax::default() });
    let (letter, record) = refused(dir.path(), 0, b"{}");
    let mut open = letters.open().unwrap();
    for index in 0..2 {
        open.put(Letter { index, ..letter.clone() }, &record).unwrap();
    }
    let failure = open.put(Letter { index: 2, ..letter }, &record).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Config);
    assert!(failure.to_string().contains("dead_letters.max_count"), "{failure}");
}

#[test]
fn letters_have_so_much_room_and_those_that_are_there_stay() {
    let dir = tempfile::tempdir().unwrap();
    let max = LettersMax { bytes: 8 << 20, ..LettersMax::default() };
    let letters = DeadLetters::new(dir.path(), "lake", max);
    let (letter, record) = refused(dir.path(), 0, &vec![b'x'; 256 << 10]);
    let mut put = 0;
    let failure = loop {
        let mut open = letters.open().unwrap();
        let one = Letter { index: put, ..letter.clone() };
        let kept = open.put(one, &record).and_then(|_| open.finish(&[]));
        if let Err(failure) = kept {
            break failure;
        }
        put += 1;
        assert!(put < 100, "25 MiB are there");
    };
    assert_eq!(failure.kind(), FailureKind::Config);
    assert!(failure.to_string().contains("dead_letters.max_size"), "{failure}");
    assert_eq!((letters.list().unwrap().len() as u64, put >= 8), (put, true), "{put}");
}
