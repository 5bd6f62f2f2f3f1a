//! What keeps a destination from going on, written down for whoever asks from another process: `highwater status` answers why it
//! is stuck also while, or after, somebody else tried.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::{files, runs};

/// No such file is longer, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The last failure of a destination that has not worked since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When the first attempt failed, in microseconds since 1970.
    pub since_us: i64,
    /// When the last did.
    pub last_us: i64,
    /// Attempts that failed in a row.
    pub attempts: u32,
    /// The kind of the last failure.
    pub kind: String,
    /// Why, without secrets.
    pub text: String,
    /// When it is tried again; `None` if it was given up.
    pub next_us: Option<i64>,
}

/// Where the trouble of one destination is written down.
#[derive(Debug, Clone)]
pub struct TroubleFile {
    path: PathBuf,
    current: Option<Trouble>,
}

impl TroubleFile {
    /// In the pipeline's own directory.
    pub fn new(work: &Path, destination: &str) -> Self {
        let path = work.join(format!("trouble.{destination}"));
        let current = read(&path);
        TroubleFile { path, current }
    }

    /// What is written there; nothing if it works, or nobody knows.
    pub fn current(&self) -> Option<&Trouble> {
        self.current.as_ref()
    }

    /// Another attempt failed. That it can't be written down is no further trouble.
    pub(super) fn failed(&mut self, failure: &Failure, shown: String, attempts: u32, wait_ms: Option<u64>) {
        let now = runs::now_us();
        let wait_us = wait_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000));
        let trouble = Trouble {
            since_us: self.current.as_ref().map_or(now, |before| before.since_us),
            last_us: now,
            attempts,
            kind: failure.kind().name().to_owned(),
            text: shown,
            next_us: wait_us.map(|us| now.saturating_add(us)),
        };
        if let Ok(text) = serde_json::to_vec(&trouble) {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let _ =
                files::make_private_directory(folder).and_then(|()| files::write_private(&self.path, &text));
        }
        self.current = Some(trouble);
    }

    /// It works.
    pub(super) fn clear(&mut self) {
        if self.current.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Option<Trouble> {
    let length = std::fs::metadata(path).ok()?.len();
    if length > FILE_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_for_others_until_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let of = || TroubleFile::new(&dir.path().join("work"), "lake");
        let mut file = of();
        file.failed(&Failure::transient("no"), "no".to_owned(), 1, Some(5));
        let first = of().current().cloned().unwrap();
        file.failed(&Failure::config("wrong"), "wrong".to_owned(), 2, None);
        let second = of().current().cloned().unwrap();
        assert_eq!((second.since_us, second.attempts, second.next_us), (first.since_us, 2, None));
        assert_eq!((second.kind.as_str(), second.text.as_str()), ("config", "wrong"));
        file.clear();
        assert_eq!(of().current(), None);
    }
}
