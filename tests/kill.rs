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

fn verify(dir: &Path, extra: &[&str]) -> (u64, String) {
    let mut child = run("verify", dir, extra);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success(), "{out}");
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words[0], "recovered", "{out}");
    (words[1].parse().unwrap(), words[2].to_owned())
}

/// Kills at a random moment, verifies, goes on; so many times.
fn kill_cycles(cycles: u32, extra: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut hashes: HashMap<u64, String> = HashMap::from([(0, "0".repeat(16))]);
    let mut acknowledged = 0;
    for cycle in 0..cycles {
        let mut child = run("write", dir.path(), extra);
        let out = BufReader::new(child.stdout.take().unwrap());
        let wait = Duration::from_micros(u64::from(cycle.wrapping_mul(2_654_435_761) % 60_000));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(wait);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in out.lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["try", sequence, hash] => drop(hashes.insert(sequence.parse().unwrap(), hash.to_owned())),
                ["ack", sequence, _] => acknowledged = sequence.parse().unwrap(),
                ["resume", sequence, hash] => {
                    assert_eq!(hashes.get(&sequence.parse().unwrap()).map(String::as_str), Some(hash));
                }
                _ => panic!("{line}"),
            }
        }
        killer.join().unwrap();
        let (recovered, hash) = verify(dir.path(), extra);
        assert!(
            recovered >= acknowledged,
            "cycle {cycle}: {acknowledged} was acknowledged, {recovered} is there"
        );
        assert_eq!(hashes.get(&recovered), Some(&hash), "cycle {cycle}: another content at {recovered}");
        acknowledged = recovered;
    }
    assert!(acknowledged > 20, "{acknowledged} checkpoints in {cycles} cycles: it hardly ran");
}

#[test]
fn nothing_acknowledged_is_lost_in_sixty_kills() {
    kill_cycles(60, &[]);
}

#[test]
fn nor_while_a_consumer_prunes_and_segments_are_recycled() {
    kill_cycles(60, &["--consumer", "--segment-bytes", "65536"]);
}
