//! The engine as its users meet it: a few lines each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::sync::Arc;

use common::{Fixture, insert, payloads, text_of};
use highwater::{
    Commit, Config, Digest, ErrorKind, Log, LogReader, Op, OpKind, Sequence, Start, StreamName, StreamSpec,
    storage::Memory,
};

#[test]
fn what_was_committed_is_there_after_opening_again_and_nothing_else() {
    let fixture = Fixture::new();
    {
        let log = fixture.open();
        let a = log.stream(StreamSpec::new("a").key(["id"])).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, Op::Upsert { key: b"[1]", row: b"one" }).unwrap();
        writer.append(&a, Op::Delete { key: b"[1]", row: b"" }).unwrap();
        let committed = writer.commit(Commit::new().stream(&a, &7).label("run", "x")).unwrap();
        assert_eq!((committed.sequence().get(), committed.records, committed.durable), (1, 2, true));
        writer.append(&a, insert(b"uncommitted")).unwrap();
    }
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a").key(["id"])).unwrap();
    assert_eq!(log.state().unwrap().get::<u32>(&a).unwrap(), Some(7));
    let checkpoint = log.reader(Sequence::FIRST).unwrap().next().unwrap().unwrap();
    assert_eq!(checkpoint.labels(), [("run".to_owned(), "x".to_owned())]);
    let records: Vec<_> = checkpoint.records().map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|r| r.op).collect::<Vec<_>>(), [OpKind::Upsert, OpKind::Delete]);
    assert_eq!(records[0].key, b"[1]"[..]);
    assert_eq!(log.end().unwrap().sequence.get(), 1);
}

#[test]
fn a_streams_commit_leaves_other_streams_uncommitted() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let [a, b] = ["a", "b"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
    let mut writer = log.writer(&[&a, &b]).unwrap();
    for i in 0..100u32 {
        writer.append(if i % 2 == 0 { &a } else { &b }, insert(&i.to_le_bytes())).unwrap();
    }
    writer.commit(Commit::new().records(&a)).unwrap();
    assert_eq!((writer.uncommitted(&a), writer.uncommitted(&b)), (0, 50));
    assert_eq!(payloads(&log).len(), 50);
    writer.commit(Commit::new().all()).unwrap();
    let all = payloads(&log);
    assert_eq!(all.len(), 100);
    assert_eq!(all[50], 1u32.to_le_bytes());
}

#[test]
fn a_commit_of_nothing_is_refused_while_records_wait() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    assert_eq!(writer.commit(Commit::new()).unwrap().records, 0);
    writer.append(&a, insert(b"one")).unwrap();
    let error = writer.commit(Commit::new()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("records of one (1) wait"), "{error}");
    assert_eq!(writer.commit(Commit::new().all()).unwrap().records, 1);
}

#[test]
fn discarded_and_abandoned_records_are_never_visible() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, insert(&[1; 200_000])).unwrap();
    writer.discard(&a).unwrap();
    writer.append(&a, insert(b"kept")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
    writer.append(&a, insert(&[2; 200_000])).unwrap();
    drop(writer);
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, insert(b"second")).unwrap();
    writer.commit(Commit::new().all()).unwrap();
    assert_eq!(payloads(&log), [b"kept".to_vec(), b"second".to_vec()]);
}

#[test]
fn streams_are_owned_by_one_writer_and_keys_do_not_change_by_mistake() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a").key(["id"])).unwrap();
    let b = log.stream(StreamSpec::new("b")).unwrap();
    let mut first = log.writer(&[&a]).unwrap();
    assert_eq!(*log.writer(&[&a]).unwrap_err().kind(), ErrorKind::StreamBusy);
    let second = log.writer(&[&b]).unwrap();
    assert_eq!(*first.commit(Commit::new().global(&1)).unwrap_err().kind(), ErrorKind::StreamBusy);
    drop(second);
    first.commit(Commit::new().global(&1)).unwrap();
    let refused = log.stream(StreamSpec::new("a").key(["other"])).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::StreamChanged);
    log.stream(StreamSpec::new("a").key(["other"]).allow_key_change()).unwrap();
    assert_ne!(a.id(), log.stream(StreamSpec::new("a").namespace("")).unwrap().id(), "absent is not empty");
    assert!(first.append(&b, insert(b"x")).is_err(), "not its stream");
}

#[test]
fn definitions_keep_their_history_through_opening() {
    let fixture = Fixture::new();
    for (version, schema) in [(1, r#"{"a":1}"#), (2, r#"{"a":2}"#)] {
        let log = fixture.open();
        let a = log.stream(StreamSpec::new("a").schema(schema)).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, insert(b"x")).unwrap();
        writer.commit(Commit::new().all()).unwrap();
        let info = log.find_stream(a.name()).unwrap();
        assert_eq!((info.version, info.schema.as_deref()), (version, Some(schema)));
    }
    let reader = fixture.reader();
    assert_eq!(reader.streams().unwrap().len(), 1);
    let unknown = reader.find_stream(&StreamName { namespace: None, name: "zzz".into() }).unwrap_err();
    assert!(unknown.to_string().contains("it holds: a"), "{unknown}");
}

