//! A listener that is killed: what it answered with 200 is there.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::failures::wait_for;
use super::place::Place;

/// The status, if an answer came.
pub(super) fn post(port: u16, path: &str, token: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close");
    stream.write_all(format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.split(' ').nth(1)?.parse().ok()
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Posts numbers until it is told to stop; those that were answered with 200.
fn send(port: u16, first: u64, is_over: &AtomicBool) -> BTreeSet<u64> {
    let mut stored = BTreeSet::new();
    for n in first.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        // What was not answered is not sent again here: it may be there or not.
        match post(port, "/orders", "hunter2secret", &format!("{{\"id\":{n}}}")) {
            Some(200) => drop(stored.insert(n)),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    stored
}

#[test]
fn what_was_answered_with_200_survives_every_kill() {
    let place = Place::new("{}", "");
    let port = free_port();
    place.secret_file("token", "hunter2secret\n");
    place.file(
        "pipeline.toml",
        &format!(
            "version = 1\nname = 'hooks'\nlog = 'pipe.hw'\n[source]\ntype = 'http'\nlisten = '127.0.0.1:{port}'\n\
             token = '${{file:token}}'\n[[source.streams]]\nname = 'orders'\nprimary_key = ['id']\n\
             [destinations.lake]\ntype = 'jsonl'\npath = 'lake'\n"
        ),
    );
    let is_over = AtomicBool::new(false);
    let stored: BTreeSet<u64> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|n| {
                scope.spawn({
                    let is_over = &is_over;
                    move || send(port, n * 1_000_000, is_over)
                })
            })
            .collect();
        for kill in 0..5_u64 {
            let mut run = place.start();
            wait_for(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
            std::thread::sleep(Duration::from_millis(150 + 53 * kill));
            run.kill().unwrap();
            run.wait().unwrap();
        }
        let mut run = place.start();
        wait_for(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        is_over.store(true, Ordering::Relaxed);
        let stored = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        // It goes on for ever: a request to stop ends it.
        let sent = Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(run.wait().unwrap().code(), Some(75));
        stored
    });
    place.run("deliver", &["--only", "lake", "--until-end"]).exits(0);
    let held: Vec<u64> = place.rows("orders").iter().map(|row| row["data"]["id"].as_u64().unwrap()).collect();
    let keys: BTreeSet<u64> = held.iter().copied().collect();
    assert!(stored.len() > 50, "only {} were sent", stored.len());
    assert_eq!(held.len(), keys.len(), "a record is there twice that was sent once");
    let lost: Vec<&u64> = stored.difference(&keys).collect();
    assert!(lost.is_empty(), "answered with 200, and lost: {lost:?}");
    for file in place.files_below("pipe.hw.connect") {
        assert!(!std::fs::read_to_string(file).unwrap_or_default().contains("hunter2secret"));
    }
}
