//! Every example pipeline of the repository is run, twice.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use super::failures::wait_for;
use super::http::{free_port, post};
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

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(HIGHWATER);
    command.args(words).current_dir(folder).env("HASH_KEY", "pepper").env("HOOK_TOKEN", "token-of-hook");
    command
}

fn highwater(folder: &Path, words: &[&str]) -> Ran {
    Ran::of(&command(folder, words).output().unwrap())
}

/// A listener runs until it is stopped, and somebody has to send it something meanwhile: the same each time.
fn run(folder: &Path, name: &str) {
    if name != "http.toml" {
        highwater(folder, &["run", name]).exits(0);
        return;
    }
    let (file, port) = (folder.join(name), free_port());
    let text = std::fs::read_to_string(&file).unwrap();
    let listen = text.lines().find(|line| line.starts_with("listen")).unwrap();
    std::fs::write(&file, text.replace(listen, &format!("listen = '127.0.0.1:{port}'"))).unwrap();
    let mut quiet = command(folder, &["run", name]);
    let mut run = quiet.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let sent = |token, body| post(port, "/hooks/orders", token, body);
    assert_eq!(sent("another", r#"{"id":1}"#), Some(401));
    assert_eq!(sent("token-of-hook", r#"[{"id":1,"total":12.5},{"id":2,"total":3}]"#), Some(200));
    assert!(Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(75));
    highwater(folder, &["deliver", name, "--only", "base", "--until-end"]).exits(0);
    assert!(std::fs::read_to_string(folder.join("hooks.prom")).unwrap().contains("highwater_"));
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
        "http.toml" => vec![
            ("hooks.sqlite", "SELECT count(*) FROM orders", 2),
            (
                "hooks.sqlite",
                "SELECT count(*) FROM orders WHERE json_extract(_highwater_extra, '$.total') > 10",
                1,
            ),
        ],
        // What it has written is what the next one reads.
        "parquet.toml" => vec![],
        "parquet_back.toml" => vec![("back", "", 800)],
        "airbyte_destination.toml" => vec![("crm", "", 4)],
        "singer_target.toml" => vec![("library", "", 120)],
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
    // One reads what the one before it has written.
    names.sort();
    assert_eq!(names.len(), 9, "{names:?}");
    for name in names {
        highwater(folder.path(), &["check", &name]).exits(0);
        for _ in 0..2 {
            run(folder.path(), &name);
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
