//! Opening a log for writing, and what can be done with it.

use std::ops::{ControlFlow, Deref};
use std::path::Path;
use std::sync::Arc;

use crate::background::Background;
use crate::compaction::{self, Compacted, CompactionProgress};
use crate::config::{Compaction, Config, Retention};
use crate::error::{Error, ErrorKind, Result};
use crate::format::mark::MARK_FILE;
use crate::format::note::Recovered;
use crate::format::{BLOCK, names};
use crate::journal::{Committed, Head, Journal, State};
use crate::lock;
use crate::log_reader::LogReader;
use crate::operation::{self, Operation};
use crate::origin::Origin;
use crate::position::{Address, LogId, Position, Sequence};
use crate::protection::Protection;
use crate::pruning::{self, Pruning};
use crate::recovery::{self, Found, Look, Recovery, Row};
use crate::rewind::Rewinding;
use crate::segment::{Files, Segment};
use crate::storage::{self, Access, Disk, FileSystem, Lock, Storage, StorageFile};
use crate::streams::{self, Stream, StreamSpec};
use crate::view::View;
use crate::writer::Writer;

/// A log that this process writes. It is also a [`LogReader`]. Dropping it closes it and gives up the lock; writers that
/// are still there then fail, readers go on reading what there was.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path().join("shop.hw");
/// use highwater::{Commit, Config, Log, Op, StreamSpec};
///
/// let (log, recovery) = Log::open(&dir, Config::default())?;
/// println!("{recovery}"); // what the last crash cost, if anything
///
/// let orders = log.stream(StreamSpec::new("orders").namespace("shop").key(["id"]))?;
/// let cursor: u64 = log.state()?.get(&orders)?.unwrap_or(0);
///
/// let mut writer = log.writer(&[&orders])?;
/// writer.append(&orders, Op::Upsert { key: b"[1]", row: br#"{"id":1}"# })?;
/// writer.commit(Commit::new().stream(&orders, &(cursor + 1)))?; // records and cursor, together, durable
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Debug)]
pub struct Log {
    journal: Arc<Journal>,
    reader: LogReader,
    background: Option<Background>,
}

impl Deref for Log {
    type Target = LogReader;

    fn deref(&self) -> &LogReader {
        &self.reader
    }
}

impl Log {
    /// Opens the log in `dir`, or makes one ([`Config::create`]), and recovers it: finds the last complete checkpoint and
    /// makes durable what it accepts. The report says what was found and done.
    ///
    /// Blocks for the lock as long as [`Config::lock_wait`] says, and for reading a few MiB. Fails with
    /// [`ErrorKind::Locked`], [`ErrorKind::NotALog`], [`ErrorKind::NotFound`], [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Unsupported`].
    pub fn open(dir: impl AsRef<Path>, config: Config) -> Result<(Log, Recovery)> {
        let dir = dir.as_ref();
        if config.create && !dir.exists() {
            make_dir(dir)?;
        }
        check_file_system(dir, &config)?;
        Self::open_on(Arc::new(Disk::new(dir)), config)
    }

    /// The same on any storage.
    pub fn open_on(storage: Arc<dyn Storage>, config: Config) -> Result<(Log, Recovery)> {
        let _span = tracing::info_span!("highwater.open").entered();
        config.validate()?;
        let environment = config.environment.clone();
        let begun = environment.elapsed();
        // Before the lock, which would leave a file in a directory that is not a log.
        let survey = recovery::Survey::of(&*storage)?;
        survey.check_is_log(&*storage)?;
        survey.check_settled(&*storage)?;
        if !config.create && survey.is_empty() {
            return Err(Error::not_found(format!("there is no log at {}", storage.path().display())));
        }
        let lock = lock::acquire(&*storage, config.lock_wait, &*environment)?;
        // While we waited a repair may have come, and been killed.
        recovery::Survey::of(&*storage)?.check_settled(&*storage)?;
        let (journal, mut recovery) =
            match recovery::look(storage.clone(), Access::Write, environment.boot())? {
                Look::Nothing if config.create => create(storage, config, lock)?,
                Look::Nothing => {
                    return Err(Error::not_found(format!("there is no log at {}", storage.path().display())));
                }
                Look::Log(found) => recover(*found, config, lock)?,
            };
        recovery.took = environment.elapsed().saturating_sub(begun);
        tracing::info!(path = %storage_path(&journal), %recovery, "opened");
        // Set here and nowhere else.
        drop(journal.opening.set(recovery.clone()));
        let journal = Arc::new(journal);
        let background =
            journal.config.background.map(|every| Background::start(&journal, every)).transpose()?;
        let reader = LogReader::new(Origin::Live(journal.clone()));
        Ok((Log { journal, reader, background }, recovery))
    }

