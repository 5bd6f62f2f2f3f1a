//! What lies beside a pipeline's log and belongs into a backup of it; the engine knows nothing of it. It lies beside the backup as it
//! does beside the log, in `BACKUP.connect`, with the same modes: it holds secrets.
//!
//! - the dead letters: nobody delivers these records any more;
//! - the secret of the fingerprints, without which nobody could tell that the source is configured in another way;
//! - configurations that connectors have sent, since the token that was given first may be worthless;
//! - what the pipeline file says about the log, for people who name the log;
//! - which generations destinations have begun, lest one is told a second time to begin, and wipes its table.
//!
//! What is of one run or one machine stays where it is: processes, troubles, what was measured, files that each run writes anew.

use std::path::{Path, PathBuf};

use highwater::backup::{self, Backup, Restored};
use highwater::{By, Config, ErrorKind, LogReader, Sequence};
use serde::Serialize;

use crate::airbyte::ROTATED;
use crate::destination::airbyte::GENERATIONS;
use crate::failure::{Failure, Result};
use crate::files;
use crate::letters::{DeadLetters, LettersMax};
use crate::pipeline::{FINGERPRINT_KEY, work_directory};
use crate::rules;

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// Into this directory; it is there if anything was.
    pub directory: PathBuf,
    /// Destinations whose dead letters were.
    pub dead_letters: Vec<String>,
    /// Files that were.
    pub files: Vec<String>,
    /// What was there already and stayed as it was: files, and folders of dead letters.
    pub kept: Vec<String>,
}

/// Copies a log, and what lies beside it, or what is new of both. The latter comes when the consumers' positions were read, and before the new
/// backup counts; and a letter is put before its batch is acknowledged. So no consumer in a backup is ahead of its letters, wherever it was
/// interrupted. `progress` is told the bytes of the log copied so far. Blocks for reading and writing all of that.
pub fn back_up(log: &Path, backup: &Path, progress: &mut dyn FnMut(u64)) -> Result<(Backup, Beside)> {
    check_apart(log, backup)?;
    let mut beside = Beside::default();
    let made = backup::take_with(log, backup, progress, || {
        beside = copied(log, backup)?;
        Ok::<(), Failure>(())
    })?;
    Ok((made, beside))
}

/// Neither a log nor what lies beside it may have the copy of either in it, nor the other way round.
fn check_apart(from: &Path, to: &Path) -> Result<()> {
    let (beside_from, beside_to) = (directory(from)?, directory(to)?);
    for from in [from, &beside_from] {
        for to in [to, &beside_to] {
            backup::check_apart(from, to)?;
        }
    }
    Ok(())
}

fn copied(log: &Path, backup: &Path) -> Result<Beside> {
    let (from, to) = (directory(log)?, directory(backup)?);
    let mut beside = Beside { directory: to.clone(), ..Beside::default() };
    for name in names(&from)? {
        copy(&from, &to, &name)?;
        beside.files.push(name);
    }
    for destination in DeadLetters::destinations(&from)? {
        let (from, to) = (letters(&from, &destination), letters(&to, &destination));
        make_parent(&to)?;
        match backup::take(&from, &to, &mut |_| {}) {
            Ok(_) => beside.dead_letters.push(destination),
            // The first letter was never put.
            Err(error) if *error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(of_letters(error, &destination)),
        }
    }
    Ok(beside)
}

/// Makes a log out of a backup, as of checkpoint `at` or of its last one, and brings back what lies beside it. What is there already,
/// because only the log was lost, is newer, and stays. Blocks for reading and writing all of that; interrupted, it can be run again.
pub fn restore(backup: &Path, log: &Path, at: Option<Sequence>, by: By<'_>) -> Result<(Restored, Beside)> {
    check_apart(backup, log)?;
    let mut beside = Beside::default();
    let restored = backup::restore_with(backup, log, at, by, Config::default(), || {
        beside = brought_back(backup, log, by)?;
        Ok::<(), Failure>(())
    })?;
    Ok((restored, beside))
}

fn brought_back(backup: &Path, log: &Path, by: By<'_>) -> Result<Beside> {
    let (from, to) = (directory(backup)?, directory(log)?);
    let mut beside = Beside { directory: to.clone(), ..Beside::default() };
    for name in names(&from)? {
        if to.join(&name).exists() {
            beside.kept.push(name);
            continue;
        }
        copy(&from, &to, &name)?;
        beside.files.push(name);
    }
    for destination in DeadLetters::destinations(&from)? {
        let (from, to) = (letters(&from, &destination), letters(&to, &destination));
        if is_there(&to).map_err(|error| of_letters(error, &destination))? {
            beside.kept.push(format!("dead-letters/{destination}"));
            continue;
        }
        make_parent(&to)?;
        let restored = backup::restore(&from, &to, None, by, Config::default());
        restored.map_err(|error| of_letters(error, &destination))?;
        beside.dead_letters.push(destination);
    }
    Ok(beside)
}

/// A log may be named by `.`, which has no name of its own.
fn directory(log: &Path) -> Result<PathBuf> {
    let log = std::path::absolute(log)
        .map_err(|e| Failure::config(format!("the path {}", log.display())).because(e))?;
    Ok(work_directory(&log))
}

/// The files to copy, in the order of the alphabet.
fn names(work: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(work) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Failure::transient(format!("listing {}", work.display())).because(e)),
    };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let of_destination = |name: &str, file: &str| name.strip_suffix(file).is_some_and(|of| of.ends_with('.'));
    names.retain(|name| {
        [FINGERPRINT_KEY, rules::FILE].contains(&&**name)
            || of_destination(name, ROTATED)
            || of_destination(name, GENERATIONS)
    });
    names.sort_unstable();
    Ok(names)
}

fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    let copied = || -> std::io::Result<()> {
        files::make_private_directory(to)?;
        files::write_private(&to.join(name), &std::fs::read(from.join(name))?)
    };
    copied().map_err(|e| Failure::transient(format!("copying {}", from.join(name).display())).because(e))
}

fn letters(work: &Path, destination: &str) -> PathBuf {
    DeadLetters::new(work, destination, LettersMax::default()).path().to_owned()
}

/// Half of what an earlier restore was to bring is as nothing.
fn is_there(letters: &Path) -> highwater::Result<bool> {
    match LogReader::open(letters) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Locked) => Ok(false),
        Err(error) => Err(error),
    }
}

fn make_parent(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    files::make_private_directory(folder)
        .map_err(|e| Failure::transient(format!("making {}", folder.display())).because(e))
}

fn of_letters(error: highwater::Error, destination: &str) -> Failure {
    Failure::from(error).while_doing(format!("the dead letters of {destination}"))
}
