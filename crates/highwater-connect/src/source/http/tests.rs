use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use highwater::{Config, Log, StreamName, WhenFull};

use super::*;
use crate::event::{Event, Observer, Reporter};
use crate::output::Surroundings;
use crate::pipeline::{CheckpointPolicy, Secrets};
use crate::stop::Stop;

/// Hears where it listens.
#[derive(Default)]
struct Kept(Mutex<Option<SocketAddr>>);

impl Observer for Kept {
    fn event(&self, event: Event) {
        if let Event::Note { text } = event {
            *self.0.lock().unwrap() =
                text.strip_prefix("listening on http://").and_then(|at| at.parse().ok());
        }
    }
}

/// A log into which a listener writes, until it is asked to stop.
struct World {
    dir: tempfile::TempDir,
    stop: Stop,
    address: SocketAddr,
    reading: Option<std::thread::JoinHandle<Result<()>>>,
}

fn path(name: &str, key: &[&str]) -> Path {
    let key = key.iter().map(|column| vec![(*column).to_owned()]).collect();
    Path::new(format!("/hooks/{name}"), StreamName { namespace: None, name: name.to_owned() }, key)
}

impl World {
    fn new(config: Config, change: impl FnOnce(Http) -> Http) -> World {
        let dir = tempfile::tempdir().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut source = change(Http::new(any, vec![path("orders", &["id"]), path("logs", &[])]));
        let (stop, kept) = (Stop::default(), Arc::new(Kept::default()));
        let around = Surroundings {
            // An hour: who waits for durability does not wait for this.
            policy: CheckpointPolicy {
                min_interval: Duration::from_secs(3600),
                ..CheckpointPolicy::default()
            },
            reporter: Reporter::new(kept.clone(), Secrets::default()),
            stop: stop.clone(),
            waits_when_full: true,
            destinations: Default::default(),
            given_up: Arc::default(),
            labels: Vec::new(),
            schema: Default::default(),
            source: Default::default(),
            reads_all: true,
            lookback: None,
        };
        let place = dir.path().join("log.hw");
        let reading = std::thread::spawn(move || {
            let (log, _) = Log::open(place, config)?;
            let mut out = Output::begin(&log, &source.streams()?, &around)?;
            let from = out.resume_from()?;
            let read = source.read(&from, &mut out);
            drop(out);
            log.close()?;
            read
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        let address = loop {
            if let Some(address) = *kept.0.lock().unwrap() {
                break address;
            }
            assert!(Instant::now() < deadline && !reading.is_finished());
            std::thread::sleep(Duration::from_millis(5));
        };
        World { dir, stop, address, reading: Some(reading) }
    }

    fn post(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        self.send(request.as_bytes())
    }

    fn send(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // Who is refused before it has sent everything may find the connection closed.
        let _ = stream.write_all(request);
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, text)
    }

    fn end(mut self, urgency: Urgency) -> (tempfile::TempDir, Result<()>) {
        self.stop.ask(urgency);
        let read = self.reading.take().unwrap().join().unwrap();
        (self.dir, read)
    }
}

/// The payloads that a log holds, and how many checkpoints with records.
fn held(dir: &std::path::Path) -> (Vec<String>, usize) {
    let log = highwater::LogReader::open(dir.join("log.hw")).unwrap();
    let (mut rows, mut checkpoints) = (Vec::new(), 0);
    let Some(end) = log.end() else { return (rows, 0) };
    let mut reader = log.reader(log.first()).unwrap();
    while reader.next_sequence() <= end.sequence {
        let Some(checkpoint) = reader.next().unwrap() else { break };
        let before = rows.len();
        for counts in checkpoint.streams() {
            for record in checkpoint.records_of(counts.stream) {
                rows.push(String::from_utf8(record.unwrap().payload.to_vec()).unwrap());
            }
        }
        checkpoints += usize::from(rows.len() > before);
    }
    (rows, checkpoints)
}

#[test]
fn what_is_answered_with_200_is_in_the_log_to_the_byte() {
    let world = World::new(Config::default(), |http| http);
    let (status, text) = world.post("/hooks/orders", "", "{\"id\": 1,  \"big\":12345678901234567890123}");
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("{\"stored\":1}\n"), "{text}");
    // Before anybody stops: it is durable already.
    assert_eq!(held(world.dir.path()).0, ["{\"id\": 1,  \"big\":12345678901234567890123}"]);
    let lines = "content-type: Application/X-NDJSON; charset=utf-8\r\n";
    assert_eq!(world.post("/hooks/logs", "", "[{\"a\":1},{\"a\":2}]").0, 200);
    assert_eq!(world.post("/hooks/logs", lines, "{\"a\":3}\n\n{\"a\":4}").0, 200);
    let (dir, read) = world.end(Urgency::Soon);
    read.unwrap();
    assert_eq!(held(dir.path()).0.len(), 5);
}