    /// Registers a stream, or finds it. What is new is durable with the first commit that covers it. Fails with
    /// [`ErrorKind::StreamChanged`] if the key is another than the registered one.
    pub fn stream(&self, spec: StreamSpec) -> Result<Stream> {
        streams::register(&self.journal, spec)
    }

    /// A writer that owns these streams. Fails with [`ErrorKind::StreamBusy`] while another has one of them.
    pub fn writer(&self, streams: &[&Stream]) -> Result<Writer> {
        Writer::new(self.journal.clone(), streams)
    }

    /// Makes everything durable that was committed so far. Blocks for one flush, or none.
    pub fn flush(&self) -> Result<()> {
        self.journal.counted(self.journal.flush_all())
    }

    /// Removes whole old segments that no consumer, no retention rule and no pin needs. Blocks for a few flushes; writers
    /// go on meanwhile. States, streams and consumers stay.
    pub fn prune(&self, retention: &Retention) -> Result<Pruning> {
        self.journal.counted(pruning::prune(&self.journal, retention))
    }

    /// Makes one checkpoint out of all old ones that nobody reads as they were any more, the *base checkpoint*: of each key of a
    /// stream only the last whole row stays, and the updates after it; a deletion stays for a configured time. Streams without
    /// a key stay as they are. Who starts at the beginning then gets what the streams hold, and the changes since. Nothing that
    /// a consumer has not acknowledged is touched, nor what a pin holds.
    ///
    /// Of records that take the place of others without a truncate it knows what it is told ([`Compaction::replacements`]): a runtime's
    /// generations are in states of its own, which the engine does not read. A pipeline's log is compacted with what
    /// `highwater_connect::compaction::with_generations` makes of the compaction, as `highwater compact` does: rows would come back otherwise
    /// that were replaced long ago, so a log in which a runtime has streams of its own is refused where nobody has asked it
    /// ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid); no [`Compaction::up_to`]).
    ///
    /// Blocks for reading and writing all of that, with bounded memory; writers go on meanwhile. `progress` is told how far it
    /// is and may end it, which changes nothing.
    pub fn compact(
        &self,
        compaction: &Compaction,
        progress: &mut dyn FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<Compacted> {
        self.journal.counted(compaction::compact(&self.journal, compaction, progress))
    }

    /// Does what is due: flushes what waits for it, prepares the next segment, removes files that nobody names any more, and compacts
    /// if that is configured ([`Config::compaction`]). Call it now and then, or let [`Config::background`] do it. Writers go on
    /// meanwhile; it blocks for a flush, for making a segment, and as long as a compaction takes.
    ///
    /// *What it flushes.* Buffered checkpoints, where there is no [`Config::flush_interval`]; with one, everything that was written for
    /// so long. And in any case everything, records included that nobody has committed yet, once more than an eighth of
    /// [`Config::unflushed_bytes_max`] (1 MiB by default) is not flushed: that may be long before the interval has passed, which
    /// is a latest time and no promise to wait. Fewer uncommitted records wait for their commit.
    ///
    /// Fails with the error of a write or flush that failed ([`ErrorKind::Io`]; the log takes no more writes then), or of the
    /// compaction. That there is no room for the next segment is no error here: who needs it is told.
    pub fn maintain(&self) -> Result<()> {
        self.journal.maintain()?;
        compaction::compact_if_due(&self.journal, &mut |_| ControlFlow::Continue(()))
    }

    /// Gives a stream another name; its number, key, state and history stay. Durable when it returns; blocks for one flush. Fails
    /// with [`ErrorKind::StreamBusy`] while a writer owns the stream, and with [`ErrorKind::Invalid`] if the name is taken.
    pub fn rename_stream(&self, stream: &Stream, name: StreamSpec) -> Result<Stream> {
        streams::rename(&self.journal, stream, name)
    }

    /// Clears a stream's state, so that its source reads it from the beginning. Its records stay. Durable when it returns; blocks
    /// for one flush. Fails with [`ErrorKind::StreamBusy`] while a writer owns the stream.
    pub fn reset_stream(&self, stream: &Stream) -> Result<Committed> {
        streams::reset(&self.journal, stream)
    }

    /// Drops a stream: its state goes, its name is free for another. Its records stay until they are pruned. Durable when
    /// it returns; blocks for one flush. Fails with [`ErrorKind::StreamBusy`] while a writer owns the stream.
    pub fn drop_stream(&self, stream: &Stream) -> Result<Committed> {
        streams::drop_stream(&self.journal, stream)
    }

    /// Changes states by hand, in a checkpoint of its own that says who did it and why. Durable when it returns; blocks for one
    /// write and one flush, and before that for one of what is buffered.
    ///
    /// Fails with [`ErrorKind::NotFound`] for a stream that is not registered, [`ErrorKind::StreamBusy`] while a writer owns
    /// one of the streams (for the global state: any stream), [`ErrorKind::Outdated`] where the operation asks for that, and
    /// [`ErrorKind::Invalid`] for a state that is no JSON, or an operation that does not say who, what and why.
    pub fn operate(&self, operation: Operation) -> Result<Committed> {
        operation::operate(&self.journal, operation)
    }

    /// Brings the states of an earlier checkpoint back, as [`plan_rewind`](LogReader::plan_rewind) has told, in a new checkpoint.
    /// Nothing is erased. Durable when it returns; blocks for reading those states, one write and one flush.
    ///
    /// Fails with [`ErrorKind::Outdated`] if somebody committed since the plan was made, with [`ErrorKind::StreamBusy`] while a
    /// writer owns one of the streams, and with [`ErrorKind::Invalid`] for a plan that changes nothing.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use highwater::{Commit, Config, Log, Sequence, StreamSpec};
    /// let (log, _) = Log::open(dir.path(), Config::default())?;
    /// let orders = log.stream(StreamSpec::new("orders"))?;
    /// for page in 1..=3 {
    ///     log.writer(&[&orders])?.commit(Commit::new().stream(&orders, &page))?;
    /// }
    /// let plan = log.plan_rewind(Sequence::new(1), None)?;
    /// assert_eq!(plan.states.len(), 1);
    /// let made = log.rewind(&plan, "ops", "page 2 was wrong")?;
    /// assert_eq!(made.sequence(), Sequence::new(4));
    /// assert_eq!(log.state()?.get::<u32>(&orders)?, Some(1));
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn rewind(&self, plan: &Rewinding, who: &str, why: &str) -> Result<Committed> {
        let then = self.state_at(plan.to.sequence)?;
        self.operate(plan.operation(&then, who, why)?)
    }

    pub(crate) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Closes the log: flushes what is committed, and leaves it so that the next opening has nothing to do. Dropping the
    /// log does the same and can't report an error. What writers have not committed is gone.
    pub fn close(mut self) -> Result<()> {
        self.background.take();
        self.journal.close()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.background.take();
        // A failure was reported by the call that met it; what is committed is durable without a clean close.
        if let Err(error) = self.journal.close() {
            tracing::debug!(%error, "could not close cleanly");
        }
    }
}

fn storage_path(journal: &Journal) -> String {
    journal.storage().path().display().to_string()
}

/// Makes a log's directory, durably.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    let io = |e| Error::io("making the log's directory", dir, e);
    std::fs::create_dir_all(dir).map_err(io)?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        storage::sync_names(&Disk::new(parent)).map_err(io)?;
    }
    Ok(())
}

