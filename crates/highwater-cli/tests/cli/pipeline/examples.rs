//! Every example pipeline of the repository is run, twice.

use std::path::Path;
use std::process::Command;

use crate::helpers::{HIGHWATER, Ran};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/pipelines");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn highwater(folder: &Path, words: &[&str]) -> Ran {
    let mut command = Command::new(HIGHWATER);
    command.args(words).current_dir(folder).env("HASH_KEY", "pepper");
    Ran::of(&command.output().unwrap())
}

/// What is there after a run: a number of rows, by where they are.
fn expected(name: &str) -> Vec<(&'static str, &'static str, u64)> {
    match name {
        "sample.toml" => vec![
            ("shop.sqlite", "SELECT count(*) FROM customers", 200),
            ("shop.sqlite", "SELECT count(*) FROM orders", 200),
            ("shop.sqlite", "SELECT count(*) FROM events", 1000),
            ("lake", "", 2000),
        ],
        "files.toml" => vec![
            ("readings.sqlite", "SELECT count(*) FROM readings", 5),
            ("readings.sqlite", "SELECT count(*) FROM readings WHERE _highwater_valid_to IS NULL", 4),
        ],
        "airbyte.toml" => vec![("people", "", 250)],
        "singer.toml" => vec![("singer.sqlite", "SELECT count(*) FROM books", 120)],
        other => panic!("nobody says what {other} brings"),
    }
}

fn rows(folder: &Path, place: &str, sql: &str) -> u64 {
    if sql.is_empty() {
        let files = std::fs::read_dir(folder.join(place)).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|file| file.extension().is_some_and(|e| e == "jsonl"));
        return files.map(|file| std::fs::read_to_string(file).unwrap().lines().count() as u64).sum();
    }
    let script =
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    let ran = Command::new("python3").args(["-c", script]).arg(folder.join(place)).arg(sql).output().unwrap();
    Ran::of(&ran).exits(0).out.trim().parse().unwrap()
}

#[test]
fn every_example_runs_and_has_nothing_new_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new(EXAMPLES), folder.path());
    let names = std::fs::read_dir(EXAMPLES).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".toml"));
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        highwater(folder.path(), &["check", &name]).exits(0);
        for _ in 0..2 {
            highwater(folder.path(), &["run", &name]).exits(0);
            for (place, sql, count) in expected(&name) {
                assert_eq!(rows(folder.path(), place, sql), count, "{name}: {place} {sql}");
            }
        }
        highwater(folder.path(), &["status", &name]).exits(0);
    }
    // Where nothing went wrong, nobody was woken.
    assert!(!folder.path().join("alerts.jsonl").exists());
}

#[test]
fn the_demo_proves_itself() {
    let ran = highwater(Path::new("."), &["demo", "--rows", "4000", "--kills", "3"]).exits(0);
    assert!(ran.out.contains("nothing was lost, nothing was doubled"), "{}", ran.out);
    assert!(ran.err.contains("killed") && ran.out.contains("3 of them killed"), "{} {}", ran.err, ran.out);
}
