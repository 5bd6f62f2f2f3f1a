//! Everything that only looks: on a log that this process writes, or on one that another process writes or nobody.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::{AuditEntry, audit};
use crate::compaction::{self, Compacted, CompactionProgress};
use crate::config::{Compaction, Retention};
use crate::consumer::{Consumer, ConsumerInfo, Start};
use crate::error::{Error, Result};
use crate::format::consumer::MaxLag;
use crate::format::define::StreamName;
use crate::lock;
use crate::metrics::{Metrics, metrics};
use crate::notes::By;
use crate::origin::{Foreign, Origin};
use crate::pin::{self, Pin};
use crate::position::{CheckpointId, LogId, Position, Sequence};
use crate::pruning::{self, Pruning};
use crate::reader::Reader;
use crate::rewind::{self, Rewinding, Tally};
use crate::space::{Space, space};
use crate::states::States;
use crate::status::{Status, status};
use crate::storage::{Disk, Storage};
use crate::streams::StreamInfo;
use crate::verify::{Verification, verify};
use crate::view::{read_definition, unknown_stream};

/// Reads a log. Every [`Log`](crate::Log) is one; opened by itself it reads beside a living writer in another process,
/// takes no lasting lock and writes nothing (but a consumer's own position file).
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use highwater::{Config, Log, LogReader};
/// let (log, _) = Log::open(dir.path(), Config::default())?;
/// let reader = LogReader::open(dir.path())?; // as another process would
/// assert_eq!(reader.id(), log.id());
/// assert_eq!(reader.end(), None); // nothing is committed yet
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LogReader {
    origin: Origin,
    path: PathBuf,
}

impl LogReader {
    /// Opens a log for reading. Without a living writer it shows what the next opening for writing will accept, and
    /// says so ([`unconfirmed`](LogReader::unconfirmed)).
    ///
    /// Fails with [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no log, and with
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if what was committed is damaged where reading starts.
    pub fn open(dir: impl AsRef<Path>) -> Result<LogReader> {
        Self::open_on(Arc::new(Disk::new(dir.as_ref())))
    }

    /// The same on any storage.
    pub fn open_on(storage: Arc<dyn Storage>) -> Result<LogReader> {
        let path = storage.path().to_owned();
        Ok(LogReader { origin: Origin::Foreign(Arc::new(Foreign::open(storage)?)), path })
    }

    pub(crate) fn new(origin: Origin) -> LogReader {
        let path = origin.files().storage.path().to_owned();
        LogReader { origin, path }
    }

