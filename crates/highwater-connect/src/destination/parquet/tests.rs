use std::fs;
use std::path::{Path, PathBuf};

use highwater::{Commit, Config, Limit, Log, Op, Start, StreamSpec};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row, RowAccessor};

use super::*;
use crate::conformance::{self, Held};
use crate::feed::Feed;

struct Lake(PathBuf);

impl conformance::Subject for Lake {
    fn open(&mut self) -> Box<dyn Destination> {
        Box::new(Parquet::new(&self.0))
    }

    fn held(&mut self) -> Vec<Held> {
        let mut held = Vec::new();
        for stream in ["keyed", "plain"] {
            for row in rows(&self.0.join(stream)) {
                let row =
                    serde_json::json!({"id": row.get_long(0).unwrap(), "text": row.get_string(1).unwrap()});
                held.push(Held { stream: stream.to_owned(), row });
            }
        }
        held
    }

    fn lose(&mut self) -> bool {
        fs::remove_dir_all(&self.0).is_ok()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// In the order of the files, and in theirs.
fn rows(folder: &Path) -> Vec<Row> {
    let open = |path: &PathBuf| SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let read =
        |path: &PathBuf| open(path).get_row_iter(None).unwrap().map(|row| row.unwrap()).collect::<Vec<_>>();
    files(folder).iter().flat_map(read).collect()
}

fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(ToString::to_string).collect()
}

#[test]
fn the_suite_passes() {
    let dir = tempfile::tempdir().unwrap();
    conformance::destination(|n| Lake(dir.path().join(n.to_string()))).unwrap();
}

const SCHEMA: &str = r#"{"properties":{
    "flag":{"type":"boolean"},"n":{"type":"integer"},"x":{"type":"number"},
    "day":{"type":"string","format":"date"},"at":{"type":"string","format":"date-time"},
    "text":{"type":"string"},"nested":{"type":"object"},"_highwater_op":{"type":"string"}}}"#;

fn log_of(dir: &Path, rows: &[&str]) -> Log {
    let (log, _) = Log::open(dir, Config::default()).unwrap();
    let stream = log.stream(StreamSpec::new("s").namespace("n").schema(SCHEMA)).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for row in rows {
        writer.append(&stream, Op::Insert { key: b"", row: row.as_bytes() }).unwrap();
        writer.commit(Commit::new().stream(&stream, &1)).unwrap();
    }
    log
}

fn deliver(log: &Log, lake: &mut Parquet, checkpoints: usize) -> usize {
    let mut feed = Feed::open(log, "lake", Start::Earliest, None).unwrap();
    feed.align(lake.stored().unwrap()).unwrap();
    let mut batches = 0;
    while let Some(batch) = feed.next(&Limit { max_checkpoints: checkpoints, ..Limit::default() }).unwrap() {
        lake.apply(&batch).unwrap();
        batches += 1;
    }
    batches
}