fn check_file_system(dir: &Path, config: &Config) -> Result<()> {
    // A directory that is not there is somebody else's error, with a better text.
    match storage::judge(dir) {
        Ok(FileSystem::Network(name)) if !config.allow_network => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{} lies on {name}, whose locks and flushes may not hold what the log promises; use a local disk, or Config::allow_network",
                dir.display()
            ),
        )),
        Ok(FileSystem::Network(name)) => {
            tracing::warn!(
                "{} lies on {name}; the promises hold only as far as its locks and flushes do",
                dir.display()
            );
            Ok(())
        }
        Ok(FileSystem::Volatile) => {
            tracing::warn!("{} lies in memory; nothing survives a power cut there", dir.display());
            Ok(())
        }
        Ok(FileSystem::UserSpace) => {
            tracing::warn!(
                "{} lies on a file system in user space; whether it honours a flush is not known",
                dir.display()
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

fn open_mark(storage: &dyn Storage) -> Result<Box<dyn StorageFile>> {
    let io = |e| Error::io("opening the mark", names::MARK, e);
    let file = storage.open(names::MARK, Access::Create).map_err(io)?;
    if file.len().map_err(io)? < MARK_FILE as u64 {
        file.allocate(MARK_FILE as u64).map_err(io)?;
    }
    Ok(file)
}

/// Makes a log: its first segment, then the mark. A crash on the way leaves what the next opening makes anew.
fn create(storage: Arc<dyn Storage>, config: Config, lock: Box<dyn Lock>) -> Result<(Journal, Recovery)> {
    let random = config.environment.random().to_le_bytes();
    let log = LogId(uuid::Builder::from_random_bytes(random).into_uuid());
    let journal = create_from(storage, config, lock, log, View::empty(), 1)?;
    Ok((journal, report(log, true, None)))
}

/// Makes the first segment that `view` retains, and the mark.
pub(crate) fn create_from(
    storage: Arc<dyn Storage>,
    config: Config,
    lock: Box<dyn Lock>,
    log: LogId,
    view: View,
    epoch: u32,
) -> Result<Journal> {
    let environment = config.environment.clone();
    let first = view.retained.first_live;
    let header = crate::format::segment::SegmentHeader {
        log,
        id: first,
        salt: environment.random() as u64,
        segment_bytes: config.segment_bytes.min(Config::SEGMENT_BYTES_FIRST).next_multiple_of(BLOCK),
        unflushed_bytes_max: config.unflushed_bytes_max,
        created_us: environment.now_us(),
    };
    let segment = Arc::new(Segment::create(&*storage, header, None)?);
    let files = Arc::new(Files::new(storage.clone(), log, Access::Write));
    files.insert(segment.clone());
    let mark = open_mark(&*storage)?;
    let head = Head { segment, offset: BLOCK };
    let durable = head.address();
    let state = State::new(view, head, durable, epoch, Address::new(first, BLOCK), 0);
    let journal = Journal::new(files, config, mark, lock, state);
    journal.begin()?;
    journal.publish_mark(false, true)?;
    storage::sync_names(&*storage)
        .map_err(|e| Error::io("flushing the log's directory", storage.path(), e))?;
    pruning::restore_reserve(&journal);
    Ok(journal)
}

/// Acts on what was found: makes the accepted end durable, puts on record what was dropped, and goes on behind it.
pub(crate) fn recover(found: Found, config: Config, lock: Box<dyn Lock>) -> Result<(Journal, Recovery)> {
    let epoch = next_epoch(found.epoch)?;
    let log = found.files.log;
    let mark = open_mark(&*found.files.storage)?;
    let acted = recovery::act(&found, epoch)?;
    let last = found.view.last;
    // Spares of the last opening, and what it was about to remove.
    let leftovers = found.survey.segments.first().is_some_and(|id| *id < found.view.retained.first_live);
    let position = (last.sequence > Sequence::NONE).then_some(Position {
        log,
        sequence: last.sequence,
        checkpoint: last.id,
    });
    let mut recovery = report(log, false, position);
    recovery.rewritten_bytes = acted.rewritten_bytes;
    recovery.mark_lost = found.survey.has_mark && found.mark.is_none();
    recovery.torn = found.row == Row::Torn;
    let end = found.replay.end();
    if found.row == Row::Uncommitted || found.row == Row::Torn {
        recovery.dropped_frames = if end > acted.goes_on { found.replay.loose.0 } else { 0 };
        recovery.dropped_bytes = end.0.saturating_sub(acted.goes_on.0);
    }
    if recovery.torn {
        recovery.why = Some(found.why.clone());
    }
    let segment = found.files.get(acted.goes_on.segment())?;
    let head = Head { segment, offset: acted.goes_on.offset() };
    let generation = found.mark.map_or(0, |mark| mark.generation);
    let mut state = State::new(found.view, head, acted.goes_on, epoch, found.replay.waypoint, generation);
    state.set_directory(found.replay.directory);
    state.sealed = found.replay.seal;
    state.epoch_is_known = Protection::EpochBeforeFrames.is_off();
    let next = acted.goes_on.segment().next();
    let files = Arc::new(found.files);
    // Prepared before the crash, or half-made; only a whole one counts.
    state.next = files.get(next).ok();
    state.next_has_durable_name = false;
    let journal = Journal::new(files, config, mark, lock, state);
    if recovery.is_clean() && found.mark.is_some_and(|mark| mark.durable == acted.goes_on) {
        if leftovers {
            pruning::clean_up(&journal)?;
        }
        return Ok((journal, recovery));
    }
    // The files are not as they were: without a close frame, what stands behind a pad would look like a torn write.
    journal.state().dirty = true;
    if !recovery.is_clean() {
        journal.note_recovery(&Recovered {
            time_us: journal.config.environment.now_us(),
            cut: acted.goes_on,
            end,
            dropped_frames: recovery.dropped_frames,
            dropped_bytes: recovery.dropped_bytes,
            rewritten_bytes: recovery.rewritten_bytes,
            why: what_was_wrong(&recovery),
            who: journal.config.environment.process(),
        })?;
    }
    journal.publish_mark(false, true)?;
    pruning::clean_up(&journal)?;
    Ok((journal, recovery))
}

fn what_was_wrong(recovery: &Recovery) -> String {
    let lost = recovery.mark_lost.then(|| "the mark file was unreadable".to_owned());
    recovery.why.iter().cloned().chain(lost).collect::<Vec<_>>().join("; ")
}

fn next_epoch(greatest: u32) -> Result<u32> {
    if Protection::Epoch.is_off() {
        return Ok(greatest);
    }
    greatest
        .checked_add(1)
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "this log was opened 2^32 times"))
}

fn report(log: LogId, created: bool, last: Option<Position>) -> Recovery {
    Recovery {
        log,
        created,
        last,
        dropped_frames: 0,
        dropped_bytes: 0,
        torn: false,
        why: None,
        rewritten_bytes: 0,
        mark_lost: false,
        took: std::time::Duration::ZERO,
    }
}
