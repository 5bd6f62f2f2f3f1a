//! Making a backup: what there is, what of it the directory has already, and the order in which it changes.

use std::sync::Arc;
use std::time::Duration;

use super::copy::{Copier, Range, may_be_overtaken};
use super::hold::Hold;
use super::{Backup, clear, set};
use crate::environment::System;
use crate::error::{Error, Result};
use crate::format::consumer::ConsumerState;
use crate::format::mark::Mark;
use crate::format::snapshot::Retained;
use crate::lock;
use crate::log_reader::LogReader;
use crate::notes;
use crate::origin::{Foreign, Origin};
use crate::position::{Position, SegmentId, Sequence};
use crate::pruning;
use crate::reader::Reader;
use crate::recovery::Survey;
use crate::segment::{OpenFault, Segment};
use crate::storage::{Access, Storage};

/// A log that is pruned while it is held: what nobody needed went between the look and the pin. Looking again settles it.
const ATTEMPTS: usize = 20;

/// Makes it. Of the directory nothing that the last backup has is changed before the new one is whole.
pub(super) fn take(
    from: Arc<dyn Storage>,
    to: Arc<dyn Storage>,
    progress: &mut dyn FnMut(u64),
    beside: &mut dyn FnMut() -> Result<()>,
) -> Result<Backup> {
    let log = LogReader::open_on(from.clone())?;
    check_place(&*to, &log)?; // before the lock, which would leave a file in a directory that is something else
    let _lock = lock::acquire(&*to, Duration::ZERO, &System)?;
    check_place(&*to, &log)?;
    let before = set::read(&*to)?;
    // Half of one is finished now, and not asked.
    let first_before = before.and_then(|_| first_of(to.clone()).ok()).flatten();
    let owner = format!("a backup into {}, process {}", to.path().display(), std::process::id());
    let mut hold = Hold::on(log, owner, to.path())?;
    let mut attempt = 1;
    loop {
        // Before the end is looked at: no position is behind it then.
        let consumers = pruning::positions(&*from)?;
        let source = Arc::new(Foreign::open(from.clone())?);
        let job = Job { source: &source, to: &to, before, consumers };
        match job.run(&mut hold, progress, beside) {
            Err(error) if attempt < ATTEMPTS && may_be_overtaken(&error) && job.was_overtaken()? => {
                attempt += 1;
            }
            result => {
                let made = result?;
                return Ok(Backup {
                    first_before: first_before.filter(|before| *before < made.first),
                    ..made
                });
            }
        }
    }
}

/// The oldest checkpoint of a backup.
fn first_of(backup: Arc<dyn Storage>) -> Result<Option<Sequence>> {
    let retained = Origin::Foreign(Arc::new(set::open(backup)?)).horizon()?.retained;
    Ok((retained.first_sequence > Sequence::NONE).then_some(retained.first_sequence))
}

/// Refuses a directory that is no backup of this log, and none that could become one.
fn check_place(to: &dyn Storage, log: &LogReader) -> Result<()> {
    let survey = Survey::of(to)?;
    survey.check_is_log(to)?;
    let Some(before) = set::read(to)? else {
        // Half of a first backup, or nothing.
        if survey.is_empty() || survey.is_copying {
            return Ok(());
        }
        let text = "it is a log and no backup; name an empty or a new directory";
        return Err(Error::invalid(format!("{}: {text}", to.path().display())));
    };
    if before.log != log.id() {
        return Err(set::diverged(
            to,
            &format!("it is a backup of log {}, this is {}", before.log, log.id()),
        ));
    }
    if set::is_log_of_its_own(to, &before)? {
        return Err(set::diverged(to, "it was written to as a log since it was a backup"));
    }
    Ok(())
}

/// One attempt.
struct Job<'a> {
    source: &'a Arc<Foreign>,
    to: &'a Arc<dyn Storage>,
    before: Option<Mark>,
    consumers: Vec<(String, ConsumerState)>,
}