    /// The log's id.
    pub fn id(&self) -> LogId {
        self.origin.log()
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether some process writes it now.
    pub fn is_live(&self) -> Result<bool> {
        match &self.origin {
            Origin::Live(_) => Ok(true),
            Origin::Foreign(foreign) => lock::is_held(&*foreign.files.storage),
        }
    }

    /// Who writes it, or who did last: process, host, since when.
    pub fn holder(&self) -> String {
        lock::holder(&*self.origin.files().storage)
    }

    /// Learns what was committed since the opening, or the last look. Readers and consumers do so by themselves.
    pub fn refresh(&self) -> Result<()> {
        self.origin.horizon().map(drop)
    }

    /// The last checkpoint that is shown; `None` for an empty log.
    pub fn end(&self) -> Option<Position> {
        let last = match &self.origin {
            Origin::Live(journal) => journal.state().high_water,
            Origin::Foreign(_) => self.origin.with_view(|view| view.last),
        };
        (last.sequence > Sequence::NONE).then(|| Position {
            log: self.id(),
            sequence: last.sequence,
            checkpoint: last.id,
        })
    }

    /// The oldest checkpoint that can be read.
    pub fn first(&self) -> Sequence {
        self.origin.with_view(|view| view.retained.first_sequence)
    }

    /// Nobody writes the log, and its end is what recovery would accept: what that means, in words.
    pub fn unconfirmed(&self) -> Option<String> {
        match &self.origin {
            Origin::Live(_) => None,
            Origin::Foreign(foreign) => foreign.unconfirmed().map(|unconfirmed| unconfirmed.text),
        }
    }

    /// The states at the high-water mark.
    pub fn state(&self) -> Result<States> {
        States::now(&self.origin)
    }

    /// The states as they were at a checkpoint that is retained.
    pub fn state_at(&self, sequence: Sequence) -> Result<States> {
        States::at(&self.origin, sequence)
    }

    /// Whether the global state counts for a source that changed from a state per stream to one for all, or back: the newer one
    /// does, and after a rewind the one that did then. Of streams in the namespace `_highwater`, a runtime's own, the states do
    /// not count. May block for reading one commit.
    pub fn is_global_newest(&self, states: &States) -> Result<bool> {
        rewind::is_global_newest(&self.origin, states)
    }

    /// The streams, in the order in which they were registered.
    pub fn streams(&self) -> Result<Vec<StreamInfo>> {
        definitions(&self.origin).collect()
    }

    /// One stream by its name.
    pub fn find_stream(&self, name: &StreamName) -> Result<StreamInfo> {
        let at = self.origin.with_view(|view| match view.find(name) {
            Some(id) => Ok(view.entry(id).and_then(|entry| entry.defined.as_ref()).map(|defined| defined.at)),
            None => Err(unknown_stream(name, view)),
        })?;
        let at = at.ok_or_else(|| Error::not_found(format!("no stream {name} in this log")))?;
        read_definition(self.origin.files(), at).map(StreamInfo::new)
    }

    /// What [`Log::rewind`](crate::Log::rewind) to this checkpoint would mean, of one stream's state or of all: which states
    /// change, which records the source will read again, which consumers have some of them already. Changes nothing; blocks for
    /// reading the commits behind `to`.
    ///
    /// Fails with [`ErrorKind::Gap`](crate::ErrorKind::Gap) if the checkpoint is pruned, and with
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none of that number.
    pub fn plan_rewind(&self, to: Sequence, only: Option<&StreamName>) -> Result<Rewinding> {
        rewind::plan(&self.origin, to, only)
    }

    /// The last checkpoint that was committed at this time (microseconds since 1970-01-01 UTC) or before; `None` if all that
    /// are kept are younger. Blocks for reading the commits.
    pub fn checkpoint_at(&self, time_us: i64) -> Result<Option<Position>> {
        rewind::last_before(&self.origin, time_us)
    }

    /// The checkpoint with this UUID, if it is kept. Blocks for reading the commits.
    pub fn find_checkpoint(&self, id: CheckpointId) -> Result<Option<Position>> {
        rewind::with_id(&self.origin, id)
    }

    /// What the checkpoints behind `after`, up to `through`, hold of each stream. Blocks for reading their commits, no record.
    pub fn tally(&self, after: Sequence, through: Sequence) -> Result<Vec<Tally>> {
        rewind::tally(&self.origin, after, through)
    }

    /// A reader of all checkpoints from `from` on. Fails with [`ErrorKind::Gap`](crate::ErrorKind::Gap) if that was
    /// pruned or compacted into a later one, and with [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) beyond the next one.
    pub fn reader(&self, from: Sequence) -> Result<Reader> {
        Reader::new(self.origin.clone(), from)
    }

    /// A named consumer, made at `start` if it does not exist. Fails with
    /// [`ErrorKind::ConsumerBusy`](crate::ErrorKind::ConsumerBusy) while somebody else uses it, and with
    /// [`ErrorKind::Gap`](crate::ErrorKind::Gap) where its checkpoints were pruned.
    pub fn consumer(&self, name: &str, start: Start) -> Result<Consumer> {
        Consumer::open(self.origin.clone(), name, start, None)
    }

    /// A named consumer that may not fall behind further than `max_lag`.
    pub fn consumer_with_max_lag(&self, name: &str, start: Start, max_lag: MaxLag) -> Result<Consumer> {
        Consumer::open(self.origin.clone(), name, start, Some(max_lag))
    }

    /// Whether this log could go on behind what a destination holds, without asking it anything or changing a consumer: what
    /// [`Consumer::align`] would say.
    ///
    /// Fails with [`ErrorKind::Diverged`](crate::ErrorKind::Diverged) for another log, a destination ahead of this one, or another
    /// checkpoint under that number, and with [`ErrorKind::Gap`](crate::ErrorKind::Gap) where what follows is gone.
    pub fn check_position(&self, stored: Position) -> Result<()> {
        crate::consumer::check_position(&self.origin, stored)
    }

    /// Up to which checkpoint damage took all that came right behind this one, as a repair has given it up; `None` if the next one
    /// is there, is still to come, or was pruned. A consumer that stands at this one gets nothing before it is put behind them
    /// ([`seek_consumer`](LogReader::seek_consumer), [`Consumer::pass_gap`]).
    pub fn lost_behind(&self, after: Sequence) -> Result<Option<Sequence>> {
        crate::consumer::lost_behind(&self.origin, after)
    }

    /// Whether a consumer could begin there, without making one; behind which checkpoint it would stand then. Fails with
    /// [`ErrorKind::Gap`](crate::ErrorKind::Gap) where what follows is pruned.
    pub fn check_start(&self, start: Start) -> Result<Sequence> {
        crate::consumer::check_start(&self.origin, start)
    }

    /// Moves a consumer that nobody uses, forward or back: what it passes it will never get, what it goes back over it gets
    /// again. [`tally`](LogReader::tally) tells how much that is. Returns the checkpoint behind which it stands. Durable when it
    /// returns, and on record ([`audit`](LogReader::audit)); blocks for three flushes.
    ///
    /// Fails with [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown consumer or checkpoint, with
    /// [`ErrorKind::ConsumerBusy`](crate::ErrorKind::ConsumerBusy) while somebody uses it, and with
    /// [`ErrorKind::Gap`](crate::ErrorKind::Gap) where what follows the place is pruned.
    pub fn seek_consumer(&self, name: &str, to: Start, by: Option<By<'_>>) -> Result<Sequence> {
        crate::consumer::seek(&self.origin, name, to, by)
    }

    /// Puts on record who asked for work on the log that is told by [`audit`](LogReader::audit), but not by whom and why: a pruning, a
    /// compaction, a repair. `work` says which. Blocks for a flush; on a full disk the record is lost.
    pub fn sign(&self, work: &str, by: By<'_>) -> Result<()> {
        crate::notes::sign(&self.origin, work, by)
    }

    /// Where [`seek_consumer`](LogReader::seek_consumer) would put a consumer. Fails as that would; that somebody uses the consumer is
    /// known where the system tells. Changes nothing.
    pub fn plan_seek(&self, name: &str, to: Start) -> Result<Sequence> {
        crate::consumer::plan_seek(&self.origin, name, to)
    }

    /// Forgets a consumer that nobody uses, and puts that on record. Works on a full disk, where the record is lost.
    pub fn drop_consumer(&self, name: &str, by: Option<By<'_>>) -> Result<()> {
        crate::consumer::drop_consumer(&self.origin, name, by)
    }

    /// The consumers with their lag, sorted by name.
    pub fn consumers(&self) -> Result<Vec<ConsumerInfo>> {
        pruning::consumers(&self.origin)
    }

    /// Holds checkpoints until the pin is removed or expires. An existing pin of that name is replaced; where the new one is
    /// refused, it stays. Durable when it returns; blocks for two flushes, and for a pruning that is about to let something go.
    ///
    /// Fails with [`ErrorKind::Gap`](crate::ErrorKind::Gap) if what it is to hold is pruned already, and with
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) for an owner of more than some kilobytes.
    pub fn pin(&self, name: &str, pin: &Pin) -> Result<()> {
        // As long as we have the turn no pruning lets anything go.
        let _turn = lock::turn_to_hold(&*self.origin.files().storage)?;
        let retained = self.origin.horizon()?.retained;
        if pin.from < retained.first_sequence {
            return Err(crate::origin::gap(pin.from, &retained));
        }
        pin::write(&*self.origin.files().storage, name, pin)
    }

