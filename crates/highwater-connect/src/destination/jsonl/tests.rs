use highwater::{Commit, Config, Limit, Log, Op, Start, StreamSpec};

use super::*;
use crate::feed::Feed;

fn log_of(dir: &Path, rows: &[&[u8]]) -> Log {
    let (log, _) = Log::open(dir, Config::default()).unwrap();
    let stream = log.stream(StreamSpec::new("s").namespace("n").key(["id"])).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for row in rows {
        let key = b"[1]";
        writer.append(&stream, Op::Upsert { key, row }).unwrap();
        writer.commit(Commit::new().stream(&stream, &1)).unwrap();
    }
    log
}

fn content(dir: &Path) -> Vec<String> {
    let mut names: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.extension().is_some_and(|e| e == "jsonl"));
    names.sort();
    names
        .iter()
        .flat_map(|name| fs::read_to_string(name).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_line_has_the_record_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(&dir.path().join("log"), &[b"{\"id\": 1,\n\"x\":12345678901234567890123}", b"no json"]);
    let mut lake = JsonLines::new(dir.path().join("lake"));
    let mut feed = Feed::open(&log, "lake", Start::Earliest, None).unwrap();
    assert_eq!(lake.stored().unwrap(), Stored::Nothing);
    let batch = feed.next(&Limit::default()).unwrap().unwrap();
    let applied = lake.apply(&batch).unwrap();
    assert_eq!((applied.rejected.len(), applied.rejected[0].index), (1, 0));
    assert!(applied.rejected[0].reason.contains("payload"));
    let lines = content(&dir.path().join("lake"));
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with(r#"{"namespace":"n","stream":"s","checkpoint":1,"committed_us":"#),
        "{lines:?}"
    );
    assert!(lines[0].ends_with(r#""key":[1],"data":{"id": 1, "x":12345678901234567890123}}"#), "{lines:?}");
    assert_eq!(lake.stored().unwrap(), Stored::UpTo(batch.end()));
}

#[test]
fn a_crash_between_file_and_marker_delivers_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(&dir.path().join("log"), &[b"{\"id\":1}", b"{\"id\":2}", b"{\"id\":3}"]);
    let place = dir.path().join("lake");
    let mut lake = JsonLines::new(&place);
    lake.stored().unwrap();
    let mut feed = Feed::open(&log, "lake", Start::Earliest, None).unwrap();
    let one = Limit { max_checkpoints: 1, ..Limit::default() };
    lake.apply(&feed.next(&one).unwrap().unwrap()).unwrap();
    let marker = fs::read(place.join(MARKER)).unwrap();
    let second = feed.next(&one).unwrap().unwrap();
    lake.apply(&second).unwrap();
    fs::write(place.join(MARKER), marker).unwrap();
    fs::write(place.join(format!("{}.tmp", Range::of(&second).name())), "half").unwrap();

    let stored = lake.stored().unwrap();
    assert_eq!(stored, Stored::UpTo(second.end()));
    feed.align(stored).unwrap();
    lake.apply(&feed.next(&Limit::default()).unwrap().unwrap()).unwrap();
    assert_eq!(content(&place).len(), 3);
    assert!(
        fs::read_dir(&place).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .ends_with("tmp"))
    );
}

#[test]
fn files_without_their_marker_are_not_ours_to_judge() {
    let dir = tempfile::tempdir().unwrap();
    let id = "0190a5c0-0000-7000-8000-000000000001";
    for first in [4, 9] {
        fs::write(dir.path().join(format!("{first:012}-{:012}.{id}.jsonl", first + 1)), "").unwrap();
    }
    let mut lake = JsonLines::new(dir.path());
    assert_eq!(lake.stored().unwrap_err().kind(), crate::FailureKind::Diverged);
}
