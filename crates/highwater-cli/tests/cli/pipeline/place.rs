//! A folder with a pipeline file, its source, and what is delivered: the vocabulary of these tests.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::helpers::{HIGHWATER, Ran};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/pipeline/source.py");

pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    /// `streams` and `config` are TOML of the source's configuration.
    pub(super) fn new(streams: &str, config: &str) -> Self {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        place.write_file(streams, config, "");
        place
    }

    /// Writes the pipeline file, with `more` at its end.
    pub(super) fn write_file(&self, streams: &str, config: &str, more: &str) {
        let text = format!(
            "version = 1\nname = 'pipe'\nlog = 'pipe.hw'\nhash_key = 'pepper'\n\
             [source]\ntype = 'airbyte'\ncommand = ['python3', '{SOURCE}']\nsilence_timeout = '20s'\nstop_timeout = '2s'\n\
             [source.config]\nstreams = {streams}\n{config}\n\
             [checkpoint]\nmin_interval = '20ms'\n\
             [retry]\nattempts_without_progress = 3\nbackoff = {{ initial = '10ms', max = '50ms' }}\n\
             [destinations.lake]\ntype = 'jsonl'\npath = 'lake'\n{more}\n"
        );
        self.file("pipeline.toml", &text);
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// A file that nobody else may read.
    pub(super) fn secret_file(&self, name: &str, content: &str) {
        let path = self.file(name, content);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Flips a bit of the log's first segment, where this stands.
    pub(super) fn damage(&self, text: &str) {
        let segment = self.path("pipe.hw/00000001.hws");
        let mut bytes = std::fs::read(&segment).unwrap();
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
    }

    /// `status` names this at its end; what it says.
    #[track_caller]
    pub(super) fn next_is(&self, next: &str) -> String {
        let status = self.run("status", &[]).exits(0).out;
        let next = next.replace("PIPELINE", self.path("pipeline.toml").to_str().unwrap());
        let next = next.replace("LOG", self.path("pipe.hw").to_str().unwrap());
        assert_eq!(status.lines().last(), Some(format!("next         {next}").as_str()), "{status}");
        status
    }

    pub(super) fn edit(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.path("pipeline.toml")).unwrap();
        self.file("pipeline.toml", &change(text));
    }

    pub(super) fn command(&self, command: &str) -> Command {
        let mut run = Command::new(HIGHWATER);
        run.arg(command).arg(self.path("pipeline.toml"));
        run
    }

    pub(super) fn run(&self, command: &str, options: &[&str]) -> Ran {
        Ran::of(&self.command(command).args(options).output().unwrap())
    }

    pub(super) fn run_on(&self, path: &Path, command: &str, options: &[&str]) -> Ran {
        Ran::of(&Command::new(HIGHWATER).arg(command).arg(path).args(options).output().unwrap())
    }

    /// `highwater COMMAND ACTION PIPELINE OPTIONS`.
    pub(super) fn act(&self, command: &str, action: &str, options: &[&str]) -> Ran {
        let mut run = Command::new(HIGHWATER);
        run.args([command, action]).arg(self.path("pipeline.toml")).args(options);
        Ran::of(&run.output().unwrap())
    }

    /// `highwater COMMAND OPTIONS`, without the pipeline file.
    pub(super) fn command_of(&self, command: &str, options: &[&str]) -> Ran {
        Ran::of(&Command::new(HIGHWATER).arg(command).args(options).output().unwrap())
    }

    /// A run that is in the middle of its work.
    pub(super) fn start(&self) -> Child {
        self.command("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The rows that were delivered of a stream, in the order of the files.
    pub(super) fn rows(&self, stream: &str) -> Vec<Value> {
        let mut files = self.files_below("lake");
        files.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
        files.sort();
        let text = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
        let lines: Vec<String> =
            text.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let rows = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row["stream"] == stream).collect()
    }

    /// What a query finds in a SQLite file of this folder, a line each, columns by `|`.
    pub(super) fn sql(&self, database: &str, sql: &str) -> Vec<String> {
        let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db:\n  \
                      for row in db.execute(sys.argv[2]): print('|'.join(map(str, row)))";
        let ran = Command::new("python3").args(["-c", script]).arg(self.path(database)).arg(sql).output();
        let ran = Ran::of(&ran.unwrap()).exits(0);
        ran.out.lines().map(str::to_owned).collect()
    }

    /// Each stream was delivered whole, once and in order.
    #[track_caller]
    pub(super) fn holds(&self, streams: &[(&str, u64)]) {
        for (stream, count) in streams {
            let ids: Vec<u64> =
                self.rows(stream).iter().map(|row| row["data"]["id"].as_u64().unwrap()).collect();
            assert_eq!(ids, (0..*count).collect::<Vec<_>>(), "stream {stream}");
        }
    }

    pub(super) fn files_below(&self, name: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        gather(&self.path(name), &mut found);
        found
    }

    pub(super) fn mode_of(&self, name: &str) -> u32 {
        std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

fn gather(path: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, into);
        } else {
            into.push(path);
        }
    }
}
