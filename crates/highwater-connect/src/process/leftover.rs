//! Processes that a killed runtime left behind. A runtime that is killed can't end its children, so it writes down which they are,
//! and its successor ends them before it starts its own.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use super::container::Note;
use crate::failure::{Failure, Result};

/// Where processes are written down: a directory of one pipeline.
#[derive(Debug, Clone)]
pub struct Leftovers {
    directory: PathBuf,
}

/// Says that a process runs; dropped, that it does no more.
#[derive(Debug)]
pub struct Mark {
    file: PathBuf,
}

impl Drop for Mark {
    fn drop(&mut self) {
        // A mark that stays is harmless: it is of a process that is gone.
        let _ = fs::remove_file(&self.file);
    }
}

impl Leftovers {
    /// In this directory, which is there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Leftovers { directory: directory.into() }
    }

    fn file(&self, of: &str) -> PathBuf {
        self.directory.join(format!("child.{of}"))
    }

    /// Writes down that a process runs for `of`.
    pub fn mark(&self, of: &str, process: u32) -> Result<Mark> {
        let file = self.file(of);
        let text = format!("{process} {}\n", life(process).unwrap_or_default());
        let made = crate::files::write_private(&file, text.as_bytes());
        made.map_err(|e| Failure::permanent(format!("writing {}", file.display())).because(e))?;
        Ok(Mark { file })
    }

    /// Ends what a predecessor left for `of`, with all its children and its container; whether there was something. Blocks for the
    /// container's daemon, some seconds at most.
    pub fn end(&self, of: &str) -> bool {
        let file = self.file(of);
        let ended = end(&file);
        let _ = fs::remove_file(&file);
        Note::new(&self.directory, of).end() || ended
    }

    /// Ends what runs or was left for anybody, with all its children and its container. Blocks for a daemon, some seconds at most.
    pub fn end_all(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with("child.") && !name.ends_with(".tmp"))
            {
                end(&entry.path());
            }
        }
        for note in Note::all(&self.directory) {
            note.end();
        }
    }
}

fn end(file: &Path) -> bool {
    let Ok(text) = fs::read_to_string(file) else { return false };
    let Some((process, written)) = text.trim_end().split_once(' ') else { return false };
    let Ok(process) = process.parse::<u32>() else { return false };
    // Numbers are used again: only the same life of that number counts.
    if life(process).as_deref() != Some(written) {
        return false;
    }
    let group = i32::try_from(process).ok().and_then(Pid::from_raw);
    group.is_some_and(|group| rustix::process::kill_process_group(group, Signal::KILL).is_ok())
}

/// Tells two lives of one process number apart: this boot, and when the process started.
fn life(process: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything, the start is the 20th field.
    let start = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned();
    Some(format!("{} {start}", boot.trim()))
}