#[test]
fn what_is_not_taken_is_said_and_not_stored() {
    let world = World::new(Config::default(), |http| Http { body_bytes_max: 1000, ..http });
    for (path, headers, body, expected) in [
        ("/hooks/orders", "", "{\"id\":", 400),
        ("/hooks/orders", "", "7", 400),
        ("/hooks/orders", "", "{\"no\":1}", 400),
        ("/hooks/orders", "", "[{\"id\":1},{\"no\":1}]", 400),
        ("/hooks/logs", "content-type: application/x-ndjson\r\n", "{}\nx", 400),
        ("/hooks/logs", "", &format!("{{\"a\":\"{}\"}}", "x".repeat(2000)), 413),
        ("/elsewhere", "", "{}", 404),
    ] {
        let (status, text) = world.post(path, headers, body);
        assert_eq!(status, expected, "{path} {body}: {text}");
    }
    assert_eq!(world.send(b"GET /hooks/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").0, 405);
    let (dir, read) = world.end(Urgency::Soon);
    read.unwrap();
    assert_eq!(held(dir.path()).0, [""; 0]);
}

#[test]
fn who_has_no_token_is_refused() {
    let world = World::new(Config::default(), |http| http.token("hunter2secret"));
    for header in ["", "authorization: Bearer hunter2\r\n", "authorization: Basic hunter2secret\r\n"] {
        assert_eq!(world.post("/hooks/logs", header, "{}").0, 401, "{header}");
    }
    assert_eq!(world.post("/hooks/logs", "authorization: Bearer hunter2secret\r\n", "{}").0, 200);
    assert_eq!(held(world.dir.path()).0.len(), 1);
}

#[test]
fn many_at_a_time_share_a_commit() {
    let world = World::new(Config::default(), |http| http);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let world = &world;
            scope.spawn(move || {
                for n in 0..20 {
                    let (status, text) =
                        world.post("/hooks/logs", "", &format!("{{\"n\":\"{thread}-{n}\"}}"));
                    assert_eq!(status, 200, "{text}");
                }
            });
        }
    });
    let (rows, checkpoints) = held(world.dir.path());
    assert_eq!(rows.iter().collect::<std::collections::HashSet<_>>().len(), 320);
    assert!(checkpoints < 320, "{checkpoints}");
}

#[test]
fn a_full_log_asks_to_come_again_and_loses_nothing() {
    let config = Config {
        size_max: Some(8 << 20),
        segment_bytes: 1 << 20,
        when_full: WhenFull::Wait(Duration::from_millis(50)),
        ..Config::default()
    };
    let world = World::new(config, |http| http);
    // Somebody who has not read yet keeps everything.
    let log = highwater::LogReader::open(world.dir.path().join("log.hw")).unwrap();
    let _slow = log.consumer("slow", highwater::Start::Earliest).unwrap();
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(500_000));
    let mut stored = 0;
    let refused = loop {
        match world.post("/hooks/logs", "", &body) {
            (200, _) => stored += 1,
            other => break other,
        }
        assert!(stored < 100, "it never gets full");
    };
    assert_eq!(refused.0, 503, "{}", refused.1);
    assert!(refused.1.contains("retry-after: 5"), "{}", refused.1);
    // Soon would wait for room: somebody may make it.
    let (dir, _) = world.end(Urgency::Now);
    assert!(held(dir.path()).0.len() >= stored);
}
