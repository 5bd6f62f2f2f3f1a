//! A consumer of the log whose batches know their streams.

use highwater::{Consumer, Limit, LogReader, MaxLag, Position, Sequence, Start};

use crate::batch::Batch;
use crate::bookkeeping::Tracker;
use crate::destination::Stored;
use crate::failure::Result;

/// Reads a log for one destination, under a name of its own. Only one process at a time has it.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # use highwater::{Commit, Config, Limit, Log, Op, Start, StreamSpec};
/// # use highwater_connect::Feed;
/// # let (log, _) = Log::open(dir.path(), Config::default())?;
/// # let orders = log.stream(StreamSpec::new("orders").key(["id"]))?;
/// # let mut writer = log.writer(&[&orders])?;
/// # writer.append(&orders, Op::Upsert { key: b"[1]", row: br#"{"id":1}"# })?;
/// # writer.commit(Commit::new().stream(&orders, &1))?;
/// let mut feed = Feed::open(&log, "warehouse", Start::Earliest, None)?;
/// while let Some(batch) = feed.next(&Limit::default())? {
///     for checkpoint in batch.checkpoints() {
///         for part in checkpoint.parts() {
///             assert_eq!(part.definition().unwrap().key, [["id"]]);
///             assert_eq!(part.records().count(), 1);
///         }
///     }
///     feed.acknowledge(batch.end())?;
/// }
/// # Ok::<(), highwater_connect::Failure>(())
/// ```
#[derive(Debug)]
pub struct Feed {
    consumer: Consumer,
    tracker: Tracker,
}

impl Feed {
    /// Takes the consumer of that name, or makes it at `start`.
    pub fn open(log: &LogReader, name: &str, start: Start, max_lag: Option<MaxLag>) -> Result<Feed> {
        let consumer = match max_lag {
            Some(max_lag) => log.consumer_with_max_lag(name, start, max_lag)?,
            None => log.consumer(name, start)?,
        };
        Ok(Feed { consumer, tracker: Tracker::new(log.clone()) })
    }

    /// Goes on behind what the destination holds. One that stores positions and has none, although something was acknowledged, has
    /// lost it: it begins anew where it began. Where the consumer was put behind checkpoints that damage took, and the destination lacks
    /// nothing else before that place, it stays there.
    ///
    /// Fails with [`FailureKind::Diverged`](crate::FailureKind::Diverged) if what it holds is not on the log's history, and with the
    /// engine's [`Gap`](highwater::ErrorKind::Gap) where what it needs is gone.
    pub fn align(&mut self, stored: Stored) -> Result<()> {
        if self.has_lost(stored) {
            return self.restart(self.start());
        }
        self.tracker.forget();
        Ok(self.consumer.align(stored.position())?)
    }

    /// Whether the destination had acknowledged what it does not have any more.
    pub fn has_lost(&self, stored: Stored) -> bool {
        stored == Stored::Nothing && self.consumer.has_acknowledged()
    }

    /// Where it began, or was moved to by hand.
    pub fn start(&self) -> Start {
        self.consumer.start()
    }

    /// Begins anew there. Fails with the engine's [`Gap`](highwater::ErrorKind::Gap) where that is gone.
    pub fn restart(&mut self, start: Start) -> Result<()> {
        self.tracker.forget();
        Ok(self.consumer.restart(start)?)
    }

    /// Goes on behind checkpoints that are gone, as a [`Gap`](highwater::ErrorKind::Gap) has told: for a destination that has them, or
    /// is never to get them. Blocks for a flush.
    pub fn pass_gap(&mut self, last: Sequence) -> Result<()> {
        self.tracker.forget();
        Ok(self.consumer.pass_gap(last)?)
    }

    /// The next batch that is due; blocks at most [`Limit::wait`].
    pub fn next(&mut self, limit: &Limit) -> Result<Option<Batch>> {
        let Some(inner) = self.consumer.next_batch(limit)? else { return Ok(None) };
        let definitions = inner
            .checkpoints()
            .iter()
            .map(|checkpoint| self.tracker.at(checkpoint))
            .collect::<Result<_>>()?;
        Ok(Some(Batch::new(inner, self.tracker.log().clone(), definitions)))
    }

    /// Everything up to here is delivered for good.
    pub fn acknowledge(&mut self, position: Position) -> Result<()> {
        Ok(self.consumer.acknowledge(position)?)
    }

    /// The last checkpoint that was acknowledged with everything before it.
    pub fn acknowledged(&self) -> Sequence {
        self.consumer.acknowledged()
    }

    /// Makes the acknowledgements durable; blocks for a flush.
    pub fn sync(&mut self) -> Result<()> {
        Ok(self.consumer.sync()?)
    }
}
