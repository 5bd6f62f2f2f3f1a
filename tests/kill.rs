//! Real processes, killed at random moments: whatever was acknowledged is there, and what is there is what was tried.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `cargo test` builds the examples beside the tests.
fn driver() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("examples/crash_driver");
    assert!(path.exists(), "{} is not built: run `cargo test`, or `cargo build --examples`", path.display());
    path
}

fn run(mode: &str, dir: &Path, extra: &[&str]) -> Child {
    let dir = dir.to_str().unwrap();
    let mut command = Command::new(driver());
    command.args([mode, "--dir", dir, "--seed", "7"]).args(extra).stdout(Stdio::piped()).spawn().unwrap()
}

/// A line's stream (none with one writer), checkpoint and hash.
fn entry(words: &[&str]) -> ((String, u64), String) {
    let [stream @ .., sequence, hash] = words else { panic!("{words:?}") };
    ((stream.concat(), sequence.parse().unwrap()), (*hash).to_owned())
}

/// What is there, by stream.
fn verify(dir: &Path, extra: &[&str]) -> Vec<((String, u64), String)> {
    let mut child = run("verify", dir, extra);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success(), "{out}");
    let recovered = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], "recovered", "{out}");
        entry(&words[1..])
    };
    out.lines().map(recovered).collect()
}

/// Kills at a random moment, verifies, goes on; so many times.
fn kill_cycles(cycles: u32, extra: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let nothing = "0".repeat(16);
    let mut hashes: HashMap<(String, u64), String> = HashMap::new();
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for cycle in 0..cycles {
        let mut child = run("write", dir.path(), extra);
        let out = BufReader::new(child.stdout.take().unwrap());
        let wait = Duration::from_micros(u64::from(cycle.wrapping_mul(2_654_435_761) % 60_000));
        let (heard, first_ack) = std::sync::mpsc::channel();
        let killer = std::thread::spawn(move || {
            // Every other one is let commit first, however slow the machine; the rest may die while they open the log.
            if cycle % 2 == 0 {
                first_ack.recv_timeout(Duration::from_secs(30)).unwrap();
            }
            std::thread::sleep(wait);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in out.lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (place, hash) = entry(&words[1..]);
            match words[0] {
                "try" => drop(hashes.insert(place, hash)),
                "ack" => {
                    let _ = heard.send(()); // nobody listens to the second
                    acknowledged.insert(place.0, place.1);
                }
                "resume" if place.1 == 0 => assert_eq!(hash, nothing),
                "resume" => assert_eq!(hashes.get(&place), Some(&hash), "{line}"),
                _ => panic!("{line}"),
            }
        }
        killer.join().unwrap();
        for (place, hash) in verify(dir.path(), extra) {
            let acknowledged = acknowledged.entry(place.0.clone()).or_default();
            assert!(
                place.1 >= *acknowledged,
                "cycle {cycle}: {acknowledged} was acknowledged, {place:?} is there"
            );
            let tried = if place.1 == 0 { Some(&nothing) } else { hashes.get(&place) };
            assert_eq!(tried, Some(&hash), "cycle {cycle}: another content at {place:?}");
            *acknowledged = place.1;
        }
    }
    let checkpoints: u64 = acknowledged.values().sum();
    assert!(checkpoints > 20, "{checkpoints} checkpoints in {cycles} cycles: it hardly ran");
}

#[test]
fn nothing_acknowledged_is_lost_in_sixty_kills() {
    kill_cycles(60, &[]);
}

#[test]
fn nor_while_a_consumer_prunes_and_segments_are_recycled() {
    kill_cycles(60, &["--consumer", "--segment-bytes", "65536"]);
}

#[test]
fn nor_while_threads_commit_at_once() {
    kill_cycles(60, &["--threads", "4"]);
}

#[test]
fn nor_while_they_do_and_a_consumer_prunes() {
    kill_cycles(60, &["--threads", "4", "--consumer", "--segment-bytes", "65536"]);
}