#[test]
fn values_have_their_types_and_what_does_not_fit_is_kept_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(
        &dir.path().join("log"),
        &[
            r#"{"flag":true,"n":5,"x":0.5,"day":"1970-01-02","at":"1970-01-01T00:00:01Z","text":"ü","nested":{"a": [1]},"new":7}"#,
            r#"{"flag":"yes","n":18446744073709551615,"x":12345678901234567890123,"day":"soon","at":"2024-01-01T00:00:00.123456789Z"}"#,
            "[1]",
        ],
    );
    let place = dir.path().join("lake");
    deliver(&log, &mut Parquet::new(&place), 100);
    let rows = rows(&place.join("n.s"));
    let first = &rows[0];
    assert_eq!(
        (first.get_bool(0).unwrap(), first.get_long(1).unwrap(), first.get_double(2).unwrap()),
        (true, 5, 0.5)
    );
    let day = first.get_column_iter().nth(3).unwrap().1;
    assert_eq!((day, first.get_timestamp_micros(4).unwrap()), (&Field::Date(1), 1_000_000));
    assert_eq!(
        (first.get_string(5).unwrap().as_str(), first.get_string(6).unwrap().as_str()),
        ("ü", r#"{"a": [1]}"#)
    );
    assert_eq!(first.get_string(7).unwrap(), r#"{"new":7}"#);
    assert_eq!(first.get_string(9).unwrap(), "insert");
    let odd: serde_json::Value = serde_json::from_str(rows[1].get_string(7).unwrap()).unwrap();
    assert_eq!(odd.as_object().unwrap().len(), 5);
    assert_eq!(odd["day"], "soon");
    assert!(rows[1].get_string(7).unwrap().contains("12345678901234567890123"));
    assert_eq!(rows[2].get_string(7).unwrap(), "[1]");
}

#[test]
fn what_a_crash_left_before_the_marker_is_written_again_in_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(&dir.path().join("log"), &[r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
    let place = dir.path().join("lake");
    let marker = place.join(MARKER);
    deliver(&log, &mut Parquet::new(&place), 1);
    let whole = texts(&rows(&place.join("n.s")));
    assert_eq!(files(&place.join("n.s")).len(), 3);
    // As if it had been killed with one file published, and another half-written.
    let mut lake = Parquet::new(&place);
    let end = lake.stored().unwrap().position().unwrap();
    let mut told: serde_json::Value = serde_json::from_slice(&fs::read(&marker).unwrap()).unwrap();
    told["position"] = serde_json::Value::Null;
    fs::write(&marker, told.to_string()).unwrap();
    let half = files(&place.join("n.s"))[0].with_added_extension("tmp");
    fs::write(&half, "half").unwrap();
    fs::write(place.join("n.s/notes.tmp"), "of somebody else").unwrap();
    assert_eq!(lake.stored().unwrap(), Stored::Nothing);
    assert_eq!(files(&place.join("n.s")), [place.join("n.s/notes.tmp")]);
    fs::remove_file(place.join("n.s/notes.tmp")).unwrap();
    let mut feed = Feed::open(&log, "other", Start::Earliest, None).unwrap();
    lake.apply(&feed.next(&Limit::default()).unwrap().unwrap()).unwrap();
    assert_eq!(lake.stored().unwrap(), Stored::UpTo(end));
    assert_eq!((texts(&rows(&place.join("n.s"))), files(&place.join("n.s")).len()), (whole, 1));
}

#[test]
fn files_without_their_marker_are_not_ours_to_judge() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(&dir.path().join("log"), &[r#"{"n":1}"#]);
    let place = dir.path().join("lake");
    deliver(&log, &mut Parquet::new(&place), 1);
    fs::remove_file(place.join(MARKER)).unwrap();
    assert_eq!(Parquet::new(&place).stored().unwrap_err().kind(), crate::FailureKind::Diverged);
    assert_eq!(files(&place.join("n.s")).len(), 1);
}

#[test]
fn many_groups_of_rows_are_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!(r#"{{"n":1,"text":"{}"}}"#, "x".repeat(9 << 20));
    let log = log_of(&dir.path().join("log"), &[long.as_str(); 8]);
    let place = dir.path().join("lake");
    assert_eq!(deliver(&log, &mut Parquet::new(&place), 100), 1);
    let groups =
        |path: &PathBuf| SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap().num_row_groups();
    let groups: Vec<usize> = files(&place.join("n.s")).iter().map(groups).collect();
    assert_eq!(groups, [2]);
    assert_eq!(rows(&place.join("n.s")).len(), 8);
}

#[test]
fn a_file_of_every_codec_is_written_and_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let row = format!(r#"{{"n":1,"flag":true,"text":"{}"}}"#, "the same again ".repeat(500));
    let log = log_of(&dir.path().join("log"), &[row.as_str(); 20]);
    let written = |codec: &str| {
        let place = dir.path().join(codec.replace(':', "-"));
        deliver(&log, &mut Parquet::new(&place).compression(codec).unwrap(), 100);
        let [file] = files(&place.join("n.s")).try_into().unwrap();
        let reader = SerializedFileReader::new(fs::File::open(&file).unwrap()).unwrap();
        let columns = reader.metadata().row_group(0).columns();
        let codecs: std::collections::BTreeSet<String> =
            columns.iter().map(|column| format!("{:?}", column.compression())).collect();
        let codecs: Vec<String> = codecs.into_iter().collect();
        (codecs.join(" "), fs::metadata(&file).unwrap().len(), texts(&rows(&place.join("n.s"))))
    };
    let (plain, length, whole) = written("none");
    assert_eq!((plain.as_str(), whole.len()), ("UNCOMPRESSED", 20));
    for (codec, told) in
        [("snappy", "SNAPPY"), ("zstd", "ZSTD"), ("zstd:19", "ZSTD"), ("gzip", "GZIP"), ("gzip:1", "GZIP")]
    {
        let (name, compressed, rows) = written(codec);
        assert!(name.starts_with(told), "{codec}: {name}");
        assert!(compressed < length, "{codec}: {compressed} of {length}");
        assert_eq!(rows, whole, "{codec}");
    }
    assert_eq!(Parquet::new("x").compression("zstd:99").unwrap_err().kind(), crate::FailureKind::Config);
}