#[test]
fn streams_can_be_renamed_reset_and_dropped() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    writer.append(&a, insert(b"x")).unwrap();
    writer.commit(Commit::new().stream(&a, &1)).unwrap();
    assert_eq!(*log.reset_stream(&a).unwrap_err().kind(), ErrorKind::StreamBusy);
    drop(writer);
    let b = log.rename_stream(&a, StreamSpec::new("b")).unwrap();
    assert_eq!(a.id(), b.id());
    assert_eq!(log.state().unwrap().get::<u32>(&b).unwrap(), Some(1));
    log.reset_stream(&b).unwrap();
    assert_eq!(log.state().unwrap().get::<u32>(&b).unwrap(), None);
    assert_eq!(log.state_at(Sequence::new(1)).unwrap().get::<u32>(&b).unwrap(), Some(1));
    log.drop_stream(&b).unwrap();
    assert_eq!(*log.writer(&[&b]).unwrap_err().kind(), ErrorKind::NotFound, "a handle of a dropped stream");
    drop(log);
    let log = fixture.open();
    assert!(log.streams().unwrap().is_empty());
    assert_ne!(log.stream(StreamSpec::new("b")).unwrap().id(), b.id(), "a number is not used again");
}

#[test]
fn a_state_is_kept_as_given_and_checked_at_the_call() {
    let fixture = Fixture::new();
    let config = Config { state_bytes_max: 1000, ..fixture.config() };
    let (log, _) = fixture.open_with(config).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    let mut writer = log.writer(&[&a]).unwrap();
    let text = r#"{ "z": 12345678901234567890123, "a": 1.0 }"#;
    writer.commit(Commit::new().stream_text(&a, text)).unwrap();
    assert_eq!(text_of(&log, &a), Some(text.to_owned()));
    for bad in [Commit::new().stream_text(&a, "{"), Commit::new().stream(&a, &f64::NAN)] {
        assert_eq!(*writer.commit(bad).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let large = format!("\"{}\"", "x".repeat(1000));
    let refused = writer.commit(Commit::new().stream_text(&a, large)).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::TooLarge { limit: 1000, actual: 1002 });
    assert_eq!(log.end().unwrap().sequence.get(), 1, "nothing was committed by what was refused");
    writer.commit(Commit::new().clear(&a)).unwrap();
    assert_eq!(text_of(&log, &a), None);
}

#[test]
fn large_states_and_records_go_in_and_come_out() {
    let fixture = Fixture::new();
    let large = format!("\"{}\"", "s".repeat(3 << 20));
    let row = vec![7u8; 5 << 20];
    {
        let log = fixture.open();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, insert(&row)).unwrap();
        writer.append(&a, insert(b"")).unwrap();
        writer.commit(Commit::new().stream_text(&a, large.clone())).unwrap();
        let small = Config { record_bytes_max: 10, ..fixture.config() };
        drop((writer, log));
        let (log, _) = fixture.open_with(small).unwrap();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let refused = log.writer(&[&a]).unwrap().append(&a, insert(&[0; 11])).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::TooLarge { limit: 10, actual: 11 });
    }
    let log = fixture.open();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    assert_eq!(text_of(&log, &a), Some(large));
    assert_eq!(payloads(&log), [row, vec![]]);
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
}

#[test]
fn writers_on_several_threads_share_the_log() {
    let fixture = Fixture::new();
    let log = fixture.open();
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let log = &log;
            scope.spawn(move || {
                let stream = log.stream(StreamSpec::new(name)).unwrap();
                let mut writer = log.writer(&[&stream]).unwrap();
                for i in 0..50u32 {
                    writer.append(&stream, insert(&i.to_le_bytes())).unwrap();
                    writer.commit(Commit::new().stream(&stream, &i)).unwrap();
                }
            });
        }
    });
    assert_eq!(log.end().unwrap().sequence.get(), 200);
    for name in ["a", "b", "c", "d"] {
        let stream = log.stream(StreamSpec::new(name)).unwrap();
        assert_eq!(log.state().unwrap().get::<u32>(&stream).unwrap(), Some(49));
        let mut reader = log.reader(Sequence::FIRST).unwrap();
        let mut seen = Vec::new();
        while let Some(checkpoint) = reader.next().unwrap() {
            seen.extend(checkpoint.records_of(stream.id()).map(|r| r.unwrap().payload.to_vec()));
        }
        assert_eq!(seen, (0..50u32).map(|i| i.to_le_bytes().to_vec()).collect::<Vec<_>>());
    }
}

