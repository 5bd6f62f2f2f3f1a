use std::fs;

use super::*;
use crate::conformance::{self, Overlap};

fn name() -> StreamName {
    StreamName { namespace: None, name: "s".to_owned() }
}

fn conforms(dir: &Path, format: Format) {
    let logs = tempfile::tempdir().unwrap();
    let key = vec![vec!["id".to_owned()]];
    let make = || Box::new(Files::new(dir, format, name()).key(key.clone())) as Box<dyn Source>;
    let every = std::cell::Cell::new(0);
    conformance::source(logs.path(), Overlap::None, || {
        every.set(every.get() + 1);
        make()
    })
    .unwrap();
    assert!(every.get() > 10);
}

#[test]
fn json_lines_conform() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..3 {
        let lines: Vec<String> = (0..4000).map(|n| format!("{{\"id\": {n}, \"f\":{file}}}")).collect();
        // The last line of a file may lack its end, and lines may be empty.
        fs::write(dir.path().join(format!("{file}.jsonl")), lines.join("\n\n")).unwrap();
    }
    fs::write(dir.path().join("other.txt"), "not looked at").unwrap();
    conforms(dir.path(), Format::JsonLines);
}

#[test]
fn csv_conforms() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..3 {
        let rows: String = (0..4000).map(|n| format!("{n},\"a \"\"b\"\"\nand {file}\"\n")).collect();
        fs::write(dir.path().join(format!("{file}.csv")), format!("id,text\n{rows}")).unwrap();
    }
    conforms(dir.path(), Format::Csv);
}

#[test]
fn a_file_that_was_replaced_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    fs::write(&path, "{\"id\":1}\n{\"id\":2}\n").unwrap();
    let mut cursor = Cursor::default();
    cursor.begin("a.jsonl");
    cursor.position = 9;
    let cursor = Cursor::parse(&cursor.text(&path, Unit::Byte).unwrap()).unwrap();
    fs::write(&path, "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n").unwrap();
    cursor.check(&path, Unit::Byte).unwrap();
    for other in ["{\"id\":7}\n{\"id\":2}\n", "{"] {
        fs::write(&path, other).unwrap();
        assert_eq!(cursor.check(&path, Unit::Byte).unwrap_err().kind(), crate::FailureKind::Diverged);
    }
}

/// Rows of an id, a float and a list of two texts, in groups.
fn write_parquet(path: &Path, groups: &[std::ops::Range<i64>]) {
    write_compressed(path, groups, ::parquet::basic::Compression::UNCOMPRESSED);
}