impl Job<'_> {
    fn run(
        &self,
        hold: &mut Hold,
        progress: &mut dyn FnMut(u64),
        beside: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Backup> {
        let origin = Origin::Foreign(self.source.clone());
        let (mark, retained) = (self.source.mark(), origin.with_view(|view| view.retained.clone()));
        let to = &**self.to;
        let copier = Copier { from: &*self.source.files.storage, to };
        self.check_continues(&mark, &retained, &copier)?;
        let was_begun = set::begin(to)?;
        let mut report = self.report(&mark, &retained);
        self.copy_bases(&retained, &copier, &mut report, progress)?;
        for id in retained.first_live.0..=mark.durable.segment().0 {
            hold.keep()?;
            let id = SegmentId(id);
            self.copy_segment(&*self.source.files.get(id)?, &mark, was_begun, &copier, &mut report)?;
            self.source.files.forget(id);
            progress(report.copied_bytes);
        }
        let mark = self.newer(mark);
        // What was copied opens, and so it will.
        let copied = Origin::Foreign(Arc::new(Foreign::open_at(self.to.clone(), &mark)?));
        check_base(&copied)?;
        // Behind the positions that were read, so none is ahead of it; and before the switch, after which this backup counts.
        beside()?;
        set::make_log(to, &mark)?;
        set::write(to, &mark)?;
        // Behind the log: none is ever ahead of it.
        for (name, state) in &self.consumers {
            copier.consumer(name, state)?;
        }
        notes::copy(copier.from, to)?;
        let names: Vec<&str> = self.consumers.iter().map(|(name, _)| name.as_str()).collect();
        report.removed_files = clear::others(to, &retained, mark.durable.segment(), &names)?;
        set::end(to)?;
        tracing::info!(files = report.copied_files, bytes = report.copied_bytes, "backed up");
        Ok(report)
    }

    fn report(&self, mark: &Mark, retained: &Retained) -> Backup {
        Backup {
            end: position(mark),
            first: retained.first_sequence,
            first_before: None,
            since: self.before.as_ref().and_then(position),
            copied_files: 0,
            copied_bytes: 0,
            kept_files: 0,
            removed_files: 0,
            consumers: self.consumers.len() as u64,
        }
    }

    /// The log has to be what the backup before is the beginning of.
    fn check_continues(&self, now: &Mark, retained: &Retained, copier: &Copier<'_>) -> Result<()> {
        let Some(before) = &self.before else { return Ok(()) };
        let diverged = |what: &str| Err(set::diverged(copier.to, what));
        if now.durable < before.durable {
            return diverged("it goes further than this log, which was repaired or restored since");
        }
        let last = before.durable.segment();
        let is_gone = last < retained.first_live;
        if !is_gone && !self.is_known(&*self.source.files.get(last)?, copier.to)? {
            return diverged(
                "this log was repaired or restored since, and is another behind what it has in common",
            );
        }
        if !is_gone && !copier.is_same_before(last, before.durable.offset())? {
            return diverged("this log was repaired or restored since, and is another from there on");
        }
        Ok(())
    }

    /// Whether the backup before has this very segment or base file.
    fn is_known(&self, segment: &Segment, to: &dyn Storage) -> Result<bool> {
        match Segment::open(to, segment.id(), Access::Read) {
            Ok(copied) => Ok(copied.header == segment.header),
            Err(OpenFault::Error(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn copy_bases(
        &self,
        retained: &Retained,
        copier: &Copier<'_>,
        report: &mut Backup,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        for base in retained.files() {
            let segment = self.source.files.get(base.id)?;
            // It got its name when it was whole.
            if self.is_known(&segment, copier.to)? {
                report.kept_files += 1;
                continue;
            }
            let is_checked = retained.bases.iter().any(|known| known.id == base.id);
            copier.whole(&segment, segment.bytes(), is_checked)?;
            report.copied(segment.bytes());
            progress(report.copied_bytes);
        }
        Ok(())
    }

    fn copy_segment(
        &self,
        segment: &Segment,
        mark: &Mark,
        was_begun: bool,
        copier: &Copier<'_>,
        report: &mut Backup,
    ) -> Result<()> {
        let id = segment.id();
        let end = mark.durable;
        let to = if id == end.segment() { end.offset() } else { segment.bytes() };
        // Behind what the last backup says, nothing in the directory is known to be whole.
        let had = self.before.filter(|before| id <= before.durable.segment() && id >= before.first_live);
        let had = match had {
            Some(before) if self.is_known(segment, copier.to)? => before.durable,
            _ => {
                copier.whole(segment, to, true)?;
                report.copied(to);
                return Ok(());
            }
        };
        if id < had.segment() || had == end && !was_begun {
            report.kept_files += 1;
            return Ok(());
        }
        copier.rest(segment, Range { from: had.offset(), to }, was_begun)?;
        report.copied(to - had.offset());
        Ok(())
    }

    /// As a mark that is newer than any in the directory.
    fn newer(&self, mark: Mark) -> Mark {
        let before = self.before.map_or(0, |before| before.generation);
        Mark { generation: mark.generation.max(before) + 1, ..mark }
    }

    /// Whether the log has let something go since this attempt began.
    fn was_overtaken(&self) -> Result<bool> {
        let retained = |source: Arc<Foreign>| Origin::Foreign(source).with_view(|view| view.retained.clone());
        let now = Foreign::open(self.source.files.storage.clone())?;
        Ok(retained(Arc::new(now)) != retained(self.source.clone()))
    }
}

impl Backup {
    fn copied(&mut self, bytes: u32) {
        self.copied_files += 1;
        self.copied_bytes += u64::from(bytes);
    }
}

fn position(mark: &Mark) -> Option<Position> {
    (mark.sequence > Sequence::NONE).then_some(Position {
        log: mark.log,
        sequence: mark.sequence,
        checkpoint: mark.id,
    })
}

/// The records of a base checkpoint, whose files hold nothing else: reading them checks every frame.
fn check_base(origin: &Origin) -> Result<()> {
    let retained = origin.horizon()?.retained;
    if retained.compacted.is_none() {
        return Ok(());
    }
    let base = Reader::new(origin.clone(), retained.first_sequence)?.next()?;
    base.into_iter().flat_map(|base| base.records()).try_for_each(|record| record.map(drop))
}