    /// Removes a pin. Durable when it returns; blocks for one flush. Fails with
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none of that name.
    pub fn unpin(&self, name: &str) -> Result<()> {
        pin::remove(&*self.origin.files().storage, name)
    }

    /// What [`Log::prune`](crate::Log::prune) would remove now. Changes nothing.
    pub fn plan_prune(&self, retention: &Retention) -> Result<Pruning> {
        pruning::plan(&self.origin, retention)
    }

    /// What [`Log::compact`](crate::Log::compact) would rewrite now. Reads all of that, and changes nothing.
    pub fn plan_compact(
        &self,
        compaction: &Compaction,
        progress: &mut dyn FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<Compacted> {
        compaction::plan(&self.origin, compaction, progress)
    }

    /// Where the log's bytes are, and who holds them under this retention. Blocks for reading every frame's header.
    pub fn space(&self, retention: &Retention) -> Result<Space> {
        space(&self.origin, retention)
    }

    /// What happened to the log beside the work of pipelines: recoveries, prunings, compactions, repairs, operations by hand, and
    /// consumers that were moved or dropped, in the order in which they happened. It reaches back as far as segments are kept. Blocks for reading every frame's header;
    /// an error comes after what was told before it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use highwater::{AuditEvent, Config, Log, Operation};
    /// let (log, _) = Log::open(dir.path(), Config::default())?;
    /// log.operate(Operation::new("set global", "ops", "moved here").set_global("{}"))?;
    /// let mut entries = Vec::new();
    /// log.audit(&mut |entry| entries.push(entry))?;
    /// let AuditEvent::Operation { record, .. } = &entries.last().unwrap().event else { panic!() };
    /// assert_eq!((record.verb(), record.who.as_deref()), ("set", Some("ops")));
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn audit(&self, tell: &mut dyn FnMut(AuditEntry)) -> Result<()> {
        audit(&self.origin, tell)
    }

    /// A snapshot of what the log is doing.
    pub fn status(&self) -> Result<Status> {
        status(&self.origin)
    }

    /// What this process has measured of the log since it opened it for writing; `None` where another process writes it, or
    /// nobody. A copy: a few hundred bytes, taken under the lock that a commit takes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use highwater::{Commit, Config, Log, LogReader};
    /// let (log, _) = Log::open(dir.path(), Config::default())?;
    /// log.writer(&[])?.commit(Commit::new())?;
    /// assert_eq!(log.metrics().unwrap().commit_duration.count(), 1);
    /// assert!(LogReader::open(dir.path())?.metrics().is_none());
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn metrics(&self) -> Option<Metrics> {
        match &self.origin {
            Origin::Live(journal) => Some(metrics(journal)),
            Origin::Foreign(_) => None,
        }
    }

    /// Reads everything and checks it. `progress` is told the bytes read so far. Damage is in the result; an error means
    /// that reading itself failed.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<Verification> {
        verify(&self.origin, progress)
    }
}

/// The definition of every stream.
pub(crate) fn definitions(origin: &Origin) -> impl Iterator<Item = Result<StreamInfo>> {
    let at: Vec<_> = origin.with_view(|view| view.streams().map(|(_, defined)| defined.at).collect());
    at.into_iter().map(|at| match origin {
        Origin::Live(journal) => crate::streams::read_written(journal, at).map(StreamInfo::new),
        Origin::Foreign(foreign) => read_definition(&foreign.files, at).map(StreamInfo::new),
    })
}
