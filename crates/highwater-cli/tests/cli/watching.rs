//! `metrics` and `serve`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

use crate::helpers::*;

/// A process that says where it listens; it is killed at the end of the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    address: String,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Server {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()));
        let address = address.unwrap_or_else(|| panic!("it ended: {:?}", child.wait()));
        // What it says later is nobody's business, and must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, address }
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sample() -> Log {
    Log::of(&[records("a", [1, 2]), vec![state("a", "2")]].concat())
}

#[test]
fn metrics_are_printed_or_put_into_a_file() {
    let log = sample();
    let printed = log.run("metrics", &[]).exits(0).out;
    assert!(printed.contains("\nhighwater_records_total{log=\"/"), "{printed}");
    assert!(!printed.contains("highwater_damaged_frames"), "{printed}");
    let file = log.file("log.prom", "old");
    log.run("metrics", &["--verify", "--textfile", file.to_str().unwrap()]).exits(0).prints("");
    let written = std::fs::read_to_string(&file).unwrap();
    let sound =
        written.lines().any(|line| line.starts_with("highwater_damaged_frames{") && line.ends_with(" 0"));
    assert!(sound, "{written}");
}

#[test]
fn of_a_log_that_cannot_be_read_just_that_is_told() {
    let log = sample();
    let segment = std::fs::File::options().write(true).open(log.path.join("00000001.hws")).unwrap();
    segment.write_all_at(&[0xff; 64], 0).unwrap();
    let file = log.file("log.prom", "old");
    log.run("metrics", &["--textfile", file.to_str().unwrap()]).exits(3).says("00000001.hws").says("cp -a");
    let written = std::fs::read_to_string(&file).unwrap();
    let tells = |text: &str, start: &str, end: &str| {
        text.lines().any(|line| line.starts_with(start) && line.ends_with(end))
    };
    assert!(tells(&written, "highwater_log_readable{", " 0"), "{written}");
    assert!(!written.contains("highwater_damaged_frames"), "{written}");
    let verified = log.run("metrics", &["--verify"]).exits(3).out;
    assert!(tells(&verified, "highwater_damaged_frames{", " 1"), "{verified}");
    let mut command = Command::new(HIGHWATER);
    command.arg("serve").arg(&log.path).args(["--listen", "127.0.0.1:0"]).env_remove("HIGHWATER_TOKEN");
    let server = Server::start(&mut command);
    assert!(tells(&server.get("/metrics"), "highwater_log_readable{", " 0"));
    // Where there is no log that is somebody's mistake, and nothing is told.
    let empty = log.path.with_extension("empty");
    std::fs::create_dir(&empty).unwrap();
    let ran = Ran::of(&Command::new(HIGHWATER).arg("metrics").arg(&empty).output().unwrap());
    ran.exits(6).prints("");
}

#[test]
fn a_log_is_served_until_the_process_ends() {
    let log = sample();
    let mut command = Command::new(HIGHWATER);
    command.arg("serve").arg(&log.path).args(["--listen", "127.0.0.1:0"]).env_remove("HIGHWATER_TOKEN");
    let server = Server::start(&mut command);
    assert!(server.get("/").contains("<title>Highwater</title>"));
    assert!(server.get("/api/overview").contains("\"writable\":false"));
    // It reads beside a writer, and sees what that commits.
    log.ingest(&[records("a", [3]), vec![state("a", "3")]].concat()).exits(0);
    assert!(server.get("/metrics").contains("highwater_checkpoints_total"));
    let body = server.get("/api/checkpoints?limit=1");
    assert!(body.contains("\"sequence\":2"), "{body}");
}

#[test]
fn what_others_could_reach_needs_a_token() {
    let log = sample();
    let mut run = assert_cmd::Command::new(HIGHWATER);
    run.arg("serve").arg(&log.path).args(["--listen", "0.0.0.0:0"]).env_remove("HIGHWATER_TOKEN");
    Ran::of(&run.output().unwrap()).exits(2).says("that needs a token");
    let short = log.file("token", "short\n");
    log.run("serve", &["--listen", "127.0.0.1:0", "--token-file", short.to_str().unwrap()])
        .exits(2)
        .says("16 bytes");
    log.run("serve", &["--token-file", "nowhere"]).exits(6);
    assert_cmd::Command::new(HIGHWATER).args(["serve", "nowhere.hw"]).assert().failure();
}
