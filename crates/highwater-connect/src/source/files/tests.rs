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
    let mut cursor = Cursor::start_of("a.jsonl");
    cursor.position = 9;
    let cursor = Cursor::parse(&cursor.text(&path).unwrap()).unwrap();
    fs::write(&path, "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n").unwrap();
    cursor.check(&path).unwrap();
    for other in ["{\"id\":7}\n{\"id\":2}\n", "{"] {
        fs::write(&path, other).unwrap();
        assert_eq!(cursor.check(&path).unwrap_err().kind(), crate::FailureKind::Diverged);
    }
}
