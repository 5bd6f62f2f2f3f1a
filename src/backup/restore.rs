//! Making a log out of a backup.

use std::sync::Arc;
use std::time::Duration;

use super::copy::Copier;
use super::{ConsumerAhead, Restored, clear, set};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::format::BLOCK;
use crate::format::frame::Kind;
use crate::format::mark::Mark;
use crate::format::snapshot::Retained;
use crate::lock;
use crate::log::Log;
use crate::notes::{self, By};
use crate::operation;
use crate::origin::{Foreign, Origin, gap};
use crate::position::{Address, CheckpointId, Position, SegmentId, Sequence};
use crate::pruning;
use crate::reader::Reader;
use crate::recovery::{self, Survey};
use crate::storage::Storage;

/// Where the restored log ends, before the restore is put on record.
struct End {
    /// Bytes up to here are copied.
    at: Address,
    sequence: Sequence,
    id: CheckpointId,
    /// It is not the end of the backup: what follows is left out.
    is_earlier: bool,
}

/// Makes it.
pub(super) fn restore(
    from: Arc<dyn Storage>,
    to: Arc<dyn Storage>,
    at: Option<Sequence>,
    by: By<'_>,
    config: Config,
    beside: &mut dyn FnMut() -> Result<()>,
) -> Result<Restored> {
    config.validate()?;
    by.check()?;
    let source = Arc::new(set::open(from)?);
    let origin = Origin::Foreign(source.clone());
    if crate::lock::is_held(&*source.files.storage)? {
        let text = "somebody writes what is to be restored; back it up first";
        return Err(Error::new(
            ErrorKind::Locked,
            format!("{}: {text}", source.files.storage.path().display()),
        ));
    }
    let end = find_end(&origin, &source.mark(), at)?;
    check_place(&*to)?;
    let lock = lock::acquire(&*to, Duration::ZERO, &*config.environment)?;
    check_place(&*to)?;
    if set::begin(&*to)? {
        clear::everything(&*to)?;
    }
    let mut restored = copy(&source, &origin, &*to, &end, &config)?;
    restored.left_out = origin.horizon()?.last.sequence.get() - end.sequence.get();
    beside()?;
    set::end(&*to)?;
    drop(lock);
    record(to, by, config, &mut restored)?;
    Ok(restored)
}

/// Restoring writes over nothing, unless it is half of a restore.
fn check_place(to: &dyn Storage) -> Result<()> {
    let survey = Survey::of(to)?;
    survey.check_is_log(to)?;
    if survey.is_backup || !(survey.is_empty() || survey.is_copying) {
        let text = "there is a log already; name an empty or a new directory";
        return Err(Error::invalid(format!("{}: {text}", to.path().display())));
    }
    Ok(())
}

/// Where checkpoint `at` ends.
fn find_end(origin: &Origin, mark: &Mark, at: Option<Sequence>) -> Result<End> {
    let last = End { at: mark.durable, sequence: mark.sequence, id: mark.id, is_earlier: false };
    let Some(at) = at.filter(|at| *at != mark.sequence) else { return Ok(last) };
    let retained = origin.horizon()?.retained;
    if !retained.shows(at) {
        return Err(gap(at, &retained));
    }
    let found = Reader::new(origin.clone(), at)?.next()?;
    let Some(checkpoint) = found.filter(|_| at > Sequence::NONE) else {
        return Err(Error::not_found(format!("there is no checkpoint {at} in this backup")));
    };
    let (header, _) = origin.files().frame(checkpoint.at())?;
    if header.kind != Kind::Commit {
        return Err(origin.files().damaged(checkpoint.at(), "expected a commit"));
    }
    Ok(End {
        at: Address(checkpoint.at().0 + header.frame_len()),
        sequence: at,
        id: checkpoint.position().checkpoint,
        is_earlier: true,
    })
}

fn copy(
    source: &Arc<Foreign>,
    origin: &Origin,
    to: &dyn Storage,
    end: &End,
    config: &Config,
) -> Result<Restored> {
    let retained = origin.with_view(|view| view.retained.clone());
    let copier = Copier { from: &*source.files.storage, to };
    let mut restored = Restored {
        to: (end.sequence > Sequence::NONE).then_some(Position {
            log: source.files.log,
            sequence: end.sequence,
            checkpoint: end.id,
        }),
        end: None,
        left_out: 0,
        ahead: Vec::new(),
        files: 0,
        bytes: 0,
    };
    for base in retained.files() {
        let segment = source.files.get(base.id)?;
        let is_checked = retained.bases.iter().any(|known| known.id == base.id);
        copier.whole(&segment, segment.bytes(), is_checked)?;
        restored.copied(segment.bytes());
    }
    for id in retained.first_live.0..=end.at.segment().0 {
        let id = SegmentId(id);
        let segment = source.files.get(id)?;
        let upto = if id == end.at.segment() { end.at.offset() } else { segment.bytes() };
        copier.whole(&segment, upto, true)?;
        restored.copied(upto);
        source.files.forget(id);
    }
    for (name, state) in pruning::positions(copier.from)? {
        copier.consumer(&name, &state)?;
        if state.sequence > end.sequence {
            restored.ahead.push(ConsumerAhead { consumer: name, acknowledged: state.sequence });
        }
    }
    notes::copy(copier.from, to)?;
    let mark = mark(source.mark(), to, end, &retained, config)?;
    set::make_log(to, &mark)?;
    Ok(restored)
}

/// The mark of the new log. Where something is left out the log is ended there: what was pruned or compacted behind that place
/// stays so, and a later epoch begins.
fn mark(mark: Mark, to: &dyn Storage, end: &End, retained: &Retained, config: &Config) -> Result<Mark> {
    if !end.is_earlier {
        return Ok(mark);
    }
    let epoch = mark
        .epoch
        .checked_add(1)
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "this log was opened 2^32 times"))?;
    let durable = recovery::erase_behind(to, end.at, epoch, retained, config.environment.now_us())?;
    let segment = durable.segment();
    Ok(Mark {
        epoch,
        durable,
        sequence: end.sequence,
        id: end.id,
        active: segment,
        waypoint: Address::new(segment, BLOCK),
        ..mark
    })
}

/// Opens the new log, as its owner will, and says in it what it comes from: a checkpoint of its own, so that nobody takes the
/// next one for the original's.
fn record(to: Arc<dyn Storage>, by: By<'_>, config: Config, restored: &mut Restored) -> Result<()> {
    let (log, _) = Log::open_on(to, Config { create: false, background: None, ..config })?;
    if let Some(from) = restored.to {
        let what = format!("restore to {}", from.sequence);
        let made = operation::note(log.journal(), what, by.who, by.why, from)?;
        restored.end = Some(made.position);
    }
    pruning::restore_reserve(log.journal());
    log.close()
}

impl Restored {
    fn copied(&mut self, bytes: u32) {
        self.files += 1;
        self.bytes += u64::from(bytes);
    }
}
