//! A log, a server that shows it, and requests by hand: the vocabulary of these tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use highwater::{Commit, Config, Limit, Log, LogReader, Op, Operation, Start, StreamSpec};
use highwater_serve::{Listen, Server, Subject};
use serde_json::Value;

pub(crate) const TOKEN: &str = "correct-horse-battery";
/// The sample log has no other.
pub(crate) const SEGMENT: &str = "00000001.hws";

pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) address: SocketAddr,
}

/// Where and how it listens.
pub(crate) fn on(address: &str, token: Option<&str>) -> Listen {
    let address = address.parse().unwrap();
    Listen { address, token: token.map(str::to_owned), names: vec!["hw.internal".to_owned()] }
}

impl Site {
    /// A server on loopback, with a token, about the sample log.
    pub(crate) fn new() -> Site {
        Site::with(on("127.0.0.1:0", Some(TOKEN)))
    }

    pub(crate) fn with(listen: Listen) -> Site {
        let dir = tempfile::tempdir().unwrap();
        sample(dir.path());
        let log = LogReader::open(dir.path()).unwrap();
        Site::about(dir, listen, Some(log))
    }

    /// A server about the sample log, in which nothing can be read.
    pub(crate) fn unreadable() -> Site {
        let dir = tempfile::tempdir().unwrap();
        sample(dir.path());
        let segment = std::fs::File::options().write(true).open(dir.path().join(SEGMENT)).unwrap();
        segment.write_all_at(&[0xff; 64], 0).unwrap();
        assert!(LogReader::open(dir.path()).is_err());
        Site::about(dir, on("127.0.0.1:0", None), None)
    }

    fn about(dir: tempfile::TempDir, listen: Listen, log: Option<LogReader>) -> Site {
        let server = Server::bind(listen).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
        let subject = Subject::open(dir.path()).unwrap();
        std::thread::spawn(move || server.run(subject, log));
        Site { dir, address }
    }

    /// Waits until the history was read.
    pub(crate) fn ready(self) -> Site {
        let begun = Instant::now();
        while self.get("/api/overview").json()["reading"]["done"] != true {
            assert!(begun.elapsed() < Duration::from_secs(30), "the history is not read");
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let token = format!("Bearer {TOKEN}");
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        self.ask("POST", path, &headers, &body.to_string())
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer::parse(&String::from_utf8(answer).unwrap())
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Answer {
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_lowercase(), body: body.to_owned() }
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.headers.lines().find_map(|line| line.strip_prefix(&start))
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// As the runtime records it.
const ATTEMPT: &[u8] = br#"{"run":"r","attempt":1,"started_us":5,"end":{"ended_us":9,"outcome":"complete","sync":1,"records":20,"first":1,"last":20}}"#;

/// Two streams and a runtime's own, states that change, one of them by hand, a consumer that lags, a global state.
fn sample(dir: &Path) {
    let (log, _) = Log::open(dir, Config::default()).unwrap();
    let orders = log.stream(StreamSpec::new("orders").namespace("shop").key(["id"])).unwrap();
    let users = log.stream(StreamSpec::new("<script>alert(1)</script>")).unwrap();
    let runs = log.stream(StreamSpec::new("runs").namespace("_highwater")).unwrap();
    let mut writer = log.writer(&[&orders, &users, &runs]).unwrap();
    for n in 1..=20u32 {
        let (key, row) = (format!("[{n}]"), format!("{{\"id\":{n}}}"));
        writer.append(&orders, Op::Upsert { key: key.as_bytes(), row: row.as_bytes() }).unwrap();
        let state = serde_json::json!({"cursor": n, "seen": [n, n + 1]});
        writer.commit(Commit::new().stream(&orders, &state).label("run", "7")).unwrap();
    }
    writer.append(&users, Op::Insert { key: b"", row: b"{}" }).unwrap();
    writer.append(&runs, Op::Insert { key: b"", row: ATTEMPT }).unwrap();
    writer.commit(Commit::new().stream(&users, &"</script>").records(&runs)).unwrap();
    writer.commit(Commit::new().global(&serde_json::json!({"lsn": 1}))).unwrap();
    drop(writer);
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 5, ..Limit::default() }).unwrap().unwrap();
    lake.acknowledge(batch.end()).unwrap();
    let edit = Operation::new("edit shop.orders", "ops", "page 20 was empty");
    log.operate(edit.set(orders.name(), r#"{"cursor":19,"seen":[]}"#)).unwrap();
    log.close().unwrap();
}
