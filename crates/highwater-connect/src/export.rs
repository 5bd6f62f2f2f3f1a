//! The records of a log as JSON lines, the very lines that the destination `jsonl` writes.

use highwater::{LogReader, Sequence, StreamName};

use crate::batch::Delivered;
use crate::bookkeeping::Tracker;
use crate::destination::jsonl::line::Head;
use crate::failure::{Failure, Result};

/// What is exported.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The first checkpoint.
    pub from: Sequence,
    /// The last one.
    pub to: Sequence,
    /// Only this stream.
    pub stream: Option<StreamName>,
}

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Checkpoints that were read.
    pub checkpoints: u64,
    /// Lines that were written.
    pub records: u64,
}

/// Gives each record's line to `write`, with its stream, checkpoint by checkpoint. Streams that are the runtime's own are left
/// out. Where a repair has left a gap `gap` is told, and it goes on behind it. Blocks for reading all of it, with bounded memory.
///
/// Fails with [`FailureKind::Permanent`](crate::FailureKind::Permanent) at a record that is not JSON, and says which.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # use highwater::{Commit, Config, Log, Op, Sequence, StreamSpec};
/// # use highwater_connect::export::{self, Wanted};
/// # let (log, _) = Log::open(dir.path(), Config::default())?;
/// # let orders = log.stream(StreamSpec::new("orders").key(["id"]))?;
/// # let mut writer = log.writer(&[&orders])?;
/// # writer.append(&orders, Op::Upsert { key: b"[1]", row: br#"{"id":1}"# })?;
/// # writer.commit(Commit::new().stream(&orders, &1))?;
/// let all = Wanted { from: log.first(), to: Sequence::new(1), stream: None };
/// let mut text = Vec::new();
/// let mut write = |_: &highwater::StreamName, line: &[u8]| Ok(text.extend_from_slice(line));
/// let exported = export::json_lines(&log, &all, &mut write, &mut |_| {})?;
/// assert_eq!(exported.records, 1);
/// assert!(String::from_utf8_lossy(&text).contains(r#""op":"upsert""#));
/// # Ok::<(), highwater_connect::Failure>(())
/// ```
pub fn json_lines(
    log: &LogReader,
    wanted: &Wanted,
    write: &mut dyn FnMut(&StreamName, &[u8]) -> std::io::Result<()>,
    gap: &mut dyn FnMut(&highwater::Error),
) -> Result<Exported> {
    let mut tracker = Tracker::new(log.clone());
    let mut reader = log.reader(wanted.from)?;
    let mut exported = Exported::default();
    let mut line = Vec::new();
    while reader.next_sequence() <= wanted.to {
        let checkpoint = match reader.next() {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => break,
            Err(error) if reader.pass_gap().is_some() => {
                gap(&error);
                tracker.forget();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let definitions = tracker.at(&checkpoint)?;
        let delivered = Delivered::new(&checkpoint, &definitions);
        for part in delivered.parts() {
            if wanted.stream.as_ref().is_some_and(|stream| stream != part.name()) {
                continue;
            }
            let head = Head::new(&delivered, &part)?;
            for (index, record) in (0u64..).zip(part.records()) {
                let place = || {
                    format!("checkpoint {}, stream {}, record {index}", checkpoint.sequence(), part.name())
                };
                head.write(&record?, &mut line)
                    .map_err(|why| Failure::permanent(format!("{}: {why}", place())))?;
                write(part.name(), &line).map_err(|e| Failure::permanent("writing a line").because(e))?;
                exported.records += 1;
            }
        }
        exported.checkpoints += 1;
    }
    Ok(exported)
}
