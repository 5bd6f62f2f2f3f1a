//! A log in a folder of its own, the command, and messages: the vocabulary of these tests.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const HIGHWATER: &str = env!("CARGO_BIN_EXE_highwater");

/// A log, not made yet.
pub(crate) struct Log {
    folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Log {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.hw");
        Log { folder, path }
    }

    /// A log with these lines in it.
    pub(crate) fn of(lines: &[String]) -> Self {
        let log = Log::new();
        log.ingest(lines).exits(0);
        log
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs a command on the log: `highwater COMMAND LOG OPTIONS`, where the command may be two words.
    pub(crate) fn run(&self, command: &str, options: &[&str]) -> Ran {
        self.run_with(command, options, "")
    }

    pub(crate) fn run_with(&self, command: &str, options: &[&str], input: &str) -> Ran {
        let words = command.split(' ').map(std::ffi::OsString::from);
        let mut run = assert_cmd::Command::new(HIGHWATER);
        run.args(words).arg(&self.path).args(options).write_stdin(input);
        Ran::of(&run.output().unwrap())
    }

    pub(crate) fn ingest(&self, lines: &[String]) -> Ran {
        self.ingest_with(lines, &[])
    }

    pub(crate) fn ingest_with(&self, lines: &[String], options: &[&str]) -> Ran {
        self.run_with("ingest", options, &joined(lines))
    }

    pub(crate) fn jsonl(&self, input: &str, options: &[&str]) -> Ran {
        let all: Vec<&str> = ["--format", "jsonl", "--stream", "s"].iter().chain(options).copied().collect();
        self.run_with("ingest", &all, input)
    }

    /// The payloads of a stream, joined by spaces.
    pub(crate) fn payloads(&self, stream: &str) -> String {
        let ran = self.run("cat", &["--stream", stream, "--format", "jsonl"]).exits(0);
        ran.out.trim_end().replace('\n', " ")
    }

    /// An ingest that waits for more input.
    pub(crate) fn start(&self) -> Running {
        self.start_as(Command::new(HIGHWATER))
    }

    pub(crate) fn start_as(&self, mut command: Command) -> Running {
        command.arg("ingest").arg(&self.path);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, input, output }
    }
}

/// An ingest in the middle of its work. It is killed at the end of the test.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn send(&mut self, lines: &[String]) {
        self.input.write_all(joined(lines).as_bytes()).unwrap();
    }

    /// The next line of standard output.
    #[track_caller]
    pub(crate) fn echo(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "ingest ended: {:?}", self.child.wait());
        line.trim_end().to_owned()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that a test which fails leaves nothing behind of.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lines of a process that may never write one.
pub(crate) fn lines_of(output: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Standard error has this in it.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in {self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn does_not_say(self, text: &str) -> Self {
        assert!(!self.err.contains(text), "{text:?} is in {self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert_eq!(self.out, text, "{}", self.err);
        self
    }

    /// Standard output as JSON, of version 1.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let json: Value = serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:#?}"));
        assert_eq!(json["version"], 1, "{json}");
        json
    }
}

pub(crate) fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Records of a stream, whose payloads are `{"id":N}`.
pub(crate) fn records(stream: &str, ids: impl IntoIterator<Item = u64>) -> Vec<String> {
    ids.into_iter().map(|id| record(stream, &format!(r#"{{"id":{id}}}"#))).collect()
}

pub(crate) fn record(stream: &str, data: &str) -> String {
    format!(
        r#"{{"type":"RECORD","record":{{"stream":"{stream}","data":{data},"emitted_at":1700000000123}}}}"#
    )
}

/// The `state` object of a STREAM state.
pub(crate) fn stream_state(stream: &str, cursor: &str) -> String {
    format!(
        r#"{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"{stream}"}},"stream_state":{{"cursor":{cursor}}}}}}}"#
    )
}

pub(crate) fn state(stream: &str, cursor: &str) -> String {
    state_of(&stream_state(stream, cursor))
}

pub(crate) fn state_of(state: &str) -> String {
    format!(r#"{{"type":"STATE","state":{state}}}"#)
}

pub(crate) fn status(stream: &str, status: &str) -> String {
    format!(
        r#"{{"type":"TRACE","trace":{{"type":"STREAM_STATUS","emitted_at":1.0,"stream_status":{{"stream_descriptor":{{"name":"{stream}","namespace":null}},"status":"{status}"}}}}}}"#
    )
}

pub(crate) fn catalog(stream: &str, key: &str) -> String {
    format!(
        r#"{{"streams":[{{"stream":{{"name":"{stream}","json_schema":{{"type":"object"}}}},"sync_mode":"incremental","destination_sync_mode":"append_dedup","primary_key":[["{key}"]]}}]}}"#
    )
}
