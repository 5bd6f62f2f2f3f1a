//! Programs in containers. What is started is a client: the container itself is a child of a daemon, and goes on when the client
//! is killed. So the client writes its number down (`--cidfile`) before it starts it, and whoever ends the client ends that, too.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Program;
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::files;

const ENGINES: [&str; 2] = ["docker", "podman"];
/// What every connector in a container needs: that it goes with its end; that its input is ours; a first process that passes a
/// request to end on, since the kernel gives the first process none that it has not asked for; and, since nothing of our own
/// environment reaches it, what [`Program`] tells every program.
const NEEDED: [&str; 5] = ["--rm", "--interactive", "--init", "--env", UNBUFFERED];
/// Python's output comes when it is written: otherwise acknowledgements and states wait in a buffer until the program ends.
const UNBUFFERED: &str = "PYTHONUNBUFFERED=1";
/// A daemon that does not answer for so long is not there.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer is as long as a few numbers.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// A container that a command starts.
#[derive(Debug, Clone)]
pub struct Container {
    /// The command up to `run`: `docker`, or `docker --context there`.
    engine: Vec<String>,
    note: Note,
}

/// Where it is written down which container runs for whom.
#[derive(Debug, Clone)]
pub(super) struct Note {
    directory: PathBuf,
    of: String,
}

impl Container {
    /// `None` if the command is not `docker run`, nor `podman run`. What runs is written down in `directory`, as that of `of`.
    pub fn of(command: &[String], directory: &Path, of: &str) -> Option<Container> {
        let engine = command[..run_at(command)?].to_vec();
        Some(Container { engine, note: Note::new(directory, of) })
    }

    /// The command with what it needs.
    pub(super) fn command(&self, command: &[String]) -> Result<Vec<String>> {
        let (engine, rest) = command.split_at(command.len().min(self.engine.len() + 1));
        let number = self.note.number().into_os_string().into_string();
        let number =
            number.map_err(|_| Failure::config("the log's directory has a name that is not UTF-8"))?;
        let mut whole = engine.to_vec();
        whole.extend(NEEDED.map(str::to_owned));
        whole.extend(["--cidfile".to_owned(), number]);
        whole.extend_from_slice(rest);
        Ok(whole)
    }

    /// Before it is started: what is left of the one before is ended. Blocks for the daemon.
    pub(super) fn begin(&self) -> Result<()> {
        self.end();
        let path = self.note.number();
        if path.exists() {
            let text = "the container that an earlier run left can't be ended, since nobody answers; its number is in";
            return Err(Failure::transient(format!("{text} {}", path.display())));
        }
        let path = self.note.engine();
        let written = serde_json::to_vec(&self.engine).map_err(std::io::Error::from);
        written
            .and_then(|text| files::write_private(&path, &text))
            .map_err(|e| Failure::transient(format!("writing {}", path.display())).because(e))
    }

    /// Ends it, if it is there; and blocks until it is gone.
    pub(super) fn end(&self) {
        self.note.end();
    }
}

/// Where `run` stands in `docker run`, `podman container run` or `docker --context there run`.
fn run_at(command: &[String]) -> Option<usize> {
    let is_engine =
        |word: &String| ENGINES.iter().any(|name| Path::new(word).file_name() == Some(name.as_ref()));
    let mut at = command.iter().position(is_engine)? + 1;
    loop {
        let is_option = match command.get(at)?.as_str() {
            "run" => return Some(at),
            "container" => false,
            word if word.starts_with('-') => !word.contains('='),
            _ => return None,
        };
        at += 1;
        // Its value, unless it has none.
        if is_option && command.get(at).is_some_and(|word| word != "run" && word != "container") {
            at += 1;
        }
    }
}

impl Note {
    pub(super) fn new(directory: &Path, of: &str) -> Note {
        Note { directory: directory.to_owned(), of: of.to_owned() }
    }

    /// All that are written down in a directory.
    pub(super) fn all(directory: &Path) -> Vec<Note> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let of = |name: String| {
            let of = name.strip_prefix("container.")?.strip_suffix(".engine")?;
            Some(Note::new(directory, of))
        };
        names.filter_map(of).collect()
    }

    /// The client writes the number there.
    fn number(&self) -> PathBuf {
        self.directory.join(format!("container.{}", self.of))
    }

    /// By whom it can be ended.
    fn engine(&self) -> PathBuf {
        self.number().with_added_extension("engine")
    }

    /// Ends it; whether there was one. Where nobody answers it stays written down.
    pub(super) fn end(&self) -> bool {
        let engine = fs::read(self.engine()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let number = fs::read_to_string(self.number()).unwrap_or_default();
        let number = number.trim();
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_ended = match engine {
            Some(engine) if is_number => match remove(engine, number) {
                Some(was_there) => was_there,
                None => return false,
            },
            _ => false,
        };
        let _ = fs::remove_file(self.number());
        let _ = fs::remove_file(self.engine());
        is_ended
    }
}

/// Removes it whether it runs, or is about to; whether it was there, or `None` where nobody answers.
fn remove(engine: Vec<String>, number: &str) -> Option<bool> {
    let program = Program { command: engine, ..Program::default() };
    if ask(&program, &["rm", "--force", number]).is_some() {
        return Some(true);
    }
    // It has gone by itself, or is just going.
    let there = ask(&program, &["ps", "--all", "--quiet", "--filter", &format!("id={number}")])?;
    there.trim().is_empty().then_some(false)
}

/// What it answers, if it ends well.
fn ask(program: &Program, words: &[&str]) -> Option<String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let mut running = program.start(&words, "container", false, &Reporter::silent()).ok()?;
    let output = running.output()?;
    if !running.wait(PATIENCE).ok()??.success() {
        return None;
    }
    let mut answer = String::new();
    output.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_container_gets_what_it_needs_and_other_programs_nothing() {
        let whole = |text: &str| {
            let command = words(text);
            let container = Container::of(&command, Path::new("/w"), "source")?;
            Some(container.command(&command).unwrap().join(" "))
        };
        let needed = "--rm --interactive --init --env PYTHONUNBUFFERED=1 --cidfile /w/container.source";
        assert_eq!(whole("docker run -v a:b image").unwrap(), format!("docker run {needed} -v a:b image"));
        let there = "/usr/bin/podman --remote container run";
        assert_eq!(whole(&format!("{there} image")).unwrap(), format!("{there} {needed} image"));
        let elsewhere = "sudo -n docker --context there --debug run";
        assert_eq!(whole(&format!("{elsewhere} image")).unwrap(), format!("{elsewhere} {needed} image"));
        for other in ["docker exec here run", "source-faker run", "docker", "run docker", "docker --debug"] {
            assert_eq!(whole(other), None, "{other}");
        }
    }
}
