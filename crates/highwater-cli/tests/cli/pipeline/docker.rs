//! Connectors in containers, which are no children of ours: a stand-in for `docker` runs them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::failures::{is_alive, wait_for};
use super::place::Place;
use crate::helpers::Ran;

const DOCKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/pipeline/docker.py");

/// A pipeline whose source is in a container.
struct Contained {
    place: Place,
}

impl Contained {
    fn new(streams: &str, config: &str) -> Self {
        let contained = Contained { place: Place::new(streams, config) };
        for folder in ["bin", "home"] {
            std::fs::create_dir(contained.place.path(folder)).unwrap();
        }
        let docker = contained.place.path("bin/docker");
        std::fs::copy(DOCKER, &docker).unwrap();
        std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755)).unwrap();
        contained.write_file(streams, config);
        contained
    }

    fn write_file(&self, streams: &str, config: &str) {
        self.place.write_file(streams, config, "");
        let command = "'docker', 'run', '-v', '${hw:dir}:/hw:ro', '--user', '${hw:user}'";
        self.place.edit(|text| {
            let text = text.replace("command = ['python3',", &format!("command = [{command},"));
            text.replace("stop_timeout =", "mount = '/hw'\nstop_timeout =")
        });
    }

    fn command(&self, command: &str) -> Command {
        let mut run = self.place.command(command);
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.place.path("bin").display());
        run.env("PATH", path).env("DOCKER_HOME", self.place.path("home"));
        run
    }

    fn run(&self, command: &str) -> Ran {
        Ran::of(&self.command(command).output().unwrap())
    }

    fn start(&self) -> Child {
        self.command("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The files of the containers that are there.
    fn containers(&self) -> Vec<PathBuf> {
        let mut files = self.place.files_below("home");
        files.retain(|file| file.extension().is_none() && !file.ends_with("down"));
        files
    }

    /// The process of the container whose source has begun to read.
    fn process(&self) -> String {
        wait_for(|| !self.place.rows("a").is_empty());
        let [file] = self.containers().try_into().unwrap();
        std::fs::read_to_string(file).unwrap()
    }

    #[track_caller]
    fn has_nothing_left(&self) {
        assert_eq!(self.containers(), [] as [PathBuf; 0]);
        let mut left = self.place.files_below("pipe.hw.connect");
        left.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("container."));
        assert_eq!(left, [] as [PathBuf; 0]);
    }
}

#[test]
fn a_source_in_a_container_finds_its_files_where_they_are_mounted() {
    let contained = Contained::new("{ a = 25, b = 7 }", "page = 10");
    for _ in 0..2 {
        contained.run("run").exits(0);
        contained.place.holds(&[("a", 25), ("b", 7)]);
    }
    contained.run("check").exits(0);
    contained.has_nothing_left();
}

#[test]
fn a_container_that_a_killed_run_left_is_ended_by_its_successor() {
    let contained = Contained::new("{ a = 100000 }", "page = 10\npause_ms = 10");
    let mut run = contained.start();
    let process = contained.process();
    let client = std::fs::read_to_string(contained.place.path("pipe.hw.connect/child.source")).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    // Somebody ends the client, too: the container goes on, as it does with Docker.
    let client = client.split(' ').next().unwrap();
    assert!(Command::new("kill").args(["-KILL", client]).status().unwrap().success());
    wait_for(|| !is_alive(client));
    assert!(is_alive(&process));
    // While nobody answers, it can't be ended, and no second one is started.
    contained.place.file("home/down", "");
    let ran = contained.run("run").exits(75);
    assert!(ran.err.contains("can't be ended"), "{}", ran.err);
    assert!(is_alive(&process));
    std::fs::remove_file(contained.place.path("home/down")).unwrap();
    let sent = contained.place.rows("a").len();
    contained.write_file(&format!("{{ a = {} }}", sent + 100), "page = 10");
    contained.run("run").exits(0);
    wait_for(|| !is_alive(&process));
    contained.has_nothing_left();
}

#[test]
fn a_request_to_stop_reaches_a_container() {
    // One ends at its next state, the other is silent and never comes to one.
    for (config, signals) in [("page = 10\npause_ms = 10", 1), ("page = 10\nsilent = true", 2)] {
        let contained = Contained::new("{ a = 100000 }", config);
        let mut run = contained.start();
        let process = contained.process();
        for _ in 0..signals {
            Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(run.wait().unwrap().code(), Some(75));
        wait_for(|| !is_alive(&process));
        contained.has_nothing_left();
    }
}

#[test]
fn a_client_that_is_killed_does_not_leave_its_container() {
    let contained = Contained::new("{ a = 300 }", "page = 10\npause_ms = 10");
    let mut run = contained.start();
    let process = contained.process();
    let client = std::fs::read_to_string(contained.place.path("pipe.hw.connect/child.source")).unwrap();
    Command::new("kill").args(["-KILL", client.split(' ').next().unwrap()]).status().unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(!is_alive(&process));
    contained.place.holds(&[("a", 300)]);
    contained.has_nothing_left();
}

#[test]
fn without_docker_it_is_said_what_is_missing() {
    let contained = Contained::new("{ a = 25 }", "page = 10");
    std::fs::remove_file(contained.place.path("bin/docker")).unwrap();
    let path = contained.place.path("bin");
    // A mistake in the configuration: it is not tried again.
    let ran = Ran::of(&contained.command("run").env("PATH", &path).output().unwrap()).exits(9);
    assert!(ran.err.contains("docker can't be started: there is no such program"), "{}", ran.err);
    // It is there, and nobody answers it.
    let contained = Contained::new("{ a = 25 }", "page = 10");
    contained.place.file("home/down", "");
    let ran = contained.run("check");
    assert!(ran.err.contains("Is the docker daemon running?"), "{}", ran.err);
}
