//! What lies in the log's directory.

use std::collections::BTreeSet;
use std::io;

use crate::error::{Error, ErrorKind, Result};
use crate::format::mark::{MARK_FILE, Mark};
use crate::format::names::{self, FileName};
use crate::position::{LogId, SegmentId};
use crate::segment::{OpenFault, Segment};
use crate::storage::{self, Access, Storage};

/// The files of a log, sorted.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub segments: BTreeSet<SegmentId>,
    pub bases: BTreeSet<SegmentId>,
    pub consumers: Vec<String>,
    pub pins: Vec<String>,
    pub has_reserve: bool,
    pub has_mark: bool,
    /// What repairs have set aside: the repair's number, the file's own name.
    pub aside: Vec<(u32, String)>,
    /// A repair was begun and did not come to its end.
    pub has_repair: bool,
    /// It is a backup of another log.
    pub is_backup: bool,
    /// A backup into it, or a restore, did not come to its end.
    pub is_copying: bool,
    has_leftover: bool,
    foreign: Option<String>,
}

impl Survey {
    pub(crate) fn of(storage: &dyn Storage) -> Result<Survey> {
        let mut survey = Survey::default();
        let names = storage.names().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                Error::not_found(format!("there is no log at {}", storage.path().display()))
            }
            io::ErrorKind::NotADirectory => Error::new(
                ErrorKind::NotALog,
                format!("{} is a file, expected a log's directory", storage.path().display()),
            ),
            _ => Error::io("listing the log's directory", storage.path(), e),
        })?;
        for name in names {
            match names::parse(&name) {
                FileName::Segment(id) if id.is_base() => drop(survey.bases.insert(id)),
                FileName::Segment(id) => drop(survey.segments.insert(id)),
                FileName::Consumer(name) => survey.consumers.push(name),
                FileName::Pin(name) => survey.pins.push(name),
                FileName::Mark => survey.has_mark = true,
                FileName::Reserve => survey.has_reserve = true,
                FileName::Repair => survey.has_repair = true,
                FileName::Backup => survey.is_backup = true,
                FileName::Copying => survey.is_copying = true,
                FileName::Aside(repair, name) => survey.aside.push((repair, name)),
                FileName::New | FileName::Lock | FileName::Notes => survey.has_leftover = true,
                FileName::Other if name.starts_with('.') || name == "lost+found" => {}
                FileName::Other => survey.foreign = Some(name),
            }
        }
        Ok(survey)
    }

    /// Whether there is nothing that a log's creation would not have left.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
            && !self.has_mark
            && self.bases.is_empty()
            && !self.has_repair
            && !self.is_copying
    }

    /// Refuses a directory that holds other things and nothing of a log.
    pub(crate) fn check_is_log(&self, storage: &dyn Storage) -> Result<()> {
        match &self.foreign {
            Some(name) if self.is_empty() && !self.has_leftover => Err(Error::new(
                ErrorKind::NotALog,
                format!(
                    "{} is not a log: it holds {name} and no segment; name an empty or a new directory",
                    storage.path().display()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses what is no log yet, or not any more: half copied, or half repaired.
    pub(crate) fn check_settled(&self, storage: &dyn Storage) -> Result<()> {
        self.check_not_copying(storage)?;
        if !self.has_repair {
            return Ok(());
        }
        let what = "a repair was interrupted; run it again: it begins by taking back what it had changed";
        Err(Error::corrupt(names::REPAIR, 0, what))
    }

    /// Refuses a directory that a backup or a restore has left half copied.
    pub(crate) fn check_not_copying(&self, storage: &dyn Storage) -> Result<()> {
        if !self.is_copying {
            return Ok(());
        }
        let what = "a backup or a restore into it is under way or was interrupted; run it again, or restore from it, \
                    which takes the last backup that came to its end";
        Err(Error::new(ErrorKind::Locked, format!("{}: {what}", storage.path().display())))
    }

    /// The mark, if there is a valid one.
    pub(crate) fn mark(&self, storage: &dyn Storage) -> Result<Option<Mark>> {
        if !self.has_mark { Ok(None) } else { read_mark(storage) }
    }

    /// The log's id: the mark knows it, or else the newest segment that has a valid header.
    pub(crate) fn log_id(&self, storage: &dyn Storage, mark: Option<&Mark>) -> Result<Option<LogId>> {
        if let Some(mark) = mark {
            return Ok(Some(mark.log));
        }
        for id in self.segments.iter().rev() {
            match Segment::open(storage, *id, Access::Read) {
                Ok(segment) => return Ok(Some(segment.header.log)),
                Err(OpenFault::Error(error)) => return Err(error),
                Err(fault @ OpenFault::Header(crate::format::segment::HeaderFault::Unsupported(_))) => {
                    return Err(fault.into_error(*id));
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Every segment from `first` to `last` has to be there.
    pub(crate) fn check_dense(&self, first: SegmentId, last: SegmentId) -> Result<()> {
        if first > last {
            let what =
                format!("the log is said to begin with segment {first}, and it ends with segment {last}");
            return Err(Error::corrupt(names::segment(last), 0, what));
        }
        let mut expected = first;
        for id in self.segments.range(first..=last) {
            if *id != expected {
                break;
            }
            expected = expected.next();
        }
        if expected <= last {
            return Err(OpenFault::Missing.into_error(expected));
        }
        Ok(())
    }
}

/// Reads the mark file, which may be written at this moment: a slot that is torn does not count.
pub(crate) fn read_mark(storage: &dyn Storage) -> Result<Option<Mark>> {
    let read = || storage::read_small(&*storage.open(names::MARK, Access::Read)?, MARK_FILE);
    match read() {
        Ok(bytes) => Ok(Mark::newest(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("reading the mark", names::MARK, e)),
    }
}
