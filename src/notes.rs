//! Notes of what was done to a log by hand and is no checkpoint: consumers that were moved or dropped, beside a writer in another
//! process; who pruned or repaired it, and why. They are lines of a small file; what the log's own frames tell is not in it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::format::names;
use crate::lock;
use crate::origin::Origin;
use crate::position::{Position, Sequence};
use crate::storage::{self, Access, Lock, Storage};

/// The file is not longer than this, in bytes: the older half goes then.
const NOTES_BYTES_MAX: usize = 256 << 10;
/// Nor is a line.
const LINE_BYTES_MAX: usize = 16 << 10;
/// A line begins with its checksum, as hex digits, and a space.
const CRC_DIGITS: usize = 8;

/// Who does something to a log by hand, and why: it is kept there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By<'a> {
    /// Who; not empty.
    pub who: &'a str,
    /// Why; not empty.
    pub why: &'a str,
}

impl By<'_> {
    pub(crate) fn check(&self) -> Result<()> {
        for (what, text) in [("who does it", self.who), ("why", self.why)] {
            if text.trim().is_empty() || text.len() > LINE_BYTES_MAX / 4 {
                return Err(Error::invalid(format!("it has to say {what}, in at most 4096 bytes")));
            }
        }
        Ok(())
    }
}

/// Something was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub time_us: i64,
    /// The log's last checkpoint at that time.
    pub after: Sequence,
    #[serde(flatten)]
    pub what: What,
    pub who: Option<String>,
    pub why: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum What {
    /// A consumer was moved or dropped.
    Consumer {
        consumer: String,
        /// What it had acknowledged; `None`: that could not be read.
        from: Option<Sequence>,
        /// Where it stands; `None`: it was dropped.
        to: Option<Sequence>,
    },
    /// Work that frames tell of, but not who asked for it.
    Work { work: String },
    /// What a checkpoint tells of that was made by hand: it goes with its segment, and this stays.
    Operation { operation: String, position: Position, from: Option<Position> },
}

/// Who asked for something, and why, put on record now. Blocks for a flush.
pub(crate) fn sign(origin: &Origin, work: &str, by: By<'_>) -> Result<()> {
    by.check()?;
    let storage = &*origin.files().storage;
    let turn = lock::turn_to_hold(storage)?;
    let note = Note {
        time_us: origin.now_us(),
        after: origin.horizon()?.last.sequence,
        what: What::Work { work: work.to_owned() },
        who: Some(by.who.to_owned()),
        why: Some(by.why.to_owned()),
    };
    add(storage, &note, &*turn)
}

/// Adds a note, durably. The caller has the turn, so nobody else adds one. A full disk does not keep anybody from letting go of what
/// fills it: the note is lost then.
pub(crate) fn add(storage: &dyn Storage, note: &Note, _turn: &dyn Lock) -> Result<()> {
    match append(storage, note) {
        Err(error) if matches!(error.kind(), ErrorKind::Full) => {
            tracing::warn!(%error, what = ?note.what, "what was done by hand is not on record");
            Ok(())
        }
        added => added,
    }
}

fn append(storage: &dyn Storage, note: &Note) -> Result<()> {
    let line = encode(note)?;
    let io = |e| Error::io("adding a note", names::NOTES, e);
    let (bytes, whole) = read_file(storage)?;
    if whole + line.len() > NOTES_BYTES_MAX {
        return rewrite(storage, &bytes[..whole], &line);
    }
    let file = storage.open(names::NOTES, Access::Create).map_err(io)?;
    // Behind the last whole line: what a crash has torn is written over.
    storage::write_all_at(&*file, &[line.as_bytes()], whole as u64).map_err(io)?;
    file.sync().map_err(io)?;
    if whole == 0 {
        storage::sync_names(storage).map_err(io)?;
    }
    Ok(())
}

/// Without the older half.
fn rewrite(storage: &dyn Storage, old: &[u8], line: &str) -> Result<()> {
    let half = old.len() / 2;
    let from = old[half..].iter().position(|byte| *byte == b'\n').map_or(old.len(), |at| half + at + 1);
    replace(storage, &[&old[from..], line.as_bytes()])
}

