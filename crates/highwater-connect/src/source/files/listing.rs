//! The files of a directory in the order of their names, and which of them came too late.
//!
//! A file whose name comes before the cursor's is not looked at again. What tells that something is in it that was not read is the
//! time at which the file system last saw it change, which a copy, a rename and an append all set; the newest such time that was
//! seen is in the cursor. It is compared with times of the same file system only, never with a clock of ours.

use std::fs::Metadata;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::failure::{Failure, Result};

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    /// When it last changed, in microseconds since 1970.
    pub(super) changed_us: i64,
}

/// The files whose names end with the extension, without hidden ones. Fails with [`FailureKind::Config`](crate::FailureKind::Config) where
/// something else has such a name.
pub(super) fn list(directory: &Path, extension: &str) -> Result<Vec<Listed>> {
    let cant = |e: Error| {
        let text = format!("listing {}", directory.display());
        match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Failure::config(text),
            _ => Failure::transient(text),
        }
        .because(e)
    };
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(cant)? {
        let entry = entry.map_err(cant)?;
        let name = entry.file_name();
        // A name that is not UTF-8 can't be in the cursor.
        let Some(name) = name.to_str() else { continue };
        let is_wanted = Path::new(name).extension().is_some_and(|found| found == extension);
        if !is_wanted || name.starts_with('.') {
            continue;
        }
        match std::fs::metadata(entry.path()) {
            Ok(found) if found.is_file() => {
                listed.push(Listed { name: name.to_owned(), changed_us: changed_us(&found) });
            }
            // To open a pipe would wait for who writes it; and what is in a directory would go unread, without a word.
            Ok(found) => {
                let what = if found.is_dir() { "a directory" } else { "no regular file" };
                let path = entry.path();
                return Err(Failure::config(format!(
                    "{} is {what}, and only files are read here; move it away, or name it otherwise",
                    path.display()
                )));
            }
            // It went meanwhile.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(cant(e)),
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

pub(super) fn changed_us(found: &Metadata) -> i64 {
    found.ctime().saturating_mul(1_000_000).saturating_add(found.ctime_nsec() / 1000)
}

/// The newest change of any of them.
pub(super) fn newest_us(listed: &[Listed]) -> Option<i64> {
    listed.iter().map(|file| file.changed_us).max()
}

/// Those before `file` that have changed since the newest change that was seen.
pub(super) fn late<'a>(listed: &'a [Listed], file: &str, seen_us: i64) -> impl Iterator<Item = &'a str> {
    let before = listed.partition_point(|one| one.name.as_str() < file);
    listed[..before].iter().filter(move |one| one.changed_us > seen_us).map(|one| one.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("1.jsonl"), "{}").unwrap();
        std::fs::create_dir(dir.path().join("old")).unwrap();
        assert_eq!(list(dir.path(), "jsonl").unwrap().len(), 1);
        std::fs::create_dir(dir.path().join("2.jsonl")).unwrap();
        let failure = list(dir.path(), "jsonl").unwrap_err();
        assert_eq!(failure.kind(), crate::FailureKind::Config);
        assert!(failure.to_string().contains("2.jsonl is a directory"), "{failure}");
        std::fs::remove_dir(dir.path().join("2.jsonl")).unwrap();
        let pipe = dir.path().join("3.jsonl");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(list(dir.path(), "jsonl").unwrap_err().to_string().contains("no regular file"));
    }

    #[test]
    fn what_changed_before_the_cursor_is_late() {
        let listed: Vec<Listed> = [("a", 1), ("b", 7), ("c", 9), ("d", 9)]
            .map(|(name, changed_us)| Listed { name: name.to_owned(), changed_us })
            .into();
        let late = |file: &str, seen_us| late(&listed, file, seen_us).collect::<Vec<_>>();
        assert_eq!(late("c", 6), ["b"]);
        assert_eq!(late("c", 7), [""; 0]);
        assert_eq!(late("cc", 6), ["b", "c"], "the cursor's file may be gone");
        assert_eq!(late("", 0), [""; 0]);
        assert_eq!(newest_us(&listed), Some(9));
    }
}
