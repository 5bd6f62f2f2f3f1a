//! For crash tests: which moment of a checkpoint the command is in, and moments that last longer.
//!
//! `HIGHWATER_DEBUG_SLOW=write:15ms,flush:15ms,echo:15ms` makes a moment last so long at least; what is not named
//! does not change. `HIGHWATER_DEBUG_PHASE=FILE` keeps the name of the present moment in FILE: 8 bytes, padded
//! with spaces, written over in place:
//!
//! - `write`: before a write to a segment has returned,
//! - `flush`: after it, until the flush has returned,
//! - `echo`: a checkpoint is durable, and its STATE line is not written to standard output yet,
//! - `idle`: none of these.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::failure::Failure;

/// A moment of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Write = 0,
    Flush = 1,
    Echo = 2,
    Idle = 3,
}

impl Phase {
    const NAMES: [&str; 4] = ["write", "flush", "echo", "idle"];
}

/// Says and slows the moments.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    file: Option<Mutex<File>>,
    slow: [Duration; 4],
}

impl Phases {
    /// What the environment asks for, if it asks for anything.
    pub(crate) fn from_environment() -> Result<Option<Phases>, Failure> {
        let slow = std::env::var("HIGHWATER_DEBUG_SLOW").ok();
        let path = std::env::var_os("HIGHWATER_DEBUG_PHASE");
        if slow.is_none() && path.is_none() {
            return Ok(None);
        }
        let slow = slow.map_or(Ok(Default::default()), |text| parse_slow(&text))?;
        let file = path.map(|path| open(Path::new(&path))).transpose()?.map(Mutex::new);
        Ok(Some(Phases { file, slow }))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        if let Some(file) = &self.file
            && let Ok(mut file) = file.lock()
        {
            // A test reads the file; if it can't be written, the test will say so.
            let text = format!("{:8}", Phase::NAMES[phase as usize]);
            let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(text.as_bytes()));
        }
    }

    /// Makes the present moment last.
    pub(crate) fn linger(&self, phase: Phase) {
        let duration = self.slow[phase as usize];
        if !duration.is_zero() {
            std::thread::sleep(duration);
        }
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    let opened = File::options().write(true).create(true).truncate(false).open(path);
    opened.map_err(|e| Failure::io(format!("opening HIGHWATER_DEBUG_PHASE={}", path.display()), &e))
}

fn parse_slow(text: &str) -> Result<[Duration; 4], Failure> {
    let mut slow = [Duration::ZERO; 4];
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let parsed = || {
            let (name, time) = part.split_once(':')?;
            let phase = Phase::NAMES.iter().position(|known| *known == name)?;
            Some((phase, time.strip_suffix("ms")?.parse().ok()?))
        };
        let (phase, ms) = parsed().ok_or_else(|| {
            Failure::usage(format!("HIGHWATER_DEBUG_SLOW: {part:?}; expected PHASE:NUMBERms"))
        })?;
        slow[phase] = Duration::from_millis(ms);
    }
    Ok(slow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_moments_are_slow() {
        let slow = parse_slow("write:15ms,echo:2ms").unwrap();
        assert_eq!(slow.map(|duration| duration.as_millis()), [15, 0, 2, 0]);
        assert!(parse_slow("write:15").is_err());
        assert!(parse_slow("lunch:15ms").is_err());
    }
}