/// Copies the notes of one log to another that is a copy of it.
pub(crate) fn copy(from: &dyn Storage, to: &dyn Storage) -> Result<()> {
    let (bytes, whole) = read_file(from)?;
    if whole == 0 { Ok(()) } else { replace(to, &[&bytes[..whole]]) }
}

fn replace(storage: &dyn Storage, pieces: &[&[u8]]) -> Result<()> {
    let make = || {
        let file = storage::make_anew(storage, names::NEW_NOTES)?;
        storage::write_all_at(&*file, pieces, 0)?;
        file.sync()?;
        storage.rename(names::NEW_NOTES, names::NOTES)?;
        storage::sync_names(storage)
    };
    make().map_err(|e| Error::io("making the notes anew", names::NOTES, e))
}

/// Every note that is whole, oldest first.
pub(crate) fn read(storage: &dyn Storage) -> Result<Vec<Note>> {
    let (bytes, whole) = read_file(storage)?;
    Ok(lines(&bytes[..whole]).filter_map(decode).collect())
}

/// The file, and up to where its lines are whole.
fn read_file(storage: &dyn Storage) -> Result<(Vec<u8>, usize)> {
    let read =
        || storage::read_small(&*storage.open(names::NOTES, Access::Read)?, NOTES_BYTES_MAX + LINE_BYTES_MAX);
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Error::io("reading the notes", names::NOTES, e)),
    };
    let whole = lines(&bytes).take_while(|line| whole(line).is_some()).map(<[u8]>::len).sum();
    Ok((bytes, whole))
}

/// With their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

fn encode(note: &Note) -> Result<String> {
    let text = serde_json::to_string(note).map_err(|e| Error::invalid(e.to_string()))?;
    let line = format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()));
    if line.len() > LINE_BYTES_MAX {
        return Err(Error::too_large("a note", LINE_BYTES_MAX as u64, line.len() as u64));
    }
    Ok(line)
}

fn decode(line: &[u8]) -> Option<Note> {
    serde_json::from_str(whole(line)?).ok()
}

/// What a line says, if its checksum fits.
fn whole(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (crc, text) = line.split_at_checked(CRC_DIGITS)?;
    let text = text.strip_prefix(' ')?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    (crc == crc32fast::hash(text.as_bytes())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    fn note(n: u64) -> Note {
        let (from, to) = (Some(Sequence::new(n)), Some(Sequence::new(n + 1)));
        let (who, why) = (Some("ops".to_owned()), Some("x".repeat(900)));
        let what = match n % 2 {
            0 => What::Work { work: "prune".into() },
            _ => What::Consumer { consumer: "lake".into(), from, to },
        };
        Note { time_us: n as i64, after: Sequence::new(9), what, who, why }
    }

    fn put(storage: &Memory, n: u64) {
        let turn = lock::turn_to_hold(storage).unwrap();
        add(storage, &note(n), &*turn).unwrap();
    }

    #[test]
    fn a_torn_note_is_none_and_is_written_over() {
        let storage = Memory::new();
        assert_eq!(read(&storage).unwrap(), []);
        (1..4).for_each(|n| put(&storage, n));
        let whole = storage.content(names::NOTES).unwrap();
        for end in 0..whole.len() {
            storage.set_content(names::NOTES, whole[..end].to_vec());
            let there = read(&storage).unwrap().len();
            put(&storage, 9);
            let notes = read(&storage).unwrap();
            assert_eq!((notes.len(), notes.last()), (there + 1, Some(&note(9))), "{end}");
        }
        let mut bytes = whole.clone();
        bytes[20] ^= 1;
        storage.set_content(names::NOTES, bytes);
        assert_eq!(read(&storage).unwrap(), []);
    }

    #[test]
    fn the_oldest_go_before_it_grows_too_long() {
        let storage = Memory::new();
        (0..400).for_each(|n| put(&storage, n));
        let notes = read(&storage).unwrap();
        assert!(storage.content(names::NOTES).unwrap().len() <= NOTES_BYTES_MAX);
        assert!(notes.len() > 100 && notes.last() == Some(&note(399)));
        assert!(notes.windows(2).all(|pair| pair[0].time_us + 1 == pair[1].time_us));
    }
}