fn write_compressed(path: &Path, groups: &[std::ops::Range<i64>], codec: ::parquet::basic::Compression) {
    use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    let message = "message r { REQUIRED INT64 id; OPTIONAL DOUBLE x; \
                   OPTIONAL GROUP l (LIST) { REPEATED GROUP list { OPTIONAL BINARY element (UTF8); } } }";
    let schema = std::sync::Arc::new(parse_message_type(message).unwrap());
    let properties = ::parquet::file::properties::WriterProperties::builder().set_compression(codec).build();
    let mut writer =
        SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties.into()).unwrap();
    for ids in groups {
        let ids: Vec<i64> = ids.clone().collect();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let floats = vec![0.1; ids.len()];
        column.typed::<DoubleType>().write_batch(&floats, Some(&vec![1; ids.len()]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let texts: Vec<ByteArray> = ids.iter().flat_map(|_| ["a", "\u{fc}\""]).map(ByteArray::from).collect();
        let repeats: Vec<i16> = ids.iter().flat_map(|_| [0, 1]).collect();
        column
            .typed::<ByteArrayType>()
            .write_batch(&texts, Some(&vec![3; texts.len()]), Some(&repeats))
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn a_parquet_file_that_was_replaced_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write_parquet(&path, &[0..4, 4..9]);
    let mut cursor = Cursor::default();
    cursor.begin("a.parquet");
    cursor.position = 5;
    let cursor = Cursor::parse(&cursor.text(&path, Unit::Row).unwrap()).unwrap();
    cursor.check(&path, Unit::Row).unwrap();
    // Also by one that has as many rows, and begins as it did.
    for other in [[0..4, 4..8], [0..4, 4..10], [0..4, 14..19]] {
        write_parquet(&path, &other);
        let failure = cursor.check(&path, Unit::Row).unwrap_err();
        assert_eq!(failure.kind(), crate::FailureKind::Diverged);
        assert!(failure.to_string().contains("read up to row 5"), "{failure}");
    }
}

#[test]
fn parquet_conforms() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..3 {
        write_parquet(&dir.path().join(format!("{file}.parquet")), &[0..1500, 1500..1501, 1501..4000]);
    }
    // The last one is still being written.
    fs::write(dir.path().join("9.parquet"), "PAR1 and nothing yet").unwrap();
    conforms(dir.path(), Format::Parquet);
}

#[test]
fn a_parquet_row_is_an_object_and_its_schema_says_so() {
    let dir = tempfile::tempdir().unwrap();
    write_parquet(&dir.path().join("a.parquet"), &[7..8, 8..8]);
    let mut source = Files::new(dir.path(), Format::Parquet, name());
    let schema = source.streams().unwrap().remove(0).definition.schema.unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["properties"]["id"]["type"][1], "integer");
    assert_eq!(schema["properties"]["x"]["type"][1], "number");
    assert_eq!(schema["properties"]["l"]["type"][1], "array");
    let path = dir.path().join("a.parquet");
    assert_eq!(parquet::texts(&path), [r#"{"id":7,"x":0.1,"l":["a","ü\""]}"#]);
    // It is not one that grows.
    let mut cursor = Cursor::default();
    cursor.begin("a.parquet");
    cursor.position = 1;
    let cursor = Cursor::parse(&cursor.text(&path, Unit::Row).unwrap()).unwrap();
    cursor.check(&path, Unit::Row).unwrap();
    write_parquet(&path, &[7..8, 8..9]);
    assert_eq!(cursor.check(&path, Unit::Row).unwrap_err().kind(), crate::FailureKind::Diverged);
}

#[test]
fn parquet_of_every_codec_is_read() {
    use ::parquet::basic::Compression;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write_parquet(&path, &[0..400, 400..900]);
    let plain = (fs::metadata(&path).unwrap().len(), parquet::texts(&path));
    assert_eq!(plain.1.len(), 900);
    for codec in [
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
    ] {
        write_compressed(&path, &[0..400, 400..900], codec);
        assert!(fs::metadata(&path).unwrap().len() < plain.0, "{codec:?} makes nothing smaller");
        assert_eq!(parquet::texts(&path), plain.1, "{codec:?}");
    }
}

#[test]
fn a_row_without_its_key_is_named_with_its_file() {
    let (dir, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, _) = highwater::Log::open(logs.path(), highwater::Config::default()).unwrap();
    let path = dir.path().join("1.parquet");
    write_parquet(&path, &[0..2, 2..3]);
    let around = crate::output::tests::around(std::time::Duration::ZERO);
    let mut source = Files::new(dir.path(), Format::Parquet, name()).key(vec![vec!["gone".to_owned()]]);
    let offers =
        vec![Offer::onward(StreamDefinition { key: source.key.clone(), ..StreamDefinition::new(name()) })];
    let mut out = Output::begin(&log, &offers, &around).unwrap();
    let failure = source.read(&State::default(), &mut out).unwrap_err().to_string();
    assert!(failure.starts_with(&format!("{}, row 1: ", path.display())), "{failure}");
}

/// What a run reads of the directory, from the log's state on.
fn rows(dir: &Path, log: &highwater::Log) -> Vec<String> {
    let around = crate::output::tests::around(std::time::Duration::ZERO);
    let mut source = Files::new(dir, Format::Csv, name());
    let before = crate::output::tests::delivered(log).len();
    let offers = source.streams().unwrap();
    let mut out = Output::begin(log, &offers, &around).unwrap();
    let from = out.resume_from().unwrap();
    source.read(&from, &mut out).unwrap();
    out.finish().unwrap();
    crate::output::tests::delivered(log).into_iter().skip(before).map(|(row, _)| row).collect()
}

#[test]
fn a_row_of_the_last_csv_file_is_read_once_it_has_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let logs = tempfile::tempdir().unwrap();
    let (log, _) = highwater::Log::open(logs.path(), highwater::Config::default()).unwrap();
    let one = dir.path().join("1.csv");
    let grows = |text: &str, read: &[&str]| {
        fs::write(&one, text).unwrap();
        assert_eq!(rows(dir.path(), &log), read, "{text:?}");
    };
    grows("id,t", &[]);
    grows("id,t\n0,z", &[]);
    grows("id,t\n0,z\n", &[r#"{"id":"0","t":"z"}"#]);
    // A line break in quotes ends no row.
    grows("id,t\n0,z\n1,\"a\n", &[]);
    grows("id,t\n0,z\n1,\"a\nb\"", &[]);
    grows(
        "id,t\n0,z\n1,\"a\nb\"\r\n2,5\" pipe\n",
        &[r#"{"id":"1","t":"a\nb"}"#, r#"{"id":"2","t":"5\" pipe"}"#],
    );
    grows("id,t\n0,z\n1,\"a\nb\"\r\n2,5\" pipe\n3,y", &[]);
    fs::write(dir.path().join("2.csv"), "id,t\n").unwrap();
    assert_eq!(rows(dir.path(), &log), [r#"{"id":"3","t":"y"}"#]);
}
