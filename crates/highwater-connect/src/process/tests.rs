use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::event::{Event, Observer};
use crate::pipeline::Secrets;

fn shell(script: &str) -> Program {
    Program { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Program::default() }
}

fn is_alive(process: &str) -> bool {
    // A zombie is dead, whoever has to collect it.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn wait_for(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn first_line(running: &mut Running) -> String {
    let mut output = running.output().unwrap();
    let mut line = Vec::new();
    let mut byte = [0];
    while output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn a_process_is_ended_with_its_children() {
    // The child ignores the request to end.
    let script = "sh -c 'trap \"\" TERM; echo $$; sleep 600' & wait";
    let mut running = shell(script).start(&[], "source", false, &Reporter::silent()).unwrap();
    let child = first_line(&mut running);
    assert!(is_alive(&child));
    running.end(Duration::from_millis(200)).unwrap();
    wait_for(|| !is_alive(&child));
}

#[test]
fn a_successor_ends_what_a_killed_runtime_left() {
    let dir = tempfile::tempdir().unwrap();
    let leftovers = Leftovers::new(dir.path());
    let running = shell("sleep 600").start(&[], "source", false, &Reporter::silent()).unwrap();
    let mark = leftovers.mark("source", running.id()).unwrap();
    std::mem::forget(mark);
    assert!(leftovers.end("source"));
    wait_for(|| !is_alive(&running.id().to_string()));
    assert!(!leftovers.end("source"));
    // Another life of that number is nobody's business.
    std::fs::write(dir.path().join("child.source"), format!("{} a 1\n", std::process::id())).unwrap();
    assert!(!leftovers.end("source"));
}

#[test]
fn what_it_writes_for_people_is_told_without_secrets() {
    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);
    impl Observer for Kept {
        fn event(&self, event: Event) {
            if let Event::Line { text, .. } = event {
                self.0.lock().unwrap().push(text);
            }
        }
    }
    let secrets = Secrets::default();
    secrets.remember("hunter2".to_owned());
    let kept = Arc::new(Kept::default());
    let reporter = Reporter::new(kept.clone(), secrets);
    let script = "echo one >&2; echo $SECRET >&2; exit 3";
    let mut program = shell(script);
    program.environment.push(("SECRET".to_owned(), "hunter2".to_owned()));
    assert!(!format!("{program:?}").contains("hunter2"));
    let mut running = program.start(&[], "source", false, &reporter).unwrap();
    let status = running.wait(Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!(describe(status), "ended with exit code 3");
    assert_eq!(running.last_words(), "one | ***");
    assert_eq!(*kept.0.lock().unwrap(), ["one", "***"]);
}

#[test]
fn a_program_that_is_not_there_is_a_mistake_in_the_configuration() {
    let program = Program { command: vec!["/no/such/program".to_owned()], ..Program::default() };
    let failure = program.start(&[], "source", false, &Reporter::silent()).unwrap_err();
    assert_eq!(failure.kind(), crate::FailureKind::Config);
    assert!(failure.to_string().contains("/no/such/program"));
}