#[test]
fn opening_a_clean_log_writes_nothing() {
    let files = Memory::new();
    let config =
        || Config { environment: Arc::new(highwater::environment::Stepped::new(1, 0)), ..Config::default() };
    let (log, _) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    let a = log.stream(StreamSpec::new("a")).unwrap();
    log.writer(&[&a]).unwrap().commit(Commit::new().stream(&a, &1)).unwrap();
    log.close().unwrap();
    let before = files.image();
    let (log, recovery) = Log::open_on(Arc::new(files.clone()), config()).unwrap();
    assert!(recovery.is_clean(), "{recovery}");
    drop(log);
    for name in ["00000001.hws", "mark", "reserve"] {
        assert_eq!(files.content(name), before.content(name), "{name}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let make = || {
        let files = Memory::new();
        let config = Config {
            environment: Arc::new(highwater::environment::Stepped::new(9, 0)),
            digest: Digest::Blake3,
            ..Config::default()
        };
        let (log, _) = Log::open_on(Arc::new(files.clone()), config).unwrap();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        for i in 0..500u32 {
            writer.append(&a, insert(&vec![i as u8; i as usize * 7])).unwrap();
            if i % 50 == 0 {
                writer.commit(Commit::new().stream(&a, &i)).unwrap();
            }
        }
        drop(writer);
        assert!(log.verify(&mut |_| {}).unwrap().is_sound());
        log.close().unwrap();
        files.content("00000001.hws")
    };
    assert_eq!(make(), make());
}

#[test]
fn a_second_writer_is_told_who_holds_the_log() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let refused = fixture.open_with(fixture.config()).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Locked);
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    drop(log);
    fixture.open();
}

#[test]
fn what_is_no_log_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let config = || Config { create: false, ..Config::default() };
    assert_eq!(*Log::open(&missing, config()).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!missing.exists());
    assert_eq!(*LogReader::open(&missing).unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    assert_eq!(*Log::open(dir.path(), Config::default()).unwrap_err().kind(), ErrorKind::NotALog);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let file = dir.path().join("letter.txt");
    assert_eq!(*Log::open(&file, Config::default()).unwrap_err().kind(), ErrorKind::NotALog);
}

#[test]
fn files_are_for_their_owner_alone() {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let fixture = Fixture::new();
        let log = fixture.open();
        drop(log.consumer("lake", Start::Earliest).unwrap());
        for entry in std::fs::read_dir(fixture.dir()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
    }
}

#[test]
fn a_hundred_thousand_streams_open_and_commit() {
    let fixture = Fixture::new();
    {
        let log = fixture.open();
        let streams: Vec<_> =
            (0..20_000).map(|i| log.stream(StreamSpec::new(format!("s{i}"))).unwrap()).collect();
        let mut writer = log.writer(&streams.iter().collect::<Vec<_>>()).unwrap();
        let mut commit = Commit::new();
        for stream in &streams {
            commit = commit.stream_text(stream, "1");
        }
        writer.commit(commit).unwrap();
        for stream in streams.iter().step_by(1000) {
            writer.commit(Commit::new().stream(stream, &2)).unwrap();
        }
        assert!(log.status().unwrap().flushes < 40);
    }
    let log = fixture.open();
    assert_eq!(log.state().unwrap().all().unwrap().len(), 20_000);
    assert_eq!(log.streams().unwrap().len(), 20_000);
}

#[test]
#[cfg(unix)]
fn the_lock_does_not_survive_exec() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    drop(log);
    fixture.open();
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Streams have small numbers, and those of two logs are alike: a handle of the other log never means one of this.
#[test]
fn a_stream_of_another_log_is_refused() {
    let (one, other) = (Fixture::new(), Fixture::new());
    let (log, elsewhere) = (one.open(), other.open());
    let mine = log.stream(StreamSpec::new("s")).unwrap();
    let foreign = elsewhere.stream(StreamSpec::new("s")).unwrap();
    assert_eq!(mine.id(), foreign.id());
    let mut writer = log.writer(&[&mine]).unwrap();
    writer.append(&mine, insert(b"mine")).unwrap();
    let commits = [
        Commit::new().stream(&foreign, &1),
        Commit::new().records(&foreign),
        Commit::new().clear(&foreign),
        Commit::new().stream(&mine, &1).stream(&foreign, &2),
    ];
    let mut refused: Vec<_> = commits.into_iter().map(|commit| writer.commit(commit).map(drop)).collect();
    refused.push(writer.append(&foreign, insert(b"foreign")));
    refused.push(writer.discard(&foreign));
    refused.push(log.state().unwrap().get::<u32>(&foreign).map(drop));
    assert_eq!((writer.uncommitted(&mine), writer.uncommitted(&foreign)), (1, 0));
    let made = writer.commit(Commit::new().stream(&mine, &7)).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    refused.push(lake.acknowledge_stream(&foreign, made.position));
    for (number, result) in refused.into_iter().enumerate() {
        let error = result.expect_err(&number.to_string());
        assert!(error.to_string().contains("belongs to log"), "{number}: {error}");
    }
    assert_eq!((made.sequence(), made.records), (Sequence::FIRST, 1));
    assert_eq!(log.state().unwrap().get(&mine).unwrap(), Some(7));
}
