//! A file that somebody cuts short while a log is open never kills the process, outside the map mode: an error instead.
//! Real processes are the ones that would die, so each case runs in a child. (Unreadable blocks are injected at the
//! system-call level by tests/crash/inject.py.)

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::print_stdout)] // a test panics, waits, and talks to its child

mod common;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use common::Fixture;
use highwater::{
    Commit, Config, Limit, Log, LogReader, Op, ReadMode, Retention, Sequence, Start, StreamSpec,
};

/// What the child is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    /// The process that writes the log, with the default read mode.
    Writer,
    /// The same with [`ReadMode::Map`].
    Mapper,
    /// Another process that reads it.
    Reader,
}

const ROLE: &str = "HIGHWATER_SIGBUS_ROLE";
const DIR: &str = "HIGHWATER_SIGBUS_DIR";

/// Not a test of its own: what the others run in a process of its own. It reads everything, waits for the cut, and reads
/// and writes again.
#[test]
#[ignore = "run by the other tests as a child process"]
fn child() {
    let (Ok(role), Ok(dir)) = (std::env::var(ROLE), std::env::var(DIR)) else { return };
    let dir = Path::new(&dir);
    let result = if role == "Reader" {
        read_twice(&LogReader::open(dir).unwrap())
    } else {
        let read_mode = if role == "Mapper" { ReadMode::Map } else { ReadMode::Copy };
        let config = Config { segment_bytes: 64 << 10, read_mode, ..Config::default() };
        let (log, _) = Log::open(dir, config).unwrap();
        read_twice(&log).and_then(|()| write(&log))
    };
    println!("child: {}", result.map_or_else(|error| error.to_string(), |()| "well".to_owned()));
}

fn read_twice(log: &LogReader) -> highwater::Result<()> {
    read(log).unwrap();
    let first = log.reader(Sequence::FIRST)?.next()?.unwrap();
    println!("child: ready");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    // Its commit, which lies behind its records, was read before the cut: the records alone are asked for.
    first.records().try_for_each(|record| record.map(drop))?;
    read(log)?;
    log.verify(&mut |_| {})?;
    LogReader::open(log.path()).and_then(|another| read(&another))
}

fn read(log: &LogReader) -> highwater::Result<()> {
    log.state()?.all()?;
    log.status()?;
    let mut reader = log.reader(log.first().max(Sequence::FIRST))?;
    while let Some(checkpoint) = reader.next()? {
        for record in checkpoint.records() {
            assert!(record?.payload.iter().all(|byte| u64::from(*byte) == checkpoint.sequence().get() - 1));
        }
    }
    Ok(())
}

fn write(log: &Log) -> highwater::Result<()> {
    let stream = log.stream(StreamSpec::new("s"))?;
    let mut writer = log.writer(&[&stream])?;
    writer.append(&stream, Op::Insert { key: b"", row: &[7; 100_000] })?;
    writer.commit(Commit::new().stream(&stream, &1))?;
    let mut consumer = log.consumer("c", Start::Oldest)?;
    if let Some(batch) = consumer.next_batch(&Limit::default())? {
        consumer.acknowledge(batch.end())?;
    }
    log.prune(&Retention::default())?;
    Ok(())
}

/// A log of some segments, closed. Its first checkpoint reaches over several.
fn log() -> Fixture {
    let fixture = Fixture::new();
    let log = fixture.open_small();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for _ in 0..20 {
        writer.append(&stream, Op::Insert { key: b"", row: &[0; 7_000] }).unwrap();
    }
    writer.commit(Commit::new().stream(&stream, &0)).unwrap();
    drop(writer);
    fixture.write(&log, "s", 1..120);
    drop(log.consumer("c", Start::Earliest).unwrap());
    log.close().unwrap();
    fixture
}

fn cut(path: &Path, bytes: u64) {
    // Gone meanwhile, or too short already: nothing to cut.
    if let Ok(file) = OpenOptions::new().write(true).open(path)
        && file.metadata().unwrap().len() > bytes
    {
        file.set_len(bytes).unwrap();
    }
}

/// Starts a child on the log, cuts the file while it has everything open, and tells how the child ended and what it said.
fn cut_under(role: Role, dir: &Path, name: &str, bytes: u64) -> (ExitStatus, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--ignored", "--nocapture"]);
    command.env(ROLE, format!("{role:?}")).env(DIR, dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = |line: String| line.split_once("child: ").map(|(_, said)| said.to_owned());
    assert_eq!(lines.by_ref().find_map(said).as_deref(), Some("ready"));
    cut(&dir.join(name), bytes);
    writeln!(child.stdin.take().unwrap()).unwrap();
    let result = lines.find_map(said).unwrap_or_default();
    (child.wait().unwrap(), result)
}

#[test]
fn a_file_cut_short_is_an_error_in_every_process() {
    for role in [Role::Writer, Role::Reader] {
        for name in ["00000001.hws", "00000002.hws", "00000003.hws", "mark", "consumer.c"] {
            for bytes in [0, 100, 4096, 5000, 40_000] {
                let fixture = log();
                let (status, said) = cut_under(role, fixture.dir(), name, bytes);
                assert_eq!(status.code(), Some(0), "{role:?} {name} {bytes}: {status} {said}");
                assert!(!said.is_empty());
                if name.ends_with("1.hws") {
                    assert!(said.contains(name) && said.contains("damaged"), "{role:?} {bytes}: {said}");
                }
            }
        }
    }
}

/// What remains, and that the test above would notice.
#[test]
fn under_a_map_it_is_the_documented_risk() {
    let fixture = log();
    let (status, said) = cut_under(Role::Mapper, fixture.dir(), "00000001.hws", 4096);
    assert!(status.signal().is_some(), "{status}, {said}");
}

/// `cargo test` builds the examples beside the tests.
fn driver(mode: &str, dir: &Path) -> Child {
    let test = std::env::current_exe().unwrap();
    let path: PathBuf = test.parent().and_then(Path::parent).unwrap().join("examples/crash_driver");
    assert!(path.exists(), "{} is not built: run `cargo test`, or `cargo build --examples`", path.display());
    let mut command = Command::new(path);
    command.arg(mode).arg("--dir").arg(dir).args(["--seed", "3", "--threads", "3", "--consumer"]);
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn nor_does_it_kill_a_log_that_is_being_written_and_pruned() {
    let mut ended = 0;
    for life in 0..30_u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = driver("write", dir.path());
        let mut status = None;
        for moment in 0..20 {
            std::thread::sleep(Duration::from_millis(2 + life % 7));
            let segments: Vec<PathBuf> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|e| e == "hws"))
                .collect();
            if let Some(victim) = segments.get((life + moment) as usize % segments.len().max(1)) {
                cut(victim, (life * 1_000 + moment * 9_000) % 100_000);
            }
            status = writer.try_wait().unwrap();
            if status.is_some() {
                break;
            }
        }
        match status {
            Some(status) => assert_eq!(status.code(), Some(3), "life {life}: {status}"),
            None => writer.kill().and_then(|()| writer.wait().map(drop)).unwrap(),
        }
        ended += u32::from(status.is_some());
        let verified = driver("verify", dir.path()).wait().unwrap();
        assert!(matches!(verified.code(), Some(0 | 2)), "life {life}: {verified}");
    }
    assert!(ended > 0, "no writer ever noticed: nothing was tested");
}
