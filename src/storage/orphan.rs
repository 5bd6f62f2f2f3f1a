//! A lock that outlived its holder: a process that was killed may leave a forked child behind, which shares the lock's
//! descriptor and knows nothing of it. The lock's file tells who took it; if that process is certainly dead, the file is
//! replaced by a new one, and the old lock guards nothing any more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// What names a process for ever: its number in its namespace, when it started, and in which boot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    pid: u32,
    start: String,
    boot: String,
    namespace: String,
}

const PREFIX: &str = "holder ";
/// A lock file is one or two short lines.
const TEXT_MAX: u64 = 1024;

impl Identity {
    fn of(pid: u32) -> Option<Identity> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the start time is the twentieth field behind it.
        let start = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned();
        Some(Identity { pid, start, boot: boot()?, namespace: namespace()? })
    }

    fn parse(text: &str) -> Option<Identity> {
        let line = text.lines().find_map(|line| line.strip_prefix(PREFIX))?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let pid = words.next()?.parse().ok()?;
        Some(Identity { pid, start: words.next()?, boot: words.next()?, namespace: words.next()? })
    }

    /// Only what can be known counts: another boot or namespace may hide a living process of that number.
    fn is_certainly_dead(&self) -> bool {
        let here = boot().as_ref() == Some(&self.boot) && namespace().as_ref() == Some(&self.namespace);
        here && Identity::of(self.pid).as_ref() != Some(self) && Path::new("/proc/self/stat").exists()
    }
}

fn boot() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

fn namespace() -> Option<String> {
    std::fs::read_link("/proc/self/ns/pid").ok()?.into_os_string().into_string().ok()
}

/// The line by which a later process can tell whether this one is dead; empty where that can't be told.
pub(super) fn identity_line() -> String {
    match Identity::of(std::process::id()) {
        Some(i) => format!("{PREFIX}{} {} {} {}\n", i.pid, i.start, i.boot, i.namespace),
        None => String::new(),
    }
}

fn holder(file: &File) -> io::Result<Option<Identity>> {
    let mut text = String::new();
    match file.take(TEXT_MAX).read_to_string(&mut text) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
        other => other.map(|_| Identity::parse(&text)),
    }
}

/// Replaces the lock file of a holder that is certainly dead by a new one, which the caller then has to lock as any
/// other; whether it was replaced. Two who try at once are told apart by a lock on the new file.
pub(super) fn replace(path: &Path) -> io::Result<bool> {
    let is_stale = || -> io::Result<bool> {
        Ok(holder(&File::open(path)?)?.is_some_and(|identity| identity.is_certainly_dead()))
    };
    if !is_stale()? {
        return Ok(false);
    }
    let new = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    let file = super::disk::private(options.read(true).write(true).create(true)).open(&new)?;
    // Looked at again under the lock: somebody else may have replaced it, and live.
    if file.try_lock().is_err() || !is_stale()? {
        return Ok(false);
    }
    std::fs::rename(&new, path)?;
    Ok(true)
}

/// Whether the file that was locked is still the one that has the name.
#[cfg(unix)]
pub(super) fn is_current(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (ours, named) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino()))
}

#[cfg(not(unix))]
pub(super) fn is_current(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// A lock file that somebody holds, though it names another holder.
    fn held(text: &str) -> (tempfile::TempDir, std::path::PathBuf, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, text).unwrap();
        let orphan = File::open(&path).unwrap();
        orphan.lock().unwrap();
        (dir, path, orphan)
    }

    fn line(change: impl FnOnce(&mut Identity)) -> String {
        let mut i = Identity::of(std::process::id()).unwrap();
        change(&mut i);
        format!("process 1\n{PREFIX}{} {} {} {}\n", i.pid, i.start, i.boot, i.namespace)
    }

    #[test]
    fn only_a_holder_that_is_certainly_dead_is_replaced() {
        for (text, replaced) in [
            (line(|_| {}), false),
            (line(|i| i.start = "1".into()), true), // its number is used again
            (line(|i| i.pid = 4_194_304), true),
            (line(|i| (i.pid, i.boot) = (4_194_304, "another".into())), false),
            (line(|i| (i.pid, i.namespace) = (4_194_304, "pid:[1]".into())), false),
            ("process 4194304 on elsewhere".to_owned(), false),
            (String::new(), false),
        ] {
            let (_dir, path, orphan) = held(&text);
            assert_eq!(replace(&path).unwrap(), replaced, "{text}");
            assert_eq!(is_current(&orphan, &path).unwrap(), !replaced);
            assert_eq!(File::open(&path).unwrap().try_lock().is_ok(), replaced);
        }
    }
}
